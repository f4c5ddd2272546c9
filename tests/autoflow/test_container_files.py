"""The container's files: what they name is there, and they hold together. Nothing is built."""

import re
import shlex
from fnmatch import fnmatch
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "containers" / "autoflow"
HASHED = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with what stands after them, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def copied() -> list[str]:
    """What is copied from the repository."""
    copies = [shlex.split(rest) for word, rest in instructions() if word == "COPY"]
    return [source for words in copies if not words[0].startswith("--from") for source in words[:-1]]


def environment() -> dict[str, str]:
    """What the image sets."""
    pairs = [pair for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest)]
    return dict(pair.split("=", 1) for pair in pairs)


def test_everything_that_is_copied_is_there_and_is_sent() -> None:
    """Each COPY names a file or directory of the repository, and the ignore file lets it through."""
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().split()

    assert len(copied()) >= 4
    for source in copied():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source
    assert ignored[0] == "*"
    assert not any(fnmatch(source, pattern) for source in copied() for pattern in ignored if pattern.startswith("**"))


def test_packages_are_pinned_by_hash() -> None:
    """Requirements are installed with --require-hashes from files that exist, and every package in them has a hash."""
    installs = [shlex.split(rest) for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    files = [words[n + 1] for words in installs for n, word in enumerate(words) if word in ("-r", "--requirement")]

    assert files
    for words in installs:
        assert "--require-hashes" in words or words[-1] == ".", words
        assert "--no-deps" in words, words
    for file in files:
        assert file in copied()
        packages = re.split(r"\n(?=\S)", (ROOT / file).read_text().strip())
        assert len(packages) > 50
        assert [
            package for package in packages if not re.match(r"\S+==\S+", package) or not HASHED.search(package)
        ] == []


def test_the_container_has_the_versions_that_are_tested() -> None:
    """Every package of the container has the version that the tests ran with."""

    def versions(file: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / file).read_text(), re.MULTILINE))

    assert versions("autoflow.txt") - versions("dev.txt") == set()


def test_no_registry_is_named() -> None:
    """Images and packages come from wherever the site gets them: no file names a host."""
    for file in FOLDER.iterdir():
        text = file.read_text().replace("https://flowapi.example.org", "")
        assert "://" not in text.replace("postgresql://autoflow:{}@autoflow_db", ""), file
    assert "://" not in (ROOT / "requirements" / "autoflow.txt").read_text()
    for word, rest in instructions():
        if word == "FROM":
            assert re.fullmatch(r"python:[\w.-]+( AS \w+)?", rest)


def test_the_image_starts_as_flowkits_does() -> None:
    """The mounts and the log level are those of FlowKit's image; it serves, as a user who is not root."""
    words = dict(instructions())

    assert environment()["AUTOFLOW_INPUTS_DIR"] == "/mounts/inputs"
    assert environment()["AUTOFLOW_OUTPUTS_DIR"] == "/mounts/outputs"
    assert environment()["AUTOFLOW_LOG_LEVEL"] == "INFO"
    assert environment()["HOME"] == "/tmp"
    assert not words["USER"].startswith(("0", "root"))
    assert words["CMD"] == '["autoflow"]'


def test_the_stack_has_a_database_and_two_secrets() -> None:
    """The stack's secrets are those that AutoFlow reads; each service has what it names; inputs are read-only."""
    stack = yaml.safe_load((FOLDER / "docker-stack.yml").read_text())
    autoflow, database = stack["services"]["autoflow"], stack["services"]["autoflow_db"]

    assert set(stack["secrets"]) == set(autoflow["secrets"]) == {"AUTOFLOW_DB_PASSWORD", "FLOWAPI_TOKEN"}
    assert database["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/AUTOFLOW_DB_PASSWORD"
    assert database["secrets"] == ["AUTOFLOW_DB_PASSWORD"]
    assert "@autoflow_db:" in autoflow["environment"]["AUTOFLOW_DB_URI"]
    assert "{}" in autoflow["environment"]["AUTOFLOW_DB_URI"]
    assert {*autoflow["networks"], *database["networks"]} == set(stack["networks"])
    assert database["networks"] == ["database"]
    assert stack["networks"]["database"]["internal"] is True
    modes = {volume.rsplit(":", 2)[1]: volume.rsplit(":", 1)[1] for volume in autoflow["volumes"]}
    assert modes == {"/mounts/inputs": "ro", "/mounts/outputs": "rw"}
