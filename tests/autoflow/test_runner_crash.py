"""The service as a process: killed, stopped, or two at once on one run table."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.autoflow.conftest import until

from autoflow.app import run_once
from autoflow.runs.run import RunState
from autoflow.runs.table import open_run_table
from autoflow.settings import Settings

WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb}}}]
available_dates_sensor: {schedule: %s, workflows: [{workflow_name: w}]}
"""
# The first to run it stays in it until the file `go` is there; the kernel's process id is in the file `pid`.
WAITING = (
    "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\n"
    "while not pathlib.Path('go').exists(): time.sleep(0.05)"
)


@pytest.fixture
def prepare(
    flowapi: Any, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> Callable[..., None]:
    """Write a workflow of one notebook with the given cells, a schedule, and one available day."""

    def _prepare(schedule: str, *cells: str) -> None:
        flowapi.dates = {"calls": ["2016-01-01"]}
        write_workflows(WORKFLOWS % schedule)
        write_notebook("n.ipynb", "p = 1", *cells)

    return _prepare


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def start(settings: Settings, token: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start `python -m autoflow` with some arguments; what is left of it is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def _start(*arguments: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "FLOWAPI_URL": settings.flowapi_url,
            "FLOWAPI_TOKEN": token,
            "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
            "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
            "AUTOFLOW_RETRY_DELAY": "0",
        }
        command = [sys.executable, "-m", "autoflow", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, env=environment, text=True, **pipes)
        started.append(process)
        return process

    yield _start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def kernel(settings: Settings) -> Callable[[], int]:
    """Wait for the notebook to be under way and give the process id of its kernel."""
    path = settings.autoflow_inputs_dir / "pid"

    def _kernel() -> int:
        until(lambda: path.exists() and path.read_text())
        return int(path.read_text())

    return _kernel


def states(settings: Settings) -> list[tuple[str, int | None]]:
    table = open_run_table(settings)
    history = [(run.state.value, run.attempt) for run in table.history()]
    table.close()
    return history


@pytest.mark.takes_long("starts a service twice, and kernels")
def test_a_killed_runner_is_succeeded_by_the_next(
    settings: Settings, prepare: Callable[..., None], start: Callable[..., Any], kernel: Callable[[], int]
) -> None:
    """After kill -9 nothing half done is among the outputs; the next runner begins again at no cost of a try."""
    prepare("null", WAITING)
    process = start("once")
    pid = kernel()
    assert run_once(settings) == []
    process.kill()
    process.wait()

    assert list(settings.notebooks_dir.iterdir()) == []
    (settings.autoflow_inputs_dir / "go").touch()
    runs = run_once(settings)
    assert [(run.state, run.attempt, run.deaths) for run in runs] == [(RunState.success, 1, 1)], runs
    assert states(settings) == [("running", 1), ("failed", 0), ("running", 1), ("success", 1)]
    assert list(settings.working_dir.iterdir()) == []
    assert len(list(settings.notebooks_dir.iterdir())) == 1
    until(lambda: not alive(pid))


@pytest.mark.takes_long("starts a service twice, and kernels")
def test_a_service_that_is_told_to_stop_stops_and_gives_its_run_back(
    settings: Settings, prepare: Callable[..., None], start: Callable[..., Any], kernel: Callable[[], int]
) -> None:
    """On SIGTERM the kernels end, the service ends well, and the run does not count as tried."""
    prepare('"* * * * * *"', WAITING)
    process = start()
    pid = kernel()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert time.monotonic() - began < 30
    assert not alive(pid)
    assert states(settings) == [("running", 1), ("failed", 0)]
    assert "event=stopped" in errors
    assert "Traceback" not in errors
    (settings.autoflow_inputs_dir / "go").touch()
    assert [(run.state, run.attempt) for run in run_once(settings)] == [(RunState.success, 1)]


@pytest.mark.takes_long("two processes execute notebooks")
def test_two_runners_share_the_work(
    settings: Settings, flowapi: Any, prepare: Callable[..., None], start: Callable[..., Any]
) -> None:
    """Two processes on one run table run each day once between them."""
    prepare("null")
    flowapi.dates = {"calls": [f"2016-01-0{n}" for n in range(1, 5)]}
    processes = [start("once") for _ in range(2)]
    ends = [process.communicate(timeout=100) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], ends
    assert sorted(states(settings)) == [("running", 1)] * 4 + [("success", 1)] * 4
    assert len(list(settings.notebooks_dir.iterdir())) == 4


def test_the_command_line_speaks_in_sentences(
    prepare: Callable[..., None], start: Callable[..., Any], write_workflows: Callable[[str], Path]
) -> None:
    """check, status and once tell what is wrong on standard error, with exit code 1 and no traceback."""
    nothing = start("check")
    without_file = nothing.communicate(timeout=60)
    prepare("null", "1 / 0")
    sound, due, failing = start("check"), start("status"), start("once")
    told = {process: process.communicate(timeout=100) for process in (sound, due, failing)}
    write_workflows((WORKFLOWS % "null").replace("n.ipynb", "m.ipynb"))
    bad = start("check")
    told[bad] = bad.communicate(timeout=60)

    assert nothing.returncode == 1
    assert "AUTOFLOW_INPUTS_DIR" in without_file[1]
    assert sound.returncode == 0
    assert "is sound: 1 workflow(s), 1 for the sensor, schedule once" in told[sound][0]
    assert due.returncode == 0, told[due]
    assert "2016-01-01" in told[due][0]
    assert failing.returncode == 1
    assert "n.ipynb, cell 2: ZeroDivisionError: division by zero" in told[failing][0]
    assert bad.returncode == 1
    assert told[bad][1].startswith(
        "workflows.yml, line 1: workflows[0].notebooks.n.filename: there is no file 'm.ipynb'"
    )
    assert not any("Traceback" in errors for _, errors in told.values())


def test_once_names_what_was_given_up(
    settings: Settings, prepare: Callable[..., None], start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where runs have failed for good, `once` does not say that nothing was due: it names them, with exit code 1."""
    monkeypatch.setenv("AUTOFLOW_MAX_ATTEMPTS", "1")
    prepare("null", "1 / 0")
    assert [run.state for run in run_once(settings)] == [RunState.failed]
    process = start("once")
    said, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert said == ""
    assert "Given up: w 2016-01-01 (failed 1 times, which is the limit: n.ipynb, cell 2: ZeroDivisionError" in errors
    assert "'autoflow once --retry-failed' tries what was given up again." in errors


@pytest.mark.takes_long("starts the service, kills it, and starts it again")
def test_a_failed_run_is_tried_again_between_ticks(
    settings: Settings, flowapi: Any, prepare: Callable[..., None], start: Callable[..., Any]
) -> None:
    """A service does not wait for its next tick to try again what is due, and outlives a FlowAPI that is down."""
    prepare('"0 0 1 1 *"', "import pathlib\nassert pathlib.Path('go').exists()")
    assert [run.state for run in run_once(settings)] == [RunState.failed]
    (settings.autoflow_inputs_dir / "go").touch()
    flowapi.down, asked = True, len(flowapi.requests)
    process = start("serve")
    until(lambda: len(flowapi.requests) > asked)
    flowapi.down = False
    until(lambda: ("success", 2) in states(settings))
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 0, errors
    assert 'event="this tick failed"' in errors
    assert "Traceback" not in errors
    assert flowapi.requests[asked:].count("/api/0/available_dates") >= 2
