"""The service between its ticks: small, awake to signals and to workflows.yml, and without a process at work."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.autoflow.conftest import until

from autoflow.runs.table import open_run_table
from autoflow.settings import Settings

WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb}}}]
available_dates_sensor: {schedule: "%s", workflows: [{workflow_name: w}]}
"""
SMALL = 80 * 1024


@pytest.fixture
def serve(settings: Settings, token: str, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start `autoflow serve`, whose log goes to the file `log`; it is ended after the test."""
    started: list[subprocess.Popen[bytes]] = []
    environment = {
        **os.environ,
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": token,
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
        "AUTOFLOW_LOG_LEVEL": "DEBUG",
    }

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            started.append(subprocess.Popen([sys.executable, "-m", "autoflow", "serve"], env=environment, stderr=log))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def waits(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether a service waits: it says so last, and has no process at work."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return not children and "event=waiting" in "".join(log.read_text().splitlines()[-1:])


def memory(process: subprocess.Popen[bytes]) -> int:
    """What a process holds resident, in KiB."""
    return int(re.findall(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0])


def dates(settings: Settings) -> list[str]:
    table = open_run_table(settings)
    found = sorted(str(run.reference_date) for run in table.history() if run.state.value == "success")
    table.close()
    return found


@pytest.mark.takes_long("starts the service and waits for its schedule")
def test_the_service_is_small_whenever_it_waits(
    settings: Settings,
    flowapi: Any,
    serve: Callable[[], Any],
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Before and after its ticks it holds less than 80 MB and no file but its own, and ends well when told to."""
    write_notebook("n.ipynb", "p = 1")
    write_workflows(WORKFLOWS % "0 0 1 1 *")
    flowapi.dates = {"calls": ["2016-01-01"]}
    process = serve()
    until(lambda: waits(process, tmp_path / "log"))
    time.sleep(1)
    before, files = memory(process), len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    assert dates(settings) == []

    # Of two ticks a second apart the first runs the notebook; then the schedule is put far away again.
    write_workflows(WORKFLOWS % "* * * * * *")
    until(lambda: dates(settings) == ["2016-01-01"])
    write_workflows(WORKFLOWS % "0 0 1 1 *")
    log = tmp_path / "log"
    until(
        lambda: waits(process, log) and f"until={time.gmtime().tm_year + 1}" in log.read_text().replace('"', "")[-300:]
    )
    time.sleep(1)
    assert before < SMALL
    assert memory(process) < SMALL
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) == files

    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    said = log.read_text()
    assert "event=stopped" in said.splitlines()[-1]
    assert "Traceback" not in said


@pytest.mark.takes_long("starts the service and waits for its schedule")
def test_a_broken_workflows_file_stops_nothing_but_the_runs(
    settings: Settings,
    flowapi: Any,
    serve: Callable[[], Any],
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """While workflows.yml is broken the service lives and says so; once it is mended what was missed runs."""
    write_notebook("n.ipynb", "p = 1")
    write_workflows(WORKFLOWS % "0 0 1 1 *")
    flowapi.dates = {"calls": ["2016-01-01"]}
    process = serve()
    until(lambda: waits(process, tmp_path / "log"))
    write_workflows("workflows: [")
    until(lambda: "has become unusable" in (tmp_path / "log").read_text())
    until(lambda: waits(process, tmp_path / "log"))
    assert dates(settings) == []
    write_workflows(WORKFLOWS % "0 0 1 1 *")
    until(lambda: dates(settings) == ["2016-01-01"])


@pytest.mark.takes_long("starts the service twice and waits for its schedule")
def test_a_stop_is_heard_at_any_moment(
    settings: Settings,
    flowapi: Any,
    serve: Callable[[], Any],
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """SIGTERM in a tick, between ticks, or as one begins or ends, ends the service well."""
    write_notebook("n.ipynb", "p = 1")
    write_workflows(WORKFLOWS % "* * * * * *")
    flowapi.dates = {"calls": []}
    log = tmp_path / "log"
    for number, pause in enumerate((0.0, 0.9)):
        process = serve()
        # The log is of both; each has stopped after its last wait.
        until(
            lambda number=number: (
                log.read_text().count("event=stopped") == number
                and log.read_text().endswith("\n")
                and "event=waiting" in log.read_text().rpartition("event=stopped")[2]
            )
        )
        time.sleep(pause)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert " level=error " not in log.read_text()
