"""The `flowauth` command: starts the web application."""

import argparse
import contextlib
import json
import logging
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flowauth.errors import Refused
from flowauth.settings import Settings
from flowkit_base.addresses import is_loopback
from flowkit_base.errors import UserError
from flowkit_base.settings import settings_help

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_HEADERS_BYTES = 65_536
_GRACE_SECONDS = 10
log = logging.getLogger("flowauth.requests")


def main() -> None:
    """Run `python -m flowauth`."""
    parser = argparse.ArgumentParser(
        prog="flowauth",
        description="FlowAuth: people, roles and tokens. `flowkit auth` administers it from the command line.",
        epilog=settings_help(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        serve()
    except UserError as error:
        sys.exit(str(error))


def serve() -> None:
    """Serve until the process receives a signal to stop; raises Refused, in sentences, if it cannot start."""
    settings = Settings.read()
    _write_log_to_stderr(settings.flowauth_log_level)
    # The web framework takes seconds to load on a busy machine; a wrong setting is reported before.
    import uvicorn  # noqa: PLC0415

    with _listener(settings) as listener:
        app = _application(settings)
        config = uvicorn.Config(
            _RequestLog(app),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            # X-Forwarded-For is read by FlowAuth itself, as far as FLOWAUTH_TRUSTED_PROXIES say it.
            proxy_headers=False,
            h11_max_incomplete_event_size=LARGEST_HEADERS_BYTES,
            timeout_keep_alive=65,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        host, port = settings.flowauth_host, listener.getsockname()[1]
        where = f"[{host}]" if ":" in host else host
        print(f"FlowAuth listens on http://{where}:{port}", file=sys.stderr, flush=True)
        _advise(app, settings)
        # uvicorn ends cleanly, and then lets the signal do what it did before.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def _application(settings: Settings) -> "FastAPI":
    from flowauth.app import create_app  # noqa: PLC0415
    from flowauth.services import keys  # noqa: PLC0415

    try:
        app = create_app(settings)
        with app.state.database.read() as session:
            # A Fernet key that is not this database's is reported now, and not by the first token.
            keys.signing(session, app.state.vault)
    except Refused as refused:
        names = {"username": "FLOWAUTH_ADMIN_USERNAME", "password": "FLOWAUTH_ADMIN_PASSWORD"}
        name = names.get(refused.field or "")
        raise Refused(f"{name}: {refused.message}" if name else refused.message) from None
    return app


def _advise(app: "FastAPI", settings: Settings) -> None:
    """Say what is not wrong, but can hardly be meant."""
    import sqlalchemy as sa  # noqa: PLC0415

    from flowauth.tables import User  # noqa: PLC0415

    with app.state.database.read() as session:
        alone = session.scalar(sa.select(User.id).where(User.is_admin).limit(1)) is None
    if alone:
        print(
            "There is no administrator: set FLOWAUTH_ADMIN_USERNAME and FLOWAUTH_ADMIN_PASSWORD, "
            "or run `flowkit auth users add NAME --administrator`.",
            file=sys.stderr,
            flush=True,
        )
    if settings.flowauth_url is None and not is_loopback(settings.flowauth_host):
        print(
            f"FlowAuth listens on {settings.flowauth_host}, but answers people on loopback names alone: "
            "set FLOWAUTH_URL to the address by which they reach it.",
            file=sys.stderr,
            flush=True,
        )


def _listener(settings: Settings) -> socket.socket:
    host, port = settings.flowauth_host, settings.flowauth_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only if the protocol is named; else each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        socket.getaddrinfo(host, port, family=family)
    except OSError:
        raise Refused(
            f"FLOWAUTH_HOST: there is no address '{host}'; give the address of this machine to listen on."
        ) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except PermissionError:
        raise Refused(f"FLOWAUTH_PORT: this user may not listen on port {port}; take one above 1023.") from None
    except OSError as error:
        raise Refused(
            f"FLOWAUTH_PORT: FlowAuth cannot listen on {host} port {port} ({error.strerror}); "
            "stop what uses the port, or set FLOWAUTH_PORT to a free one."
        ) from None
    return listener


class _RequestLog:
    """ASGI middleware that writes a line for each request: neither what was sent nor what was searched for."""

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer one request, and write what became of it."""
        if scope["type"] != "http" or not log.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def log_start(message: "Message") -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, log_start)
        finally:
            # The path as it is declared: what a person asked for may hold a name.
            route = getattr(scope.get("route"), "path", "unmatched")
            facts = {"method": scope["method"], "route": route, "status": status}
            milliseconds = round(1000 * (time.perf_counter() - began), 1)
            log.info("request", extra={"facts": facts | {"milliseconds": milliseconds}})


class _JsonLines(logging.Formatter):
    """A line of JSON for each event."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one event."""
        log_start: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            log_start["exception"] = self.formatException(record.exc_info)
        return json.dumps(log_start, ensure_ascii=False)


def _write_log_to_stderr(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # What libraries say in detail holds what was sent to them.
    root.setLevel(max(logging.WARNING, getattr(logging, level.upper())))
    for name in ("flowauth", "uvicorn"):
        logging.getLogger(name).setLevel(level.upper())


if __name__ == "__main__":
    main()
