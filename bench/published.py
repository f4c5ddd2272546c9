"""Times the published flowmachine 1.34.0 on PostgreSQL beside ours, on the same events and in one run.

python -m bench.published --python DIR/bin/python      (tools/make_peer.sh DIR flowmachine makes DIR)

Each question is asked as a server would be: whole, released, nothing stored. What FlowKit never answers by itself
stands inside the simplest question that it does answer. It needs PostgreSQL with PostGIS and redis-server.
"""

import argparse
import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from bench.data import TIMEZONE, Size, bench_lake
from bench.questions import QUESTIONS
from bench.run import POSTGRES, machine, seconds
from rich.console import Console
from rich.table import Table
from tests.engines import postgres_cluster

from flowdb.lake import Lake
from flowdb.postgres import copy_from_lake, create
from flowmachine.questions.registry import kinds
from flowmachine.questions.roles import SLOTS
from flowmachine.session import Session, connect

LEAST_IN_THE_MEDIAN = 50
"""How many times faster than the published flowmachine the median question shall be."""
LEAST_OF_ALL = 20
"""How many times faster every question shall be."""
_RESIDENTS = QUESTIONS["daily_location_last"]


def askable(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """The question itself, or the simplest that holds it where its rows are of single people."""
    role = kinds()[spec["query_kind"]].role
    if role in SLOTS["ReferenceLocation"]:
        return {"query_kind": "spatial_aggregate", "locations": spec}
    if role == "Locations":
        return {"query_kind": "unmoving_counts", "locations": spec}
    if role == "WeightedLocations":
        majority = {"query_kind": "majority_location", "subscriber_location_weights": spec}
        return {"query_kind": "spatial_aggregate", "locations": majority}
    if role == "Label":
        return {"query_kind": "labelled_spatial_aggregate", "locations": spec["locations"][-1], "labels": spec}
    if role in SLOTS["JoinableMetrics"]:
        method = "distr" if role == "CategoricalMetric" else "avg"
        return {"query_kind": "joined_spatial_aggregate", "locations": _RESIDENTS, "metric": spec, "method": method}
    return spec


@contextmanager
def redis() -> Iterator[tuple[int, str]]:
    """A redis on loopback that lives as long as the block: its port and password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_hex(16)
    settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", password]
    server = subprocess.Popen([shutil.which("redis-server") or "redis-server", *settings], stdout=subprocess.DEVNULL)
    try:
        yield port, password
    finally:
        server.terminate()
        server.wait()


@contextmanager
def flowdb(lake: Lake, console: Console) -> Iterator[tuple[postgres_cluster.Cluster, str]]:
    """A PostgreSQL FlowDB that holds the lake, and the password of its role flowmachine."""
    password = secrets.token_hex(16)
    with postgres_cluster.cluster(POSTGRES) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE flowdb")
        url = server.url("flowdb")
        create(url, TIMEZONE, {"flowmachine": password})
        began = time.perf_counter()
        copied = copy_from_lake(lake, url)
        console.print(f"Copied {copied.rows:,} events into PostgreSQL in {time.perf_counter() - began:.0f} s.")
        with psycopg.connect(url, autocommit=True) as connection:
            # The benchmark's lake has settled positions alone; FlowKit reads cells.
            connection.execute(
                "INSERT INTO infrastructure.cells (id, version, site_id, geom_point) "
                "SELECT location_id, version, site_id, ST_SetSRID(ST_Point(lon, lat), 4326) FROM flowdb.cell_positions"
            )
            connection.execute("ANALYZE")
        yield server, password


def ask_published(
    python: Path, server: postgres_cluster.Cluster, password: str, specs: Mapping[str, Any], limit: int
) -> Iterator[Mapping[str, Any]]:
    """What the published flowmachine tells of each question, as it tells it."""
    with redis() as (port, redis_password):
        told = {
            "PEER_FLOWDB_PORT": str(server.port),
            "PEER_FLOWDB_PASSWORD": password,
            "PEER_REDIS_PORT": str(port),
            "PEER_REDIS_PASSWORD": redis_password,
            "PGTZ": "UTC",
            "PYTHONWARNINGS": "ignore",
        }
        asker = subprocess.Popen(
            [str(python), str(Path(__file__).with_name("published_ask.py")), str(limit)],
            env={**os.environ, **told},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asker.stdin
        assert asker.stdout
        with asker:
            for question in specs.items():
                # One after the other: ours is timed before the next is asked.
                asker.stdin.write(json.dumps(question) + "\n")
                asker.stdin.flush()
                yield json.loads(asker.stdout.readline())
            asker.stdin.close()


def compare(session: Session, told: Mapping[str, Any], spec: Mapping[str, Any], limit: int) -> list[str]:
    """A line of the table: the question, rows, theirs, ours, how many times faster."""
    name = told["name"]
    if "problem" in told:
        return [name, "", told["problem"].partition("\n")[0], "", ""]
    rows = session.run(spec, release=True).num_rows
    ours = statistics.median(seconds(lambda: session.run(spec, release=True)) for _ in range(3))
    theirs = told.get("seconds", limit)
    more = "" if "seconds" in told else "> "
    shown = f"{rows:,}" if told.get("rows", rows) == rows else f"{rows:,} (theirs {told['rows']:,})"
    return [name, shown, f"{more}{theirs:.2f}", f"{ours:.3f}", f"{more}{theirs / ours:.0f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m bench.published", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--python", type=Path, required=True, help="the Python that has the published flowmachine")
    parser.add_argument("--events", type=lambda n: int(float(n)), default=Size.events, help="how many calls")
    parser.add_argument("--limit", type=int, default=120, help="seconds before a question is stopped")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of DuckDB")
    parser.add_argument("--questions", help="only these, separated by commas")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "flowkit-bench")
    parser.add_argument("--page", type=Path, help="where to write the table, such as docs/benchmarks-flowkit.md")
    given = parser.parse_args(arguments)
    console = Console(width=160)
    given.directory.mkdir(parents=True, exist_ok=True)
    size = Size.of(given.events)
    lake = bench_lake(given.directory, size)
    names = given.questions.split(",") if given.questions else list(QUESTIONS)
    specs = {name: askable(QUESTIONS[name]) for name in names if QUESTIONS[name]["query_kind"] != "geography"}
    session = connect(lake.path, engine="duckdb", threads=given.threads)
    lines = []
    with flowdb(lake, console) as (server, password):
        for told in ask_published(given.python, server, password, specs, given.limit):
            lines.append(compare(session, told, specs[told["name"]], given.limit))
            console.print(" ".join(lines[-1]))
    session.close()
    times = [float(line[-1].removeprefix("> ")) for line in lines if line[-1]]
    summary = (
        f"Ours is {statistics.median(times):.0f} times faster in the median of {len(times)} questions, "
        f"{min(times):.0f} times at least. Targets: {LEAST_IN_THE_MEDIAN} in the median, {LEAST_OF_ALL} for each."
    )
    head = ["question", "rows", "flowmachine 1.34.0, s", "ours, s", "times faster"]
    table = Table(*head)
    for line in lines:
        table.add_row(*line)
    console.print(table, summary)
    if given.page:
        rows = "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---", *["---:"] * 4], *lines])
        page = (Path(__file__).parent / "published.md").read_text()
        given.page.write_text(
            page.format(events=f"{size.events:,}", machine=machine(given.threads), table=rows, summary=summary)
        )


if __name__ == "__main__":
    main()
