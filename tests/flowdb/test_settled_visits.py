"""The visits that are settled with each day: what they hold, to which day they belong, and when they are trusted."""

import datetime as dt
import os

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowdb.lake import Lake, arrow_schema, sweep, visits
from flowdb.tables import VISITS, stored_columns

DAY = dt.date(2016, 1, 1)
AT = dt.datetime(2016, 1, 1, 8, tzinfo=dt.UTC)
LONG_AGO = dt.timedelta(days=2).total_seconds()


def put(lake, *events, event_type="calls", day=DAY):
    """Put a day in; events are (subscriber, minutes after eight, cell, outgoing)."""
    columns = tuple(c for c in stored_columns(event_type) if c.name != "day")
    rows = [
        dict.fromkeys(c.name for c in columns)
        | {"msisdn": who, "datetime": AT + dt.timedelta(minutes=at), "location_id": cell, "minute": 480 + at}
        | ({"outgoing": outgoing} if "outgoing" in {c.name for c in columns} else {})
        for who, at, cell, outgoing in sorted(events, key=lambda e: e[:2])
    ]
    staged = lake.stage(event_type, day)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(columns)), staged)
    lake.commit_day(event_type, day, [staged], {})
    return lake.snapshot().days[event_type][day]


def visits_of(stored):
    """The visits of a day as (subscriber, cell, events, outgoing, incoming, first, last), times in minutes."""
    table = pq.read_table(*stored.visits, partitioning=None)
    assert table.schema.names == [c for c in VISITS.names if c != "day"]
    minutes = [[int((t - AT).total_seconds() // 60) for t in table[c].to_pylist()] for c in ("first", "last")]
    return list(zip(*(table[c].to_pylist() for c in table.schema.names[:5]), *minutes, strict=True))


def make_old(path):
    then = path.stat().st_mtime - LONG_AGO
    os.utime(path, (then, then))


def test_a_day_comes_in_with_its_visits(lake):
    """Each subscriber and cell is a row with its events, directions, first and last; events at no cell have theirs."""
    stored = put(
        lake,
        (1, 0, "a", True),
        (1, 5, "a", False),
        (1, 9, "a", None),
        (1, 7, "b", True),
        (2, 3, None, False),
        (2, 4, None, False),
    )
    assert visits_of(stored) == [(1, "a", 3, 1, 1, 0, 9), (1, "b", 1, 1, 0, 7, 7), (2, None, 2, 0, 2, 3, 4)]


def test_events_without_a_direction_have_visits_too(lake):
    """Data sessions count as events, and as neither incoming nor outgoing."""
    assert visits_of(put(lake, (1, 0, "a", None), (1, 2, "a", None), event_type="mds")) == [(1, "a", 2, 0, 0, 0, 2)]


def test_a_day_without_events_has_visits_without_rows(lake):
    """An empty day is settled like any other."""
    assert visits_of(put(lake)) == []


def test_visits_belong_to_one_version_of_a_day(lake):
    """A corrected day has visits of its own, by its own name; those of the former version stay with that."""
    former, now = put(lake, (1, 0, "a", True)), put(lake, (1, 0, "b", True))
    assert former.visits[0].name == former.version
    assert now.visits[0].name == now.version
    assert [row[1] for row in visits_of(now)] == ["b"]
    assert [row[1] for row in visits_of(former)] == ["a"]


def test_an_older_lake_is_settled_afterwards(lake):
    """A day whose visits are missing has none, until they are settled once more."""
    stored = put(lake, (1, 0, "a", True))
    stored.visits[0].unlink()
    assert stored.visits == ()
    assert stored.unsettled == stored.files
    assert lake.settle_visits() == 1
    assert visits_of(stored) == [(1, "a", 1, 1, 0, 0, 0)]
    assert lake.settle_visits() == 0


def test_a_file_that_is_not_whole_is_not_trusted(lake):
    """Visits that end too early, are empty, are of other events or of another FlowKit's making are as if missing."""
    stored = put(lake, (1, 0, "a", True))
    other = put(lake, (1, 0, "a", True), (1, 1, "b", True), day=dt.date(2016, 1, 2))
    (file,) = stored.visits
    whole = file.read_bytes()
    foreign = pq.read_table(file, partitioning=None)
    for content in (whole[:-1], whole[: len(whole) // 2], b"", other.visits[0].read_bytes()):
        file.write_bytes(content)
        assert stored.visits == ()
    for marks in ({}, {"flowdb_visits": "0", "flowdb_events": "1"}):
        pq.write_table(foreign.replace_schema_metadata(marks), file)
        assert stored.visits == ()
    file.write_bytes(whole)
    assert stored.visits == (file,)


def test_a_day_is_not_in_where_its_visits_cannot_be_written(lake, monkeypatch):
    """What breaks while visits are written leaves no day, and no half of a file under its name."""

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(visits.Path, "replace", full)
    with pytest.raises(OSError, match="no space"):
        put(lake, (1, 0, "a", True))
    assert lake.snapshot().days == {}
    assert not list((lake.path / "visits").rglob("*.parquet*"))


def test_visits_that_nobody_reads_are_swept_up(lake):
    """Visits of a killed load, of a replaced or withdrawn day, and half written ones go, once they are old."""
    former = put(lake, (1, 0, "a", True))
    now = put(lake, (1, 0, "b", True))
    gone = put(lake, (1, 0, "a", True), day=dt.date(2016, 1, 2))
    lake.withdraw_day("calls", gone.day, "wrong file")
    killed = lake.stage("calls", DAY)
    killed.write_bytes(now.files[0].read_bytes())
    orphan = visits.settle("calls", killed)
    half = now.visits[0].with_name(now.visits[0].name + ".part")
    half.write_bytes(b"half")
    unread = {*former.visits, *gone.visits, orphan, half}
    # Now, a question may still be reading them.
    assert sweep(lake) == 0
    for file in (*unread, *now.visits, *now.files, killed):
        make_old(file)
    # Those of days that were in just now are read a little longer.
    assert sweep(lake) == 3
    assert not any(file.exists() for file in (orphan, half, killed))
    assert former.visits
    assert gone.visits
    assert sweep(lake, dt.timedelta(0)) == 2
    assert list((lake.path / "visits").rglob("*.parquet*")) == [*now.visits]
    assert now.visits


def test_settling_keeps_within_a_memory_limit(lake):
    """A day is settled by the caller's engine, whose limit holds, and gives the same rows."""
    with duckdb.connect(config={"memory_limit": "200MB", "threads": 1}) as small:
        stored = put(lake, *((n % 997, n % 300, f"c{n % 13}", n % 2 == 0) for n in range(20_000)))
        before = visits_of(stored)
        assert (visits.settle("calls", stored.files[0], small),) == stored.visits
    assert visits_of(stored) == before
    assert sum(row[2] for row in before) == 20_000


def test_a_lake_opened_again_finds_the_visits(lake):
    """Another process finds the same visits by the day's name alone."""
    stored = put(lake, (1, 0, "a", True))
    again = Lake.open(lake.path).snapshot().days["calls"][DAY]
    assert again.visits == stored.visits
