"""Spark as a standalone cluster: right rows, none of a person at the driver, and a server that cancels."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.engines.spark_session import ENVIRONMENT
from tests.flowmachine_server.living_server import ServerProcess, Wire, make_lake, moves, people

import flowmachine
from flowmachine.testing import Cell, Event, World

pytestmark = [
    pytest.mark.spark,
    pytest.mark.takes_long("computes on a Spark cluster of two workers"),
]
ROOT = Path(__file__).parents[2]
SUBSCRIBERS = 60_000
LIMIT = "200k"
"""Of what a driver takes from its executors: a fifth of the rows of these subscribers."""


def run(*command, **environment):
    """What a process of its own prints: there is one Spark driver a process."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_every_kind_gives_its_rows_on_a_cluster(cluster_address):
    """On a master and two workers every kind gives the rows that were worked out by hand."""
    said = run(
        *("-m", "pytest", "tests/flowmachine/test_expected_rows.py", "-m", "spark", "-q", "-p", "no:cacheprovider"),
        FLOWKIT_SPARK_MASTER=cluster_address,
    )

    (passed,) = re.findall(r"(\d+) passed", said)
    assert int(passed) == len(flowmachine.kinds())
    assert "skipped" not in said


STORE = """
import json, sys
from flowmachine.session import connect

path, master = sys.argv[1:]
session = connect(path, engine="spark", master=master)
daily = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin3", "method": "last"}
kept = session.store(daily)
told = {"rows": kept.rows, "bytes": kept.bytes, "cores": session.engine._spark.sparkContext.defaultParallelism}
told["released"] = session.run({"query_kind": "spatial_aggregate", "locations": daily}, release=True).to_pylist()
told["head"] = session.head(daily, 2).num_rows
told["explained"] = session.explain({"query_kind": "spatial_aggregate", "locations": daily}, release=True)
try:
    session.run(daily)
except Exception as error:
    told["refused"] = str(error)
print(json.dumps(told))
"""


def test_rows_of_subscribers_do_not_come_to_the_driver(cluster_address, tmp_path):
    """Storing rows of more subscribers than the driver takes, and counting them, succeeds: executors write and read."""
    # Multiplied by an odd number they are different still, and as random as hashes.
    events = [
        Event("calls", n * 0x9E3779B97F4A7C15 % 2**62, "2016-01-01T08:00", "ab"[n % 2]) for n in range(SUBSCRIBERS)
    ]
    lake = World(events, [Cell("a", pcods={"admin3": "A"}), Cell("b", pcods={"admin3": "B"})]).lake(tmp_path / "lake")

    said = run(
        *("-c", STORE, str(lake.path), cluster_address),
        PYSPARK_SUBMIT_ARGS=f"--conf spark.driver.maxResultSize={LIMIT} pyspark-shell",
    )

    told = json.loads(said.strip().splitlines()[-1])
    assert told["rows"] == SUBSCRIBERS
    assert told["bytes"] > 2 * 200 * 1024, "what was stored would not have fitted"
    assert told["released"] == [{"pcod": "A", "value": SUBSCRIBERS // 2}, {"pcod": "B", "value": SUBSCRIBERS // 2}]
    assert told["head"] == 2
    assert "is stored: daily_location" in told["explained"]
    assert "maxResultSize" in told["refused"], "the limit holds: the same rows cannot be fetched"
    assert told["cores"] == 2


@pytest.fixture(scope="module")
def spark_server(cluster_address, tmp_path_factory):
    """A server that computes on the cluster."""
    root = tmp_path_factory.mktemp("spark-server")
    lake = make_lake(root / "lake")
    server = ServerProcess(
        root / "server",
        lake.path,
        FLOWMACHINE_ENGINE="spark",
        FLOWMACHINE_SPARK_MASTER=cluster_address,
        **ENVIRONMENT,
    )
    server.start(wait=False)
    server.wait_until_up(120)
    yield server
    server.stop()


@pytest.fixture
def wire(spark_server):
    """A client of it."""
    client = Wire(spark_server.port, seconds=60)
    yield client
    client.close()


def finished(wire, query_id):
    return wire.wait(query_id, 120)["query_state"]


def test_a_server_answers_from_a_cluster(spark_server, wire):
    """Run, poll and result are as on any engine; parts are stored by the executors, and shared between questions."""
    asked = {wire.run(spec): spec for spec in (people(), moves(), moves("2016-01-02", "2016-01-03"))}
    session = flowmachine.connect(spark_server.environment["FLOWDB_STORE"])

    for query_id, spec in asked.items():
        assert finished(wire, query_id) == "completed", spark_server.errors
        assert wire.rows(query_id) == session.run(spec, release=True).to_pylist()
    cache = spark_server.directory / "cache"
    parts = list((cache / "parts").iterdir())
    assert len(parts) == 3
    assert all(part.is_dir() and list(part.glob("*.parquet")) for part in parts)
    assert {path.name for path in (cache / "results").iterdir()} == {f"{query_id}.parquet" for query_id in asked}
    session.close()


def test_a_running_question_is_cancelled_on_the_cluster(spark_server, wire):
    """A cancelled question stops, leaves no result, does not hold up the others, and runs when it is asked again."""
    spec = {"query_kind": "spatial_aggregate", "locations": people("2016-01-04")["locations"]}
    query_id = wire.run(spec)
    while (state := wire.ask("poll_query", {"query_id": query_id})["payload"]["query_state"]) == "queued":
        pass
    assert state == "executing"

    assert wire.ask("cancel_query", {"query_id": query_id})["payload"]["query_state"] == "cancelled"

    assert finished(wire, wire.run(people("2016-01-02", "admin1"))) == "completed"
    assert wire.ask("poll_query", {"query_id": query_id})["payload"]["query_state"] == "cancelled"
    assert not (spark_server.directory / "cache" / "results" / f"{query_id}.parquet").exists()
    assert wire.run(spec) == query_id
    assert finished(wire, query_id) == "completed"


def test_a_restarted_server_serves_what_the_cluster_stored(spark_server):
    """Killed and started again, a server has the results and parts that it had."""
    client = Wire(spark_server.port, seconds=60)
    query_id = client.run(people())
    assert finished(client, query_id) == "completed"
    before = client.rows(query_id)
    client.close()
    spark_server.stop(9)
    spark_server.start(wait=False)
    spark_server.wait_until_up(120)
    client = Wire(spark_server.port, seconds=60)
    assert client.rows(query_id) == before
    # The part of the first question is there still: this one needs one more.
    assert finished(client, client.run(moves("2016-01-01", "2016-01-04"))) == "completed"
    client.close()
    assert len(spark_server.ran(query_id)) == 1


def test_spark_stops_in_the_middle_of_a_query(spark, tmp_path):
    """An interrupted query ends soon and alone: another that runs at the time gives its rows."""
    import ibis
    import pyarrow as pa

    from flowmachine.building.plan import Plan

    lake = make_lake(tmp_path / "lake")
    session = flowmachine.connect(lake.path, engine="spark", session=spark)
    numbers = ibis.range(0, 200_000).unnest().name("n").as_table()
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
            raised.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    assert session.run(people(), release=True).num_rows == 2
    assert thread.is_alive()
    for _ in range(600):
        session.engine.interrupt(path)
        thread.join(0.1)
        if not thread.is_alive():
            break
    assert len(raised) == 1
    assert "cancel" in raised[0].lower()
    assert not path.exists()
    session.engine.interrupt(path)
    assert session.run(people(), release=True).num_rows == 2
