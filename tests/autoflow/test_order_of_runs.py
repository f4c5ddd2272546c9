"""Order: the dates of an entry run one after the other, entries side by side, and nothing waits for itself."""

import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from autoflow.app import run_once
from autoflow.runs.run import RunState
from autoflow.runs.table import open_run_table
from autoflow.settings import Settings

TWO_ENTRIES = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date, name: name}}}}]
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w, parameters: {name: a}}, {workflow_name: w, parameters: {name: b}}]
"""
MANY_NOTEBOOKS = """\
workflows:
  - name: w
    notebooks:
      last: {filename: n.ipynb, parameters: {day: reference_date, name: middle}}
      middle: {filename: n.ipynb, parameters: {day: first, name: second}}
      first: {filename: n.ipynb}
      second: {filename: n.ipynb}
      third: {filename: n.ipynb}
  - {name: v, notebooks: {n: {filename: n.ipynb}}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}, {workflow_name: v}]}
"""


def test_dates_of_an_entry_run_in_order_beside_those_of_another(
    settings: Settings, flowapi: Any, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> None:
    """Each date begins after the one before it has ended, also where that one failed; two entries go on at once."""
    flowapi.dates = {"calls": ["2016-01-03", "2016-01-01", "2016-01-02"]}
    write_workflows(TWO_ENTRIES)
    meet = (
        "import pathlib, time\npathlib.Path(f'{name}{day}').touch()\nt = time.time()\n"
        "while len(list(pathlib.Path('.').glob('?2016-01-01'))) < 2: assert time.time() - t < 60; time.sleep(0.05)\n"
        "assert (name, day) != ('a', '2016-01-02')"
    )
    write_notebook("n.ipynb", "day = name = None", meet)
    runs = run_once(settings.model_copy(update={"autoflow_max_attempts": 1}))
    assert sorted(run.state.value for run in runs) == ["failed"] + ["success"] * 5
    table = open_run_table(settings)
    rows = [
        (
            (run.parameters or {})["name"],
            f"{run.reference_date} {'begins' if run.state is RunState.running else 'ends'}",
        )
        for run in table.history()
    ]
    table.close()
    in_order = [f"2016-01-0{day} {what}" for day in (1, 2, 3) for what in ("begins", "ends")]
    for entry in ("a", "b"):
        assert [what for name, what in rows if name == entry] == in_order
    assert {rows[0], rows[1]} == {("a", in_order[0]), ("b", in_order[0])}


def test_a_workflow_of_more_notebooks_than_slots_ends(
    settings: Settings, flowapi: Any, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> None:
    """With room for one notebook at a time, five of one workflow run, and none has the room while it waits."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_workflows(MANY_NOTEBOOKS)
    write_notebook(
        "n.ipynb", "day = name = None", "import time\nprint('from', time.time())", "print('to', time.time())"
    )
    began = time.monotonic()
    runs = run_once(settings.model_copy(update={"autoflow_parallel": 1}))
    assert [run.state for run in runs] == [RunState.success] * 2
    assert time.monotonic() - began < 100
    spans = []
    for path in settings.notebooks_dir.iterdir():
        said = [o["text"] for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", ())]
        spans.append(tuple(float("".join(text).split()[-1]) for text in said))
    assert len(spans) == 6
    spans.sort()
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
