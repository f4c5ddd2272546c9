# Each target works on a bare machine in one step; `setup` makes .venv, and `.venv/bin/flowkit` is the command.
PYTHON ?= python3
DEMO ?= demo
bin = .venv/bin
install = $(bin)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check bench docs fuzz generate lock setup setup-dev clean

demo: .venv/.demo
	$(bin)/flowkit demo $(DEMO)

setup: .venv/.demo

setup-dev: .venv/.dev

.venv/.demo: requirements/demo.txt pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'FlowKit needs Python 3.11 or newer: name one with PYTHON=python3.11.')"
	@test -x $(bin)/python || $(PYTHON) -m venv .venv
	@test -f .venv/.dev || echo "Installing what FlowKit needs into .venv: one to five minutes, once."
	@test -f .venv/.dev || $(install) --require-hashes --no-deps -r requirements/demo.txt
	@$(install) --no-deps --no-build-isolation --editable .
	@touch $@
	@echo "Installed; the command is .venv/bin/flowkit."

# pip would compile every module; the tests import a part of them, which Python compiles then.
.venv/.dev: requirements/dev.txt pyproject.toml
	@test -x $(bin)/python || $(PYTHON) -m venv .venv
	@echo "Installing what development and the tests need into .venv: two to six minutes, once."
	@$(install) --no-compile --require-hashes --no-deps -r requirements/dev.txt
	@$(install) --no-deps --no-build-isolation --editable .
	@touch $@

# Everything that this machine can; what it lacks is installed where that may be, or left out in one line. Two processes
# side by side; each has engines of its own, which take 2 GB of memory.
WORKERS ?= 2
test: .venv/.dev
	@tools/install_engines.sh
	$(bin)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: .venv/.dev
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/basedpyright
	$(bin)/lint-imports
	$(bin)/python tools/generate_client.py --check
	$(bin)/python tools/generate_docs.py --check

# More random worlds than the tests ask about; WORLDS=10000 for the long run.
WORLDS ?= 1000
fuzz: .venv/.dev
	FLOWKIT_WORLDS=$(WORLDS) $(bin)/python -m pytest tests/flowmachine/test_kinds_on_engines.py -k random_worlds

bench: .venv/.dev
	@tools/install_engines.sh
	PYTHONPATH=. $(bin)/python -m bench.run --page docs/benchmarks.md

generate docs: .venv/.dev
	$(bin)/python tools/generate_client.py
	$(bin)/python tools/generate_docs.py

# Pins every dependency by name, version and hashes: for development, the demo and AutoFlow's container, at the same versions.
lock: compile = $(bin)/uv pip compile pyproject.toml requirements/build.in --python-version 3.11 --universal --generate-hashes --no-annotate --no-header --quiet
lock:
	@test -x .venv/bin/uv || $(bin)/python -m pip install --quiet uv
	$(compile) --extra dev --output-file requirements/dev.txt
	$(compile) --extra demo --constraint requirements/dev.txt --output-file requirements/demo.txt
	$(compile) requirements/autoflow.in --extra autoflow --constraint requirements/dev.txt --output-file requirements/autoflow.txt

clean:
	rm -rf .venv $(DEMO)
