"""Stored results: what is kept, what goes, and what a kill leaves behind."""

import datetime as dt
import json
import sqlite3
import stat
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from tests.flowmachine_server.living_server import moves, people

import flowmachine
from flowkit_base.errors import UserError
from flowmachine.engines import ROWS_AT_ONCE
from flowmachine.errors import FlowMachineError
from flowmachine.geojson import Atlas
from flowmachine.server.questions import ask
from flowmachine.server.records import open_records, queries
from flowmachine.server.store import Limits, batch_count, open_store, read_rows
from flowmachine.server.workers import Workers

ALL = Limits(size=10**12)
NONE = Limits(size=0, protected=dt.timedelta())
SECRET = "1000000000000000007"


class Silent:
    """A log that remembers."""

    def __init__(self):
        self.lines = []

    def __getattr__(self, name):
        return lambda event, **told: self.lines.append({"event": event, **told})


class Held:
    """An engine that can be made to wait, or to fail, before it stores."""

    def __init__(self, engine):
        self.engine = engine
        self.go = threading.Event()
        self.go.set()
        self.began = threading.Event()
        self.interrupted = []
        self.error = None
        self.stored = []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def store(self, plan, snapshot, path, parts=None):
        self.stored.append(plan.query.kind)
        self.began.set()
        while not self.go.wait(0.01):
            if path in self.interrupted:
                raise RuntimeError("interrupted")
        if self.error is not None:
            raise self.error
        self.engine.store(plan, snapshot, path, parts)

    def interrupt(self, path):
        self.interrupted.append(path)


class Bench:
    """Workers over a store, without a process around them."""

    def __init__(self, lake, directory, limits=ALL, smallest=16, number=1):
        self.session = flowmachine.connect(lake.path, rule=flowmachine.release.Rule(smallest))
        self.engine = self.session.engine = Held(self.session.engine)
        self.store = open_store(
            directory / "cache", f"sqlite:///{directory / 'catalogue.db'}", limits, self.session.rule
        )
        self.run_log, self.debug_log = Silent(), Silent()
        self.workers = Workers(self.session, self.store, number=number, run_log=self.run_log, debug_log=self.debug_log)

    def submit(self, spec):
        query = flowmachine.parse(spec)
        question = ask(self.session, query, self.session.engine.snapshot())
        self.workers.submit(question, "r")
        return question.query_id

    def ended(self, query_id, seconds=20):
        until = threading.Event()
        for _ in range(int(seconds / 0.02)):
            row = self.store.find(query_id)
            if row.state not in ("queued", "executing") and query_id not in self.workers._jobs:
                return row
            until.wait(0.02)
        raise AssertionError(row.state)

    def run(self, spec):
        return self.ended(self.submit(spec))

    def rows(self, query_id):
        with self.store.using(query_id) as path:
            return None if path is None else read_rows(path).to_pylist()

    def pause(self):
        threading.Event().wait(0.02)

    def die(self):
        """Leave everything as a kill does: only the file's lock goes."""
        self.store.close()

    def close(self):
        self.engine.go.set()
        if any(thread.is_alive() for thread in self.workers._threads):
            self.workers.close()
        self.store.close()
        self.session.close()


@pytest.fixture
def bench(lake, tmp_path):
    """Make benches over the small lake; they are closed at the end."""
    made = []

    def make(start=True, **options):
        made.append(Bench(options.pop("lake", lake), options.pop("directory", tmp_path), **options))
        if start:
            made[-1].workers.start()
        return made[-1]

    yield make
    for one in made:
        one.close()


def files(tmp_path):
    """The stored files, by folder."""
    return sorted(f"{f.parent.name}/{f.name}" for f in (tmp_path / "cache").glob("*/*"))


def test_results_and_parts_are_for_the_server_alone(bench, tmp_path):
    """Directories and files are readable by the server's user only; results hold codes, parts hold subscribers."""
    b = bench()
    row = b.run(people())
    assert row.state == "completed"
    cache = tmp_path / "cache"
    assert {stat.S_IMODE(d.stat().st_mode) for d in (cache, cache / "results", cache / "parts")} == {0o700}
    assert {stat.S_IMODE(f.stat().st_mode) for f in cache.glob("*/*")} == {0o600}
    (result,) = (cache / "results").iterdir()
    (part,) = (cache / "parts").iterdir()
    assert pq.read_schema(result).names == ["pcod", "value"]
    assert pq.read_schema(part).names == ["subscriber", "place"]
    assert (row.rows, row.bytes) == (2, result.stat().st_size)
    assert row.compute_time > 0


def test_a_part_is_computed_once_for_all_questions(bench):
    """Questions that share a daily location compute it once, also when two workers ask for it at once."""
    b = bench(number=2)
    b.engine.go.clear()
    ids = [b.submit(spec) for spec in (people(), moves(), moves("2016-01-01", "2016-01-02"))]
    b.engine.began.wait(10)
    b.engine.go.set()
    assert {b.ended(i).state for i in ids} == {"completed"}
    assert sorted(b.engine.stored) == ["daily_location"] * 3 + ["flows"] * 2 + ["spatial_aggregate"]
    assert b.rows(ids[1])[1] == {"pcod_from": "A", "pcod_to": "B", "value": 20}


def test_progress_is_the_tables_that_are_missing(bench):
    """While a question's first part is computed, three tables are missing and one is being made."""
    from flowmachine.server.actions import Machine, poll_query
    from flowmachine.server.drawings import Drawings

    b = bench()
    machine = Machine(b.session, Atlas(b.session.engine, b.session.timezone), b.store, b.workers, None, Drawings())
    b.engine.go.clear()
    query_id = b.submit(moves())
    b.engine.began.wait(10)
    # The question itself runs, and so does its first part.
    assert poll_query(machine, query_id).payload["progress"] == {"eligible": 3, "queued": 1, "running": 2}
    b.engine.go.set()
    b.ended(query_id)
    assert poll_query(machine, query_id).payload["progress"] == {"eligible": 0, "queued": 0, "running": 0}


def test_a_file_that_went_bad_is_computed_again(bench, tmp_path):
    """A stored result that cannot be read is computed again when it is asked for."""
    from flowmachine.server.actions import Machine, get_result
    from flowmachine.server.drawings import Drawings

    b = bench()
    machine = Machine(b.session, Atlas(b.session.engine, b.session.timezone), b.store, b.workers, None, Drawings())
    query_id = b.run(people()).query_id
    (tmp_path / "cache" / "results" / f"{query_id}.parquet").write_bytes(b"PAR1 and then nothing")
    reply = get_result(machine, query_id)
    assert (reply.ok, reply.payload["query_state"]) == (False, "queued")
    assert "computed again" in reply.msg
    assert b.ended(query_id).state == "completed"
    assert get_result(machine, query_id).payload["rows"] == 2


def test_a_running_question_can_be_cancelled(bench, tmp_path):
    """What runs is interrupted, leaves nothing behind, and runs when it is asked for again."""
    b = bench()
    b.engine.go.clear()
    query_id = b.submit(people())
    assert b.engine.began.wait(10)
    assert b.workers.cancel(query_id) == "cancelled"
    assert b.ended(query_id).state == "cancelled"
    assert files(tmp_path) == []
    b.engine.go.set()
    assert b.submit(people()) == query_id
    assert b.ended(query_id).state == "completed"
    assert b.workers.cancel(query_id) == "completed"
    assert b.rows(query_id) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]


@pytest.mark.parametrize("step", ["find", "take_part", "staged", "using", "keep"])
def test_a_question_can_be_cancelled_at_every_step(bench, tmp_path, monkeypatch, step):
    """Whenever a cancellation comes, neither the question nor a part of it stays half begun: asked again, it runs."""
    b = bench(start=False)
    query_id = b.submit(people())
    come = threading.Event()
    does = getattr(b.store, step)

    def cancelled_then(*given):
        done = does(*given)
        if not come.is_set():
            come.set()
            b.workers.cancel(query_id)
        return done

    monkeypatch.setattr(b.store, step, cancelled_then)
    b.workers.start()
    assert come.wait(10)
    assert b.ended(query_id).state == "cancelled"
    assert [file for file in files(tmp_path) if "results" in file or not file.endswith(".parquet")] == []
    b.submit(people())
    assert b.ended(query_id).state == "completed"
    assert b.rows(query_id) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]


def test_a_waiting_question_can_be_cancelled(bench):
    """What waits is never begun once it was cancelled."""
    b = bench()
    b.engine.go.clear()
    first = b.submit(people())
    b.engine.began.wait(10)
    second = b.submit(people("2016-01-02"))
    assert b.store.find(second).state == "queued"
    assert b.workers.cancel(second) == "cancelled"
    b.engine.go.set()
    assert b.ended(first).state == "completed"
    assert b.ended(second).state == "cancelled"
    assert b.engine.stored == ["daily_location", "spatial_aggregate"]


def test_duckdb_stops_in_the_middle_of_a_query(lake, tmp_path):
    """An interrupted query ends at once, and the engine goes on working."""
    import ibis

    from flowmachine.building.plan import Plan

    session = flowmachine.connect(lake.path)
    numbers = ibis.range(0, 300_000).unnest().name("n").as_table()
    pairs = numbers.cross_join(numbers.select(m=numbers.n)).filter(lambda t: (t.n * t.m) % 7 == 3)
    long = Plan(
        query=flowmachine.parse(people()),
        expression=pairs.agg(value=pairs.count()),
        schema=pa.schema([("value", pa.int64())]),
        sources={},
        reads=(),
    )
    path, raised = tmp_path / "long.parquet", []

    def work():
        try:
            session.engine.store(long, session.engine.snapshot(), path)
        except Exception as error:
            raised.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(200):
        session.engine.interrupt(path)
        thread.join(0.05)
        if not thread.is_alive():
            break
    assert raised == ["InterruptException"]
    session.engine.interrupt(path)
    assert session.run(people()).num_rows == 2
    session.close()


def test_a_failure_is_told_without_the_data(bench):
    """The reason of a failure names no value of the data, nor does the log, and asking again tries again."""
    b = bench()
    b.engine.error = ValueError(f"Could not convert {SECRET} to a number")
    query_id = b.submit(people())
    row = b.ended(query_id)
    assert row.state == "errored"
    assert row.error.endswith("log.")
    assert SECRET not in row.error + json.dumps(b.debug_log.lines) + json.dumps(b.run_log.lines)
    assert b.debug_log.lines[0]["error"] == "ValueError"
    b.engine.error = None
    assert b.run(people()).state == "completed"
    assert b.store.find(query_id).error is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (type("OutOfMemoryException", (Exception,), {})("x"), "FLOWMACHINE_MEMORY"),
        (OSError(28, "No space left on device"), "disk"),
        (FlowMachineError("Spark lacks this; use DuckDB."), "Spark lacks this; use DuckDB."),
    ],
)
def test_known_failures_say_what_to_do(bench, error, told):
    """Too little memory, a full disk and a lacking ability are each told in a sentence."""
    b = bench()
    b.engine.error = error
    assert told in b.run(people()).error


def test_a_database_of_an_older_release_keeps_its_results(tmp_path):
    """The records of an older release are taken over: what they lack is added, and what they tell is still told."""
    url = f"sqlite:///{tmp_path / 'catalogue.db'}"
    with sqlite3.connect(tmp_path / "catalogue.db") as old:
        old.execute("CREATE TABLE queries (query_id TEXT PRIMARY KEY, query_kind TEXT, params JSON, state TEXT)")
        old.execute("INSERT INTO queries VALUES ('q', 'flows', '{}', 'known')")
    for _ in range(2):
        records = open_records(url)
        with records.connect() as connection:
            row = connection.execute(sa.select(queries)).one()
        records.dispose()
        assert (row.query_id, row.state, row.access_count, row.finished) == ("q", "known", 0, None)


@pytest.mark.parametrize("url", ["nonsense", "oracle12://x", "sqlite:////proc/no/such/folder/c.db"])
def test_records_that_cannot_be_opened_name_the_setting(url):
    """A wrong address, or a folder that cannot be made, is told in a sentence that names FLOWMACHINE_CATALOGUE."""
    with pytest.raises(UserError, match="FLOWMACHINE_CATALOGUE"):
        open_records(url)


def test_what_is_worth_least_goes_first(bench, tmp_path):
    """Over the limit, the result that took least time for its size and is wanted least goes; wanted ones stay."""
    b = bench(limits=NONE, start=False)
    b.store._limits = ALL
    b.workers.start()
    specs = [people(f"2016-01-0{n}") for n in (1, 2, 3)]
    ids = [b.run(spec).query_id for spec in specs]
    for part in [r.query_id for r in b.store.every() if r.query_kind == "daily_location"]:
        assert b.store.forget(part)
    with b.store.records.begin() as connection:
        connection.execute(sa.update(queries).values(compute_time=100.0, bytes=1000))
        connection.execute(sa.update(queries).where(queries.c.query_id == ids[1]).values(compute_time=50.0))
    for _ in range(20):
        b.store.touch(ids[0])
    b.store._limits = Limits(size=2000, protected=dt.timedelta())
    assert b.store.shrink() == 1
    assert [b.store.find(i).state for i in ids] == ["completed", "known", "completed"]
    b.store._limits = Limits(size=1000, protected=dt.timedelta())
    with b.store.using(ids[2]):
        # The third is worth less, but it is being read.
        assert b.store.shrink() == 1
    assert [b.store.find(i).state for i in ids] == ["known", "known", "completed"]
    b.store._limits = Limits(size=0)
    assert b.store.shrink() == 0, "what is younger than a day stays"
    assert files(tmp_path) == [f"results/{ids[2]}.parquet"]
    assert b.rows(ids[0]) is None
    assert b.run(specs[0]).state == "completed"


def test_scores_outlive_millions_of_retrievals(bench):
    """After very many retrievals what is wanted now is still worth more than what was wanted then."""
    b = bench()
    first, second = (b.run(people(f"2016-01-0{n}")).query_id for n in (1, 2))
    b.store.touch(first)
    b.store._touches += 10**9
    b.store.touch(second)
    scores = [b.store.find(i).cache_score_multiplier for i in (first, second)]
    assert scores[0] < scores[1] < float("inf")


def test_a_kill_is_mended_at_the_next_start(bench, tmp_path):
    """Half-written files are swept, what ran waits again, and records and files agree."""
    b = bench()
    kept, lost, cut = (b.run(people(f"2016-01-0{n}")).query_id for n in (1, 2, 3))
    waiting = b.submit(moves())
    b.ended(waiting)
    b.close()
    results = tmp_path / "cache" / "results"
    (results / f"{lost}.parquet").unlink()
    (results / f"{cut}.parquet").write_bytes(b"PAR1")
    (results / f"{'e' * 32}.parquet").write_bytes(b"no record")
    (tmp_path / "cache" / "parts" / f"{'f' * 32}.part").write_bytes(b"half")
    again = bench(start=False)
    with again.store.records.begin() as connection:
        connection.execute(sa.update(queries).where(queries.c.query_id == waiting).values(state="executing"))
        part = connection.execute(sa.select(queries).where(queries.c.query_kind == "daily_location")).first()
        connection.execute(sa.update(queries).where(queries.c.query_id == part.query_id).values(state="executing"))
    again.store.mend()
    assert {again.store.find(i).state for i in (lost, cut)} == {"known"}
    assert again.store.find(kept).state == "completed"
    assert again.store.find(waiting).state == "queued"
    assert again.store.find(part.query_id).state == "cancelled"
    assert f"results/{kept}.parquet" in files(tmp_path)
    swept = ("e" * 32, "f" * 32, lost, cut)
    assert not [name for name in files(tmp_path) if any(part in name for part in swept)]
    again.workers.start()
    assert again.ended(waiting).state == "completed"
    assert again.rows(waiting)[0] == {"pcod_from": "A", "pcod_to": "A", "value": 20}
    assert again.run(people("2016-01-02")).query_id == lost


def test_results_of_a_milder_rule_are_not_served(bench, tmp_path):
    """A deployment that raises its threshold serves nothing that was released under the former one."""
    b = bench()
    query_id = b.run(people()).query_id
    assert len(b.rows(query_id)) == 2
    b.close()
    stricter = bench(start=False, smallest=30)
    stricter.store.mend()
    assert stricter.rows(query_id) is None
    stricter.workers.start()
    assert stricter.run(people()).query_id == query_id
    assert stricter.rows(query_id) == [{"pcod": "A", "value": 40}]


def test_a_cache_serves_one_server(bench, tmp_path):
    """A second server on a cache directory is told to take another one."""
    b = bench()
    with pytest.raises(FlowMachineError, match="Another FlowMachine server uses the cache"):
        bench()
    b.close()
    bench()


def test_rows_are_read_in_batches(tmp_path):
    """Batches hold every row once, in order, whatever the file's row groups."""
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"n": range(2 * ROWS_AT_ONCE + 5)}), path, row_group_size=30_000)
    count, rows = batch_count(path)
    assert (count, rows) == (3, 2 * ROWS_AT_ONCE + 5)
    batches = [read_rows(path, n * ROWS_AT_ONCE, (n + 1) * ROWS_AT_ONCE)["n"].to_pylist() for n in range(count)]
    assert [len(batch) for batch in batches] == [ROWS_AT_ONCE, ROWS_AT_ONCE, 5]
    assert [n for batch in batches for n in batch] == list(range(rows))
