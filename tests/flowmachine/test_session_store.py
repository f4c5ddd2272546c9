"""Rows that an analyst stores: read again, never stale, whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import pytest
from tests.flowmachine.test_expected_rows import expected
from tests.flowmachine.test_kinds_on_engines import ENGINES
from tests.flowmachine.world import WORLD

from flowmachine.errors import FlowMachineError, MissingDates
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds
from flowmachine.session import connect
from flowmachine.testing import Cell, Event, World, rows

ROOT = Path(__file__).parents[2]
CELLS = [Cell("a", pcods={"admin3": "A"}), Cell("b", pcods={"admin3": "B"})]
DAYS = ("2016-01-01", "2016-01-02")


def daily(date, **more):
    return {"query_kind": "daily_location", "date": date, "aggregation_unit": "admin3", "method": "last", **more}


def flows(before=DAYS[0], after=DAYS[1]):
    return {"query_kind": "flows", "from_location": daily(before), "to_location": daily(after)}


def crowd():
    """Twenty people who are in A on the first day and in B on the second."""
    events = [Event("calls", n, f"{DAYS[0]}T08:00", "a") for n in range(20)]
    return World([*events, *(Event("calls", n, f"{DAYS[1]}T08:00", "b") for n in range(20))], CELLS)


@pytest.fixture(params=ENGINES)
def session(request):
    """A session on a crowd of its own, on each engine."""
    made = request.getfixturevalue(f"ask_{request.param}")(crowd())
    yield made
    if request.param != "spark":
        made.close()


@pytest.fixture
def lake_session(tmp_path):
    """A session on DuckDB."""
    made = crowd().session(tmp_path / "lake", threads=2)
    yield made
    made.close()


def correct(session, day, cell):
    """Load a day again: everybody was in another cell."""
    lake, when = session.engine.lake, Event("calls", 1, f"{day}T08:00", cell).local.date()
    other = World([Event("calls", n, f"{day}T09:00", cell) for n in range(20)], CELLS)
    source = other.lake(lake.path.with_name(f"{lake.path.name}-corrected-{day}"))
    staged = lake.stage("calls", when)
    staged.write_bytes(source.snapshot().days["calls"][when].files[0].read_bytes())
    lake.commit_day("calls", when, [staged], {})


def test_stored_rows_are_read_and_are_the_same(session):
    """A stored query, and one that it is a part of, give the rows that they gave before, and read no event of its."""
    before = rows(session.run(flows())), rows(session.run(daily(DAYS[0])))
    assert "stored" not in session.explain(daily(DAYS[0]))

    kept = session.store(daily(DAYS[0]))

    assert (kept.kind, kept.rows, kept.stale) == ("daily_location", 20, False)
    assert kept.bytes > 0
    assert "is stored: daily_location, 20 rows" in session.explain(daily(DAYS[0]))
    assert "calls" not in session.explain(daily(DAYS[0]))
    assert session.explain(flows()).count("calls") < session.explain(flows("2016-01-03")).count("calls")
    assert (rows(session.run(flows())), rows(session.run(daily(DAYS[0])))) == before
    assert rows(session.run(flows(), release=True)) == before[0] == [("A", "B", 20)]


def test_what_is_stored_is_told(session):
    """A list tells what is stored; storing again adds nothing to it, and forgetting takes away."""
    assert session.stored() == []

    session.store(flows(), parts=True)
    session.store(flows())

    told = session.stored()
    assert sorted((entry.kind, entry.rows) for entry in told) == [
        ("daily_location", 20),
        ("daily_location", 20),
        ("flows", 1),
    ]
    (of_flows,) = [entry for entry in told if entry.kind == "flows"]
    assert parse(of_flows.spec) == parse(flows())
    assert of_flows.id == session.result_id(parse(flows()))
    assert abs(of_flows.when.timestamp() - time.time()) < 120
    assert session.forget(of_flows) == 1
    assert session.forget(daily(DAYS[0])) == 1
    assert session.forget(daily(DAYS[0])) == 0
    assert [entry.query_id for entry in session.stored()] == [parse(daily(DAYS[1])).id]
    assert rows(session.run(flows())) == [("A", "B", 20)]


@pytest.fixture(scope="module")
def stored_world(request):
    """A session on the small world, one for each engine that is asked for."""
    return cache(lambda engine: request.getfixturevalue(f"ask_{engine}")(WORLD))


@pytest.mark.parametrize(
    ("engine", "kind"),
    [
        *(("duckdb", kind) for kind in sorted(kinds())),
        *(pytest.param("postgres", kind, marks=pytest.mark.postgres) for kind in sorted(kinds())),
        # Each takes seconds there, and what is stored is written and read by the same few lines.
        *(pytest.param("spark", kind, marks=pytest.mark.spark) for kind in sorted(kinds())[::6]),
    ],
)
def test_every_kind_can_be_stored(engine, kind, stored_world):
    """Whatever is stored, the answers are what they were, published or not."""
    session, query = stored_world(engine), expected(kind)[0]
    published = query.role == "Aggregate"
    before = rows(session.run(query))
    released = rows(session.run(query, release=True)) if published else None

    session.store(query, parts=True)

    assert session.explain(query).startswith("-- part_")
    assert rows(session.run(query)) == before
    if published:
        assert rows(session.run(query, release=True)) == released


@pytest.mark.parametrize("kind", ["modal_location", "location_visits"])
def test_a_new_day_is_all_that_is_read_where_the_others_are_stored(session, kind):
    """Of daily locations in a list, those that are stored are not read from the events again."""
    asked = {"query_kind": kind, "locations": [daily(day) for day in DAYS]}
    before = rows(session.run(asked))
    session.store(daily(DAYS[0]))

    told = session.explain(asked)

    assert "is stored: daily_location, 20 rows" in told
    assert rows(session.run(asked)) == before
    session.store(daily(DAYS[1]))
    assert "msisdn" not in session.explain(asked), "no event is read"
    assert rows(session.run(asked)) == before


def test_release_reads_no_stored_rows_of_the_whole_query(session):
    """What is published is computed under the rule, though unpublished rows of the same query are stored."""
    few = {"query_kind": "spatial_aggregate", "locations": daily(DAYS[0], event_types=["calls"])}
    session.store(few, parts=True)

    told = session.explain(few, release=True)

    assert "spatial_aggregate" not in told
    assert "daily_location, 20 rows" in told


def test_a_missing_day_cannot_be_stored(session):
    """Rows of days without data are not stored, and the reader is told which days there are."""
    with pytest.raises(MissingDates, match="there is data from 2016-01-01 to 2016-01-02"):
        session.store(daily("2016-02-01"))
    assert session.stored() == []


def test_the_first_rows_and_their_number(session):
    """A look at the first rows brings those alone, in the order of the result."""
    assert session.head(daily(DAYS[0]), 3)["subscriber"].to_pylist() == [0, 1, 2]
    assert session.count(daily(DAYS[0])) == 20
    session.store(daily(DAYS[0]))
    assert session.head(daily(DAYS[0]))["subscriber"].to_pylist() == [0, 1, 2, 3, 4]
    assert session.count(flows()) == 1


# Over a lake


def test_a_corrected_day_makes_stored_rows_stale(lake_session):
    """After a day is loaded again, stored rows that read it are not read any more, and are told to be stale."""
    lake_session.store(flows(), parts=True)

    correct(lake_session, DAYS[1], "a")

    assert rows(lake_session.run(flows())) == [("A", "A", 20)]
    assert {(entry.kind, entry.spec.get("date")): entry.stale for entry in lake_session.stored()} == {
        ("flows", None): True,
        ("daily_location", DAYS[0]): False,
        ("daily_location", DAYS[1]): True,
    }
    lake_session.store(flows())
    assert [e.stale for e in lake_session.stored() if e.kind == "flows"] == [True, False]
    assert rows(lake_session.run(flows())) == [("A", "A", 20)]
    assert lake_session.forget(flows()) == 2


def test_stored_rows_are_for_their_owner_alone(lake_session):
    """Rows of single subscribers are readable by the user who stored them only."""
    lake_session.store(daily(DAYS[0]))

    there = lake_session.engine.lake.path / "stored"
    modes = {stat.S_IMODE(path.stat().st_mode) for path in [there, *there.rglob("*")]}
    assert modes == {0o700, 0o600}


def test_rows_that_were_cut_short_are_not_read(lake_session):
    """A stored file that lost its end is not trusted: queries are computed, and storing again mends it."""
    kept = lake_session.store(daily(DAYS[0]))
    file = lake_session.engine.lake.path / "stored" / kept.id / "rows.parquet"
    file.write_bytes(file.read_bytes()[:-40])

    assert lake_session.run(daily(DAYS[0])).num_rows == 20
    lake_session.store(daily(DAYS[0]))
    assert len(file.read_bytes()) == kept.bytes
    assert lake_session.run(daily(DAYS[0])).num_rows == 20


def test_what_is_no_record_is_left_alone(lake_session):
    """Other files beside stored rows, and records that cannot be read, do no harm."""
    kept = lake_session.store(daily(DAYS[0]))
    there = lake_session.engine.lake.path / "stored"
    (there / "notes.txt").write_text("mine")
    (there / ("e" * 32)).mkdir()
    (there / ("f" * 32)).mkdir()
    (there / ("f" * 32) / "about.json").write_text('{"kind": "flows"}')

    assert [entry.id for entry in lake_session.stored()] == [kept.id]
    assert lake_session.run(daily(DAYS[0])).num_rows == 20


def test_rows_that_are_being_read_are_not_forgotten(lake_session, monkeypatch):
    """While a query reads stored rows, forgetting them is refused in a sentence; afterwards it is done."""
    lake_session.store(daily(DAYS[0]))
    reading, go = threading.Event(), threading.Event()
    run = lake_session.engine.run

    def slowly(plan, snapshot, parts=None):
        reading.set()
        assert go.wait(20)
        return run(plan, snapshot, parts)

    monkeypatch.setattr(lake_session.engine, "run", slowly)
    found = []
    reader = threading.Thread(target=lambda: found.append(lake_session.run(daily(DAYS[0])).num_rows))
    reader.start()
    assert reading.wait(20)
    with pytest.raises(FlowMachineError, match="being read: forget them when that query has ended"):
        lake_session.forget(daily(DAYS[0]))
    go.set()
    reader.join()
    assert found == [20]
    assert lake_session.forget(daily(DAYS[0])) == 1


PROGRAM = """
import sys, time
from flowmachine.session import connect

session = connect(sys.argv[1], threads=1)
session.engine.storage._store = lambda *given, write=session.engine.store: (
    write(*given), print("written", flush=True), {then}
)
print("ready", flush=True)
sys.stdin.readline()
print(session.store({spec}).rows, flush=True)
"""


def other_process(path, then):
    """A process that stores the first day's locations, and does something before they are in."""
    program = PROGRAM.format(then=then, spec=daily(DAYS[0]))
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def said(process, line):
    return any(told.strip() == line for told in iter(process.stdout.readline, ""))


@pytest.mark.takes_long("starts several processes")
def test_several_processes_may_store_the_same(lake_session):
    """Two processes that store one query at once both succeed, and it is stored once."""
    path = lake_session.engine.lake.path
    both = [other_process(path, "time.sleep(0.5)") for _ in range(2)]
    for process in both:
        assert said(process, "ready")
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [said(process, "20") for process in both] == [True, True]
    assert [process.wait(20) for process in both] == [0, 0]

    assert [(entry.kind, entry.rows) for entry in lake_session.stored()] == [("daily_location", 20)]
    assert len(list((path / "stored").iterdir())) == 1
    assert lake_session.run(daily(DAYS[0])).num_rows == 20


def test_a_killed_process_leaves_nothing_that_is_read(lake_session):
    """Rows that were being stored when the process was killed are not there, and what is left is swept away later."""
    path = lake_session.engine.lake.path / "stored"
    process = other_process(path.parent, "time.sleep(60)")
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process, "written")
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert lake_session.stored() == []
    (left,) = path.iterdir()
    os.utime(left, (time.time() - 3600,) * 2)
    assert lake_session.store(daily(DAYS[0])).rows == 20
    assert not left.exists()
    assert lake_session.run(daily(DAYS[0])).num_rows == 20


def test_what_another_process_writes_is_not_swept_away(lake_session):
    """However long a process takes to store rows, others leave what it has written so far alone."""
    path = lake_session.engine.lake.path / "stored"
    process = other_process(path.parent, "sys.stdin.readline()")
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process, "written")
    (staged,) = path.iterdir()
    os.utime(staged, (time.time() - 3600,) * 2)

    lake_session.store(daily(DAYS[1]))

    assert staged.exists()
    process.stdin.write("\n")
    process.stdin.flush()
    assert said(process, "20")
    assert process.wait(20) == 0
    assert {entry.spec["date"] for entry in lake_session.stored()} == set(DAYS)


@pytest.mark.spark
def test_engines_over_one_lake_read_each_others_stored_rows(lake_session, spark):
    """What DuckDB stored Spark reads, and the other way round."""
    on_spark = connect(lake_session.engine.lake.path, engine="spark", session=spark)
    lake_session.store(daily(DAYS[0]))
    on_spark.store(daily(DAYS[1]))

    for session in (lake_session, on_spark):
        assert session.explain(flows()).count("is stored") == 2
        assert rows(session.run(flows())) == [("A", "B", 20)]
    assert on_spark.forget(daily(DAYS[0])) == lake_session.forget(daily(DAYS[1])) == 1
    assert lake_session.stored() == []


# In a database


@pytest.mark.postgres
def test_stored_tables_are_not_the_apis_to_read(ask_postgres):
    """The role that reads results for the API may not read stored rows of single subscribers."""
    import psycopg

    session = ask_postgres(crowd())
    kept = session.store(daily(DAYS[0]))

    with psycopg.connect(session.engine.url) as connection:
        asked = "SELECT has_table_privilege('flowapi', %s, 'SELECT'), has_table_privilege('flowmachine', %s, 'SELECT')"
        table = f"cache.rows_{kept.id}"
        assert connection.execute(asked, [table, table]).fetchone() == (False, True)


@pytest.mark.postgres
def test_a_role_of_flowmachine_stores_and_forgets(ask_postgres):
    """An analyst whose role inherits flowmachine's can store rows and forget them."""
    import psycopg

    session = ask_postgres(crowd())
    url = session.engine.url
    with psycopg.connect(url) as connection:
        connection.execute("DROP ROLE IF EXISTS analyst_of_stored_rows")
        connection.execute("CREATE ROLE analyst_of_stored_rows LOGIN PASSWORD 'analyst' IN ROLE flowmachine")
    analyst = connect(f"postgresql://analyst_of_stored_rows:analyst@{url.partition('@')[2]}")

    assert analyst.store(daily(DAYS[0])).rows == 20
    assert rows(analyst.run(flows())) == [("A", "B", 20)]
    assert analyst.forget(daily(DAYS[0])) == 1


@pytest.mark.postgres
def test_stored_tables_that_are_being_read_stay(ask_postgres):
    """While a query reads a stored table, forgetting it is refused in a sentence."""
    session = ask_postgres(crowd())
    session.store(daily(DAYS[0]))

    with (
        session.engine.storage.reading(session.stored()),
        pytest.raises(FlowMachineError, match="being read: forget them when that query has ended"),
    ):
        session.forget(daily(DAYS[0]))
    assert session.forget(daily(DAYS[0])) == 1
