"""FlowAPI's HTTP server: uvicorn, with limits that fit large tokens and one form of error."""

import asyncio
import errno
import json
import math
import resource
import signal
import socket
import sys
from http import HTTPStatus
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from flowapi.settings import Settings

# A token with every scope takes 6 kB; two of the largest roles still fit.
LARGEST_HEADERS_BYTES = 65_536
SPARE_FILES = 128
"""Open files that are left for all but connections of callers."""


def serve(app: FastAPI, settings: Settings, listener: socket.socket) -> None:
    """Serve the application on a listening socket until the process is stopped."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(settings.flowapi_max_connections, max(files - SPARE_FILES, 16))
    seconds = settings.flowapi_request_seconds

    class LimitedProtocol(JsonProtocol):
        most_connections = most
        request_seconds = seconds

    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        log_level=settings.flowapi_log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=LARGEST_HEADERS_BYTES,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=10,
        ssl_certfile=settings.flowapi_tls_cert if settings.tls else None,
        ssl_keyfile=settings.flowapi_tls_key if settings.tls else None,
    )
    try:
        config.load()
    except OSError as error:
        sys.exit(f"FLOWAPI_TLS_CERT and FLOWAPI_TLS_KEY cannot be used ({error}); give a PEM pair that fits.")
    port = listener.getsockname()[1]
    scheme = "https" if settings.tls else "http"
    host = f"[{settings.flowapi_host}]" if ":" in settings.flowapi_host else settings.flowapi_host
    print(f"FlowAPI listens on {scheme}://{host}:{port}", file=sys.stderr, flush=True)
    if not settings.tls:
        print(
            "FlowAPI speaks plain HTTP; set FLOWAPI_TLS_CERT and FLOWAPI_TLS_KEY, or put a TLS proxy before it.",
            file=sys.stderr,
            flush=True,
        )
    # uvicorn raises the signal that stopped it again once all is closed: an ordered stop is a success.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    _Server(config).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn, which says once a minute that it may open no more files, and not at each try."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().set_exception_handler(self._say)
        await super().startup(sockets)

    _said = -math.inf

    def _say(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)):
            loop.default_exception_handler(context)
        elif loop.time() - self._said > 60:
            self._said = loop.time()
            print(
                "FlowAPI may open no more files, so new connections wait: raise the limit (ulimit -n), or lower "
                "FLOWAPI_MAX_CONNECTIONS.",
                file=sys.stderr,
                flush=True,
            )


class JsonProtocol(H11Protocol):
    """HTTP/1.1 with limits, whose answer to what is not HTTP has the form of every other error.

    At most `most_connections` are open at once; more are closed at once, for idle ones would keep everybody out. A
    request must be complete, head and body, within `request_seconds` of the connection or of its first byte.
    """

    most_connections = 1000
    request_seconds = 30.0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        if len(self.connections) >= self.most_connections:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come, and stop the clock when the request is complete."""
        super().data_received(data)
        if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._expect_request()
        else:
            self._expect_nothing()

    def on_response_complete(self) -> None:
        """Wait for the next request: the time between two is limited by the keep-alive time."""
        super().on_response_complete()
        self._expect_nothing()

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self._too_late)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read, and close the connection."""
        body = json.dumps({"msg": f"The request cannot be read: {msg}", "status": "error", "code": "http_invalid"})
        status = HTTPStatus.BAD_REQUEST
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode())
        self.transport.close()
