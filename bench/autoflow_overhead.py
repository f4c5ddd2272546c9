"""What AutoFlow adds to a notebook, and what it takes while it waits.

    python bench/autoflow_overhead.py

Runs one trivial notebook for twenty dates, by AutoFlow and by papermill alone, in turns of five in one process. What
both need (a kernel that starts, papermill) drops out of the difference, which is below nought where AutoFlow ends a
kernel sooner than papermill does; so the time that AutoFlow spends outside papermill is told as well. Then starts
`autoflow serve` and reads its memory while it waits: before its first tick, and after one that ran a notebook.
"""

import datetime as dt
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock

import jwt
import nbformat
import papermill

from autoflow.app import run_once
from autoflow.runs.run import Run, RunState
from autoflow.settings import Settings

FIRST = dt.date(2016, 1, 1)
TURNS, EACH = 4, 5
WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date}}}}]
available_dates_sensor: {schedule: %s, workflows: [{workflow_name: w}]}
"""


def main() -> None:
    """Measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        url = served_dates()
        settings = Settings.model_validate(
            {
                "flowapi_url": url,
                "flowapi_token": jwt.encode(
                    {"sub": "bench", "exp": 4102444800}, "a key that opens nothing, long enough"
                ),
                "autoflow_inputs_dir": Path(folder) / "inputs",
                "autoflow_outputs_dir": Path(folder) / "outputs",
                "autoflow_parallel": 1,
            }
        )
        settings.autoflow_inputs_dir.mkdir()
        write_notebook(settings.autoflow_inputs_dir / "n.ipynb")
        alone, by_autoflow, own = notebooks(settings)
        print(f"{'a notebook by papermill alone, median':<44}{statistics.median(alone):7.3f} s")
        print(f"{'a notebook by AutoFlow, median':<44}{statistics.median(by_autoflow):7.3f} s")
        print(f"{'the difference':<44}{statistics.median(by_autoflow) - statistics.median(alone):7.3f} s")
        print(f"{'outside papermill, mean':<44}{statistics.mean(own):7.3f} s")
        before, after = memory(settings)
        print(f"{'autoflow serve, waiting, before a tick':<44}{before / 1024:7.1f} MB")
        print(f"{'autoflow serve, waiting, after a tick':<44}{after / 1024:7.1f} MB")


DATES: list[str] = []


def served_dates() -> str:
    """Serve the dates on loopback, as FlowAPI does; give the address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the overridden one)
            pass

        def do_GET(self) -> None:
            body = json.dumps({"available_dates": {"calls": DATES}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def write_notebook(path: Path) -> None:
    """Write a notebook that does next to nothing."""
    kernel = {"name": "python3", "language": "python", "display_name": "Python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    book.cells.append(nbformat.v4.new_code_cell("day = None", metadata={"tags": ["parameters"]}))
    book.cells.append(nbformat.v4.new_code_cell("print(day)"))
    nbformat.write(book, path)


def notebooks(settings: Settings) -> tuple[list[float], list[float], list[float]]:
    """Give the seconds of each notebook by papermill alone, by AutoFlow with its share of the pass, and those of the
    latter that were not papermill's.
    """
    (settings.autoflow_inputs_dir / "workflows.yml").write_text(WORKFLOWS % "null")
    source, target = settings.autoflow_inputs_dir / "n.ipynb", settings.autoflow_inputs_dir.parent / "out.ipynb"
    alone: list[float] = []
    by_autoflow: list[float] = []
    own: list[float] = []
    inside: list[float] = []
    run_papermill = papermill.execute_notebook

    def timed(*arguments: Any, **options: Any) -> None:
        began = time.monotonic()
        run_papermill(*arguments, **options)
        inside.append(time.monotonic() - began)

    def by_papermill() -> float:
        began = time.monotonic()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            day = {"day": str(FIRST)}
            run_papermill(str(source), str(target), day, progress_bar=False, log_output=False)
        return time.monotonic() - began

    by_papermill()
    run_once(settings)
    for turn in range(TURNS):
        alone += [by_papermill() for _ in range(EACH)]
        DATES[:] = [str(FIRST + dt.timedelta(days=n)) for n in range((turn + 1) * EACH)]
        inside.clear()
        began = time.monotonic()
        with mock.patch.object(papermill, "execute_notebook", timed):
            runs = run_once(settings)
        took = time.monotonic() - began
        by_autoflow += [took / EACH] * EACH
        own.append((took - sum(inside)) / EACH)
        if [run.state for run in runs] != [RunState.success] * EACH:
            raise SystemExit(f"A run failed: {failure(runs)}")
    return alone, by_autoflow, own


def failure(runs: list[Run]) -> str:
    """Give the first reason of a failed run."""
    return next((run.error or "" for run in runs if run.error), "too few runs")


def memory(settings: Settings) -> tuple[int, int]:
    """Give what the waiting service holds resident, in KiB, before a tick and after one."""
    workflows = settings.autoflow_inputs_dir / "workflows.yml"
    workflows.write_text(WORKFLOWS % '"0 0 1 1 *"')
    environment = {
        **os.environ,
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": settings.flowapi_token.get_secret_value(),
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
    }
    service = subprocess.Popen([sys.executable, "-m", "autoflow"], env=environment, stderr=subprocess.DEVNULL)
    try:
        before = resident(service)
        DATES.append(str(FIRST + dt.timedelta(days=len(DATES))))
        executed = len(list(settings.notebooks_dir.iterdir()))
        workflows.write_text(WORKFLOWS % '"* * * * * */2"')
        while len(list(settings.notebooks_dir.iterdir())) == executed:
            time.sleep(0.1)
        workflows.write_text(WORKFLOWS % '"0 0 1 1 *"')
        time.sleep(6)
        return before, resident(service)
    finally:
        service.terminate()
        service.wait(30)


def resident(service: subprocess.Popen[bytes]) -> int:
    """Give the resident memory of the service, in KiB, once it waits."""
    place, at_work = Path(f"/proc/{service.pid}"), True
    while at_work:
        time.sleep(0.5)
        at_work = bool((place / "task" / str(service.pid) / "children").read_text())
    return int(re.findall(r"VmRSS:\s+(\d+)", (place / "status").read_text())[0])


if __name__ == "__main__":
    main()
