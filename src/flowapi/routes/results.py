"""Results, streamed in each format."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from flowapi import audit
from flowapi.backend import Reply
from flowapi.errors import ApiError, JsonResponse
from flowapi.formats import FORMATS, Format, batches_of
from flowapi.openapi import described
from flowapi.routes.machine import FORMER_DATA, WITHDRAWN, ask, failure, former_data, record
from flowapi.routes.permission import SECURED, TOKEN_ERRORS, Caller, known_query, permit, unknown_query
from flowkit_jwt_generator import scopes
from flowkit_jwt_generator.jwt import Claims

# The route checks it and names the choices; FastAPI only describes them.
_FileType = Annotated[str, Path(json_schema_extra={"enum": list(FORMATS)})]

router = APIRouter(default_response_class=Response, tags=["Queries"])

_RESULT_HEADERS = {
    FORMER_DATA: {
        "description": "Which days of the result were withdrawn or replaced since, if any (FLOWMACHINE_HISTORY).",
        "schema": {"type": "string"},
    }
}
_RESULT_ANSWERS = described(
    {
        200: ("The result, streamed.", "application/json", "result"),
        202: ("The query is not ready yet.", "application/json", "nothing"),
    },
    400,
    404,
    410,
    *TOKEN_ERRORS,
)


@router.get(
    "/api/0/get/{query_id}.{filetype}",
    summary="Fetch a result as json, csv, geojson, arrow or parquet.",
    responses={
        **_RESULT_ANSWERS,
        200: {
            "description": "The result, streamed.",
            "headers": _RESULT_HEADERS,
            "content": {form.media_type.partition(";")[0]: {} for form in FORMATS.values()},
        },
    },
    openapi_extra=SECURED,
)
async def get_result_as(request: Request, caller: Caller, query_id: str, filetype: _FileType) -> Response:
    """Stream the result of a query; geojson needs the scope of the unit's geography as well."""
    form = FORMATS.get(filetype)
    if form is None:
        raise ApiError(
            400,
            "filetype_unknown",
            f"Results cannot be had as '{filetype[:20]}'. Must be one of: {', '.join(FORMATS)}.",
        )
    unit = await known_query(request, caller, query_id, scopes.GET_RESULT)
    if form.source == "geo":
        if unit is None:
            raise ApiError(403, "query_without_geometry", "This query has no geometry; fetch it as json or csv.")
        permit(request, caller, {scopes.GET_RESULT, scopes.geography_scope(unit)})
    audit.query("get_result", query_id=query_id, filetype=filetype)
    params = {"query_id": query_id, "format": form.source}
    first = await ask(request, "get_result", {**params, "batch": 0})
    state = first.payload.get("query_state")
    if not first.ok or state != "completed":
        return _unready_result(first, state, caller)
    return await stream(
        request, form, "get_result", params, first, query_id=query_id, filename=f"{query_id}.{filetype}"
    )


@router.get(
    "/api/0/get/{query_id}",
    summary="Fetch a result as JSON.",
    responses=_RESULT_ANSWERS,
    openapi_extra=SECURED,
)
async def get_result(request: Request, caller: Caller, query_id: str) -> Response:
    """Stream the result of a query as JSON."""
    return await get_result_as(request, caller, query_id, "json")


def _unready_result(reply: Reply, state: Any, caller: Claims) -> Response:
    match state:
        case "queued" | "executing":
            return JsonResponse({}, status_code=202)
        case "errored":
            raise ApiError(403, "query_errored", reply.msg or "The query failed.", status=state)
        case "awol":
            raise unknown_query(caller)
        case "known":
            raise ApiError(404, "query_known", "The query is known but was not run; run it.", status=state)
        case str() if state != WITHDRAWN:
            raise ApiError(500, f"query_{state}", reply.msg or f"The query is {state}.", status=state)
        case _:
            raise failure(reply)


async def stream(
    request: Request,
    form: Format,
    action: str,
    params: Mapping[str, Any],
    first: Reply,
    *,
    query_id: str,
    filename: str,
) -> Response:
    """Send a result batch by batch; only one batch is in memory."""
    current = record(request)
    current.rows = 0
    batches = int(first.payload.get("batches", 1))

    async def chunks() -> AsyncIterator[bytes]:
        schema, rows = await asyncio.to_thread(_decoded, first)
        writer = await asyncio.to_thread(form.writer, query_id, schema)
        yield await asyncio.to_thread(writer.begin)
        for number in range(batches):
            if number:
                reply = await ask(request, action, {**params, "batch": number})
                if not reply.ok or reply.payload.get("query_state") != "completed":
                    raise failure(reply)
                later, rows = await asyncio.to_thread(_decoded, reply)
                if later != schema:
                    raise ApiError(500, "result_changed", "The result changed while it was being sent.")
            for batch in rows:
                text = await asyncio.to_thread(writer.rows, batch)
                current.rows = (current.rows or 0) + batch.num_rows
                if text:
                    yield text
        yield await asyncio.to_thread(writer.end)

    return StreamingResponse(
        chunks(),
        media_type=form.media_type,
        headers={"Content-Disposition": f"attachment;filename={filename}", **former_data(first)},
    )


def _decoded(reply: Reply) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    if reply.arrow is None:
        raise ApiError(500, "backend_answer_unreadable", "The FlowMachine server sent a result without rows.")
    return batches_of(reply.arrow)
