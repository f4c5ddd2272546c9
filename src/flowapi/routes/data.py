"""What data there is: days, boundaries and quality checks."""

import datetime
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from flowapi import audit
from flowapi.errors import ApiError, JsonResponse
from flowapi.formats import FORMATS
from flowapi.openapi import described
from flowapi.routes.machine import ask, failure, valid
from flowapi.routes.permission import SECURED, TOKEN_ERRORS, Caller, permit
from flowapi.routes.results import stream
from flowkit_jwt_generator import scopes

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")

# The route checks it and says what is wrong; FastAPI only describes it.
_Day = Annotated[str, Path(json_schema_extra={"format": "date"})]

router = APIRouter(default_response_class=Response, tags=["Data"])


@router.get(
    "/api/0/available_dates",
    summary="List the days of data.",
    responses=described(
        {200: ("Event type to its days, sorted, and to the version of each.", "application/json", "dates")},
        *TOKEN_ERRORS,
    ),
    openapi_extra=SECURED,
)
async def get_available_dates(request: Request, caller: Caller) -> Response:
    """List the days that each type of event has data for; a day's version changes when the day is corrected."""
    permit(request, caller, {scopes.GET_DATES})
    audit.query("get_available_dates")
    reply = await ask(request, "get_available_dates", {})
    if not reply.ok:
        raise failure(reply)
    answer = {"available_dates": reply.payload}
    versions = await ask(request, "get_day_versions", {})
    # FlowKit's own FlowMachine server does not know versions: its days have none.
    if versions.ok:
        # A day may have come or gone between the two answers: it stands in both places or in none.
        answer["versions"] = {
            event_type: {day: versions.payload[event_type][day] for day in days if day in versions.payload[event_type]}
            for event_type, days in reply.payload.items()
            if event_type in versions.payload
        }
    return JsonResponse(answer)


@router.get(
    "/api/0/geography/{aggregation_unit}",
    summary="Fetch the boundaries of a unit.",
    responses=described({200: ("A FeatureCollection in WGS84.", "application/geo+json", "map")}, 400, *TOKEN_ERRORS),
    openapi_extra=SECURED,
)
async def get_geography(request: Request, caller: Caller, aggregation_unit: str) -> Response:
    """Stream the places of a unit as GeoJSON."""
    permit(request, caller, {scopes.GET_RESULT, scopes.geography_scope(aggregation_unit)})
    audit.query("get_geography", aggregation_unit=aggregation_unit)
    params = {"aggregation_unit": aggregation_unit}
    first = await ask(request, "get_geography", {**params, "batch": 0})
    valid(first)
    return await stream(
        request, FORMATS["geojson"], "get_geography", params, first, query_id="", filename=f"{aggregation_unit}.geojson"
    )


@router.get("/api/0/qa", include_in_schema=False)
@router.get(
    "/api/0/qa/",
    summary="List the quality checks.",
    responses=described({200: ("The checks of each event type.", "application/json", "qa_list")}, *TOKEN_ERRORS),
    openapi_extra=SECURED,
)
async def list_qa_checks(request: Request, caller: Caller) -> Response:
    """List the quality checks that have outcomes."""
    permit(request, caller, {scopes.GET_CHECKS})
    audit.query("list_qa_checks")
    reply = await ask(request, "list_qa_checks", {})
    if not reply.ok:
        raise failure(reply)
    return JsonResponse(reply.payload.get("available_qa_checks", []))


@router.get(
    "/api/0/qa/{cdr_type}/{check_id}",
    summary="Fetch the outcomes of a quality check in a range of days.",
    responses=described({200: ("One outcome a day.", "application/json", "qa_range")}, 400, 404, *TOKEN_ERRORS),
    openapi_extra={
        **SECURED,
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
    permit(request, caller, {scopes.GET_CHECKS})
    start, end = (_day(request.query_params.get(name), name) for name in ("start_date", "end_date"))
    if start > end:
        raise _bad_day(f"start_date {start} is after end_date {end}; swap them.")
    return JsonResponse(await _qa_checks(request, cdr_type, check_id, start, end))


@router.get(
    "/api/0/qa/{cdr_type}/{check_id}/{check_date}",
    summary="Fetch the outcome of a quality check on a day.",
    responses=described({200: ("The outcome alone.", "text/plain", "text")}, 400, 404, *TOKEN_ERRORS),
    openapi_extra=SECURED,
)
async def get_qa_day(request: Request, caller: Caller, cdr_type: str, check_id: str, check_date: _Day) -> Response:
    """Tell the outcome of a check on one day, as bare text."""
    permit(request, caller, {scopes.GET_CHECKS})
    day = _day(check_date, "the date in the path")
    checks = await _qa_checks(request, cdr_type, check_id, day, day)
    return Response(str(checks[0].get("outcome", "")), media_type="text/plain")


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
    reply = await ask(
        request,
        "get_qa_checks",
        {"cdr_type": cdr_type, "check_type": check_id, "start_date": start, "end_date": end},
    )
    valid(reply)
    checks = reply.payload.get("qa_checks", [])
    if not checks:
        raise ApiError(
            404,
            "qa_check_absent",
            "There is no outcome of this check on these days; GET /api/0/qa/ lists the checks there are.",
            status="not found",
        )
    return checks
