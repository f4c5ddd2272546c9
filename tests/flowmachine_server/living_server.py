"""A small lake with known movements, server processes, and a client that speaks the wire."""

import datetime as dt
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
import zmq

from flowdb.lake import Lake, arrow_schema
from flowdb.reference.settling import settle
from flowdb.tables import CELLS, DAILY, GEOGRAPHY, MINUTE

ZONE = "Asia/Kathmandu"
FIRST = dt.date(2016, 1, 1)
DAYS = 4
SUBSCRIBERS = 60
UNITS = {"A": (80, 26), "B": (81, 26), "C": (82, 26), "D": (83, 26)}
"""Squares of one degree, by their lower left corners; nobody ever comes to D."""


def cell_of(subscriber: int, day: int) -> str:
    """Subscribers 0 to 19 go from A to B on the third day, 20 to 39 stay in A, 40 to 59 stay in C."""
    if subscriber < 20:
        return "a" if day < 2 else "b"
    return "a" if subscriber < 40 else "c"


def store_day(lake: Lake, day: dt.date, rows: list[tuple[int, int, str]], event_type: str = "calls") -> None:
    """Store events of a day: subscriber, local hour and cell of each."""
    columns = (*DAILY[event_type].columns, MINUTE)
    zone = ZoneInfo(lake.timezone)
    events = [
        {
            "id": n,
            "outgoing": True,
            "msisdn": 10**18 + subscriber,
            "datetime": dt.datetime.combine(day, dt.time(hour), zone),
            "minute": hour * 60,
            "location_id": cell,
            "amount": 10.0,
        }
        for n, (subscriber, hour, cell) in enumerate(rows)
    ]
    table = pa.Table.from_pylist([{c.name: e.get(c.name) for c in columns} for e in events], arrow_schema(columns))
    staged = lake.stage(event_type, day)
    pq.write_table(table.sort_by([("msisdn", "ascending"), ("datetime", "ascending")]), staged)
    checks = {f"count_added_rows.{event_type}": str(len(rows))}
    lake.commit_day(event_type, day, [staged], {"checks": checks})


def usual_day(day: int) -> list[tuple[int, int, str]]:
    """Every subscriber calls at 9 and at 20 hours."""
    return [(s, hour, cell_of(s, day)) for s in range(SUBSCRIBERS) for hour in (9, 20)]


def replace_cells(lake: Lake, cells: dict[str, tuple[float, float]]) -> None:
    """Store cells by their positions, and settle them."""
    rows = [{"id": name, "version": 0, "longitude": x, "latitude": y} for name, (x, y) in cells.items()]
    lake.replace_reference("cells", pa.Table.from_pylist(rows, arrow_schema(CELLS.columns)))
    settle(lake)


def make_lake(path: Path) -> Lake:
    """A lake with four days of calls and of money and one of texts, and levels admin1 (one unit) and admin3 (four)."""
    lake = Lake.create(path, ZONE)
    shapes = {("admin3", code): shapely.box(x, y, x + 1, y + 1) for code, (x, y) in UNITS.items()}
    shapes["admin1", "N"] = shapely.box(80, 26, 84, 27)
    units = [
        {
            "gid": n,
            "unit": unit,
            "pcod": code,
            "name": f'Unit "{code}"',
            "geom": shapely.MultiPolygon([shape]).wkb,
            "longitude": shape.centroid.x,
            "latitude": shape.centroid.y,
        }
        for n, ((unit, code), shape) in enumerate(shapes.items())
    ]
    lake.replace_reference("geography", pa.Table.from_pylist(units, arrow_schema(GEOGRAPHY.columns)))
    replace_cells(lake, {code.lower(): (x + 0.5, y + 0.25) for code, (x, y) in UNITS.items()})
    for n in range(DAYS):
        store_day(lake, FIRST + dt.timedelta(days=n), usual_day(n))
        store_day(lake, FIRST + dt.timedelta(days=n), usual_day(n), "transactions")
    store_day(lake, FIRST, [(s, 12, cell_of(s, 0)) for s in range(30)], "sms")
    return lake


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Wire:
    """Asks a server, one question at a time; safe to use from one thread."""

    def __init__(self, port: int, seconds: float = 20) -> None:
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(seconds * 1000)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def ask(self, action: str, params: dict | None = None) -> dict:
        """The reply, with `arrow` where a table came with it."""
        return self.send({"action": action, "request_id": uuid.uuid4().hex, "params": params or {}})

    def send(self, request: object) -> dict:
        """The reply to a request of any form."""
        self.socket.send(request if isinstance(request, bytes) else json.dumps(request).encode())
        envelope, *arrow = self.socket.recv_multipart()
        reply = json.loads(envelope)
        assert set(reply) == {"status", "msg", "payload"}
        if arrow:
            reply["arrow"] = pa.ipc.open_stream(arrow[0]).read_all()
        return reply

    def run(self, spec: dict) -> str:
        """Ask for a query; its id."""
        reply = self.ask("run_query", spec)
        assert reply["status"] == "success", reply
        return reply["payload"]["query_id"]

    def wait(self, query_id: str, seconds: float = 30) -> dict:
        """The last word of poll_query, once the query has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            payload = self.ask("poll_query", {"query_id": query_id})["payload"]
            if payload["query_state"] not in ("queued", "executing"):
                return payload
            time.sleep(0.02)
        raise AssertionError(f"still {payload}")

    def rows(self, query_id: str, form: str = "rows") -> list[dict]:
        """All rows of a completed query."""
        reply = self.ask("get_result", {"query_id": query_id, "format": form})
        assert reply["status"] == "success", reply
        rows = reply["arrow"].to_pylist()
        for batch in range(1, reply["payload"]["batches"]):
            more = self.ask("get_result", {"query_id": query_id, "format": form, "batch": batch})
            rows += more["arrow"].to_pylist()
        return rows

    def result(self, spec: dict, form: str = "rows") -> list[dict]:
        """Run a query and get its rows."""
        query_id = self.run(spec)
        ended = self.wait(query_id)
        assert ended["query_state"] == "completed", ended
        return self.rows(query_id, form)

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class ServerProcess:
    """A server in a process of its own."""

    def __init__(self, directory: Path, lake: Path, **settings: object) -> None:
        self.port = int(settings.pop("FLOWMACHINE_PORT", 0) or free_port())
        self.python = str(settings.pop("python", sys.executable))
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("FLOW", "CACHE_", "DB_"))},
            "FLOWDB_STORE": str(lake),
            "FLOWMACHINE_PORT": str(self.port),
            "FLOWMACHINE_CACHE_DIR": str(directory / "cache"),
            "FLOWMACHINE_CATALOGUE": f"sqlite:///{directory / 'catalogue.db'}",
            **{name: str(value) for name, value in settings.items()},
        }
        self.process: subprocess.Popen | None = None

    def start(self, wait: bool = True) -> "ServerProcess":
        """Start it, and wait until it answers."""
        with (self.directory / "out.log").open("ab") as out, (self.directory / "err.log").open("ab") as err:
            self.process = subprocess.Popen(
                [self.python, "-m", "flowmachine.server"], env=self.environment, stdout=out, stderr=err
            )
        if wait:
            self.wait_until_up()
        return self

    def wait_until_up(self, seconds: float = 30) -> None:
        """Wait until it answers."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.errors
            wire = Wire(self.port, seconds=0.5)
            try:
                if wire.ask("ping")["msg"] == "pong":
                    return
            except zmq.Again:
                pass
            finally:
                wire.close()
        raise AssertionError("the server does not answer")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it by a signal; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)

    def run_to_end(self, seconds: float = 30) -> tuple[int, str]:
        """Run it until it ends by itself: its exit code and what it said on standard error."""
        done = subprocess.run(
            [sys.executable, "-m", "flowmachine.server"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return done.returncode, done.stderr

    @property
    def errors(self) -> str:
        """What it said on standard error."""
        return (self.directory / "err.log").read_text()

    def ran(self, query_id: str, seconds: float = 5) -> list[dict]:
        """The lines that say how a query ran; the first is waited for."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            lines = [line for line in self.log if line["event"] == "run" and line["query_id"] == query_id]
            if lines:
                return lines
            time.sleep(0.02)
        return []

    @property
    def log(self) -> list[dict]:
        """The lines of its log of questions."""
        return [json.loads(line) for line in (self.directory / "out.log").read_text().splitlines()]


def daily(day: str = "2016-01-01", unit: str = "admin3") -> dict:
    """The spec of a daily location."""
    return {"query_kind": "daily_location", "date": day, "aggregation_unit": unit, "method": "last"}


def people(day: str = "2016-01-01", unit: str = "admin3") -> dict:
    """The spec of how many subscribers were last seen in each unit on a day."""
    return {"query_kind": "spatial_aggregate", "locations": daily(day, unit)}


def moves(before: str = "2016-01-01", after: str = "2016-01-03", unit: str = "admin3") -> dict:
    """The spec of flows between two days."""
    return {"query_kind": "flows", "from_location": daily(before, unit), "to_location": daily(after, unit)}
