"""How long AutoFlow takes to plan two years of dates for ten workflows, with the run table filled.

    python bench/autoflow_plan.py

Every date but the last has run. Prints for each step the seconds on the clock and those of the processor (which other
work on the machine does not stretch), and for the whole in a process of its own.
"""

import datetime as dt
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import jwt

from autoflow.definition.model import Definition
from autoflow.definition.reading import read_workflows
from autoflow.runs.run import RunState
from autoflow.runs.table import RunTable, open_run_table
from autoflow.schedule.candidates import Candidate, candidates
from autoflow.schedule.planning import survey
from autoflow.settings import Settings

T = TypeVar("T")
DAYS = [dt.date(2016, 1, 1) + dt.timedelta(days=n) for n in range(730)]
WORKFLOWS = 10
STENCIL = "[[2016-01-01, 2016-01-02], [-28, -21], [-7, 0], 0]"


def main() -> None:
    """Fill a run table, plan, and print the times."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate(
            {
                "flowapi_url": served_dates(),
                "flowapi_token": jwt.encode({"sub": "bench"}, "a key of this benchmark only, for a server of its own"),
                "autoflow_inputs_dir": Path(folder),
                "autoflow_outputs_dir": Path(folder),
            }
        )
        write_inputs(Path(folder))
        definition = read_workflows(Path(folder))
        reported = {"calls": DAYS, "sms": DAYS[:-1]}
        table = open_run_table(settings)
        fill(table, [each for each in candidates(definition, reported) if each.reference_date != DAYS[-1]])
        for name, seconds in steps(definition, reported, table).items():
            print(f"{name:<44}{seconds[0]:6.2f} s {seconds[1]:6.2f} s of processor")
        table.close()
        clock, processor = process(settings)
        print(f"{'autoflow plan, the whole process':<44}{clock:6.2f} s {processor:6.2f} s of processor")


def served_dates() -> str:
    """Serve the dates on loopback, as FlowAPI does; give the address."""
    body = json.dumps({"available_dates": {"calls": list(map(str, DAYS)), "sms": list(map(str, DAYS[:-1]))}}).encode()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name of the overridden one)
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def write_inputs(folder: Path) -> None:
    """Write ten workflows of two notebooks and an entry for each."""
    code = {"cell_type": "code", "source": "day = None", "metadata": {"tags": ["parameters"]}, "outputs": []}
    kernel = {"kernelspec": {"name": "python3", "language": "python"}}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": [code]}
    (folder / "a.ipynb").write_text(json.dumps(notebook))
    workflows = [
        {
            "name": f"workflow {n}",
            "notebooks": {
                "first": {"filename": "a.ipynb", "parameters": {"day": "reference_date"}},
                "second": {"filename": "a.ipynb", "parameters": {"day": "first"}},
            },
        }
        for n in range(WORKFLOWS)
    ]
    entries = ", ".join(f"{{workflow_name: workflow {n}, date_stencil: {STENCIL}}}" for n in range(WORKFLOWS))
    sensor = f"available_dates_sensor: {{schedule: null, workflows: [{entries}]}}"
    (folder / "workflows.yml").write_text(f"workflows: {json.dumps(workflows)}\n{sensor}\n")


def fill(table: RunTable, done: list[Candidate]) -> None:
    """Record that these have run: the two rows that each run leaves."""
    now = dt.datetime.now(dt.UTC)
    rows = [
        {
            "workflow_name": each.workflow.name,
            "parameters_hash": each.key[1],
            "state": state,
            "timestamp": now,
            "run_id": f"{n:032x}",
            "reference_date": each.reference_date,
            "parameters": each.parameters,
            "attempt": 1,
            "outputs": [{"key": key, "notebook": f"/mounts/outputs/notebooks/{key}.ipynb"} for key in ("a", "b")],
        }
        for n, each in enumerate(done)
        for state in (RunState.running, RunState.success)
    ]
    with table.engine.begin() as connection:
        connection.execute(table._table.insert(), rows)


def steps(
    definition: Definition, reported: dict[str, list[dt.date]], table: RunTable
) -> dict[str, tuple[float, float]]:
    """Time the steps of planning, and planning as a whole, of which they are parts."""
    found, finding = timed(lambda: {each.key for each in candidates(definition, reported)})
    latest, reading = timed(table.latest)
    view, planning = timed(lambda: survey(definition, reported, table))
    return {
        f"{len(found)} candidates with their hashes": finding,
        f"{len(latest)} runs of the run table": reading,
        f"the plan, with {sum(each.starts for each in view.standings)} to run": planning,
    }


def timed(work: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    """Do some work; give its result, and the seconds of clock and processor that it took."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - clock, time.process_time() - processor)


def process(settings: Settings) -> tuple[float, float]:
    """Time `autoflow plan` as a process of its own, on the clock and the processor."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": settings.flowapi_token.get_secret_value(),
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = time.perf_counter()
    subprocess.run([sys.executable, "-m", "autoflow", "plan"], env=environment, check=True, stdout=subprocess.DEVNULL)
    clock = time.perf_counter() - clock
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
