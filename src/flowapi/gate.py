"""What every request passes: its number, its record, the one error shape, and no answer without a record."""

import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flowapi import audit
from flowapi.errors import ApiError, error_response
from flowapi.metrics import Metrics

# Probes come every few seconds and reveal nothing about the data; the record is for people's questions.
UNRECORDED = frozenset({"/", "/api/0/health", "/metrics"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class Gate:
    """ASGI middleware around the whole of FlowAPI."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The published client calls //api/0/... when its URL ends with a slash.
        scope["path"] = "/" + scope["path"].lstrip("/")
        client = scope.get("client")
        record = audit.Record(method=scope["method"], path=scope["path"], src_ip=client[0] if client else None)
        scope["flowapi.record"] = record
        mark = audit.current.set(record)
        answer = _Answer(scope, record, send, self._metrics)
        try:
            await self._app(scope, receive, answer.send)
        except ApiError as error:
            await answer.fail(error)
        except ClientDisconnect:
            # Nobody is left to answer; the record says that the request was cut off.
            record.code = "caller_gone"
        except Exception:
            traceback.print_exc(file=sys.stderr)
            await answer.fail(
                ApiError(
                    500,
                    "internal_error",
                    "FlowAPI failed at this request; give the request_id to your administrator, who finds the "
                    "reason in the log.",
                )
            )
        finally:
            try:
                answer.settle()
            finally:
                audit.current.reset(mark)


class StreamAbortedError(Exception):
    """An answer cannot be finished; the connection is cut so that no client takes it for a whole one."""


class _Answer:
    """One answer on its way out: which waits until its record is written."""

    def __init__(self, scope: Scope, record: audit.Record, send: Send, metrics: Metrics) -> None:
        self._scope = scope
        self._record = record
        self._send = send
        self._metrics = metrics
        self._start: MutableMapping[str, Any] | None = None
        self._status = 0
        self._sent = False
        self._settled = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            self._status = message["status"]
            return
        if message["type"] == "http.response.body":
            self._record.sent_bytes += len(message.get("body", b""))
            if not message.get("more_body", False):
                # The record stands before the last byte leaves.
                self._settle("answered")
        await self._release()
        await self._send(message)

    async def fail(self, error: ApiError) -> None:
        if self._sent:
            raise StreamAbortedError from error
        self._settled = isinstance(error, audit.AuditUnavailableError)
        self._record.code = error.code
        self._record.rows = None
        self._record.sent_bytes = 0
        try:
            await error_response(error, self._record.request_id)(self._scope, _nothing, self.send)
        except audit.AuditUnavailableError as unwritten:
            self._settled = True
            await error_response(unwritten, self._record.request_id)(self._scope, _nothing, self.send)

    def settle(self) -> None:
        """Write the record of an answer that did not come to its end."""
        if not self._settled:
            self._settle("aborted")

    def _settle(self, outcome: str) -> None:
        if self._settled:
            return
        route = self._scope.get("route")
        self._record.route = getattr(route, "path", "unmatched")
        if self._record.path not in UNRECORDED:
            audit.whole_request(self._record, self._status, outcome)
        self._settled = True
        self._metrics.count(self._record, self._status, aborted=outcome == "aborted")

    async def _release(self) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            start["headers"] = [
                *start.get("headers", []),
                *_HEADERS,
                (b"x-request-id", self._record.request_id.encode()),
            ]
            self._sent = True
            await self._send(start)


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
