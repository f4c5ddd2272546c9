"""A month unattended: days arrive, things break, two services go on, and each date has run exactly once."""

import datetime as dt
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.autoflow.conftest import until

from autoflow.app import run_once
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import open_run_table
from autoflow.settings import Settings

WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date}}}}]
available_dates_sensor: {schedule: "* * * * * */5", workflows: [{workflow_name: w}]}
"""
# On three days of the month the notebook breaks the first time, each time in another way.
TROUBLED = """\
import os, pathlib
once = pathlib.Path(f'{day}.broken')
if day[-2:] in ('09', '10', '11') and not once.exists():
    once.touch()
    if day.endswith('09'): raise ValueError('a cell that fails')
    if day.endswith('10'): os._exit(1)
    os.kill(os.getpid(), 9)
print('the result of', day)"""
MONTH = [dt.date(2016, 1, 1) + dt.timedelta(days=n) for n in range(31)]


@pytest.fixture
def services(settings: Settings, token: str, tmp_path: Path) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    """Start the first or second service, again and again as a supervisor would; what is left of them is killed."""
    running: dict[int, subprocess.Popen[bytes]] = {}
    environment = {
        **os.environ,
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": token,
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
        "AUTOFLOW_RETRY_DELAY": "0",
        "AUTOFLOW_MAX_ATTEMPTS": "10",
    }

    def service(number: int) -> subprocess.Popen[bytes]:
        if number not in running or running[number].poll() is not None:
            with (tmp_path / "log").open("ab") as log:
                command = [sys.executable, "-m", "autoflow", "serve"]
                running[number] = subprocess.Popen(command, env=environment, stderr=log)
        return running[number]

    yield service
    for process in running.values():
        if process.poll() is None:
            process.kill()
        process.wait()


def kernels(folder: Path) -> list[int]:
    """The processes that work in a folder, as kernels do in that of their notebook."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder and "Z" not in (process / "stat").read_text().rpartition(")")[2]:
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.takes_long("two services work through a month of runs and faults")
def test_a_month_with_faults_ends_with_each_date_once(  # noqa: PLR0915  (one story from beginning to end)
    settings: Settings,
    flowapi: Any,
    services: Callable[[int], subprocess.Popen[bytes]],
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
) -> None:
    """Through kills, outages, refusals, failing cells and a withdrawn day each date has one success and its output."""
    write_notebook("n.ipynb", "day = None", TROUBLED)
    write_workflows(WORKFLOWS)
    flowapi.dates = {"calls": []}
    table = open_run_table(settings)

    def history(state: RunState) -> list[Run]:
        return [run for run in table.history() if run.state is state]

    def arrive(number: int) -> None:
        flowapi.dates = {"calls": [str(day) for day in MONTH[:number]]}

    def done(number: int) -> bool:
        return len(history(RunState.success)) >= number

    def asked(times: int = 1) -> None:
        """Wait until FlowAPI has been asked again."""
        before = len(flowapi.requests)
        until(lambda: len(flowapi.requests) >= before + times, seconds=90)

    arrive(3)
    services(1), services(2)
    # The process that is at work is killed; its service goes on.
    until(lambda: kernels(settings.autoflow_inputs_dir) and history(RunState.running), seconds=90)
    owner = history(RunState.running)[-1].runner or ""
    os.kill(int(owner.rsplit("/", 2)[1]), signal.SIGKILL)
    # FlowAPI is down while days arrive, and then refuses the token.
    until(lambda: done(2), seconds=90)
    flowapi.down = True
    arrive(7)
    asked()
    flowapi.down, flowapi.refusing = False, True
    asked()
    flowapi.refusing = False
    # Cells fail and kernels die.
    until(lambda: done(6), seconds=90)
    arrive(12)
    until(lambda: done(10), seconds=90)
    # Both services are killed at once, wherever they are.
    arrive(18)
    for service in (services(1), services(2)):
        service.kill()
        service.wait()
    services(1), services(2)
    # A day is withdrawn and comes again.
    until(lambda: done(17), seconds=90)
    flowapi.dates = {"calls": [str(day) for day in MONTH[:20] if day != MONTH[16]]}
    until(lambda: done(19), seconds=90)
    arrive(31)
    # A kernel is killed from outside, and a service is stopped as for an upgrade.
    until(lambda: done(21) and kernels(settings.autoflow_inputs_dir), seconds=90)
    for pid in kernels(settings.autoflow_inputs_dir)[:1]:
        os.kill(pid, signal.SIGKILL)
    stopped = services(1)
    stopped.send_signal(signal.SIGTERM)
    assert stopped.wait(60) == 0
    last = [services(1), services(2)]
    until(lambda: done(31), seconds=90)
    asked(3)
    for service in last:
        service.send_signal(signal.SIGTERM)
    assert [service.wait(60) for service in last] == [0, 0]

    succeeded = history(RunState.success)
    assert Counter(run.reference_date for run in succeeded) == Counter(MONTH)
    outputs = [Path(output["notebook"]) for run in succeeded for output in run.outputs]
    assert len(set(outputs)) == 31
    for run, path in zip(succeeded, outputs, strict=True):
        assert f"the result of {run.reference_date}" in path.read_text()
    failed = history(RunState.failed)
    assert all(run.error for run in failed)
    said = " ".join(str(run.error) for run in failed)
    assert "a cell that fails" in said
    assert "its kernel died" in said
    assert "The process that ran this ended before the run did." in said
    assert run_once(settings) == []
    assert list(settings.working_dir.iterdir()) == []
    assert kernels(settings.autoflow_inputs_dir) == []
    table.close()
