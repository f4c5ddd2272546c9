"""What is said to FlowAPI and what its answers mean, without any input or output.

An exchange is a generator: it yields a `Request` to be sent (and is given the response) or a `Wait` (and is
given nothing), and returns a value. Connections perform exchanges, one with a blocking
HTTP client, one with an asynchronous one; everything that both must agree on is here.
"""

from __future__ import annotations

import logging
import math
import re
import time
from asyncio import CancelledError
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias, TypeVar
from urllib.parse import quote

import httpx

from flowclient.errors import (
    FlowclientAccessError,
    FlowclientConnectionError,
    FlowclientNotFoundError,
    FlowclientRequestError,
    FlowclientServerError,
    FlowclientTimeoutError,
    FlowclientUnreachableError,
)
from flowclient.frames import data_frame, geo_data_frame
from flowclient.json_objects import is_object
from flowclient.progress import ProgressBar
from flowclient.spec_values import Date, QuerySpec, day

if TYPE_CHECKING:
    import geopandas
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
ResultFormat: TypeAlias = Literal["pandas", "geojson", "geopandas"]
FileFormat: TypeAlias = Literal["csv", "json", "geojson", "parquet", "arrow"]

RESULT_FORMATS = ("pandas", "geojson", "geopandas")
FILE_FORMATS = ("csv", "json", "geojson", "parquet", "arrow")

GET_ACCEPTS = frozenset({200, 202, 303})
POST_ACCEPTS = frozenset({202})

RETRIES = 3
FIRST_RETRY_PAUSE = 0.2  # seconds, doubled each time
LONGEST_RETRY_AFTER = 60.0  # seconds; a server that asks for more is reported instead
FIRST_POLL_PAUSE, LONGEST_POLL_PAUSE, POLL_PAUSE_GROWTH = 0.1, 2.0, 1.5  # seconds, seconds, factor

# Failures that may pass by themselves. A read that timed out is not among them: it has had its whole time.
PASSING_FAILURES = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)
BUSY = frozenset({429, 503})
TOKEN_REFUSED = frozenset({401, 403, 422})  # FlowAPI says 422 of a token that is wrong rather than out of date


@dataclass(frozen=True)
class Request:
    """One HTTP request; `route` is relative to the API's root, or a location that the API sent."""

    method: Literal["GET", "POST"]
    route: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    accept: frozenset[int] = GET_ACCEPTS
    idempotent: bool = True
    save_to: Path | None = None  # a 200 answer's body goes into this file, as it comes


@dataclass(frozen=True)
class Wait:
    """A pause of some seconds."""

    seconds: float


Exchange: TypeAlias = Generator[Request | Wait, Any, Value]


def own_route(route: str, base: httpx.URL) -> str:
    """Return a route or a location as a route below the API's root.

    A location may be absolute, and may hold the API's prefix `/api/<version>/`. One on another host is
    refused: following it would hand the token to a stranger.
    """
    if re.match(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//", route):
        url = base.join(route)
        if url.host != base.host:
            raise FlowclientConnectionError(
                f"FlowAPI at {base.host} points to another host, {url.host or route}; flowclient does not go "
                "there, because the token would go along. Connect to the right URL, or ask the operator."
            )
        route = url.raw_path.decode("ascii")
    return re.sub(r"^/(?:.*?/)?api/\d+/", "", route) if route.startswith("/") else route


def ask(request: Request) -> Exchange[httpx.Response]:
    """Send a request, and again if that is safe and may help, and return an accepted response.

    Raises a `FlowclientConnectionError` for every other ending.
    """
    for attempt in range(RETRIES + 1):
        pause = FIRST_RETRY_PAUSE * 2**attempt if attempt < RETRIES else None
        logger.info("%s %s", request.method, request.route)
        try:
            response: httpx.Response = yield request
        except httpx.RequestError as failure:
            if pause is None or not request.idempotent or not _may_pass(failure):
                raise _unreachable(failure) from None
            logger.warning("%s %s failed (%s), again in %.1f s", request.method, request.route, failure, pause)
        else:
            if response.status_code in request.accept:
                return response
            if response.status_code in BUSY and pause is not None:
                pause = _retry_after(response, otherwise=pause)
            if response.status_code not in BUSY or pause is None or pause > LONGEST_RETRY_AFTER:
                _raise_for(response)
            logger.warning("FlowAPI is busy (%s), again in %.1f s", response.status_code, pause)
        yield Wait(pause)
    raise AssertionError("the last attempt returns or raises")


def get(
    route: str, params: Mapping[str, Any] | None = None, data: Any = None, accept: frozenset[int] = GET_ACCEPTS
) -> Exchange[httpx.Response]:
    """GET a route."""
    return ask(Request("GET", route, params=params, json=data, accept=accept))


def post(
    route: str, data: Any = None, *, accept: frozenset[int] = POST_ACCEPTS, idempotent: bool = False
) -> Exchange[httpx.Response]:
    """POST JSON to a route."""
    return ask(Request("POST", route, json=data, accept=accept, idempotent=idempotent))


def run_query(query_spec: QuerySpec) -> Exchange[str]:
    """Ask for a query to be run and return its id."""
    # The id follows from the spec: asking twice runs it once.
    response = yield from post("run", query_spec, idempotent=True)
    location = response.headers.get("location", "")
    query_id = httpx.URL(location).path.rstrip("/").rpartition("/")[2]
    if not query_id:
        raise FlowclientConnectionError("FlowAPI accepted the query but did not say its id (no Location).")
    logger.info("Accepted %s as query %s", query_spec.get("query_kind"), query_id)
    return query_id


def query_is_ready(query_id: str) -> Exchange[tuple[bool, httpx.Response]]:
    """Return whether a query is ready, and the response that said so."""
    response = yield from get(f"poll/{_segment(query_id)}", accept=frozenset({202, 303}))
    return response.status_code == 303, response


def get_status(query_id: str) -> Exchange[str]:
    """Return a query's status."""
    try:
        ready, response = yield from query_is_ready(query_id)
    except FlowclientNotFoundError:
        return "not_running"
    return "completed" if ready else _member(response, "status")


def wait_for_query_to_be_ready(
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
) -> Exchange[httpx.Response]:
    """Poll a query until it is ready and return the last response."""
    bar = ProgressBar(disable_progress)
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    try:
        for pause in _poll_pauses(poll_interval):
            ready, response = yield from query_is_ready(query_id)
            if ready:
                bar.finish()
                return response
            progress: dict[str, int] = _object(response).get("progress") or {}
            logger.info("Query %s is not ready: %s", query_id, progress)
            bar.update(progress)
            left = deadline - time.monotonic()
            if left <= 0:
                raise FlowclientTimeoutError(
                    f"Query {query_id} was not ready after {timeout} s. {_still_running(query_id)}"
                )
            yield Wait(min(pause, left))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"Stopped waiting for query {query_id}. {_still_running(query_id)}") from None
    except CancelledError:
        logger.warning("Stopped waiting for query %s. %s", query_id, _still_running(query_id))
        raise
    finally:
        bar.close()
    raise AssertionError("polling ends by an answer or an error")


def result_location(
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
) -> Exchange[str]:
    """Wait for a query and return the route of its result."""
    response = yield from wait_for_query_to_be_ready(query_id, poll_interval, disable_progress, timeout)
    location = response.headers.get("location")
    if not location:
        raise FlowclientConnectionError(
            f"FlowAPI says that query {query_id} is ready but not where its result is (no Location)."
        )
    return own_route(location, response.url)


def get_json_dataframe(location: str) -> Exchange[pd.DataFrame]:
    """Return the result at a route as a DataFrame."""
    response = yield from get(location, accept=frozenset({200}))
    return data_frame(_member(response, "query_result"))


def get_geojson(location: str) -> Exchange[dict[str, Any]]:
    """Return the result at a route as GeoJSON."""
    response = yield from get(f"{location}.geojson", accept=frozenset({200}))
    return _object(response)


def get_geodataframe(location: str) -> Exchange[geopandas.GeoDataFrame]:
    """Return the result at a route as a GeoDataFrame."""
    return geo_data_frame((yield from get_geojson(location)))


def get_result_by_query_id(
    query_id: str,
    format: str = "pandas",  # noqa: A002  # the public name
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
) -> Exchange[Any]:
    """Wait for a query and return its result."""
    fetch = result_reader(format)
    location = yield from result_location(query_id, poll_interval, disable_progress, timeout)
    return (yield from fetch(location))


def get_result(query_spec: QuerySpec, format: str = "pandas", **waiting: Any) -> Exchange[Any]:  # noqa: A002
    """Run a query, wait for it and return its result."""
    result_reader(format)  # a wrong format is refused before anything runs
    query_id = yield from run_query(query_spec)
    return (yield from get_result_by_query_id(query_id, format, **waiting))


def result_reader(format: str) -> Callable[[str], Exchange[Any]]:  # noqa: A002
    """Return the exchange that reads a result at a route, raise `ValueError` for an unknown format."""
    readers: dict[str, Callable[[str], Exchange[Any]]] = {
        "pandas": get_json_dataframe,
        "geojson": get_geojson,
        "geopandas": get_geodataframe,
    }
    if format not in readers:
        raise ValueError(f"Invalid format: {format!r}. Expected one of: {', '.join(RESULT_FORMATS)}.")
    return readers[format]


def file_format(path: Path, format: str | None) -> str:  # noqa: A002
    """Return the format of a file to be written, from its suffix unless it is given."""
    chosen = path.suffix.lstrip(".").lower() if format is None else format
    if chosen not in FILE_FORMATS:
        raise ValueError(
            f"Invalid format: {chosen!r}. Expected one of: {', '.join(FILE_FORMATS)}, "
            "as the suffix of path or as format."
        )
    return chosen


def download_by_query_id(query_id: str, path: Path, format: str, **waiting: Any) -> Exchange[Path]:  # noqa: A002
    """Wait for a query and put its result into a file."""
    location = yield from result_location(query_id, **waiting)
    yield from ask(Request("GET", f"{location}.{format}", accept=frozenset({200}), save_to=path))
    return path


def download_result(
    query_spec: QuerySpec,
    path: Path,
    format: str | None = None,  # noqa: A002
    **waiting: Any,
) -> Exchange[Path]:
    """Run a query, wait for it and put its result into a file."""
    chosen = file_format(path, format)
    query_id = yield from run_query(query_spec)
    return (yield from download_by_query_id(query_id, path, chosen, **waiting))


def cancel_query(query_id: str) -> Exchange[str]:
    """Ask for a query to be stopped and return its state after that."""
    response = yield from post(f"cancel/{_segment(query_id)}", accept=frozenset({200, 202}), idempotent=True)
    answer = _object(response)
    return str(answer.get("query_state") or answer.get("status") or "cancelled")


def get_geography(aggregation_unit: str, format: str = "geojson") -> Exchange[Any]:  # noqa: A002
    """Return the shapes of the units as GeoJSON or as a GeoDataFrame."""
    if format not in ("geojson", "geopandas"):
        raise ValueError(f"Invalid format: {format!r}. Expected one of: geojson, geopandas.")
    response = yield from get(f"geography/{_segment(aggregation_unit)}", accept=frozenset({200}))
    collection = _object(response)
    return collection if format == "geojson" else geo_data_frame(collection)


def get_available_dates(event_types: list[str] | None = None) -> Exchange[dict[str, list[str]]]:
    """Return the days with data, by event type."""
    response = yield from get("available_dates", accept=frozenset({200}))
    dates = _member(response, "available_dates")
    return {kind: days for kind, days in dates.items() if event_types is None or kind in event_types}


def get_day_versions(event_types: list[str] | None = None) -> Exchange[dict[str, dict[str, str]]]:
    """Return the version of each day of data, by event type; empty if the server does not send versions."""
    response = yield from get("available_dates", accept=frozenset({200}))
    versions: dict[str, dict[str, str]] = _object(response).get("versions") or {}
    return {kind: dict(days) for kind, days in versions.items() if event_types is None or kind in event_types}


def get_available_qa_checks(event_types: list[str] | None = None) -> Exchange[list[dict[str, str]]]:
    """Return the available QA checks."""
    # With the slash: without it the server may answer with a redirect, which is not followed.
    response = yield from get("qa/", accept=frozenset({200}))
    checks = _json(response)
    return [check for check in checks if event_types is None or check["cdr_type"] in event_types]


def get_qa_check_outcome(event_type: str, check_type: str, event_date: Date) -> Exchange[str]:
    """Return the outcome of a QA check on one day."""
    route = f"qa/{_segment(event_type)}/{_segment(check_type)}/{_segment(day(event_date))}"
    response = yield from get(route, accept=frozenset({200}))
    return response.text


def get_qa_check_outcomes(
    event_type: str, check_type: str, start_date: Date, end_date: Date
) -> Exchange[list[dict[str, str]]]:
    """Return the outcomes of a QA check on the days from `start_date` to `end_date`."""
    route = f"qa/{_segment(event_type)}/{_segment(check_type)}"
    dates = {"start_date": day(start_date), "end_date": day(end_date)}
    response = yield from get(route, params=dates, accept=frozenset({200}))
    return _json(response)


def framed(records: Exchange[list[dict[str, Any]]]) -> Exchange[pd.DataFrame]:
    """Return as a DataFrame what another exchange returns as records."""
    return data_frame((yield from records))


def _poll_pauses(poll_interval: float | None) -> Iterator[float]:
    if poll_interval is not None and poll_interval < 0:
        raise ValueError(f"poll_interval: {poll_interval} is negative; give seconds, or None.")
    pause = FIRST_POLL_PAUSE if poll_interval is None else poll_interval
    while True:
        yield pause
        if poll_interval is None:
            pause = min(pause * POLL_PAUSE_GROWTH, LONGEST_POLL_PAUSE)


def _still_running(query_id: str) -> str:
    return (
        "It is still running on the server: "
        f"get_result_by_query_id(connection=..., query_id='{query_id}') takes it up again, "
        f"cancel_query(connection=..., query_id='{query_id}') stops it."
    )


def _segment(text: object) -> str:
    return quote(str(text), safe="")


def _may_pass(failure: httpx.RequestError) -> bool:
    return isinstance(failure, PASSING_FAILURES) and "CERTIFICATE_VERIFY_FAILED" not in str(failure)


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    value = response.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return otherwise
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def _unreachable(failure: httpx.RequestError) -> FlowclientUnreachableError:
    try:
        url = str(failure.request.url)
    except RuntimeError:
        url = "its URL"
    reason = str(failure) or type(failure).__name__
    message = f"Unable to connect to FlowKit API at {url}: {reason}."
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        message += " Give the server's certificate file as ssl_certificate."
    elif isinstance(failure, httpx.ConnectError):
        message += " Nobody answers there: check the url given to connect(), and that FlowAPI runs."
    elif isinstance(failure, httpx.TimeoutException):
        message += " Give connect() a longer timeout if the server is only slow."
    return FlowclientUnreachableError(message, msg=reason)


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as fault:
        raise FlowclientUnreachableError(
            f"The answer of {response.url} is not whole JSON ({fault}); ask again, and check that the URL is "
            "that of a FlowAPI.",
            status_code=response.status_code,
            request_id=response.headers.get("x-request-id"),
        ) from None


def _object(response: httpx.Response) -> dict[str, Any]:
    value = _json(response)
    if not is_object(value):
        raise FlowclientConnectionError(
            f"The answer of {response.url} is not a JSON object.", status_code=response.status_code
        )
    return value


def _member(response: httpx.Response, key: str) -> Any:
    value = _object(response)
    if key not in value:
        raise FlowclientConnectionError(
            f"The answer of {response.url} has no {key!r}.", status_code=response.status_code
        )
    return value[key]


def _raise_for(response: httpx.Response) -> NoReturn:
    """Raise the exception that an unwelcome response stands for."""
    code = response.status_code
    try:
        answer = response.json()
    except ValueError:
        answer = None
    body = answer if is_object(answer) else {}
    msg = body.get("msg")
    if not isinstance(msg, str) or not msg:
        msg = _silent(response)
    missing: list[object] = body.get("missing_scopes") or []
    scopes = [str(scope) for scope in missing]
    status = body.get("status")
    message = msg
    if code not in (*TOKEN_REFUSED, 404):
        message = f"{msg} (HTTP {code}, status {status!r})" if status else f"{msg} (HTTP {code})"
    if scopes and not all(scope in msg for scope in scopes):
        message += f" Missing scopes: {', '.join(scopes)}."
    if body.get("payload"):
        message += f" {body['payload']}"
    if code in BUSY and "retry-after" in response.headers:
        message += f" The server asks to wait {_retry_after(response, 0):.0f} s."
    raise _exception_of(code)(
        message,
        status_code=code,
        msg=msg,
        status=status if isinstance(status, str) else None,
        request_id=body.get("request_id") or response.headers.get("x-request-id"),
        missing_scopes=scopes,
        fields=body.get("fields"),
        payload=body.get("payload"),
    )


def _silent(response: httpx.Response) -> str:
    """Return a sentence for an answer that does not explain itself."""
    code, url = response.status_code, response.url
    if code in TOKEN_REFUSED:
        return f"Access to {url} was denied, without a reason given; check that the token is FlowAPI's."
    if code == 404:
        return f"{url} was not found."
    if response.is_redirect and (location := response.headers.get("location")):
        return f"{url} answered with a redirect to {location}, which is not followed; connect to that URL."
    return f"Unknown error from {url}."


def _exception_of(code: int) -> type[FlowclientConnectionError]:
    if code in TOKEN_REFUSED:
        return FlowclientAccessError
    if code == 404:
        return FlowclientNotFoundError
    if code == 429 or code >= 500:
        return FlowclientServerError
    if code >= 400:
        return FlowclientRequestError
    return FlowclientConnectionError
