"""Planning: what would run now and why the rest would not, without a trace, and how everything stands."""

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from autoflow.__main__ import cli
from autoflow.app import run_once
from autoflow.definition.model import Definition
from autoflow.definition.reading import read_workflows
from autoflow.runs.table import RunTable, open_run_table
from autoflow.schedule.candidates import candidates
from autoflow.schedule.planning import Standing, overview, plan, standings, survey
from autoflow.settings import Settings

WORKFLOWS = """\
workflows:
  - {name: one, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date, unit: unit}}}}
  - {name: two, notebooks: {n: {filename: n.ipynb}}}
available_dates_sensor:
  schedule: "0 0 * * *"
  workflows:
    - {workflow_name: one, parameters: {unit: admin3}, date_stencil: [-1, 0], earliest_date: 2016-01-03}
    - {workflow_name: two}
"""


def day(number: int) -> dt.date:
    return dt.date(2016, 1, number)


@pytest.fixture
def definition(
    *,
    settings: Settings,
    flowapi: Any,
    write_workflows: Callable[[str], Path],
    write_notebook: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    token: str,
) -> Definition:
    """Two entries and four days, of which the second is not there; the environment is that of the settings."""
    flowapi.dates = {"calls": ["2016-01-01", "2016-01-03", "2016-01-04"]}
    write_notebook("n.ipynb", "day = unit = None")
    write_workflows(WORKFLOWS)
    monkeypatch.setenv("FLOWAPI_URL", flowapi.url)
    monkeypatch.setenv("FLOWAPI_TOKEN", token)
    monkeypatch.setenv("AUTOFLOW_INPUTS_DIR", str(settings.autoflow_inputs_dir))
    monkeypatch.setenv("AUTOFLOW_OUTPUTS_DIR", str(settings.autoflow_outputs_dir))
    monkeypatch.setenv("COLUMNS", "160")
    return read_workflows(settings.autoflow_inputs_dir)


@pytest.fixture
def table(settings: Settings, definition: Definition) -> Iterator[RunTable]:
    opened = open_run_table(settings)
    yield opened
    opened.close()


def states(found: list[Standing]) -> dict[tuple[str, int], str]:
    return {(each.candidate.workflow.name, each.candidate.reference_date.day): each.state for each in found}


def reason(found: list[Standing], workflow: str, number: int) -> str:
    return next(
        each.reason
        for each in found
        if each.candidate.workflow.name == workflow and each.candidate.reference_date.day == number
    )


def record(
    table: RunTable, definition: Definition, workflow: str, number: int, days: list[dt.date], *, error: str = ""
) -> None:
    """Record that a run has succeeded, or failed with an error."""
    (candidate,) = [
        each
        for each in candidates(definition, {"calls": days})
        if each.workflow.name == workflow and each.reference_date == day(number)
    ]
    run = table.claim(workflow, candidate.parameters, candidate.reference_date)
    assert run
    outputs = ({"key": "n", "notebook": "n.ipynb"},)
    assert table.fail(run, error, outputs) if error else table.succeed(run, outputs)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_plan_leaves_no_trace(settings: Settings, definition: Definition) -> None:
    """Planning and looking make no file and no folder, not even the run table."""
    told = invoke("plan"), invoke("status"), invoke("check")

    assert [each.exit_code for each in told] == [0, 0, 0]
    assert not settings.autoflow_outputs_dir.exists()


def test_a_plan_changes_nothing_in_the_run_table(settings: Settings, definition: Definition) -> None:
    """An existing run table stays as it was to the byte, even one of FlowKit's that lacks columns."""
    settings.autoflow_outputs_dir.mkdir()
    file = settings.autoflow_outputs_dir / "autoflow.db"
    engine = sa.create_engine(f"sqlite:///{file}")
    (done,) = [each for each in candidates(definition, {"calls": [day(1)]}) if each.workflow.name == "two"]
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE workflow_runs (id INTEGER PRIMARY KEY, workflow_name VARCHAR, parameters_hash VARCHAR, "
            "state VARCHAR(7), timestamp DATETIME)"
        )
        row = f"(1, 'two', '{done.key[1]}', 'success', '2021-01-01 00:00:00.000000')"
        connection.exec_driver_sql(f"INSERT INTO workflow_runs VALUES {row}")
    engine.dispose()
    before = file.read_bytes()

    found = states(standings(settings))

    assert file.read_bytes() == before
    assert [path.name for path in settings.autoflow_outputs_dir.iterdir()] == ["autoflow.db"]
    assert found["two", 1] == "success"
    assert found["two", 3] == "due"


def test_the_plan_tells_what_runs_and_why_the_rest_does_not(definition: Definition) -> None:
    """What would run stands in its order, oldest date first; the rest has its reason."""
    told = invoke("plan")
    lines = [line.split() for line in told.stdout.splitlines()]

    assert told.exit_code == 0
    assert [line[1:3] for line in lines[1:5]] == [
        ["two", "2016-01-01"],
        ["two", "2016-01-03"],
        ["one", "2016-01-04"],
        ["two", "2016-01-04"],
    ]
    assert "4 would run now, in this order; 0 of 5 have run." in told.stdout
    assert "before the earliest date, 2016-01-03" in told.stdout
    assert "waits for 2016-01-02" in told.stdout


def test_the_plan_is_what_runs(settings: Settings, definition: Definition, flowapi: Any) -> None:
    """A pass runs what the plan says, and then the plan is empty."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    planned = [each.candidate.key for each in plan(settings).standings if each.starts]

    assert [(run.workflow_name, run.parameters_hash) for run in run_once(settings)] == planned
    assert "Nothing would run now; 1 of 1 have run." in invoke("plan").stdout
    assert [each.starts for each in plan(settings).standings] == [False, False]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--date", "2016-01-04"], [("one", "2016-01-04"), ("two", "2016-01-04")]),
        (["--workflow", "two"], [("two", "2016-01-01"), ("two", "2016-01-03"), ("two", "2016-01-04")]),
        (["--workflow", "one", "--date", "2016-01-01"], []),
        (["--date", "2016-01-01", "--date", "2016-01-03"], [("two", "2016-01-01"), ("two", "2016-01-03")]),
    ],
)
def test_the_plan_may_be_asked_for_a_part(
    definition: Definition, arguments: list[str], expected: list[tuple[str, str]]
) -> None:
    """`--date` and `--workflow` choose, and `--json` is for machines."""
    told = json.loads(invoke("plan", "--json", *arguments).stdout)

    assert [(each["workflow"], each["date"]) for each in told["starts"]] == expected


def test_a_workflow_that_is_not_there_is_told(definition: Definition) -> None:
    """A misspelt name is a sentence with the names that there are."""
    told = invoke("plan", "--workflow", "three")

    assert told.exit_code == 1
    assert told.stderr.strip() == "The sensor runs no workflow 'three'; it runs one, two."


def test_how_runs_stand(settings: Settings, definition: Definition, table: RunTable) -> None:
    """Done, failed with its error, running, waiting and left out: each date has one state, and its reason."""
    days = [day(1), day(3), day(4)]
    record(table, definition, "two", 1, days)
    record(table, definition, "two", 3, days, error="n.ipynb, cell 2: ValueError: no")
    (running,) = [
        each
        for each in candidates(definition, {"calls": days})
        if each.workflow.name == "two" and each.reference_date == day(4)
    ]
    claimed = table.claim("two", running.parameters, day(4))
    found = standings(settings)

    assert states(found) == {
        ("one", 1): "left out",
        ("one", 3): "waiting",
        ("one", 4): "due",
        ("two", 1): "success",
        ("two", 3): "failed",
        ("two", 4): "running",
    }
    assert claimed
    assert reason(found, "two", 3).endswith(": n.ipynb, cell 2: ValueError: no")
    assert reason(found, "two", 4).startswith("running since 20")


def test_withdrawn_dates_are_told_and_nothing_runs_again(
    settings: Settings, definition: Definition, table: RunTable, flowapi: Any
) -> None:
    """A date that has run and is gone is withdrawn, so is one whose stencil lost a day; nothing of theirs is run."""
    days = [day(1), day(2), day(3), day(4)]
    for workflow, number in (("two", 2), ("two", 3), ("one", 3), ("one", 4)):
        record(table, definition, workflow, number, days)
    record(table, definition, "two", 1, days, error="no luck")
    flowapi.dates = {"calls": ["2016-01-03", "2016-01-04"]}

    found = standings(settings)
    runs = run_once(settings)

    assert states(found) == {
        ("one", 3): "withdrawn",
        ("one", 4): "success",
        ("two", 1): "withdrawn",
        ("two", 2): "withdrawn",
        ("two", 3): "success",
        ("two", 4): "due",
    }
    assert reason(found, "one", 3).startswith("2016-01-02, which it needs, is gone; what it made is kept")
    assert reason(found, "two", 2).startswith("2016-01-02 is no longer available; what it made is kept")
    assert reason(found, "two", 1) == "2016-01-01 is no longer available; it had failed before: no luck"
    assert [(run.workflow_name, run.reference_date) for run in runs] == [("two", day(4))]
    flowapi.dates = {"calls": [str(each) for each in days]}
    assert run_once(settings)[0].error is None
    assert states(standings(settings))["one", 3] == "success"


def test_a_changed_notebook_is_due_again_only_if_asked(
    settings: Settings, definition: Definition, flowapi: Any, write_workflows: Any, write_notebook: Any
) -> None:
    """With `on_change: [notebooks]` a success whose notebook has changed is due; without it, it is done."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    changing = WORKFLOWS.replace("{workflow_name: two}", "{workflow_name: two, on_change: [notebooks]}")
    write_workflows(changing)
    run_once(settings)
    write_notebook("n.ipynb", "day = unit = 2")
    asked = standings(settings)
    write_workflows(WORKFLOWS)

    assert states(asked)["two", 1] == "due"
    assert reason(asked, "two", 1) == "changed since it ran: notebooks"
    assert states(standings(settings))["two", 1] == "success"


def test_status_without_flowapi_tells_what_the_table_knows(
    settings: Settings, definition: Definition, table: RunTable, flowapi: Any
) -> None:
    """While FlowAPI is down the status shows the runs on record, says so, and ends with 1; a plan cannot be made."""
    record(table, definition, "two", 1, [day(1)])
    flowapi.down = True
    told, planned = invoke("status"), invoke("plan")
    view = overview(settings)

    assert told.exit_code == 1
    assert "status 'error'). What follows is known from the run table alone." in told.stderr
    assert "1 of 1 runs have succeeded." in told.stdout
    assert states(view.standings) == {("two", 1): "success"}
    assert planned.exit_code == 1


def test_runs_that_nobody_asks_for_any_more_are_counted(
    settings: Settings, definition: Definition, table: RunTable, write_workflows: Any
) -> None:
    """Runs of parameters that workflows.yml no longer has are not shown as dates, but not hidden either."""
    record(table, definition, "one", 4, [day(3), day(4)])
    write_workflows(WORKFLOWS.replace("admin3", "admin2"))

    assert overview(settings).strangers == 1
    assert states(standings(settings))["one", 4] == "due"


def test_changing_dates_do_not_disturb(settings: Settings, definition: Definition, table: RunTable) -> None:
    """Types that come and go, and no types at all, are a plan, not an error."""
    assert survey(definition, {}, table).standings == []
    assert survey(definition, {"calls": []}, table).standings == []
    assert len(survey(definition, {"calls": [day(1)], "post": [day(2)]}, table).standings) == 4


def test_versions_that_flowapi_does_not_tell_are_warned_of(
    settings: Settings, definition: Definition, write_workflows: Any
) -> None:
    """`on_change: [data]` has no effect on a FlowAPI without versions, and `autoflow check` says so."""
    write_workflows(WORKFLOWS.replace("{workflow_name: two}", "{workflow_name: two, on_change: [data]}"))
    told = invoke("check")

    assert told.exit_code == 0
    assert "does not report the versions of days, so 'data' has no effect" in told.stderr


def test_two_years_of_ten_workflows_are_planned_quickly(
    settings: Settings, flowapi: Any, write_workflows: Any, write_notebook: Any
) -> None:
    """Thousands of candidates with a stencil of many days are found without counting the days again for each."""
    write_notebook("n.ipynb", "day = unit = None")
    entry = "    - {workflow_name: two, parameters: {}, date_stencil: [[-365, 1]]}\n"
    write_workflows(WORKFLOWS[: WORKFLOWS.index("    - {workflow_name: one")] + entry * 10)
    definition = read_workflows(settings.autoflow_inputs_dir)
    days = [dt.date(2015, 1, 1) + dt.timedelta(days=n) for n in range(730 + 365)]
    begin = time.process_time()
    found = candidates(definition, {"calls": days})

    assert sum(each.waits_for is None for each in found) == 730
    # Ten times what it takes; the days again for each of them takes a hundred times as long.
    assert time.process_time() - begin < 8


def test_a_second_pass_runs_only_the_new_date(settings: Settings, definition: Definition, flowapi: Any) -> None:
    """What has succeeded is left alone; a date that has come since, and what waited for it, runs."""
    flowapi.dates = {"calls": ["2016-01-03"]}
    first = [(run.workflow_name, str(run.reference_date)) for run in run_once(settings)]
    flowapi.dates = {"calls": ["2016-01-02", "2016-01-03"]}
    second = [(run.workflow_name, str(run.reference_date)) for run in run_once(settings)]

    assert first == [("two", "2016-01-03")]
    assert sorted(second) == [("one", "2016-01-03"), ("two", "2016-01-02")]
    assert run_once(settings) == []
