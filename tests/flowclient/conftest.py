"""A FlowAPI on loopback that answers what a test tells it to, and both faces of the client."""

import asyncio
import base64
import inspect
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest

import flowclient
from flowclient import async_client, client, exchange

PROGRESS = {"eligible": 2, "queued": 1, "running": 1}


@dataclass
class Answer:
    """One HTTP answer; `fault` breaks it: "drop" sends nothing, "truncate" breaks off in the body."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass
class Asked:
    """One request that the server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class FakeApi:
    """A FlowAPI whose answers are scripted: by method and path, each in turn, the last one for ever."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.asked: list[Asked] = []

    def on(self, method: str, path: str, *answers: Answer) -> None:
        """Script the answers of a path."""
        self.answers[method, path] = list(answers)

    def take(self, method: str, path: str) -> Answer:
        """Return the next answer of a path."""
        scripted = self.answers.get((method, path))
        if not scripted:
            return Answer(404, {"msg": f"nothing at {path}"})
        return scripted.pop(0) if len(scripted) > 1 else scripted[0]

    def paths(self) -> list[str]:
        """Return what was asked, as `METHOD path`."""
        return [f"{asked.method} {asked.path}" for asked in self.asked]

    def has_query(self, query_id: str = "abc", polls: int = 0, rows: Any = None) -> None:
        """Script a query that is ready after some polls."""
        waiting = Answer(202, {"status": "executing", "msg": "", "progress": PROGRESS})
        ready = Answer(303, {"status": "completed"}, {"Location": f"/api/0/get/{query_id}"})
        self.on("POST", "/api/0/run", Answer(202, {"query_id": query_id}, {"Location": f"/api/0/poll/{query_id}"}))
        self.on("GET", f"/api/0/poll/{query_id}", *[waiting] * polls, ready)
        result = {"query_id": query_id, "query_result": [{"pcod": "A", "value": 16}] if rows is None else rows}
        self.on("GET", f"/api/0/get/{query_id}", Answer(200, result))


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeApi]]:
    """A function that starts a FakeApi, with TLS if it is given a context."""
    running = []

    def start(tls: Any = None) -> FakeApi:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length)
                api.asked.append(Asked(self.command, self.path, dict(self.headers), json.loads(raw) if raw else None))
                answer = api.take(self.command, self.path)
                if answer.fault == "drop":
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) + (10 if answer.fault == "truncate" else 0)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = answer.fault == "truncate"

            do_GET = do_POST = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Keep the test's output clean."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients hang up on purpose here; anything else is a fault of the test."""
                if not isinstance(sys.exception(), OSError):
                    super().handle_error(request, client_address)

        server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        api = FakeApi(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        running.append((server, thread))
        return api

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def api(serve: Callable[..., FakeApi]) -> FakeApi:
    """A running FakeApi."""
    return serve()


@pytest.fixture
def answer() -> type[Answer]:
    """The class of scripted answers."""
    return Answer


@pytest.fixture
def make_token() -> Callable[..., str]:
    """A function that makes an (unsigned) token with the given claims."""

    def make(**claims: Any) -> str:
        parts = ({"alg": "RS256", "typ": "JWT"}, claims, {})
        return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts)

    return make


@dataclass
class Face:
    """One face of the client: its functions, and how to get an answer out of them."""

    name: str
    client: ModuleType
    query: type
    runner: asyncio.Runner

    def ask(self, asked: Any) -> Any:
        """Return what was asked for; awaits what the asynchronous face gives."""
        if not inspect.iscoroutine(asked):
            return asked

        async def whole() -> Any:
            return await asked

        return self.runner.run(whole())

    def connect(self, **options: Any) -> Any:
        """Connect over this face."""
        return self.ask(flowclient.connect(**options) if self.name == "sync" else flowclient.connect_async(**options))


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Each face of the client in turn."""
    with asyncio.Runner() as runner:
        if request.param == "sync":
            yield Face("sync", client, flowclient.APIQuery, runner)
        else:
            yield Face("async", async_client, flowclient.ASyncAPIQuery, runner)


@pytest.fixture
def connection(face: Face, api: FakeApi, make_token: Callable[..., str]) -> Iterator[Any]:
    """A connection of the face to the running API."""
    connection = face.connect(url=api.url, token=make_token(sub="ANALYST"))
    yield connection
    face.ask(connection.close())


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "FIRST_RETRY_PAUSE", 0.005)
    monkeypatch.setattr(exchange, "FIRST_POLL_PAUSE", 0.005)
    monkeypatch.setattr(exchange, "LONGEST_POLL_PAUSE", 0.02)
