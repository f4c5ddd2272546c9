"""The routes of FlowAPI."""

import asyncio
import datetime
import json
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from flowapi import audit, authorisation, openapi
from flowapi.backend import Backend, Reply
from flowapi.errors import ApiError, JsonResponse
from flowapi.formats import FORMATS, Format, batches_of
from flowapi.metrics import MEDIA_TYPE, Metrics
from flowapi.openapi import described
from flowapi.revocations import RevokedError, Trust, UntrustedError
from flowapi.settings import Settings
from flowkit_jwt_generator import scopes
from flowkit_jwt_generator.jwt import Claims, TokenError

DEEPEST_SPEC = 40
_QUERY_ID = re.compile(r"[0-9a-f]{32}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

_SECURED: dict[str, Any] = {"security": [{"token": []}]}
_TOKEN_ERRORS = (401, 403, 422, 500, 503)

# A plain Response adds nothing of its own to the description of a route.
router = APIRouter(default_response_class=Response)


async def _caller(request: Request) -> Claims:
    record = _record(request)
    header = request.headers.get("authorization")
    if header is None:
        raise _refused_token("UNAUTHORISED", 401, "token_absent", "Missing Authorization Header")
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise _refused_token(
            "INVALID_TOKEN",
            422,
            "token_header",
            "Bad Authorization header. Expected value 'Bearer <JWT>'",
        )
    try:
        claims = await _trust(request).verify(token.strip())
    except UntrustedError as doubt:
        audit.access("UNAUTHORISED", level="error", json_payload={"msg": str(doubt), "code": doubt.code})
        raise ApiError(503, doubt.code, str(doubt)) from None
    except RevokedError as revoked:
        record.user, record.token_id = revoked.claims.subject, revoked.claims.token_id
        raise _refused_token("REVOKED_TOKEN", 401, "token_revoked", str(revoked), jti=revoked.claims.token_id) from None
    except TokenError as error:
        if error.code == "token_expired":
            raise _refused_token("EXPIRED_TOKEN", 401, error.code, error.message) from None
        raise _refused_token("INVALID_TOKEN", 422, error.code, error.message) from None
    record.user = claims.subject
    record.token_id = claims.token_id
    audit.access(
        "loaded user", roles=sorted(claims.roles), token_id=claims.token_id, expires=claims.expires.isoformat()
    )
    return claims


Caller = Annotated[Claims, Depends(_caller)]


def _refused_token(event: str, http_status: int, code: str, msg: str, **told: str | None) -> ApiError:
    audit.access(event, level="error", json_payload={"msg": msg, "code": code, **told})
    return ApiError(http_status, code, msg, headers={"WWW-Authenticate": "Bearer"} if http_status == 401 else None)


def _permit(request: Request, caller: Claims, needed: Iterable[str]) -> None:
    required = frozenset(needed)
    try:
        roles = authorisation.granting_roles(caller.roles, required)
    except ApiError as refusal:
        raise _refused_scopes(refusal) from None
    audit.granted(_record(request), required, roles)


def _refused_scopes(refusal: ApiError) -> ApiError:
    audit.access("CLAIMS_VERIFICATION_FAILED", level="error", json_payload={"msg": refusal.msg, **refusal.extra})
    return refusal


# ---- queries


@router.post(
    "/api/0/run",
    summary="Run a query.",
    responses=described(
        {202: ("The query runs; poll it at `Location`.", "application/json", "run")}, 400, 413, *_TOKEN_ERRORS
    ),
    status_code=202,
    openapi_extra={
        **_SECURED,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FlowmachineQuerySchema"}}},
        },
    },
)
async def run_query(request: Request, caller: Caller) -> Response:
    """Run the query in the body; the same query has the same id, and is computed once."""
    spec = await _spec(request)
    top_kind = spec["query_kind"]
    try:
        authorisation.may_run_kinds(
            caller.roles, top_kind, authorisation.query_kinds(spec), authorisation.subset_kinds(spec)
        )
    except ApiError as refusal:
        raise _refused_scopes(refusal) from None
    checked = await _ask(request, "get_aggregation_unit", spec)
    _valid(checked)
    needed = scopes.query_scopes(
        _payload(checked, "aggregation_unit"),
        top_kind,
        {*authorisation.query_kinds(spec), *_payload(checked, "query_kinds")},
        {*authorisation.subset_kinds(spec), *_payload(checked, "subset_kinds")},
    )
    _permit(request, caller, {scopes.RUN, *needed})
    audit.query("run_query", query=spec)
    started = await _ask(request, "run_query", spec)
    _valid(started)
    query_id = _payload(started, "query_id")
    _record(request).query_id = query_id
    return JsonResponse(
        {"query_id": query_id, "progress": _progress(started)},
        status_code=202,
        headers={"Location": f"/api/0/poll/{query_id}"},
    )


@router.get(
    "/api/0/poll/{query_id}",
    summary="Ask whether a query is ready.",
    responses=described(
        {
            202: ("The query runs or waits; `progress` counts its parts.", "application/json", "poll"),
            303: ("The result is ready at `Location`.", "application/json", "ready"),
        },
        404,
        410,
        *_TOKEN_ERRORS,
    ),
    status_code=202,
    openapi_extra=_SECURED,
)
async def poll_query(request: Request, caller: Caller, query_id: str) -> Response:
    """Tell the state of a query; needs the query's own scopes only."""
    await _known_query(request, caller, query_id)
    audit.query("poll_query", query_id=query_id)
    reply = await _ask(request, "poll_query", {"query_id": query_id})
    state = reply.payload.get("query_state")
    if state in {"queued", "executing"}:
        return JsonResponse({"status": state, "msg": "", "progress": _progress(reply)}, status_code=202)
    if state == "completed":
        return JsonResponse({"status": state}, status_code=303, headers={"Location": f"/api/0/get/{query_id}"})
    if state in {"errored", "cancelled"}:
        raise ApiError(
            500,
            f"query_{state}",
            reply.payload.get("error") or reply.msg or f"The query is {state}.",
            status=state,
        )
    if state in {"known", "resetting"}:
        raise ApiError(404, f"query_{state}", "The query is known but was not run; run it.", status=state)
    if state == "withdrawn":
        raise _withdrawn(reply)
    if state == "awol":
        raise _unknown_query(caller)
    raise _backend_failure(reply)


_RESULT_ANSWERS = described(
    {
        200: ("The result, streamed.", "application/json", "result"),
        202: ("The query is not ready yet.", "application/json", "nothing"),
    },
    400,
    404,
    410,
    *_TOKEN_ERRORS,
)


@router.get(
    "/api/0/get/{query_id}.{filetype}",
    summary="Fetch a result as json, csv, geojson, arrow or parquet.",
    responses={
        **_RESULT_ANSWERS,
        200: {
            "description": "The result, streamed.",
            "content": {form.media_type.partition(";")[0]: {} for form in FORMATS.values()},
        },
    },
    openapi_extra=_SECURED,
)
async def get_result_as(request: Request, caller: Caller, query_id: str, filetype: str) -> Response:
    """Stream the result of a query; geojson needs the scope of the unit's geography as well."""
    form = FORMATS.get(filetype)
    if form is None:
        raise ApiError(
            400,
            "filetype_unknown",
            f"Results cannot be had as '{filetype[:20]}'. Must be one of: {', '.join(FORMATS)}.",
        )
    unit = await _known_query(request, caller, query_id, scopes.GET_RESULT)
    if form.source == "geo":
        if unit is None:
            raise ApiError(403, "query_without_geometry", "This query has no geometry; fetch it as json or csv.")
        _permit(request, caller, {scopes.GET_RESULT, scopes.geography_scope(unit)})
    audit.query("get_result", query_id=query_id, filetype=filetype)
    params = {"query_id": query_id, "format": form.source}
    first = await _ask(request, "get_result", {**params, "batch": 0})
    state = first.payload.get("query_state")
    if not first.ok or state != "completed":
        return _unready_result(first, state, caller)
    return await _stream(
        request, form, "get_result", params, first, query_id=query_id, filename=f"{query_id}.{filetype}"
    )


@router.get(
    "/api/0/get/{query_id}",
    summary="Fetch a result as JSON.",
    responses=_RESULT_ANSWERS,
    openapi_extra=_SECURED,
)
async def get_result(request: Request, caller: Caller, query_id: str) -> Response:
    """Stream the result of a query as JSON."""
    return await get_result_as(request, caller, query_id, "json")


@router.post(
    "/api/0/cancel/{query_id}",
    summary="Cancel a query.",
    responses=described(
        {200: ("The state that the query is in now.", "application/json", "cancel")}, 404, *_TOKEN_ERRORS
    ),
    openapi_extra=_SECURED,
)
async def cancel_query(request: Request, caller: Caller, query_id: str) -> Response:
    """Cancel a waiting or running query; needs what running it needs."""
    await _known_query(request, caller, query_id, scopes.RUN)
    audit.query("cancel_query", query_id=query_id)
    reply = await _ask(request, "cancel_query", {"query_id": query_id})
    state = reply.payload.get("query_state")
    if state == "awol":
        raise _unknown_query(caller)
    if not reply.ok or not isinstance(state, str):
        raise _backend_failure(reply)
    return JsonResponse({"query_id": query_id, "status": state})


# ---- what else there is to know


@router.get(
    "/api/0/available_dates",
    summary="List the days of data.",
    responses=described(
        {200: ("Event type to its days, sorted, and to the version of each.", "application/json", "dates")},
        *_TOKEN_ERRORS,
    ),
    openapi_extra=_SECURED,
)
async def get_available_dates(request: Request, caller: Caller) -> Response:
    """List the days that each type of event has data for; a day's version changes when the day is corrected."""
    _permit(request, caller, {scopes.GET_DATES})
    audit.query("get_available_dates")
    reply = await _ask(request, "get_available_dates", {})
    if not reply.ok:
        raise _backend_failure(reply)
    answer = {"available_dates": reply.payload}
    versions = await _ask(request, "get_day_versions", {})
    # A FlowMachine server of FlowKit's does not know of versions: its days are told without.
    if versions.ok:
        # A day may have come or gone between the two answers: it is told of in both places or in none.
        answer["versions"] = {
            event_type: {day: versions.payload[event_type][day] for day in days if day in versions.payload[event_type]}
            for event_type, days in reply.payload.items()
            if event_type in versions.payload
        }
    return JsonResponse(answer)


@router.get(
    "/api/0/geography/{aggregation_unit}",
    summary="Fetch the boundaries of a unit.",
    responses=described({200: ("A FeatureCollection in WGS84.", "application/geo+json", "map")}, 400, *_TOKEN_ERRORS),
    openapi_extra=_SECURED,
)
async def get_geography(request: Request, caller: Caller, aggregation_unit: str) -> Response:
    """Stream the places of a unit as GeoJSON."""
    _permit(request, caller, {scopes.GET_RESULT, scopes.geography_scope(aggregation_unit)})
    audit.query("get_geography", aggregation_unit=aggregation_unit)
    params = {"aggregation_unit": aggregation_unit}
    first = await _ask(request, "get_geography", {**params, "batch": 0})
    _valid(first)
    return await _stream(
        request, FORMATS["geojson"], "get_geography", params, first, query_id="", filename=f"{aggregation_unit}.geojson"
    )


@router.get("/api/0/qa", include_in_schema=False)
@router.get(
    "/api/0/qa/",
    summary="List the quality checks.",
    responses=described({200: ("The checks of each event type.", "application/json", "qa_list")}, *_TOKEN_ERRORS),
    openapi_extra=_SECURED,
)
async def list_qa_checks(request: Request, caller: Caller) -> Response:
    """List the quality checks that have outcomes."""
    _permit(request, caller, {scopes.GET_CHECKS})
    audit.query("list_qa_checks")
    reply = await _ask(request, "list_qa_checks", {})
    if not reply.ok:
        raise _backend_failure(reply)
    return JsonResponse(reply.payload.get("available_qa_checks", []))


@router.get(
    "/api/0/qa/{cdr_type}/{check_id}",
    summary="Fetch the outcomes of a quality check in a range of days.",
    responses=described({200: ("One outcome a day.", "application/json", "qa_range")}, 400, 404, *_TOKEN_ERRORS),
    openapi_extra={
        **_SECURED,
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": True,
                "description": f"{text} day, inclusive.",
                "schema": {"type": "string", "format": "date"},
            }
            for name, text in (("start_date", "First"), ("end_date", "Last"))
        ],
    },
)
async def get_qa_range(request: Request, caller: Caller, cdr_type: str, check_id: str) -> Response:
    """List the outcomes of a check, from `start_date` to `end_date`, both included."""
    _permit(request, caller, {scopes.GET_CHECKS})
    start, end = (_day(request.query_params.get(name), name) for name in ("start_date", "end_date"))
    if start > end:
        raise _bad_day(f"start_date {start} is after end_date {end}; swap them.")
    return JsonResponse(await _qa_checks(request, cdr_type, check_id, start, end))


@router.get(
    "/api/0/qa/{cdr_type}/{check_id}/{check_date}",
    summary="Fetch the outcome of a quality check on a day.",
    responses=described({200: ("The outcome alone.", "text/plain", "text")}, 400, 404, *_TOKEN_ERRORS),
    openapi_extra=_SECURED,
)
async def get_qa_day(request: Request, caller: Caller, cdr_type: str, check_id: str, check_date: str) -> Response:
    """Tell the outcome of a check on one day, as bare text."""
    _permit(request, caller, {scopes.GET_CHECKS})
    day = _day(check_date, "the date in the path")
    checks = await _qa_checks(request, cdr_type, check_id, day, day)
    return Response(str(checks[0].get("outcome", "")), media_type="text/plain")


# ---- about the server


@router.get("/", include_in_schema=False)
async def root() -> Response:
    """Answer that something is here."""
    return Response()


@router.get(
    "/api/0/health",
    summary="Tell whether FlowAPI and FlowMachine answer.",
    responses=described({200: ("Both answer.", "application/json", "health")}, 503),
)
async def health(request: Request) -> Response:
    """Ask the FlowMachine server for a sign of life, and tell of the keys and the revocation list."""
    if doubts := _trust(request).doubts():
        raise ApiError(503, doubts.code, str(doubts), tokens=_trust(request).told())
    reply = await _ask(request, "ping", {}, timeout=min(3.0, _settings(request).flowapi_backend_timeout))
    if not reply.ok:
        raise _backend_failure(reply)
    return JsonResponse({"status": "ok", "version": openapi.version(), "tokens": _trust(request).told()})


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Write the metrics for Prometheus."""
    counted: Metrics = request.app.state.metrics
    return Response(counted.page(), media_type=MEDIA_TYPE)


@router.get(
    "/api/0/spec/openapi.json",
    summary="Describe this server as JSON.",
    responses=described({200: ("This description.", "application/json", "any")}, 500, 503),
)
async def openapi_json(request: Request) -> Response:
    """Describe the routes, the queries and the scopes of this server."""
    described = await _document(request)
    return _tagged(request, described.body, described.etag, "application/json")


@router.get(
    "/api/0/spec/openapi.yaml",
    summary="Describe this server as YAML.",
    responses=described({200: ("This description.", "application/yaml", "any")}, 500, 503),
)
async def openapi_yaml(request: Request) -> Response:
    """Describe the routes, the queries and the scopes of this server."""
    described = await _document(request)
    text = await asyncio.to_thread(openapi.as_yaml, described.body)
    return _tagged(request, text, described.etag.replace('"', '"y', 1), "application/yaml")


@router.get("/api/0/spec/redoc", include_in_schema=False)
async def redoc() -> Response:
    """Show the description of this server to people."""
    return Response(
        openapi.redoc_page(),
        media_type="text/html",
        headers={"Content-Security-Policy": openapi.CONTENT_SECURITY_POLICY},
    )


@router.get("/api/0/spec/assets/{name}", include_in_schema=False)
async def redoc_asset(name: str) -> Response:
    """Send a file that the ReDoc page loads."""
    found = await asyncio.to_thread(openapi.asset, name)
    if found is None:
        raise ApiError(404, "no_such_path", "There is no such file.")
    content, media_type = found
    return Response(content, media_type=media_type, headers={"Cache-Control": "max-age=3600"})


# ---- what the routes share


def _record(request: Request) -> audit.Record:
    return request.scope["flowapi.record"]


def _trust(request: Request) -> Trust:
    return request.app.state.trust


def _settings(request: Request) -> Settings:
    return request.app.state.settings


async def _ask(request: Request, action: str, params: Mapping[str, Any], *, timeout: float | None = None) -> Reply:
    backend: Backend = request.app.state.backend
    return await backend.ask(action, params, request_id=_record(request).request_id, timeout=timeout)


async def _spec(request: Request) -> dict[str, Any]:
    text = await _body(request, _settings(request).flowapi_max_body_bytes)
    try:
        spec = json.loads(text.decode(), parse_constant=_no_constant)
        _shallow(spec)
    except RecursionError:
        raise _bad_spec(f"It is nested more than {DEEPEST_SPEC} levels deep.") from None
    except ValueError as error:
        raise _bad_spec(f"{error}.".replace("..", ".")) from None
    if not isinstance(spec, dict) or not isinstance(spec.get("query_kind"), str):
        raise _bad_spec("Send a JSON object that names its query_kind at the top level.")
    return spec


def _bad_spec(reason: str) -> ApiError:
    return ApiError(400, "spec_unreadable", f"Could not parse query spec. {reason}")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _shallow(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST_SPEC):
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
        if not level:
            return
    raise RecursionError


async def _body(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = int(request.headers.get("content-length", "0"))
    if size <= limit:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                break
            parts.append(part)
    if size > limit:
        raise ApiError(
            413,
            "body_too_large",
            f"The body is larger than {limit} bytes (FLOWAPI_MAX_BODY_BYTES); make the query smaller.",
            headers={"Connection": "close"},
        )
    return b"".join(parts)


async def _known_query(request: Request, caller: Claims, query_id: str, *actions: str) -> str | None:
    """Check that the caller may see a query and do the actions with it; its unit is returned."""
    if not _QUERY_ID.fullmatch(query_id):
        raise _unknown_query(caller)
    _record(request).query_id = query_id
    reply = await _ask(request, "get_query_params", {"query_id": query_id})
    if reply.payload.get("query_state") == "awol":
        raise _unknown_query(caller)
    if not reply.ok:
        raise _backend_failure(reply)
    unit = _payload(reply, "aggregation_unit")
    needed = scopes.query_scopes(
        unit,
        _payload(reply, "query_params")["query_kind"],
        _payload(reply, "query_kinds"),
        _payload(reply, "subset_kinds"),
    )
    # Ids are computed from the query, so anyone could learn what others asked by trying ids. Who lacks the
    # scopes is told what everyone is told of an id that does not exist.
    if not authorisation.held_together(caller.roles, needed):
        raise _unknown_query(caller)
    _permit(request, caller, {*needed, *actions})
    return unit


def _unknown_query(caller: Claims) -> ApiError:
    if not authorisation.has_query_scope(caller.roles):
        return _refused_scopes(
            ApiError(
                403,
                "scopes_missing",
                "User claims verification failed: no role of the token holds the scope of any query. "
                "Ask your administrator for a token with them.",
                missing_scopes=["*:*:*"],
                closest_role=None,
            )
        )
    return ApiError(
        404,
        "query_unknown",
        "There is no query with this id, or this token may not see it. Run the query; running it names the "
        "scopes that are missing.",
        status="awol",
    )


def _valid(reply: Reply) -> None:
    if reply.ok:
        return
    fields = reply.payload.get("validation_error_messages")
    if fields is None and "query_state" not in reply.payload:
        fields = {name: value for name, value in reply.payload.items() if name != "params"}
    if not fields:
        raise _backend_failure(reply)
    raise ApiError(400, "parameters_invalid", _with_choices(reply.msg, fields), fields=fields)


def _with_choices(msg: str, fields: Any) -> str:
    """Repeat in the message what is wrong with each field, where the server's message leaves it out."""
    if not isinstance(fields, dict):
        return msg
    texts = [
        f"{path}: {text}"
        for path, found in fields.items()
        for text in (found if isinstance(found, list) else [found])
        if str(text) not in msg
    ]
    return " ".join([msg, *texts]).strip()


def _withdrawn(reply: Reply) -> ApiError:
    return ApiError(410, "query_withdrawn", reply.msg, status="withdrawn")


def _backend_failure(reply: Reply) -> ApiError:
    return ApiError(500, "backend_error", reply.msg or "The FlowMachine server failed without a reason.")


def _payload(reply: Reply, name: str) -> Any:
    # A part that permissions are computed from must never be taken as empty because it is absent.
    if name not in reply.payload:
        raise ApiError(500, "backend_answer_unreadable", f"The FlowMachine server gave an answer without '{name}'.")
    return reply.payload[name]


def _progress(reply: Reply) -> dict[str, int]:
    counts = reply.payload.get("progress", {})
    return {name: int(counts.get(name, 0)) for name in ("eligible", "queued", "running")}


def _unready_result(reply: Reply, state: Any, caller: Claims) -> Response:
    match state:
        case "queued" | "executing":
            return JsonResponse({}, status_code=202)
        case "errored":
            raise ApiError(403, "query_errored", reply.msg or "The query failed.", status=state)
        case "withdrawn":
            raise _withdrawn(reply)
        case "awol":
            raise _unknown_query(caller)
        case "known":
            raise ApiError(404, "query_known", "The query is known but was not run; run it.", status=state)
        case str():
            raise ApiError(500, f"query_{state}", reply.msg or f"The query is {state}.", status=state)
        case _:
            raise _backend_failure(reply)


async def _stream(
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
    record = _record(request)
    record.rows = 0
    batches = int(first.payload.get("batches", 1))

    async def chunks() -> AsyncIterator[bytes]:
        schema, rows = await asyncio.to_thread(_decoded, first)
        writer = await asyncio.to_thread(form.writer, query_id, schema)
        yield await asyncio.to_thread(writer.begin)
        for number in range(batches):
            if number:
                reply = await _ask(request, action, {**params, "batch": number})
                if not reply.ok or reply.payload.get("query_state") != "completed":
                    raise _backend_failure(reply)
                later, rows = await asyncio.to_thread(_decoded, reply)
                if later != schema:
                    raise ApiError(500, "result_changed", "The result changed while it was being sent.")
            for batch in rows:
                text = await asyncio.to_thread(writer.rows, batch)
                record.rows = (record.rows or 0) + batch.num_rows
                if text:
                    yield text
        yield await asyncio.to_thread(writer.end)

    return StreamingResponse(
        chunks(),
        media_type=form.media_type,
        headers={"Content-Disposition": f"attachment;filename={filename}"},
    )


def _decoded(reply: Reply) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    if reply.arrow is None:
        raise ApiError(500, "backend_answer_unreadable", "The FlowMachine server sent a result without rows.")
    return batches_of(reply.arrow)


def _day(text: str | None, name: str) -> str:
    if text is None:
        raise _bad_day(f"{name} is missing; give it as YYYY-MM-DD.")
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        datetime.date.fromisoformat(text)
    except ValueError:
        raise _bad_day(f"{name} '{text[:30]}' is not a day; write it as YYYY-MM-DD.") from None
    return text


def _bad_day(msg: str) -> ApiError:
    return ApiError(400, "date_invalid", msg, status="bad request")


async def _qa_checks(request: Request, cdr_type: str, check_id: str, start: str, end: str) -> list[dict[str, Any]]:
    audit.query("get_qa_checks", cdr_type=cdr_type, check_type=check_id, start_date=start, end_date=end)
    reply = await _ask(
        request,
        "get_qa_checks",
        {"cdr_type": cdr_type, "check_type": check_id, "start_date": start, "end_date": end},
    )
    _valid(reply)
    checks = reply.payload.get("qa_checks", [])
    if not checks:
        raise ApiError(
            404,
            "qa_check_absent",
            "There is no outcome of this check on these days; GET /api/0/qa/ lists the checks there are.",
            status="not found",
        )
    return checks


async def _document(request: Request) -> openapi.Document:
    """Give the description; it is made anew only when the server's schemas are not those it was made from."""
    state = request.app.state
    reply = await _ask(request, "get_query_schemas", {})
    if not reply.ok:
        raise _backend_failure(reply)
    schemas = reply.payload.get("query_schemas", {})
    cached: openapi.Document | None = state.document
    if cached is None or cached.schemas_digest != openapi.digest(schemas):
        state.document = cached = await asyncio.to_thread(
            openapi.document, request.app.routes, schemas, _settings(request).flowapi_identifier
        )
    return cached


def _tagged(request: Request, content: bytes, etag: str, media_type: str) -> Response:
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
