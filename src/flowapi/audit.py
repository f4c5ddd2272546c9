"""The audit record: JSON lines on standard output; a request whose record cannot be written is refused."""

import os
import sys
import time
import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import structlog

from flowapi.errors import ApiError

current: ContextVar["Record | None"] = ContextVar("flowapi_record", default=None)


@dataclass
class Record:
    """What the audit record says of one request; filled while the request is answered."""

    method: str
    path: str
    src_ip: str | None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: float = field(default_factory=time.perf_counter)
    route: str = "unmatched"
    user: str | None = None
    token_id: str | None = None
    roles: set[str] = field(default_factory=set)
    scopes: set[str] = field(default_factory=set)
    query_id: str | None = None
    code: str | None = None
    rows: int | None = None
    sent_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since the request came in."""
        return time.perf_counter() - self.started


class AuditUnavailableError(ApiError):
    """The audit record cannot be written."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "audit_unavailable",
            "The request is refused because its audit record cannot be written; tell your administrator "
            "to check where FlowAPI's standard output goes (a full disk, a closed pipe).",
        )


def access(event: str, *, level: str = "info", **values: Any) -> None:
    """Write a line about who asks (logger flowapi.access)."""
    _write("flowapi.access", level, event, values)


def query(event: str, **values: Any) -> None:
    """Write a line about a query or a fetch (logger flowapi.query)."""
    _write("flowapi.query", "info", event, values)


def granted(record: Record, scopes: Iterable[str], roles: Iterable[str]) -> None:
    """Write that roles grant scopes, and remember both for the line of the whole request."""
    needed, by = sorted(scopes), sorted(roles)
    record.scopes.update(needed)
    record.roles.update(by)
    access("permission granted", requested_scopes=needed, granting_roles=by)


def whole_request(record: Record, http_status: int, outcome: str) -> None:
    """Write the one line that says how a request went: "answered", or "aborted" before its end."""
    query(
        "request",
        method=record.method,
        route=record.route,
        token_id=record.token_id,
        roles=sorted(record.roles),
        scopes=sorted(record.scopes),
        query_id=record.query_id,
        status=http_status,
        code=record.code,
        outcome=outcome,
        rows=record.rows,
        bytes=record.sent_bytes,
        seconds=round(record.seconds, 6),
    )


_stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
_render = structlog.processors.JSONRenderer(sort_keys=True)


def _write(logger: str, level: str, event: str, values: dict[str, Any]) -> None:
    line: dict[str, Any] = {"event": event, "level": level, "logger": logger, **values}
    record = current.get()
    if record is not None:
        line["request"] = {
            "request_id": record.request_id,
            "path": record.path,
            "src_ip": record.src_ip,
            "user": record.user,
        }
    global _torn  # noqa: PLW0603  # the state of standard output, of which a process has one
    # One write of a whole line: lines of requests that run at once never mix.
    text = (str(_render(None, level, _stamp(None, level, line))) + "\n").encode()
    # After a line that a full disk cut short, the next one begins on a line of its own.
    content = b"\n" + text if _torn else text
    written = 0
    try:
        output = sys.stdout.fileno()
        while written < len(content):
            written += os.write(output, content[written:])
    except (OSError, ValueError) as error:
        _torn = _torn if written == 0 else True
        raise AuditUnavailableError from error
    _torn = False


_torn = False
"""Whether the last line of standard output is half a record."""
