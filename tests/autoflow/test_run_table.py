"""The run table: what has run, what is to run, and that nothing runs twice."""

import datetime as dt
import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from autoflow.runs import table as run_table
from autoflow.runs.run import Limits, Run, parameters_hash
from autoflow.runs.table import RunTable
from autoflow.settings import Settings

PARAMETERS = {
    "unit": "admin3",
    "reference_date": dt.date(2016, 1, 2),
    "date_ranges": [(dt.date(2016, 1, 1), dt.date(2016, 1, 2))],
}
DAY = dt.date(2016, 1, 2)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    return request.getfixturevalue("database").replace("postgresql://", "postgresql+psycopg://")


@pytest.fixture
def table(uri: str) -> Iterator[RunTable]:
    """A run table that retries at once and allows three attempts."""
    made = RunTable(uri, limits=Limits(max_attempts=3, retry_delay=0, lease=60))
    yield made
    made.close()


def states(table: RunTable) -> list[str]:
    return [run.state.value for run in table.history()]


def claim(table: RunTable, **options: Any) -> Run | None:
    return table.claim("w", PARAMETERS, DAY, **options)


def test_a_run_that_succeeds_is_two_rows_and_runs_never_again(table: RunTable) -> None:
    """Each change of state is a row with its time in UTC; after success nothing is left to do."""
    run = claim(table)
    assert run is not None
    table.succeed(run, ({"key": "n", "notebook": "n.ipynb"},))

    assert states(table) == ["running", "success"]
    assert claim(table) is None
    newest = table.latest()["w", run.parameters_hash]
    assert newest.outputs == ({"key": "n", "notebook": "n.ipynb"},)
    assert newest.parameters == {
        "unit": "admin3",
        "reference_date": "2016-01-02",
        "date_ranges": [["2016-01-01", "2016-01-02"]],
    }
    assert newest.reference_date == DAY
    assert newest.timestamp.utcoffset() == dt.timedelta(0)
    assert abs((dt.datetime.now(dt.UTC) - newest.timestamp).total_seconds()) < 30


def test_a_table_that_is_only_read_is_made_by_nobody(uri: str, tmp_path: Path) -> None:
    """Looking makes no table and no file; what others have recorded is seen, and nothing can be recorded."""
    empty = RunTable(uri, read_only=True)
    assert (empty.latest(), empty.begun()) == ({}, {})
    empty.close()
    assert list(tmp_path.iterdir()) == []
    made = RunTable(uri)
    run = made.claim("w", PARAMETERS, DAY)
    assert run
    made.succeed(run, ())
    looking = RunTable(uri, read_only=True)

    assert [each.state.value for each in looking.latest().values()] == ["success"]
    assert looking.latest() == made.latest()
    assert list(looking.begun()) == [run.run_id]
    assert looking.begun()[str(run.run_id)] <= looking.latest()["w", run.parameters_hash].timestamp
    with pytest.raises(sa.exc.DBAPIError, match=r"read-?only"):
        looking.claim("other", PARAMETERS, DAY)
    looking.close()
    made.close()


def test_the_hash_is_that_of_flowkit(table: RunTable) -> None:
    """Runs are known by the MD5 of their parameters as JSON, whatever the order of the names."""
    text = json.dumps(PARAMETERS, sort_keys=True, default=str)
    run = table.claim("w", dict(reversed(PARAMETERS.items())), DAY)

    assert run is not None
    assert run.parameters_hash == hashlib.md5(text.encode()).hexdigest()
    assert parameters_hash({**PARAMETERS, "reference_date": dt.date(2016, 1, 3)}) != run.parameters_hash


def test_a_run_under_way_is_not_started_again(table: RunTable) -> None:
    """What is running is left alone, even when failed runs are forced."""
    assert claim(table) is not None
    assert claim(table) is None
    assert claim(table, force=True) is None


def test_other_parameters_are_another_run(table: RunTable) -> None:
    """A workflow runs once for each set of its parameters, and two workflows do not meet."""
    assert claim(table)
    assert table.claim("w", {**PARAMETERS, "unit": "admin1"}, DAY)
    assert table.claim("v", PARAMETERS, DAY)


def test_a_failed_run_is_tried_again_up_to_the_limit(table: RunTable) -> None:
    """A run that always fails is tried as often as allowed, and then only by force."""
    for attempt in (1, 2, 3):
        run = claim(table)
        assert run is not None
        assert run.attempt == attempt
        table.fail(run, "no luck")

    assert claim(table) is None
    newest = table.latest()["w", run.parameters_hash]
    assert table.reason_not_started(newest, dt.datetime.now(dt.UTC)) == "failed 3 times, which is the limit"
    assert table.next_change(newest) is None
    forced = claim(table, force=True)
    assert forced is not None
    assert forced.attempt == 4


def test_a_failed_run_waits_twice_as_long_each_time(uri: str) -> None:
    """The time before the next try doubles from failure to failure."""
    table = RunTable(uri, limits=Limits(retry_delay=100))
    for attempt, wait in ((1, 100), (2, 200), (3, 400)):
        run = claim(table, force=attempt > 1)
        assert run is not None
        failed = table.fail(run, "no luck")
        assert failed is not None
        assert failed.retry_at is not None
        assert (failed.retry_at - failed.timestamp).total_seconds() == pytest.approx(wait, abs=5)
        assert claim(table) is None
        assert "next try after" in (table.reason_not_started(failed, dt.datetime.now(dt.UTC)) or "")
    table.close()


def test_a_run_that_is_given_back_does_not_count_as_tried(table: RunTable) -> None:
    """A run stopped with the service begins again with the same attempt, at once."""
    run = claim(table)
    assert run is not None
    table.give_back(run, "stopped")
    again = claim(table)

    assert again is not None
    assert again.attempt == 1


def test_a_run_whose_lease_has_ended_is_taken_up(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of another machine that has shown no sign of life fails, and is run again; its late end is ignored."""
    here = RunTable(uri, limits=Limits(lease=60))
    monkeypatch.setattr(run_table, "runner_name", lambda: "elsewhere/other-machine/12/34")
    there = RunTable(uri, limits=Limits(lease=2))
    run = claim(there)
    assert run is not None
    monkeypatch.undo()
    assert claim(here) is None
    while (again := claim(here)) is None:
        time.sleep(0.05)

    assert (again.attempt, again.deaths) == (1, 1)
    assert states(here) == ["running", "failed", "running"]
    assert "ended before the run did" in (here.history()[1].error or "")
    assert there.succeed(run, ()) is None
    assert there.fail(run, "late") is None
    there.close()
    here.close()


def test_a_lease_that_is_renewed_does_not_end(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a runner keeps its run, nobody takes it up."""
    monkeypatch.setattr(run_table, "runner_name", lambda: "elsewhere/other-machine/12/34")
    table = RunTable(uri, limits=Limits(lease=2))
    run = claim(table)
    assert run is not None
    for _ in range(5):
        time.sleep(0.5)
        table.keep([str(run.run_id)])
        assert claim(table) is None
    table.close()


def test_a_run_of_a_process_that_is_gone_is_taken_up_at_once(uri: str) -> None:
    """On the same machine nobody waits for the lease of a process that has ended."""
    code = (
        "import sys, datetime; from autoflow.runs.table import RunTable;"
        "assert RunTable(sys.argv[1]).claim('w', {'a': 1}, datetime.date(2016, 1, 2))"
    )
    subprocess.run([sys.executable, "-c", code, uri], check=True, timeout=60)
    table = RunTable(uri)

    again = table.claim("w", {"a": 1}, DAY)
    table.close()

    assert again is not None
    assert (again.attempt, again.deaths) == (1, 1)


def test_many_runners_take_each_run_once(uri: str) -> None:
    """However many try at the same moment, each run has one owner."""
    tables = [RunTable(uri) for _ in range(4)]
    won: list[int] = []
    gate = threading.Barrier(len(tables))

    def take(table: RunTable) -> None:
        gate.wait()
        won.extend(n for n in range(25) if table.claim("w", {"n": n}, DAY))

    threads = [threading.Thread(target=take, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = tables[0].history()
    for table in tables:
        table.close()

    assert sorted(won) == list(range(25))
    assert len(rows) == 25


def test_an_existing_table_of_flowkit_is_kept_and_read(uri: str) -> None:
    """Runs that FlowKit recorded are known: what succeeded is done, what it left running or failed runs again."""
    engine = sa.create_engine(uri)
    kind = sa.Enum("running", "success", "failed", name="theirstate")
    old = sa.Table(
        "workflow_runs",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("workflow_name", sa.String),
        sa.Column("parameters_hash", sa.String),
        sa.Column("state", kind),
        sa.Column("timestamp", sa.DateTime(timezone=True)),
    )
    with engine.begin() as connection:
        old.metadata.create_all(connection)
        for name, state in (("done", "success"), ("stuck", "running"), ("broken", "failed")):
            row = {"workflow_name": name, "parameters_hash": parameters_hash({"a": 1}), "state": state}
            connection.execute(old.insert().values(**row, timestamp=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)))
    engine.dispose()
    for _ in range(2):
        table = RunTable(uri)
        table.close()

    table = RunTable(uri)
    taken = {name: table.claim(name, {"a": 1}, DAY) for name in ("done", "stuck", "broken")}
    table.close()

    assert {name for name, run in taken.items() if run} == {"stuck", "broken"}


def test_a_state_that_is_none_is_refused(table: RunTable) -> None:
    """The database itself holds only the three states."""
    with pytest.raises(sa.exc.DBAPIError), table.engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO workflow_runs (workflow_name, state) VALUES ('w', 'sleeping')"))


def test_any_password_fits_into_the_uri() -> None:
    """A password with every special character arrives as it is."""
    password = "p@ss/w:o{r}d%#?é"
    uri = "postgresql://user:{}@host:5432/autoflow"
    url = Settings(autoflow_db_uri=uri, autoflow_db_password=SecretStr(password)).database

    assert url.password == password
    assert url.host == "host"
    assert url.drivername == "postgresql+psycopg"


def test_a_run_that_kills_its_process_each_time_is_put_aside(uri: str) -> None:
    """A death costs no attempt; after the limit of deaths the run is put aside with that reason, until it is forced."""
    table = RunTable(uri, limits=Limits(lease=-1, max_attempts=2, max_deaths=3))
    runs = []
    for process in range(4):
        table.runner = f"elsewhere/other-machine/{process}/1"
        runs.append(claim(table))
    last, stands = runs.pop(), next(iter(table.latest().values()))

    assert [(run.attempt, run.deaths) for run in runs if run] == [(1, None), (1, 1), (1, 2)]
    assert last is None
    assert table.given_up(stands) == "put aside: its process died 3 times while it ran, which is the limit"
    assert table.next_change(stands) is None
    forced = claim(table, force=True)
    assert forced is not None
    assert (forced.attempt, forced.deaths) == (1, None)
    table.close()
