"""What the routes ask the FlowMachine server, and what its answers mean over HTTP."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from flowapi import audit
from flowapi.backend import Backend, Reply
from flowapi.errors import ApiError


def record(request: Request) -> audit.Record:
    """The audit record of a request."""
    return request.scope["flowapi.record"]


async def ask(request: Request, action: str, params: Mapping[str, Any], *, timeout: float | None = None) -> Reply:
    """The FlowMachine server's answer to an action; ApiError where it gives none."""
    backend: Backend = request.app.state.backend
    return await backend.ask(action, params, request_id=record(request).request_id, timeout=timeout)


def valid(reply: Reply) -> None:
    """Raise ApiError 400 if the server calls parameters wrong, with what is wrong with each."""
    if reply.ok:
        return
    fields = reply.payload.get("validation_error_messages")
    if fields is None and "query_state" not in reply.payload:
        fields = {name: value for name, value in reply.payload.items() if name != "params"}
    if not fields:
        raise failure(reply)
    raise ApiError(400, "parameters_invalid", _with_choices(reply.msg, fields), fields=fields)


def _with_choices(msg: str, fields: Any) -> str:
    """Repeat in the message what is wrong with each field, where the server's message leaves it out."""
    if not isinstance(fields, dict):
        return msg
    texts = [
        f"{path}: {text}"
        for path, messages in fields.items()
        for text in (messages if isinstance(messages, list) else [messages])
        if str(text) not in msg
    ]
    return " ".join([msg, *texts]).strip()


def failure(reply: Reply) -> ApiError:
    """The error of an answer that says that something failed; 410 where days of the result were withdrawn."""
    if reply.payload.get("query_state") == WITHDRAWN:
        return ApiError(410, "query_withdrawn", reply.msg, status=WITHDRAWN)
    return ApiError(500, "backend_error", reply.msg or "The FlowMachine server failed without a reason.")


WITHDRAWN = "withdrawn"
"""The state of a result some of whose days were withdrawn or replaced since."""


FORMER_DATA = "FlowKit-Former-Data"
"""The header of a result that is given though days of it were withdrawn or replaced since: which, in a sentence."""


def former_data(reply: Reply) -> dict[str, str]:
    """The header that marks a result of former data; none where its days are as they were."""
    # A header is one line of ASCII.
    note = " ".join(reply.msg.split()).encode("ascii", "replace").decode()
    return {FORMER_DATA: note} if note and reply.ok and reply.payload.get("query_state") == "completed" else {}


def payload(reply: Reply, name: str) -> Any:
    """A part of an answer; ApiError 500 if it is absent."""
    # A part that permissions are computed from must never count as empty because it is absent.
    if name not in reply.payload:
        raise ApiError(500, "backend_answer_unreadable", f"The FlowMachine server gave an answer without '{name}'.")
    return reply.payload[name]


def progress(reply: Reply) -> dict[str, int]:
    """How many stored tables a query still needs, and how many of them wait and run."""
    counts = reply.payload.get("progress", {})
    return {name: int(counts.get(name, 0)) for name in ("eligible", "queued", "running")}
