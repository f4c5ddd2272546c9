"""What has changed since a date ran: it runs again if that was asked for, and not otherwise."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from autoflow.__main__ import cli
from autoflow.app import rerun, run_once
from autoflow.runs.run import Limits, RunState
from autoflow.runs.table import RUN_REQUESTED, RunTable, open_run_table
from autoflow.settings import Settings

WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb}}}]
available_dates_sensor:
  schedule: null
  cdr_types: [calls]
  workflows: [{workflow_name: w, date_stencil: [-1, 0], on_change: %s}]
"""
DAY = dt.date(2016, 1, 2)
BEFORE, AFTER = {"notebooks": "a", "data": "b"}, {"notebooks": "a", "data": "c"}


@pytest.fixture
def prepared(
    flowapi: Any, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> Callable[[str], None]:
    """Write a workflow with an `on_change`, and let FlowAPI know three days with versions."""

    def prepare(on_change: str) -> None:
        flowapi.dates = {"calls": ["2016-01-01", "2016-01-02", "2016-01-03"]}
        flowapi.versions = {"calls": dict.fromkeys(flowapi.dates["calls"], "1")}
        write_workflows(WORKFLOWS % on_change)
        write_notebook("n.ipynb", "p = 1")

    return prepare


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunTable]:
    """A run table of each kind, with two attempts for each run."""
    sqlite = request.param == "sqlite"
    made = RunTable(
        f"sqlite:///{tmp_path / 'runs.db'}" if sqlite else request.getfixturevalue("database"),
        limits=Limits(max_attempts=2, retry_delay=0),
    )
    yield made
    made.close()


def ran(settings: Settings) -> list[dt.date | None]:
    runs = run_once(settings)
    assert [run.error for run in runs if run.state is not RunState.success] == []
    return [run.reference_date for run in runs]


def test_a_changed_notebook_and_a_corrected_day_run_again_where_asked(
    settings: Settings, flowapi: Any, prepared: Callable[[str], None], write_notebook: Callable[..., Path]
) -> None:
    """A corrected day repeats the dates whose stencil holds it, a changed notebook all, a change of neither none."""
    prepared("[notebooks, data]")
    second, third = dt.date(2016, 1, 2), dt.date(2016, 1, 3)
    first_runs = run_once(settings)
    assert [run.reference_date for run in first_runs] == [second, third]
    assert ran(settings) == []

    flowapi.versions = {"calls": {**flowapi.versions["calls"], "2016-01-01": "2"}, "sms": {"2016-01-03": "9"}}
    assert ran(settings) == [second]
    assert ran(settings) == []
    write_notebook("n.ipynb", "p = 2")
    again = run_once(settings)
    assert [run.reference_date for run in again] == [second, third]
    assert [run.parameters_hash for run in again] == [run.parameters_hash for run in first_runs]
    assert all(Path(run.outputs[0]["notebook"]).exists() for run in (*first_runs, *again))
    assert len(list(settings.notebooks_dir.iterdir())) == 5
    assert ran(settings) == []


def test_what_was_not_asked_for_changes_nothing(
    settings: Settings, flowapi: Any, prepared: Callable[[str], None], write_notebook: Callable[..., Path]
) -> None:
    """Without `on_change`, and for a FlowAPI that tells no versions, a date that has run has run."""
    prepared("[data]")
    assert len(ran(settings)) == 2
    write_notebook("n.ipynb", "p = 2")
    assert ran(settings) == []
    flowapi.versions = {}
    assert ran(settings) == []
    prepared("[]")
    flowapi.versions = {"calls": {"2016-01-01": "7", "2016-01-02": "7"}}
    assert ran(settings) == []


def test_a_run_without_a_fingerprint_counts_as_unchanged(table: RunTable) -> None:
    """A success that FlowKit or an older version wrote stays one."""
    run = table.claim("w", {"a": 1}, DAY)
    assert run is not None
    table.succeed(run, ())
    assert table.claim("w", {"a": 1}, DAY, fingerprint=BEFORE, on_change=("notebooks", "data")) is None


def test_a_table_of_an_older_version_gets_the_column(table: RunTable, tmp_path: Path) -> None:
    """A run table made before there were fingerprints is kept, and takes them from now on."""
    with table.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE workflow_runs DROP COLUMN fingerprint"))
    url = table.engine.url.render_as_string(hide_password=False)
    for _ in range(2):
        again = RunTable(url)
        again.close()
    again = RunTable(url)
    run = again.claim("w", {"a": 1}, DAY, fingerprint=BEFORE)
    assert run is not None
    assert again.history()[-1].fingerprint == BEFORE
    again.close()


def test_a_change_gives_a_run_its_attempts_back(table: RunTable) -> None:
    """A run that had failed as often as it may is tried again once its notebook or data have changed, as if new."""
    for _ in range(2):
        run = table.claim("w", {"a": 1}, DAY, fingerprint=BEFORE, on_change=["data"])
        assert run is not None
        table.fail(run, "no luck")
    assert table.claim("w", {"a": 1}, DAY, fingerprint=BEFORE, on_change=["data"]) is None
    assert table.claim("w", {"a": 1}, DAY, fingerprint=AFTER, on_change=["notebooks"]) is None
    again = table.claim("w", {"a": 1}, DAY, fingerprint=AFTER, on_change=["data"])
    assert again is not None
    assert again.attempt == 1
    assert table.claim("w", {"a": 1}, DAY, fingerprint=BEFORE, on_change=["data"]) is None


def test_a_date_runs_again_when_somebody_asks(settings: Settings, prepared: Callable[[str], None]) -> None:
    """Asking for a date makes it due once more, with every attempt before it; others stay as they are."""
    prepared("[]")
    assert len(ran(settings)) == 2
    asked = rerun(settings, "w", [DAY])
    assert [(run.state, run.attempt, run.error) for run in asked] == [(RunState.failed, 0, RUN_REQUESTED)]
    again = run_once(settings)
    assert [(run.reference_date, run.state, run.attempt) for run in again] == [(DAY, RunState.success, 1)]
    assert ran(settings) == []


def test_the_command_makes_a_date_due_again(settings: Settings, prepared: Callable[[str], None]) -> None:
    """`autoflow rerun` tells which runs are due again, and refuses what has not run in a sentence with code 1."""
    prepared("[]")
    ran(settings)
    environment = {
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
    }

    def command(*words: str) -> Result:
        return CliRunner().invoke(cli, ["rerun", *words], env=environment)

    asked, unknown, not_run = command("w", str(DAY)), command("v", str(DAY)), command("w", "2016-01-01")
    assert (asked.exit_code, asked.stdout) == (0, f"w {DAY} is due again; it runs at the next tick.\n"), asked.output
    assert (unknown.exit_code, unknown.stderr) == (
        1,
        "The sensor runs no workflow called 'v'; those that it runs are 'w'.\n",
    )
    assert (not_run.exit_code, not_run.stderr) == (1, "Workflow 'w' has not run for 2016-01-01.\n")
    assert [run.reference_date for run in run_once(settings)] == [DAY]


def test_asking_for_what_cannot_run_again_says_so(settings: Settings, prepared: Callable[[str], None]) -> None:
    """A workflow or date that is unknown, and one that is under way, is refused in a sentence; nothing is changed."""
    prepared("[]")
    ran(settings)
    with pytest.raises(ValueError, match="no workflow called 'v'; those that it runs are 'w'"):
        rerun(settings, "v", [DAY])
    with pytest.raises(ValueError, match="has not run for 2016-01-01"):
        rerun(settings, "w", [dt.date(2016, 1, 1), DAY])
    table = open_run_table(settings)
    key = next(key for key, run in table.latest().items() if run.reference_date == DAY)
    table.ask_again(*key)
    assert table.claim("w", table.latest()[key].parameters or {}, DAY)
    with pytest.raises(ValueError, match="is running for 2016-01-02"):
        rerun(settings, "w", [DAY])
    assert table.latest()[key].state is RunState.running
    table.close()
