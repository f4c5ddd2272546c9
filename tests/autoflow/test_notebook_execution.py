"""Execution: notebooks run in order with their parameters, and what goes wrong is told and tried again."""

import datetime as dt
import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_event_loop

from autoflow.app import run_once
from autoflow.definition.model import Notebook, Workflow
from autoflow.execution.order import Execute, Order
from autoflow.execution.runner import open_runner
from autoflow.runs.run import Run, RunState
from autoflow.schedule.candidates import Candidate
from autoflow.schedule.planning import standings
from autoflow.settings import Settings

WORKFLOWS = """\
workflows:
  - name: "a/b: ü"
    notebooks:
      last: {filename: last.ipynb, parameters: {left: left, right: right, day: reference_date, ranges: date_ranges}}
      left: {filename: side.ipynb, parameters: {side: l, url: flowapi_url}}
      right: {filename: side.ipynb, parameters: {side: r, url: flowapi_url}}
available_dates_sensor:
  schedule: null
  workflows:
    - workflow_name: "a/b: ü"
      parameters: {l: left, r: {since: 2016-01-01}}
      date_stencil: [[-1, 1]]
      earliest_date: 2016-01-07
"""
ONE_EACH = """\
workflows:
  - {name: raises, notebooks: {n: {filename: raises.ipynb}, after: {filename: fine.ipynb, parameters: {p: n}}}}
  - {name: endless, notebooks: {n: {filename: endless.ipynb}}}
  - {name: dies, notebooks: {n: {filename: dies.ipynb}}}
  - {name: stranger, notebooks: {n: {filename: stranger.ipynb}}}
  - {name: broken, notebooks: {n: {filename: broken.ipynb}}}
  - {name: fine, notebooks: {n: {filename: fine.ipynb, output: {format: pdf}}}}
available_dates_sensor:
  schedule: null
  workflows: [%s]
"""
EACH = ("raises", "endless", "dies", "stranger", "broken", "fine")


def source(path: str | Path) -> str:
    return Path(path).read_text(encoding="utf-8")


def test_notebooks_run_in_order_side_by_side(
    settings: Settings, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> None:
    """Notebooks get their parameters and the paths of those that they read; independent ones run at the same time."""
    write_workflows(WORKFLOWS)
    meet = "import os, pathlib, time\nhere = pathlib.Path('../outputs'); (here / f'{len(str(side))}.seen').touch()\n"
    wait = "t = time.time()\nwhile len(list(here.glob('*.seen'))) < 2: assert time.time() - t < 60; time.sleep(0.05)"
    write_notebook("side.ipynb", "side = url = None", meet + wait, "assert 'AUTOFLOW_DB_PASSWORD' not in os.environ")
    write_notebook(
        "last.ipynb",
        "left = right = day = ranges = None",
        "import nbformat\nassert all(nbformat.read(p, 4).metadata.papermill.exception is None for p in (left, right))",
        "print(day, ranges, left != right)",
    )
    seen: list[Run] = []
    runs = run_once(settings, seen.append)

    assert [run.state for run in runs] == [RunState.success], runs[0].error
    assert [run.state for run in seen] == [RunState.running, RunState.success]
    keys = [output["key"] for output in runs[0].outputs]
    assert sorted(keys[:2]) == ["left", "right"]
    assert keys[2] == "last"
    last = source(runs[0].outputs[2]["notebook"])
    assert "2016-01-07 [['2016-01-06', '2016-01-08']] True" in last
    names = sorted(path.name for path in settings.notebooks_dir.iterdir())
    pattern = rf"(last|side)__a-b-ü_2016-01-07_{runs[0].parameters_hash}__\d{{8}}T\d{{6}}Z\.ipynb"
    assert len(names) == 3
    assert all(re.fullmatch(pattern, name) for name in names), names
    assert list(settings.working_dir.iterdir()) == []
    assert run_once(settings) == []


def test_whatever_a_notebook_does_the_others_run(
    settings: Settings,
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
    flowapi: Any,
    token: str,
) -> None:
    """Each failure is a sentence, a notebook that cannot run is held back; only what failed is tried again."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_workflows(ONE_EACH % ", ".join(f"{{workflow_name: {name}}}" for name in EACH))
    write_notebook("raises.ipynb", "p = 1", "import os", "raise ValueError('no ' + os.environ['FLOWAPI_TOKEN'])")
    write_notebook("endless.ipynb", "while True: pass")
    write_notebook("dies.ipynb", "import os", "os.kill(os.getpid(), 9)")
    write_notebook("fine.ipynb", "p = 1", "import os\nprint(os.environ['FLOWAPI_TOKEN'])\nos.environ['FLOWAPI_TOKEN']")
    stranger = write_notebook("stranger.ipynb", "p = 1")
    stranger.write_text(source(stranger).replace('"python3"', '"cobol"'))
    (settings.autoflow_inputs_dir / "broken.ipynb").write_text("{}")
    settings = settings.model_copy(update={"autoflow_cell_timeout": 3, "autoflow_max_attempts": 1})

    runs = {run.workflow_name: run for run in run_once(settings)}

    assert runs["fine"].state is RunState.success, runs["fine"].error
    held = ("stranger", "broken")
    failed = [name for name in EACH if name in runs and runs[name].state is RunState.failed]
    assert failed == [name for name in EACH[:-1] if name not in held]
    assert not set(held) & set(runs)
    said = {name: run.error or "" for name, run in runs.items()}
    assert said["raises"] == "raises.ipynb, cell 3: ValueError: no [token removed]"
    assert "did not end within 3 seconds" in said["endless"]
    assert "its kernel died" in said["dies"]

    assert len(list(settings.reports_dir.iterdir())) == 1
    assert [output["key"] for output in runs["raises"].outputs] == ["n"]
    assert "ValueError" in source(runs["raises"].outputs[0]["notebook"])
    places = [path for path in settings.autoflow_outputs_dir.rglob("*") if path.is_file()]
    assert len(places) >= 4
    assert not [path for path in places if token.encode() in path.read_bytes()]
    assert "[token removed]" in source(runs["fine"].outputs[0]["notebook"])

    reasons = {standing.candidate.workflow.name: standing.reason for standing in standings(settings)}
    assert reasons["fine"] == ""
    assert "needs the kernel 'cobol', which is not installed" in reasons["stranger"]
    assert "broken.ipynb is JSON, but not a notebook" in reasons["broken"]
    assert reasons["dies"].startswith("failed 1 times, which is the limit: dies.ipynb: its kernel died")
    assert run_once(settings) == []
    write_notebook("dies.ipynb", "p = 1")
    write_workflows(ONE_EACH % "{workflow_name: dies}, {workflow_name: fine}")
    again = run_once(settings, retry_failed=True)
    assert [(run.workflow_name, run.state, run.attempt) for run in again] == [("dies", RunState.success, 2)]


def test_a_kernel_listens_on_loopback_only(
    settings: Settings, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path], flowapi: Any
) -> None:
    """The connection of a kernel is to this machine, and its environment has the way to FlowAPI."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_workflows(ONE_EACH % "{workflow_name: fine}")
    for name in ("raises", "endless", "dies", "stranger", "broken"):
        write_notebook(f"{name}.ipynb", "p = 1")
    write_notebook(
        "fine.ipynb",
        "p = 1",
        "import json, os, ipykernel.connect\nprint(json.loads(ipykernel.connect.get_connection_info())['ip'])",
        "print(os.environ['FLOWAPI_URL'])",
    )
    started = time.time()
    run = run_once(settings)[0]

    assert run.state is RunState.success, run.error
    cells = json.loads(source(run.outputs[0]["notebook"]))["cells"]
    printed = ["".join(cell["outputs"][0]["text"]).strip() for cell in cells if cell["outputs"]]
    assert printed == ["127.0.0.1", settings.flowapi_url]
    assert time.time() - started < 60


def test_a_run_that_is_not_carried_through_is_no_success(
    settings: Settings, write_notebook: Callable[..., Path], token: str
) -> None:
    """Where what begins the notebooks ends early or breaks, as Prefect may, the run fails; interrupted, it is given
    back at once."""

    def unreachable(*_: Any) -> None:
        raise ConnectionError(f"no answer for {token}")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    notebooks = (Notebook("n", write_notebook("n.ipynb", "p = 1"), {}),)

    def told(in_order: Order, day: str) -> tuple[RunState, int | None, str | None]:
        candidate = Candidate(Workflow("w", notebooks), dt.date.fromisoformat(day), {"reference_date": day})
        with open_runner(settings, in_order) as runner:
            with suppress(KeyboardInterrupt):
                runner.run(candidate)
            run = runner.table.latest()[candidate.key]
        return run.state, run.attempt, run.error

    early = "The run ended before every notebook had begun; the log of the process that ran it says why."
    broken = "The run was not carried through: ConnectionError: no answer for [token removed]."
    assert told(lambda *_: None, "2016-01-01") == (RunState.failed, 1, early)
    assert told(unreachable, "2016-01-02") == (RunState.failed, 1, broken)
    assert told(interrupted, "2016-01-03") == (RunState.failed, 0, "AutoFlow was stopped while this ran.")
    assert told(lambda _, workflow, execute: execute(workflow.notebooks[0]), "2016-01-04")[0] is RunState.success
    assert list(settings.working_dir.iterdir()) == []


def test_threads_of_one_context_run_notebooks_at_once(settings: Settings, write_notebook: Callable[..., Path]) -> None:
    """Notebooks side by side run in event loops of their own, also in threads that share a context, as Prefect's do."""
    meeting = (
        "import pathlib, time\npathlib.Path('{own}').touch()\nend = time.monotonic() + 20\n"
        "while not pathlib.Path('{other}').exists():\n    assert time.monotonic() < end, 'alone'\n    time.sleep(0.05)"
    )
    names = ("left", "right")
    notebooks = tuple(
        Notebook(own, write_notebook(f"{own}.ipynb", "p = 1", meeting.format(own=own, other=other)), {})
        for own, other in (names, names[::-1])
    )

    def in_threads_of_this_context(_: Run, workflow: Workflow, execute: Execute) -> None:
        ensure_event_loop()
        with ThreadPoolExecutor(2) as pool:
            wait([pool.submit(copy_context().run, execute, notebook) for notebook in workflow.notebooks])

    day = dt.date(2016, 1, 1)
    with open_runner(settings, in_threads_of_this_context) as runner:
        run = runner.run(Candidate(Workflow("w", notebooks), day, {"reference_date": "2016-01-01"}))

    assert run is not None
    assert (run.state, run.error) == (RunState.success, None)
