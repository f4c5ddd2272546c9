"""Running, polling and cancelling queries."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from flowapi import audit, authorisation
from flowapi.backend import Reply
from flowapi.errors import ApiError, JsonResponse
from flowapi.openapi import described
from flowapi.routes.bodies import read_spec
from flowapi.routes.machine import ask, failure, former_data, payload, progress, record, valid
from flowapi.routes.permission import (
    SECURED,
    TOKEN_ERRORS,
    Caller,
    known_query,
    permit,
    refused_scopes,
    unknown_query,
)
from flowkit_jwt_generator import scopes

# A plain Response adds nothing of its own to the description of a route.
router = APIRouter(default_response_class=Response, tags=["Queries"])


@router.post(
    "/api/0/run",
    summary="Run a query.",
    responses=described(
        {202: ("The query runs; poll it at `Location`.", "application/json", "run")}, 400, 413, *TOKEN_ERRORS
    ),
    status_code=202,
    openapi_extra={
        **SECURED,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FlowmachineQuerySchema"}}},
        },
    },
)
async def run_query(request: Request, caller: Caller) -> Response:
    """Run the query in the body; the same query has the same id, and is computed once."""
    spec = await read_spec(request, request.app.state.settings.flowapi_max_body_bytes)
    permit(request, caller, {scopes.RUN})
    checked = _as_seen_by(caller.roles, await ask(request, "get_aggregation_unit", spec))
    kinds, in_subsets = payload(checked, "query_kinds"), payload(checked, "subset_kinds")
    if not checked.ok:
        # What is wrong with a query is for those alone who may run its kinds.
        try:
            authorisation.may_run_kinds(caller.roles, spec["query_kind"], kinds, in_subsets)
        except ApiError as refusal:
            raise refused_scopes(refusal) from None
        valid(checked)
    needed = scopes.query_scopes(payload(checked, "aggregation_unit"), spec["query_kind"], kinds, in_subsets)
    permit(request, caller, {scopes.RUN, *needed})
    audit.query("run_query", query=spec)
    started = await ask(request, "run_query", spec)
    valid(started)
    query_id = payload(started, "query_id")
    record(request).query_id = query_id
    return JsonResponse(
        {"query_id": query_id, "progress": progress(started)},
        status_code=202,
        headers={"Location": f"/api/0/poll/{query_id}"},
    )


def _as_seen_by(roles: authorisation.Roles, checked: Reply) -> Reply:
    """The server's answer to a spec, without what it says about stored queries that the roles may not use.

    A spec may name a stored query by its id. An id of somebody else's query gets the answer of one that does not exist.
    """
    hidden: dict[str, Any] | None = checked.payload.get("without_ids")
    if hidden is None:
        return checked
    if authorisation.roles_together_hold(roles, scopes.subset_scopes(payload(checked, "subset_kinds"))):
        return checked
    return Reply(ok=False, msg=str(hidden.get("msg", "")), payload=hidden)


@router.get(
    "/api/0/poll/{query_id}",
    summary="Ask whether a query is ready.",
    responses=described(
        {
            202: ("The query runs or waits; `progress` counts its parts.", "application/json", "poll"),
            303: (
                "The result is ready at `Location`; `msg` says if it is of days that were withdrawn or replaced since.",
                "application/json",
                "ready",
            ),
        },
        404,
        410,
        *TOKEN_ERRORS,
    ),
    status_code=202,
    openapi_extra=SECURED,
)
async def poll_query(request: Request, caller: Caller, query_id: str) -> Response:
    """Tell the state of a query; needs the query's own scopes only."""
    await known_query(request, caller, query_id)
    audit.query("poll_query", query_id=query_id)
    reply = await ask(request, "poll_query", {"query_id": query_id})
    state = reply.payload.get("query_state")
    match state:
        case "queued" | "executing":
            return JsonResponse({"status": state, "msg": "", "progress": progress(reply)}, status_code=202)
        case "completed":
            note = {"msg": reply.msg} if reply.msg else {}
            headers = {"Location": f"/api/0/get/{query_id}", **former_data(reply)}
            return JsonResponse({"status": state, **note}, status_code=303, headers=headers)
        case "errored" | "cancelled":
            reason = reply.payload.get("error") or reply.msg or f"The query is {state}."
            raise ApiError(500, f"query_{state}", reason, status=state)
        case "known" | "resetting":
            raise ApiError(404, f"query_{state}", "The query is known but was not run; run it.", status=state)
        case "awol":
            raise unknown_query(caller)
        case _:
            raise failure(reply)


@router.post(
    "/api/0/cancel/{query_id}",
    summary="Cancel a query.",
    responses=described(
        {200: ("The state that the query is in now.", "application/json", "cancel")}, 404, 410, *TOKEN_ERRORS
    ),
    openapi_extra=SECURED,
)
async def cancel_query(request: Request, caller: Caller, query_id: str) -> Response:
    """Cancel a waiting or running query; needs what running it needs."""
    await known_query(request, caller, query_id, scopes.RUN)
    audit.query("cancel_query", query_id=query_id)
    reply = await ask(request, "cancel_query", {"query_id": query_id})
    state = reply.payload.get("query_state")
    if state == "awol":
        raise unknown_query(caller)
    if not reply.ok or not isinstance(state, str):
        raise failure(reply)
    return JsonResponse({"query_id": query_id, "status": state})
