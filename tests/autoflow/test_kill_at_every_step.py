"""SIGKILL at every step: the next runner takes the date up, it succeeds once, and no kernel is left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.autoflow.conftest import until

from autoflow.app import run_once
from autoflow.runs.run import RunState
from autoflow.runs.table import RunTable, open_run_table
from autoflow.settings import Settings

WORKFLOWS = """\
workflows:
  - name: w
    notebooks: {%s}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}
"""
ONE = "only: {filename: first.ipynb, output: {format: pdf}}"
TWO = "first: {filename: first.ipynb}, last: {filename: last.ipynb, parameters: {before: first}, output: {format: pdf}}"
# A runner that is killed as soon as it comes to call, or has just called, a function.
DOOMED = """\
import importlib, os, signal, sys
place, name, when, nth = sys.argv[1].rsplit(".", 1) + sys.argv[2:]
owner = importlib.import_module("autoflow." + place.split(":")[0])
for part in place.split(":")[1:]:
    owner = getattr(owner, part)
function, calls = getattr(owner, name), []
def fatal(*arguments, **options):
    calls.append(1)
    if when == "before" and len(calls) == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    result = function(*arguments, **options)
    if when == "after" and len(calls) == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(owner, name, fatal)
from autoflow.app import run_once
from autoflow.settings import Settings
run_once(Settings())
"""
STEPS = {
    "before the claim": ("runs.table:RunTable.claim", "before", 1),
    "after the claim": ("runs.table:RunTable.claim", "after", 1),
    "before the first kernel": ("execution.notebooks.run_notebook", "before", 1),
    "as a kernel starts": ("execution.kernels:Kernels.started", "after", 1),
    "after the first notebook": ("execution.notebooks.run_notebook", "after", 1),
    "before a notebook gets its name": ("execution.notebooks.put", "before", 1),
    "after a notebook got its name": ("execution.notebooks.put", "after", 1),
    "as the second kernel starts": ("execution.kernels:Kernels.started", "after", 2),
    "between notebook and report": ("execution.notebooks._write_report", "before", 1),
    "after the report": ("execution.notebooks._write_report", "after", 1),
    "before success is recorded": ("runs.table:RunTable.succeed", "before", 1),
    "after success is recorded": ("runs.table:RunTable.succeed", "after", 1),
}
# These are moments between two notebooks; for the others one is enough.
OF_TWO = ("after the first notebook", "as the second kernel starts")


def kernels(folder: Path) -> list[int]:
    """The processes that work in a folder, as kernels do in that of their notebook."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            here = (process / "cwd").readlink() == folder
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if here and state != "Z":
            found.append(int(process.name))
    return found


@pytest.fixture
def prepared(
    flowapi: Any, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> Callable[..., None]:
    """Write a workflow of one notebook with a report, or of two, for one day."""

    def prepare(*cells: str, notebooks: str = ONE) -> None:
        flowapi.dates = {"calls": ["2016-01-01"]}
        write_workflows(WORKFLOWS % notebooks)
        write_notebook("first.ipynb", "p = 1", *cells)
        write_notebook("last.ipynb", "before = None", "assert open(before).read()", "# A line of the report")

    return prepare


@pytest.fixture
def environment(settings: Settings, token: str) -> dict[str, str]:
    """The environment of a runner of its own."""
    return {
        **os.environ,
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": token,
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
    }


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.takes_long("starts a runner that dies, and another, each with its kernels")
def test_a_runner_that_is_killed_is_succeeded(
    settings: Settings, prepared: Callable[..., None], environment: dict[str, str], step: str
) -> None:
    """Killed at this moment, a runner leaves a date that the next one brings to one success with whole outputs."""
    prepared("# A line of the report", notebooks=TWO if step in OF_TWO else ONE)
    function, when, nth = STEPS[step]
    command = [sys.executable, "-c", DOOMED, function, when, str(nth)]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    runs = run_once(settings)
    table = open_run_table(settings)
    history = table.history()
    table.close()
    assert [run.error for run in runs if run.state is not RunState.success] == []
    successes = [run for run in history if run.state is RunState.success]
    assert len(successes) == 1
    assert runs == ([] if step == "after success is recorded" else successes)
    for output in successes[0].outputs:
        assert Path(output["notebook"]).exists()
        assert Path(output["notebook"]).read_text().rstrip().endswith("}")
    report = Path(successes[0].outputs[-1]["report"]).read_bytes()
    assert report.rstrip().endswith(b"%%EOF")
    assert list(settings.working_dir.iterdir()) == []
    until(lambda: not kernels(settings.autoflow_inputs_dir))
    assert run_once(settings) == []


def test_the_kernel_of_a_dead_runner_dies(
    settings: Settings, prepared: Callable[..., None], environment: dict[str, str]
) -> None:
    """A kernel at an endless cell ends by itself, within seconds of the runner that started it."""
    prepared("while True: pass")
    command = [sys.executable, "-m", "autoflow", "once"]
    runner = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: kernels(settings.autoflow_inputs_dir))
    time.sleep(2)
    assert kernels(settings.autoflow_inputs_dir)
    runner.kill()
    runner.wait()
    until(lambda: not kernels(settings.autoflow_inputs_dir), seconds=15)


@pytest.mark.parametrize("database_kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
@pytest.mark.takes_long("four processes execute notebooks at once")
def test_four_runners_run_nothing_twice(
    settings: Settings,
    flowapi: Any,
    prepared: Callable[..., None],
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    database_kind: str,
) -> None:
    """Four processes at once on one run table: each date has one run, one success and one set of outputs."""
    prepared()
    (settings.autoflow_inputs_dir / "workflows.yml").write_text(
        "workflows:\n"
        "  - {name: a, notebooks: {n: {filename: first.ipynb}}}\n"
        "  - {name: b, notebooks: {n: {filename: first.ipynb}}}\n"
        "available_dates_sensor: {schedule: null, workflows: [{workflow_name: a}, {workflow_name: b}]}\n"
    )
    flowapi.dates = {"calls": ["2016-01-01", "2016-01-02"]}
    uri = ""
    if database_kind == "postgresql":
        uri = environment["AUTOFLOW_DB_URI"] = request.getfixturevalue("database")
    command = [sys.executable, "-m", "autoflow", "once"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    runners = [subprocess.Popen(command, env=environment, text=True, **pipes) for _ in range(4)]
    ends = [runner.communicate(timeout=110) for runner in runners]
    assert [runner.returncode for runner in runners] == [0] * 4, ends
    settings = settings.model_copy(update={"autoflow_db_uri": uri})
    # A runner that came to a date while another was at it has left the later ones to the next tick.
    run_once(settings)
    table: RunTable = open_run_table(settings)
    history = table.history()
    table.close()
    assert sorted(run.state.value for run in history) == ["running"] * 4 + ["success"] * 4
    assert len({(run.workflow_name, run.reference_date) for run in history}) == 4
    assert len(list(settings.notebooks_dir.iterdir())) == 4
    for name in ("a", "b"):
        order = [run.reference_date for run in history if run.workflow_name == name]
        assert order == sorted(order, key=lambda day: day or 0)
