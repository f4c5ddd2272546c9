"""The copy of a lake into PostgreSQL."""

import datetime as dt
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.engines.small_lake import FIRST, small_lake, store_day, store_reference

from flowdb.lake import Lake
from flowdb.postgres import Copied, PostgresError, available_days, copy_from_lake, create
from flowdb.tables import CELLS, EVENTS
from flowkit_base.zones import day_bounds

pytestmark = pytest.mark.postgres

ROOT = Path(__file__).parents[2]
SECOND = FIRST + dt.timedelta(days=1)


@pytest.fixture(scope="module")
def template(postgres):
    """The name of an empty FlowDB to copy."""
    with postgres.database() as url:
        create(url, "Asia/Kathmandu")
        yield url.rsplit("/", 1)[1]


@contextmanager
def empty_flowdb(postgres, template, zone="Asia/Kathmandu"):
    """The URL of an empty FlowDB."""
    with postgres.database(template) as url:
        with psycopg.connect(url) as connection:
            name = connection.info.dbname
            # The zone is a setting of the database and does not come with its copy.
            connection.execute(f"ALTER DATABASE {name} SET timezone TO '{zone}'".encode())
        yield url


@pytest.fixture
def flowdb(postgres, template):
    """The URL of an empty FlowDB in Nepal's time."""
    with empty_flowdb(postgres, template) as url:
        yield url


@pytest.fixture(scope="module")
def copied(postgres, template, tmp_path_factory):
    """A small lake, the FlowDB that it was copied into, and what the copy said."""
    lake = small_lake(tmp_path_factory.mktemp("lake") / "lake")
    with empty_flowdb(postgres, template) as url:
        told = []
        report = copy_from_lake(lake, url, progress=lambda *news: told.append(news))
        yield lake, url, report, told


def ask(url, query, *values):
    """The rows of a query."""
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode(), values or None).fetchall()


def test_every_day_arrives_and_is_announced(copied):
    """Every day of every type arrives with its rows, is available, and is told once."""
    _, url, report, told = copied
    assert report == Copied(days=10, rows=400)
    assert sorted(told) == sorted((t, d, 40) for t in EVENTS for d in (FIRST, SECOND))
    assert available_days(url) == {t: [FIRST, SECOND] for t in sorted(EVENTS)}
    for event_type in EVENTS:
        assert ask(url, f"SELECT count(*) FROM events.{event_type}") == [(80,)]
        assert ask(url, f"SELECT count(*) FROM events.{event_type}_20160101") == [(40,)]


@pytest.mark.parametrize("event_type", EVENTS)
def test_values_arrive_as_they_were(copied, event_type):
    """Numbers, text with quotes and line ends, empty and missing text, instants: all arrive exactly."""
    lake, url, _, _ = copied
    stored = pq.read_table(lake.snapshot().days[event_type][FIRST].files[0]).to_pylist()
    names = EVENTS[event_type].names
    expected = [[as_text(row[n], EVENTS[event_type][n]) for n in names] for row in stored]
    with psycopg.connect(url) as connection:
        connection.execute("SET timezone TO 'UTC'")
        rows = connection.execute(f"SELECT {', '.join(names)} FROM events.{event_type}_20160101".encode()).fetchall()
    found = [[as_text(v, EVENTS[event_type][n]) for v, n in zip(row, names, strict=True)] for row in rows]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def as_text(value, column):
    """A value in a form that is the same on both sides; pseudonyms are decimal text in PostgreSQL."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat()
    return str(value) if column.identifies else float(value)


def test_a_day_is_sorted_indexed_and_named_like_flowkits(copied):
    """A day lies sorted by subscriber and time, with FlowKit's default indexes."""
    _, url, _, _ = copied
    rows = ask(url, "SELECT msisdn, datetime FROM events.calls_20160101 ORDER BY ctid")
    assert rows == sorted(rows)
    indexes = {row[0] for row in ask(url, "SELECT indexname FROM pg_indexes WHERE tablename = 'calls_20160101'")}
    columns = ("msisdn", "msisdn_counterpart", "location_id", "datetime", "tac")
    assert indexes == {f"calls_20160101_{c}_idx" for c in columns}
    assert len(ask(url, "SELECT FROM pg_indexes WHERE tablename = 'mds_20160101'")) == len(columns) - 1


def test_questions_of_one_day_read_one_partition(copied):
    """A question about a day plans to read that day's partition only."""
    _, url, _, _ = copied
    first, following = day_bounds("Asia/Kathmandu", FIRST)
    plan = "\n".join(
        row[0]
        for row in ask(
            url,
            f"EXPLAIN SELECT count(*) FROM events.calls WHERE datetime >= '{first}' AND datetime < '{following}'",
        )
    )
    assert "calls_20160101" in plan
    assert "calls_20160102" not in plan


def test_attaching_a_day_does_not_read_it_again(flowdb, tmp_path, monkeypatch):
    """A day is attached without a second scan: PostgreSQL says that its constraint proves the bounds."""
    notices = []
    original = psycopg.connect

    def listening(*args, **kwargs):
        connection = original(*args, **kwargs)
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        connection.execute("SET client_min_messages TO debug1")
        return connection

    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    store_day(lake, "calls", FIRST, 10)
    monkeypatch.setattr(psycopg, "connect", listening)
    copy_from_lake(lake, flowdb)
    assert any("calls_20160101" in n and "implied by existing constraints" in n for n in notices)


def test_reference_tables_arrive_with_geometry(copied):
    """Cells become points, boundaries multipolygons in a table a level, and settled tables arrive whole."""
    _, url, _, _ = copied
    inside = ask(
        url,
        "SELECT id, version, admin1pcod FROM infrastructure.cells LEFT JOIN geography.admin1 "
        "ON ST_Within(geom_point, geom) ORDER BY 1, 2",
    )
    assert inside == [("cell0", 0, "W"), ("cell0", 1, "E"), ("cell1", 0, None)]
    assert ask(url, "SELECT gid, wardname, wardpcod, GeometryType(geom), ST_SRID(geom) FROM geography.ward") == [
        (1, "Ward", "W1", "MULTIPOLYGON", 4326)
    ]
    assert ask(url, "SELECT is_cow FROM infrastructure.sites") == [(True,)]
    assert ask(url, "SELECT id, brand FROM infrastructure.tacs") == [(92380772, "Oppo")]
    assert ask(url, "SELECT pcod, p.place FROM flowdb.cell_units u JOIN flowdb.places p USING (unit, place)") == [
        ("W", 1)
    ]
    assert ask(url, "SELECT location_id, first_day, last_day, lon FROM flowdb.cell_positions") == [
        ("cell0", dt.date(1, 1, 1), dt.date(9999, 12, 31), 82.5)
    ]


def test_cells_seen_and_tables_filled_are_recorded(copied):
    """Every cell that events name is listed with its first and last day; types say what they hold."""
    _, url, _, _ = copied
    seen = ask(url, "SELECT * FROM events.location_ids WHERE cdr_type = 'sms' ORDER BY 1")
    assert seen == [(f"cell{n}", "sms", FIRST, SECOND) for n in range(4)]
    tables = {row[0]: row[1:] for row in ask(url, "SELECT * FROM available_tables()")}
    assert tables["calls"] == (True, True, True)
    assert tables["mds"] == (True, True, False)


def test_copying_again_changes_nothing(copied):
    """A second copy of an unchanged lake writes nothing."""
    lake, url, _, _ = copied
    before = ask(url, "SELECT count(*), max(id) FROM etl.etl_records"), ask(url, "SELECT * FROM flowdb.copied_days")
    cells = ask(url, "SELECT cell_id, xmin FROM infrastructure.cells ORDER BY 1")
    assert copy_from_lake(lake, url) == Copied(already=10)
    after = ask(url, "SELECT count(*), max(id) FROM etl.etl_records"), ask(url, "SELECT * FROM flowdb.copied_days")
    assert before == after
    assert cells == ask(url, "SELECT cell_id, xmin FROM infrastructure.cells ORDER BY 1")


def test_corrected_and_withdrawn_days_follow_the_lake(flowdb, tmp_path):
    """A corrected day replaces the former one; a withdrawn day goes, with what it said of cells."""
    lake = small_lake(tmp_path / "lake")
    copy_from_lake(lake, flowdb, ["calls"])
    assert list(available_days(flowdb)) == ["calls"]
    store_day(lake, "calls", FIRST, 50, salt=1000)
    lake.withdraw_day("calls", SECOND, "wrong file")
    assert copy_from_lake(lake, flowdb, ["calls"]) == Copied(days=1, withdrawn=1, rows=50)
    assert available_days(flowdb) == {"calls": [FIRST]}
    assert ask(flowdb, "SELECT count(*), min(id::bigint) FROM events.calls") == [(50, 1000)]
    assert ask(flowdb, "SELECT DISTINCT last_active_date FROM events.location_ids") == [(FIRST,)]
    states = ask(flowdb, "SELECT state FROM etl.etl_records WHERE cdr_date = '2016-01-02' ORDER BY id")
    assert states == [("ingested",), ("withdrawn",)]


def test_corrected_cells_follow_the_lake(flowdb, tmp_path):
    """Changed cells are changed in place, lost ones go, and their serial numbers stay."""
    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    store_reference(lake)
    copy_from_lake(lake, flowdb)
    serial = ask(flowdb, "SELECT cell_id FROM infrastructure.cells WHERE id = 'cell1'")
    cells = lake.reference("cells")
    keep = cells.filter([i == "cell1" for i in cells["id"].to_pylist()])
    renamed = keep.set_column(keep.schema.get_field_index("name"), "name", pa.array(["new name"]))
    lake.replace_reference(CELLS.name, renamed)
    copy_from_lake(lake, flowdb)
    assert ask(flowdb, "SELECT cell_id, name FROM infrastructure.cells") == [(serial[0][0], "new name")]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("America/Havana", dt.date(2016, 11, 6)),  # 00:00 to 01:00 happens twice
        ("America/Havana", dt.date(2016, 3, 13)),  # 00:00 to 01:00 does not happen
        ("America/Sao_Paulo", dt.date(2016, 2, 20)),  # 23:00 to 24:00 happens twice
        ("Europe/London", dt.date(2016, 10, 30)),
        ("Pacific/Apia", dt.date(2011, 12, 29)),  # the next day does not exist
    ],
)
def test_days_of_23_and_25_hours_fit_their_partitions(postgres, template, tmp_path, zone, day):
    """Days on which clocks change hold all of their events, from the first instant to the last."""
    lake = Lake.create(tmp_path / "lake", zone)
    for n in (-1, 0, 1):
        if (local := day + dt.timedelta(days=n)) != dt.date(2011, 12, 30):
            store_day(lake, "calls", local, 100)
    with empty_flowdb(postgres, template, zone) as url:
        copy_from_lake(lake, url)
        days = "SELECT DISTINCT to_char(datetime, 'YYYYMMDD'), right(tableoid::regclass::text, 8) FROM events.calls"
        assert all(local == partition for local, partition in ask(url, days))


@pytest.mark.takes_long("copies days between PostgreSQL and a lake, and is killed in between")
def test_a_killed_copy_leaves_no_half_day(flowdb, tmp_path):
    """However a copy is killed, every visible day is whole and recorded; run again, it ends the work."""
    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    days = [FIRST + dt.timedelta(days=n) for n in range(16)]
    for day in days:
        store_day(lake, "calls", day, 1000)
    program = (
        "import sys; from pathlib import Path; from flowdb.lake import Lake; from flowdb.postgres import *\n"
        "copy_from_lake(Lake.open(Path(sys.argv[1])), sys.argv[2], progress=lambda *n: print('day', flush=True))"
    )
    chance, kills = random.Random(1), 0
    for _ in range(4):
        run = subprocess.Popen([sys.executable, "-c", program, lake.path, flowdb], stdout=subprocess.PIPE, cwd=ROOT)
        assert run.stdout is not None
        if not run.stdout.readline():  # the former ones did all the work
            break
        time.sleep(chance.uniform(0, 0.15))
        run.send_signal(signal.SIGKILL)
        kills += run.wait() != 0
        # One question, because a commit that was sent before the kill may still come through.
        states = ask(
            flowdb,
            "SELECT held.rows, record.state FROM "
            "(SELECT right(tableoid::regclass::text, 8) AS day, count(*) AS rows FROM events.calls GROUP BY 1) AS held "
            "FULL JOIN etl.ingested_state AS record ON to_char(cdr_date, 'YYYYMMDD') = held.day",
        )
        assert set(states) == {(1000, "ingested")}
    assert kills >= 2
    done = copy_from_lake(lake, flowdb)
    assert done.days + done.already == len(days)
    assert available_days(flowdb) == {"calls": days}
    assert ask(flowdb, "SELECT count(*) FROM events.calls") == [(16000,)]
    assert ask(flowdb, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'calls!_%' ESCAPE '!' "
               "AND schemaname <> 'events'") == [(0,)]  # fmt: skip


def sentence(error):
    """What the user is told: one line of one plain paragraph."""
    said = str(error.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def test_a_damaged_day_stops_the_copy_and_is_named(flowdb, tmp_path):
    """A lake file that cannot be read is named in a sentence, and its day does not arrive."""
    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    store_day(lake, "calls", FIRST, 10)
    store_day(lake, "calls", SECOND, 10)
    file = lake.snapshot().days["calls"][SECOND].files[0]
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(PostgresError) as error:
        copy_from_lake(lake, flowdb)
    assert file.name in sentence(error)
    assert available_days(flowdb) == {"calls": [FIRST]}


def test_rows_of_another_day_are_refused(flowdb, tmp_path):
    """A lake whose file holds an event of another day is refused by name of the day; nothing of it arrives."""
    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    store_day(lake, "calls", FIRST, 10)
    strayed = lake.stage("calls", SECOND)
    strayed.write_bytes(lake.snapshot().days["calls"][FIRST].files[0].read_bytes())
    lake.commit_day("calls", SECOND, [strayed], {})
    with pytest.raises(PostgresError) as error:
        copy_from_lake(lake, flowdb)
    assert "calls of 2016-01-02" in sentence(error)
    assert available_days(flowdb) == {"calls": [FIRST]}


def test_days_loaded_by_other_programs_are_not_overwritten(flowdb, tmp_path):
    """A day that another program loaded stops the copy rather than being replaced."""
    first, following = day_bounds("Asia/Kathmandu", FIRST)
    with psycopg.connect(flowdb) as connection:
        connection.execute(
            b"CREATE TABLE events.calls_20160101 PARTITION OF events.calls "
            + f"FOR VALUES FROM ('{first}') TO ('{following}')".encode()
        )
    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    store_day(lake, "calls", FIRST, 10)
    with pytest.raises(PostgresError) as error:
        copy_from_lake(lake, flowdb)
    assert "events.calls_20160101" in sentence(error)
    assert "was not copied from a lake" in sentence(error)


def test_a_busy_database_is_told(flowdb, tmp_path, monkeypatch):
    """A copy that must replace a day waits for those who read it, then gives up and leaves the former day."""
    monkeypatch.setattr("flowdb.postgres.from_lake.PATIENCE", "200ms")
    lake = Lake.create(tmp_path / "lake", "Asia/Kathmandu")
    store_day(lake, "calls", FIRST, 10)
    copy_from_lake(lake, flowdb)
    store_day(lake, "calls", FIRST, 20)
    with psycopg.connect(flowdb) as reader:
        reader.execute("SELECT count(*) FROM events.calls")
        with pytest.raises(PostgresError) as error:
            copy_from_lake(lake, flowdb)
    assert "is busy" in sentence(error)
    assert ask(flowdb, "SELECT count(*) FROM events.calls") == [(10,)]


def test_a_copy_that_cannot_be_is_told(postgres, flowdb, tmp_path):
    """Another zone, an unknown event type, a database that is no FlowDB: each is told in a sentence."""
    lake = Lake.create(tmp_path / "lake", "UTC")
    with pytest.raises(PostgresError) as error:
        copy_from_lake(lake, flowdb)
    assert "those of UTC" in sentence(error)
    with pytest.raises(PostgresError) as error:
        copy_from_lake(lake, flowdb, ["letters"])
    assert "no event type 'letters'" in sentence(error)
    with postgres.database() as bare, pytest.raises(PostgresError) as error:
        copy_from_lake(lake, bare)
    assert "not a FlowDB" in sentence(error)
