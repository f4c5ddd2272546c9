"""Days that several processes publish at once, and days of several files."""

import datetime as dt
import subprocess
import sys
import threading
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowdb.lake import arrow_schema, delta
from flowdb.tables import stored_columns

FIRST, SECOND, THIRD = (dt.date(2016, 1, day) for day in (1, 2, 3))
COLUMNS = tuple(c for c in stored_columns("calls") if c.name != "day")


def staged(lake, day, *subscribers):
    """A staged file with one call of each subscriber."""
    values = {"datetime": dt.datetime.combine(day, dt.time(1), dt.UTC), "minute": 60}
    rows = [{c.name: values.get(c.name) for c in COLUMNS} | {"msisdn": subscriber} for subscriber in subscribers]
    file = lake.stage("calls", day)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(COLUMNS)), file)
    return file


def test_a_day_replaced_meanwhile_does_not_stop_the_commit_of_another(lake, monkeypatch):
    """While a load publishes 2 January, another replaces 1 January: both days are published."""
    lake.commit_day("calls", FIRST, [staged(lake, FIRST, 1)], {})
    interfering = []

    def read_metadata(path):
        if "day=2016-01-02" in str(path) and not interfering:
            other = threading.Thread(target=lake.commit_day, args=("calls", FIRST, [staged(lake, FIRST, 1, 2)], {}))
            interfering.append(other)
            other.start()
            other.join()
        return pq.read_metadata(path)

    monkeypatch.setattr(delta, "pq", types.SimpleNamespace(read_metadata=read_metadata))
    lake.commit_day("calls", SECOND, [staged(lake, SECOND, 3)], {})

    assert interfering
    assert {day: stored.rows for day, stored in lake.days("calls").items()} == {FIRST: 2, SECOND: 1}


def test_a_writer_without_our_locks_only_delays_a_commit(lake, monkeypatch):
    """A program that writes to the Delta table by itself, between our opening and our commit, costs one more try."""
    lake.commit_day("calls", FIRST, [staged(lake, FIRST, 1)], {})
    file, write, other = staged(lake, SECOND, 3), delta.DeltaTable.create_write_transaction, []

    def write_late(table, *args, **options):
        if not other:
            other.append(delta.DeltaTable(lake.events_path("calls")).delete("day = '2016-01-01'"))
        return write(table, *args, **options)

    monkeypatch.setattr(delta.DeltaTable, "create_write_transaction", write_late)
    lake.commit_day("calls", SECOND, [file], {})

    assert other
    assert lake.snapshot().dates("calls") == [SECOND]


def test_days_that_are_published_together_are_days_of_their_own(lake):
    """Several days in one commit replace just these, and each has its own record and facts."""
    for day in (FIRST, SECOND, THIRD):
        lake.commit_day("calls", day, [staged(lake, day, 1)], {"rows": 1})
    together = {day: [staged(lake, day, 1, 2)] for day in (FIRST, SECOND)}
    records = lake.commit_days("calls", together, {FIRST: {"rows": 2}, SECOND: {"rows": 3}})

    assert {day: stored.rows for day, stored in lake.days("calls").items()} == {FIRST: 2, SECOND: 2, THIRD: 1}
    assert lake.history("calls")[3:] == records
    assert [lake.facts("calls", day) for day in (FIRST, SECOND, THIRD)] == [{"rows": 2}, {"rows": 3}, {"rows": 1}]


WRITER = """
import sys
from pathlib import Path
from tests.flowdb.test_lake_commits import FIRST, SECOND, staged
from flowdb.lake import Lake
lake, day = Lake.open(Path(sys.argv[1])), {"1": FIRST, "2": SECOND}[sys.argv[2]]
files = [staged(lake, day, *range(n + 1)) for n in range(8)]
print("ready", flush=True)
sys.stdin.readline()
for file in files:
    lake.commit_day("calls", day, [file], {})
"""


@pytest.mark.takes_long("starts four processes that commit many times")
def test_processes_that_publish_at_once_all_succeed(lake, pytestconfig):
    """Four processes that replace two days of one table eight times each end without an error or a lost day."""
    command = [sys.executable, "-c", WRITER, str(lake.path)]
    writers = [
        subprocess.Popen(
            [*command, day], cwd=pytestconfig.rootpath, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for day in "1212"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert {day: stored.rows for day, stored in lake.days("calls").items()} == {FIRST: 8, SECOND: 8}
    records = lake.history("calls")
    assert len(records) == 32
    assert [r["timestamp"] for r in records] == sorted(r["timestamp"] for r in records)
