"""A day whose events lie in several files is a day like any other."""

import datetime as dt

import pyarrow.parquet as pq
import pytest

from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

DAY = dt.date(2016, 1, 1)
CELLS = [Cell("a", pcods={"admin3": "A"}), Cell("b", pcods={"admin3": "B"})]
LOCATION = {"aggregation_unit": "admin3", "method": "most-common"}
EVENTS = [
    Event("calls", subscriber, f"2016-01-01T{8 + n:02}:00", cell, outgoing=True)
    for subscriber in range(4)
    for n, cell in enumerate(("a", "b", "b", "a", "a")[subscriber:])
]


def split(lake):
    """Publish the day again, its rows dealt out to two files."""
    (whole,) = lake.days("calls")[DAY].files
    table = pq.read_table(whole, partitioning=None)
    files = [lake.stage("calls", DAY) for _ in range(2)]
    for n, file in enumerate(files):
        pq.write_table(table.take(list(range(n, table.num_rows, 2))), file)
    lake.commit_day("calls", DAY, files, {})


@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def test_a_day_of_two_files_answers_as_one_of_one(engine, request):
    """Counts of single events and of visits are the same; the day has another version, and so has each answer."""
    session = request.getfixturevalue(f"ask_{engine}")(World(EVENTS, CELLS))
    queries = [
        parse({"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-02"}),
        parse(
            {
                "query_kind": "daily_location",
                "date": "2016-01-01",
                "aggregation_unit": "admin3",
                "method": "most-common",
            }
        ),
    ]
    before = [rows(session.run(query)) for query in queries]
    ids = [session.result_id(query) for query in queries]
    split(session.engine.lake)

    stored = session.engine.lake.days("calls")[DAY]
    assert [len(stored.files), len(stored.visits), stored.rows] == [2, 2, len(EVENTS)]
    assert [rows(session.run(query)) for query in queries] == before
    assert all(now != then for now, then in zip([session.result_id(query) for query in queries], ids, strict=True))

    # Without its visits, the events of one of the files are counted one by one.
    stored.visits[0].unlink()
    assert (len(stored.visits), len(stored.unsettled)) == (1, 1)
    assert [rows(session.run(query)) for query in queries] == before
