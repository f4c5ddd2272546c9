"""Notebooks are looked at before they run: what they declare, and what would stop them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from autoflow.__main__ import cli
from autoflow.app import run_once
from autoflow.definition.model import Definition
from autoflow.definition.notebooks import assigned, declared, problems_of, warnings_of
from autoflow.definition.reading import read_workflows
from autoflow.schedule.planning import standings
from autoflow.settings import Settings

WORKFLOWS = """\
workflows:
  - name: w
    notebooks:
      n:
        filename: n.ipynb
        parameters:
          day: reference_date
          unit: unit
  - name: sound
    notebooks: {n: {filename: sound.ipynb}}
available_dates_sensor:
  schedule: null
  workflows:
    - {workflow_name: w, parameters: {unit: admin3}}
    - {workflow_name: sound}
"""
KERNEL = {"name": "python3", "language": "python", "display_name": "Python"}


def book(**changes: Any) -> dict[str, Any]:
    """A notebook whose cell tagged `parameters` declares `day` and `unit`."""
    cell = {
        "cell_type": "code",
        "source": ["day = None\n", "unit: str = 'admin3'\n"],
        "metadata": {"tags": ["parameters"]},
        "outputs": [],
        "execution_count": None,
    }
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": KERNEL}, "cells": [cell], **changes}


def source(text: str, tags: tuple[str, ...] = ("parameters",)) -> list[dict[str, Any]]:
    return [{"cell_type": "code", "source": text, "metadata": {"tags": [*tags]}, "outputs": []}]


@pytest.fixture
def inputs(
    settings: Settings, write_workflows: Callable[[str], Path], write_notebook: Callable[..., Path]
) -> Callable[[Any], Definition]:
    """Write a workflow whose notebook is the given text or value, beside one that is sound."""
    write_notebook("sound.ipynb", "x = 1")

    def write(content: Any) -> Definition:
        path = settings.autoflow_inputs_dir / "n.ipynb"
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        write_workflows(WORKFLOWS)
        return read_workflows(settings.autoflow_inputs_dir)

    return write


def test_a_notebook_that_declares_its_parameters_is_sound(inputs: Callable[[Any], Definition]) -> None:
    """Nothing is said of a notebook with a kernel and a cell that declares what workflows.yml gives it."""
    definition = inputs(book())

    assert problems_of(definition.workflows["w"]) == []
    assert warnings_of(definition) == []


BROKEN: dict[str, tuple[Any, str]] = {
    "text": (b"# Flows", "n.ipynb is not JSON (line 1: Expecting value); export it again"),
    "cut off": (b'{"cells": [', "n.ipynb is not JSON (line 1"),
    "empty": (b"", "n.ipynb is not JSON"),
    "latin": (b'{"name": "\xe9"}', "n.ipynb is not UTF-8"),
    "deep": (b"[" * 100_000, "nested too deeply"),
    "a list": ([1], "is JSON, but not a notebook"),
    "an object": ({}, "is JSON, but not a notebook"),
    "no cells": ({"nbformat": 4, "metadata": {"kernelspec": KERNEL}}, "has no cells"),
    "odd cells": (book(cells=[1]), "has no cells as a notebook has"),
    "future": (book(nbformat=5), "notebook format 5"),
    "no kernel": (book(metadata={}), "names no kernel; open it in Jupyter"),
    "no language": (book(metadata={"kernelspec": {"name": "python3"}}), "names no kernel"),
    "no name": (book(metadata={"language_info": {"name": "python"}}), "names no kernel"),
    "other kernel": (
        book(metadata={"kernelspec": {"name": "cobol74", "language": "cobol"}}),
        "needs the kernel 'cobol74', which is not installed here",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_notebook_that_cannot_run_is_told_with_its_place(inputs: Callable[[Any], Definition], broken: str) -> None:
    """What keeps a notebook from running is one sentence with the line and key of workflows.yml."""
    content, said = BROKEN[broken]
    definition = inputs(content)
    told = problems_of(definition.workflows["w"])

    assert len(told) == 1
    assert told[0].startswith("workflows.yml, line 5: workflows[0].notebooks.n.filename: n.ipynb ")
    assert said in told[0]
    assert problems_of(definition.workflows["sound"]) == []


def test_a_notebook_that_has_gone_since_is_told(inputs: Callable[[Any], Definition]) -> None:
    """A file that was there when workflows.yml was read, and is not now, is a sentence too."""
    workflow = inputs(book()).workflows["w"]
    workflow.notebooks[0].path.unlink()

    assert "n.ipynb cannot be read (No such file or directory)" in problems_of(workflow)[0]


DOUBTFUL: dict[str, tuple[Any, int, str]] = {
    "misspelt": (book(cells=source("day, units = 1, 2")), 8, "does not declare the parameter 'unit' in its cell"),
    "meant": (book(cells=source("day, units = 1, 2")), 8, "is 'units' meant?"),
    "other": (book(cells=source("day = 1")), 8, "it declares day."),
    "none": (book(cells=source("# nothing")), 7, "it declares none."),
    "no cell": (book(cells=source("day = 1", ())), 6, "has no cell tagged 'parameters'"),
    "no python": (book(cells=source("day = = 1")), 5, "cell 1, tagged 'parameters', is not Python"),
}


@pytest.mark.parametrize("doubt", DOUBTFUL)
def test_a_parameter_that_is_not_declared_is_warned_of(inputs: Callable[[Any], Definition], doubt: str) -> None:
    """It ran with FlowKit, so it is no problem; the warning names line, key and what may be meant."""
    content, line, said = DOUBTFUL[doubt]
    definition = inputs(content)

    assert problems_of(definition.workflows["w"]) == []
    assert any(each.startswith(f"workflows.yml, line {line}: ") and said in each for each in warnings_of(definition))


def test_another_language_is_left_alone(inputs: Callable[[Any], Definition], tmp_path: Path) -> None:
    """A notebook in R is not read as Python."""
    path = tmp_path / "r.ipynb"
    content = book(metadata={"kernelspec": {"name": "ir", "language": "R"}}, cells=source("day <- 1"))
    path.write_text(json.dumps(content))

    assert declared(path).parameters is None
    assert declared(path).kernel == "ir"


def test_an_old_notebook_is_read(tmp_path: Path) -> None:
    """A notebook of format 3, which papermill takes, has its cells in worksheets."""
    cell = {"cell_type": "code", "input": "day = 1", "metadata": {"tags": ["parameters"]}}
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "metadata": {"kernelspec": KERNEL}, "worksheets": [{"cells": [cell]}]}))

    assert declared(path).parameters == {"day"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a = 1; b: int = 2; c: str", {"a", "b", "c"}),
        ("a, (b, *c) = 1, (2, 3)\nd += 1", {"a", "b", "c", "d"}),
        ("%matplotlib inline\n!ls\na = [\n  1, # one\n  2]\n", {"a"}),
        ("def f(x):\n    inner = 1\na = [y for y in ()]", {"a"}),
        ("if True:\n    a = 1\nelse:\n    b = 2", {"a", "b"}),
        ("flows.value = 3\ntable['x'] = 4", set()),
        ("", set()),
        ("a = (", None),
        ("\x00", None),
    ],
)
def test_the_names_that_a_cell_sets(text: str, names: set[str] | None) -> None:
    """Assignments of every kind declare a parameter; attributes, items and inner scopes do not."""
    assert assigned(text) == names


def test_check_tells_everything_and_fails(
    inputs: Callable[[Any], Definition], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`autoflow check` ends with 1 where a notebook cannot run, and with 0 where there are only warnings."""
    monkeypatch.setenv("AUTOFLOW_INPUTS_DIR", str(settings.autoflow_inputs_dir))
    inputs(b"{")
    failed = CliRunner().invoke(cli, ["check"])
    inputs(book(cells=source("day = 1")))
    warned = CliRunner().invoke(cli, ["check"])

    assert failed.exit_code == 1
    assert "n.ipynb is not JSON" in failed.stderr
    assert "sound" not in failed.stdout
    assert warned.exit_code == 0
    assert "warning: workflows.yml, line 8: workflows[0].notebooks.n.parameters.unit: " in warned.stderr
    assert "is sound: 2 workflow(s)" in warned.stdout


def test_a_workflow_that_cannot_run_does_not_stop_the_others(
    inputs: Callable[[Any], Definition], settings: Settings, flowapi: Any
) -> None:
    """The sound workflow runs; the other is held back with its reason."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    inputs(b"{")

    runs = run_once(settings)
    states = {each.candidate.workflow.name: each for each in standings(settings)}

    assert [run.workflow_name for run in runs if run.state.value == "success"] == ["sound"]
    assert states["sound"].state == "success"
    assert states["w"].state in ("held back", "failed")
    assert "n.ipynb" in states["w"].reason
