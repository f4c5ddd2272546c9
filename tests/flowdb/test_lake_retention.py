"""Files of replaced and withdrawn days: how long they are kept, and that no reader loses one."""

import datetime as dt
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from tests.flowdb.test_settled_visits import put

from flowdb.lake import LakeError, clean, reading
from flowdb.lake.readers import oldest_snapshot
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World

DAY, NEXT, THIRD = (dt.date(2016, 1, n) for n in (1, 2, 3))
LONG_AGO = 40 * 86_400


def age(lake, event_type="calls"):
    """Let all removals so far have happened 40 days ago."""
    for log in (lake.events_path(event_type) / "_delta_log").glob("*.json"):
        older = re.sub(
            r'("deletionTimestamp":)(\d+)', lambda m: f"{m[1]}{int(m[2]) - LONG_AGO * 1000}", log.read_text()
        )
        log.write_text(older)


def files(lake):
    return {path for folder in ("events", "visits") for path in (lake.path / folder).rglob("*.parquet")}


@pytest.fixture
def corrected(lake):
    """A lake with a day replaced and a day withdrawn 40 days ago, a third day replaced now, and the removed days."""
    old = [put(lake, (1, 0, "a", True)), put(lake, (2, 0, "a", True), day=NEXT)]
    put(lake, (1, 0, "b", True))
    lake.withdraw_day("calls", NEXT, "they asked for it")
    age(lake)
    recent = put(lake, (3, 0, "a", True), day=THIRD)
    put(lake, (3, 0, "b", True), day=THIRD)
    return lake, old, recent


def test_files_of_removed_days_are_deleted_after_their_time(corrected):
    """Events and visits of days replaced or withdrawn long ago go; younger ones and every day's history stay."""
    lake, old, recent = corrected
    removed = {path for stored in old for path in (*stored.files, *stored.visits)}
    size = sum(path.stat().st_size for path in removed)
    before, history = files(lake), lake.history("calls")

    cleaned = clean(lake)

    assert removed == before - files(lake)
    assert (cleaned.files, cleaned.bytes, cleaned.kept) == (4, size, 1)
    assert recent.files[0].exists()
    assert [day.rows for day in lake.days("calls").values()] == [1, 1]
    assert lake.history("calls") == history
    assert clean(lake).files == 0
    # The next commit and the next cleaning work on the log as before.
    put(lake, (1, 0, "c", True))
    age(lake)
    assert clean(lake).files == 4


def test_a_running_query_keeps_its_files(corrected):
    """While a process reads an old snapshot nothing that it names is deleted; when it is killed, all of it is."""
    lake, old, _ = corrected
    reader = (
        "import sys; from pathlib import Path; from flowdb.lake import Snapshot, reading\n"
        "with reading(Path(sys.argv[1]), Snapshot({}, {}, float(sys.argv[2]))):\n"
        "    print('reading', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", reader, str(lake.path), str(time.time() - 2 * LONG_AGO)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"reading\n"
        assert clean(lake).files == 0
        assert all(stored.files[0].exists() for stored in old)
        process.kill()
    assert clean(lake).files == 4


def test_the_snapshot_of_a_running_query_is_known(lake):
    """The oldest snapshot being read counts, until its reading ends."""
    put(lake, (1, 0, "a", True))
    snapshot = lake.snapshot()
    older = replace(snapshot, taken=1000.0)
    with reading(lake.path, snapshot):
        with reading(lake.path, older):
            assert oldest_snapshot(lake.path) == 1000.0
        assert oldest_snapshot(lake.path) == pytest.approx(snapshot.taken, abs=0.001)
    assert oldest_snapshot(lake.path) > snapshot.taken
    assert not list((lake.path / "locks" / "readers").iterdir())


def test_less_than_a_day_is_refused(lake):
    """Files are kept for a day at least, because a query that waits may still name them."""
    with pytest.raises(LakeError, match="at least 1 day"):
        clean(lake, dt.timedelta(hours=23))


def test_queries_and_stores_keep_the_files_of_their_snapshot(tmp_path, monkeypatch):
    """Running and storing a query tell the lake which snapshot they read, so that cleaning spares its files."""
    cells = [Cell("a", pcods={"admin3": "A"})]
    session = World([Event("calls", 1, "2016-01-01T08:00", "a")], cells).session(tmp_path / "lake")
    engine, oldest = session.engine, []
    snapshot, sql = replace(engine.snapshot(), taken=1000.0), engine.sql

    def watched(plan):
        oldest.append(oldest_snapshot(engine.lake.path))
        return sql(plan)

    monkeypatch.setattr(engine, "snapshot", lambda: snapshot)
    monkeypatch.setattr(engine, "sql", watched)
    location = {"aggregation_unit": "admin3", "method": "last", "date": "2016-01-01"}
    query = parse({"query_kind": "daily_location", **location})
    session.run(query)
    session.store(query)
    assert len(oldest) > 1
    assert set(oldest) == {1000.0}
    assert oldest_snapshot(engine.lake.path) > 1000.0
