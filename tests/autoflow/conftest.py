"""A small FlowAPI on loopback, and the inputs and settings that tests of AutoFlow share."""

import datetime as dt
import hashlib
import json
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import nbformat
import pytest
import shapely

from autoflow.settings import Settings

TOKEN = jwt.encode({"sub": "analyst", "exp": 4102444800}, "a key of the tests only, long enough for HS256", "HS256")
NAMES = (
    "Saint-Élie|Côte Verte|Åsgård|Haut Plateau|Río Blanco|Maré|Zamboe|"
    "Ōkawa|Puente Viejo|Lac Noir|Třebová|Nové Pole|Grand Île|Bas Delta"
)


@cache
def _country() -> dict[str, dict[str, Any]]:
    """A made-up country: fourteen admin2 units in four admin1 units."""
    rng = random.Random(7)
    angles = [n * 6.2832 / 60 for n in range(60)]
    outline = shapely.Polygon(
        [
            (20 + (3 + rng.uniform(-0.2, 0.2)) * math.cos(a), 5 + (1.7 + rng.uniform(-0.15, 0.15)) * math.sin(a))
            for a in angles
        ]
    )
    points: list[shapely.Point] = []
    while len(points) < 14:
        point = shapely.Point(rng.uniform(17, 23), rng.uniform(3.3, 6.7))
        if outline.contains(point) and all(point.distance(other) > 0.75 for other in points):
            points.append(point)
    cells = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=outline)
    pieces = [shapely.intersection(cell, outline) for cell in shapely.get_parts(cells)]
    units = [
        (f"X {n + 1:02d}", name, piece) for n, (name, piece) in enumerate(zip(NAMES.split("|"), pieces, strict=True))
    ]
    seeds = [(18.3, 5.8), (21.5, 6), (18.7, 4), (21.5, 4.2)]

    def region(piece: shapely.Geometry) -> int:
        return min(range(4), key=lambda n: piece.centroid.distance(shapely.Point(seeds[n])))

    regions = [
        (f"R {n + 1}", name, shapely.union_all([piece for _, _, piece in units if region(piece) == n]))
        for n, name in enumerate(["Nord-Ouest", "Nord-Est", "Sud-Ouest", "Sud-Est"])
    ]
    return {
        unit: {
            "type": "FeatureCollection",
            "features": [
                {
                    "type": "Feature",
                    "properties": {"pcod": pcod, "name": name, "centroid": shapely.geometry.mapping(piece.centroid)},
                    "geometry": shapely.geometry.mapping(piece),
                }
                for pcod, name, piece in features
            ],
        }
        for unit, features in {"admin1": regions, "admin2": units}.items()
    }


class FakeFlowApi:
    """FlowAPI as the client sees it, with flows that are made up but the same each time.

    `dates` may be changed while it runs, and so may the `versions` of days, which it tells if there are any;
    `withhold` makes every result empty; `down` makes it answer 500, `refusing` 401, and `slow` after so many seconds.
    """

    def __init__(self, geography: dict[str, dict[str, Any]] | None = None) -> None:
        self.geography = geography or _country()
        self.dates: dict[str, list[str]] = {}
        self.token = TOKEN
        self.withhold = False
        self.down = False
        self.refusing = False
        self.slow = 0.0
        self.versions: dict[str, dict[str, str]] = {}
        self.requests: list[str] = []
        self._specs: dict[str, dict[str, Any]] = {}
        self._polled: set[str] = set()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def answer(self, code: int, body: Any = None, location: str | None = None) -> None:
                content = json.dumps(body if body is not None else {}).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(content)

            def refused(self) -> bool:
                fake.requests.append(self.path)
                time.sleep(fake.slow)
                if fake.down:
                    self.answer(500, {"msg": "out of order", "status": "error"})
                elif fake.refusing or self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self.answer(401, {"msg": "no token"})
                else:
                    return False
                return True

            def do_POST(self) -> None:
                spec = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.refused():
                    query_id = hashlib.md5(json.dumps(spec, sort_keys=True).encode()).hexdigest()
                    fake._specs[query_id] = spec
                    self.answer(202, {}, f"/api/0/poll/{query_id}")

            def do_GET(self) -> None:
                if self.refused():
                    return
                route, _, last = self.path.removeprefix("/api/0/").partition("/")
                if route == "available_dates":
                    versions = {"versions": fake.versions} if fake.versions else {}
                    self.answer(200, {"available_dates": fake.dates, **versions})
                elif route == "geography" and last in fake.geography:
                    self.answer(200, fake.geography[last])
                elif route == "poll" and last in fake._specs:
                    if last in fake._polled:
                        self.answer(303, {}, f"/api/0/get/{last}")
                    else:
                        fake._polled.add(last)
                        progress = {"eligible": 1, "queued": 0, "running": 1}
                        self.answer(202, {"status": "executing", "msg": "executing", "progress": progress})
                elif route == "get" and last in fake._specs:
                    self.answer(200, {"query_id": last, "query_result": fake.flows(fake._specs[last])})
                else:
                    self.answer(404, {"msg": "no such thing"})

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def flows(self, spec: dict[str, Any]) -> list[dict[str, Any]]:
        """Movements that grow by units and change by day; those of 15 people or fewer are withheld."""
        if self.withhold:
            return []
        inside = json.dumps(spec["to_location"], sort_keys=True)
        unit = "admin1" if '"admin1"' in inside else "admin2"
        pcods = [feature["properties"]["pcod"] for feature in self.geography[unit]["features"]]
        usual, special = random.Random(3), random.Random(inside)
        size = {pcod: usual.lognormvariate(4, 1) for pcod in pcods}
        rise = {pcod: special.lognormvariate(0, 0.35) for pcod in pcods}
        rows = []
        for pcod_from in pcods:
            for pcod_to in pcods:
                mean = (
                    size[pcod_from] * size[pcod_to] / 60 * usual.uniform(0.1, 1) * (20 if pcod_from == pcod_to else 1)
                )
                value = round(mean * rise[pcod_to] * special.uniform(0.9, 1.1))
                if value > 15:
                    rows.append({"pcod_from": pcod_from, "pcod_to": pcod_to, "value": value})
        return rows


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to come to pass, and give it; the test fails where it does not in so many seconds."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.05)
    return found


def days(first: str, number: int) -> list[str]:
    start = dt.date.fromisoformat(first)
    return [(start + dt.timedelta(days=n)).isoformat() for n in range(number)]


@pytest.fixture(scope="session", autouse=True)
def _compiled_modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let kernels keep compiled modules where the environment forbids it: each would compile pandas again."""
    with pytest.MonkeyPatch.context() as environment:
        if os.environ.get("PYTHONDONTWRITEBYTECODE"):
            environment.delenv("PYTHONDONTWRITEBYTECODE")
            environment.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))
        yield


@pytest.fixture
def flowapi() -> Iterator[FakeFlowApi]:
    """A FlowAPI with the calls of seven days and the texts of five."""
    server = FakeFlowApi()
    server.dates = {"calls": days("2016-01-01", 7), "sms": days("2016-01-01", 5)}
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Path, flowapi: FakeFlowApi) -> Settings:
    """Settings with empty inputs and outputs, quick to retry and with room for two notebooks."""
    (tmp_path / "inputs").mkdir()
    return Settings(
        flowapi_url=flowapi.url,
        flowapi_token=TOKEN,
        autoflow_inputs_dir=tmp_path / "inputs",
        autoflow_outputs_dir=tmp_path / "outputs",
        autoflow_retry_delay=0,
    )


@pytest.fixture
def write_notebook(settings: Settings) -> Callable[..., Path]:
    """Write a notebook of code cells into the inputs; the first is tagged `parameters`. Text after '# ' is markdown."""

    def write(name: str, *cells: str) -> Path:
        book = nbformat.v4.new_notebook(
            metadata={"kernelspec": {"name": "python3", "language": "python", "display_name": "Python"}}
        )
        for n, cell in enumerate(cells):
            make = nbformat.v4.new_markdown_cell if cell.startswith("# ") else nbformat.v4.new_code_cell
            book.cells.append(make(cell, metadata={"tags": ["parameters"]} if n == 0 else {}))
        path = settings.autoflow_inputs_dir / name
        nbformat.write(book, path)
        return path

    return write


@pytest.fixture
def write_workflows(settings: Settings) -> Callable[[str], Path]:
    """Write workflows.yml into the inputs."""

    def write(text: str) -> Path:
        path = settings.autoflow_inputs_dir / "workflows.yml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def token() -> str:
    """The token that the fake FlowAPI takes."""
    return TOKEN


@pytest.fixture(scope="session")
def fake_flowapi() -> Callable[[], FakeFlowApi]:
    """A way to start another FlowAPI, for tests that outlive a single function."""
    return FakeFlowApi
