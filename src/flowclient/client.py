"""Asking FlowAPI: run queries, read their results, geography, available dates and quality checks.

Every function takes its parameters by keyword. Every function raises `FlowclientConnectionError`, or one of
its kinds in `flowclient.errors`, if FlowAPI cannot be reached or says no; what FlowAPI does not know (404) is
a `FileNotFoundError` too. `flowclient.async_client` holds the same functions for asynchronous programs.

Where a function waits for a query, `poll_interval` is the number of seconds between polls (by default it
grows from 0.1 to 2), `disable_progress` hides the progress bar (True), shows it (False) or shows it on a
terminal or in a notebook (None), and `timeout` is the number of seconds after which waiting ends with a
`FlowclientTimeoutError` (by default never). Interrupting the wait leaves the query running.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import httpx

from flowclient import exchange
from flowclient.connection import Connection
from flowclient.endpoint import DEFAULT_TIMEOUT, Certificate
from flowclient.exchange import FileFormat, ResultFormat
from flowclient.spec_values import Date, QuerySpec

if TYPE_CHECKING:
    import geopandas
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]


def connect(
    *,
    url: str,
    token: str | os.PathLike[str],
    api_version: int = 0,
    ssl_certificate: Certificate = True,
    timeout: float | None = DEFAULT_TIMEOUT,
) -> Connection:
    """Make a connection to FlowAPI.

    Nothing is sent yet.

    Parameters
    ----------
    url : str
        Where FlowAPI is, like https://flowapi.example.org.
    token : str or path
        The token from FlowAuth, or the path of a file that holds it.
    api_version : int
        The API's version.
    ssl_certificate : str, path, bool or None
        The path of the certificate file to check the server's against. True or None: the usual roots.
        False: no check at all.
    timeout : float or None
        Seconds that one answer may take to come; None for no limit.
    """
    return Connection(url=url, token=token, api_version=api_version, ssl_certificate=ssl_certificate, timeout=timeout)


def run_query(*, connection: Connection, query_spec: QuerySpec) -> str:
    """Ask the server to run a query and return the query's id."""
    return connection.perform(exchange.run_query(query_spec))


def query_is_ready(*, connection: Connection, query_id: str) -> tuple[bool, httpx.Response]:
    """Return whether a query's result can be read, and the response that said so."""
    return connection.perform(exchange.query_is_ready(query_id))


def get_status(*, connection: Connection, query_id: str) -> str:
    """Return a query's status: `completed`, `queued`, `executing`, or `not_running` if it is unknown."""
    return connection.perform(exchange.get_status(query_id))


def wait_for_query_to_be_ready(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
) -> httpx.Response:
    """Wait until a query is ready and return the last response."""
    return connection.perform(exchange.wait_for_query_to_be_ready(query_id, poll_interval, disable_progress, timeout))


def get_result_location_from_id_when_ready(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
) -> str:
    """Wait until a query is ready and return the route of its result, below the API's root."""
    return connection.perform(exchange.result_location(query_id, poll_interval, disable_progress, timeout))


def get_json_dataframe(*, connection: Connection, location: str) -> pd.DataFrame:
    """Return the result at a route as a DataFrame, one row a record."""
    return connection.perform(exchange.get_json_dataframe(location))


@overload
def get_result_by_query_id(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
    format: Literal["pandas"] = "pandas",  # the same name as in APIQuery.get_result
) -> pd.DataFrame: ...
@overload
def get_result_by_query_id(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
    format: Literal["geojson"],
) -> dict[str, Any]: ...
@overload
def get_result_by_query_id(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
    format: Literal["geopandas"],
) -> geopandas.GeoDataFrame: ...
def get_result_by_query_id(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
    format: ResultFormat = "pandas",  # noqa: A002
) -> pd.DataFrame | dict[str, Any] | geopandas.GeoDataFrame:
    """Wait for a query that was run before and return its result.

    `format`: `pandas` for a DataFrame, `geojson` for a dict, `geopandas` for a GeoDataFrame.
    """
    return connection.perform(
        exchange.get_result_by_query_id(query_id, format, poll_interval, disable_progress, timeout)
    )


def get_geojson_result_by_query_id(
    *,
    connection: Connection,
    query_id: str,
    poll_interval: float | None = None,
    disable_progress: bool | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Wait for a query that was run before and return its result as GeoJSON."""
    return connection.perform(
        exchange.get_result_by_query_id(query_id, "geojson", poll_interval, disable_progress, timeout)
    )


@overload
def get_result(
    *,
    connection: Connection,
    query_spec: QuerySpec,
    disable_progress: bool | None = None,
    poll_interval: float | None = None,
    timeout: float | None = None,
    format: Literal["pandas"] = "pandas",
) -> pd.DataFrame: ...
@overload
def get_result(
    *,
    connection: Connection,
    query_spec: QuerySpec,
    disable_progress: bool | None = None,
    poll_interval: float | None = None,
    timeout: float | None = None,
    format: Literal["geojson"],
) -> dict[str, Any]: ...
@overload
def get_result(
    *,
    connection: Connection,
    query_spec: QuerySpec,
    disable_progress: bool | None = None,
    poll_interval: float | None = None,
    timeout: float | None = None,
    format: Literal["geopandas"],
) -> geopandas.GeoDataFrame: ...
def get_result(
    *,
    connection: Connection,
    query_spec: QuerySpec,
    disable_progress: bool | None = None,
    poll_interval: float | None = None,
    timeout: float | None = None,
    format: ResultFormat = "pandas",  # noqa: A002
) -> pd.DataFrame | dict[str, Any] | geopandas.GeoDataFrame:
    """Run a query, wait for it and return its result.

    `format`: `pandas` for a DataFrame, `geojson` for a dict, `geopandas` for a GeoDataFrame.
    """
    return connection.perform(
        exchange.get_result(
            query_spec,
            format,
            poll_interval=poll_interval,
            disable_progress=disable_progress,
            timeout=timeout,
        )
    )


def get_geojson_result(
    *,
    connection: Connection,
    query_spec: QuerySpec,
    disable_progress: bool | None = None,
    poll_interval: float | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Run a query, wait for it and return its result as GeoJSON."""
    return connection.perform(
        exchange.get_result(
            query_spec,
            "geojson",
            poll_interval=poll_interval,
            disable_progress=disable_progress,
            timeout=timeout,
        )
    )


def download_result(
    *,
    connection: Connection,
    query_spec: QuerySpec,
    path: str | os.PathLike[str],
    format: FileFormat | None = None,  # noqa: A002
    disable_progress: bool | None = None,
    poll_interval: float | None = None,
    timeout: float | None = None,
) -> Path:
    """Run a query, wait for it, write its result to a file and return the file's path.

    `format`: csv, json, geojson, parquet or arrow; by default what the path's suffix says. The result goes
    to the file as it comes; the file is complete or does not appear.
    """
    return connection.perform(
        exchange.download_result(
            query_spec,
            Path(path),
            format,
            poll_interval=poll_interval,
            disable_progress=disable_progress,
            timeout=timeout,
        )
    )


def cancel_query(*, connection: Connection, query_id: str) -> str:
    """Ask the server to stop a query and return the query's state after that."""
    return connection.perform(exchange.cancel_query(query_id))


@overload
def get_geography(
    *,
    connection: Connection,
    aggregation_unit: str,
    format: Literal["geojson"] = "geojson",
) -> dict[str, Any]: ...
@overload
def get_geography(
    *,
    connection: Connection,
    aggregation_unit: str,
    format: Literal["geopandas"],
) -> geopandas.GeoDataFrame: ...
def get_geography(
    *,
    connection: Connection,
    aggregation_unit: str,
    format: Literal["geojson", "geopandas"] = "geojson",  # noqa: A002
) -> dict[str, Any] | geopandas.GeoDataFrame:
    """Return the shapes of an aggregation unit's places (EPSG:4326).

    `format`: `geojson` for a FeatureCollection as a dict, `geopandas` for a GeoDataFrame.
    """
    return connection.perform(exchange.get_geography(aggregation_unit, format))


def get_available_dates(*, connection: Connection, event_types: list[str] | None = None) -> dict[str, list[str]]:
    """Return the days with data, by event type, as ISO dates.

    `event_types` keeps only these types, for example `["calls", "sms"]`.
    """
    return connection.perform(exchange.get_available_dates(event_types))


def get_day_versions(*, connection: Connection, event_types: list[str] | None = None) -> dict[str, dict[str, str]]:
    """Return the version of each day of data, by event type and ISO date; it changes when the day is corrected.

    `event_types` keeps only these types. Empty if the server does not send versions, as FlowKit's does not.
    """
    return connection.perform(exchange.get_day_versions(event_types))


def get_available_qa_checks(*, connection: Connection, event_types: list[str] | None = None) -> list[dict[str, str]]:
    """Return the available quality checks, each as `{"cdr_type", "type_of_query_or_check"}`.

    `event_types` keeps only these types' checks.
    """
    return connection.perform(exchange.get_available_qa_checks(event_types))


def get_available_qa_checks_df(*, connection: Connection, event_types: list[str] | None = None) -> pd.DataFrame:
    """Return the available quality checks as a DataFrame."""
    return connection.perform(exchange.framed(exchange.get_available_qa_checks(event_types)))


def get_qa_check_outcome(*, connection: Connection, event_type: str, check_type: str, event_date: Date) -> str:
    """Return the outcome of a quality check of one event type on one day, as text."""
    return connection.perform(exchange.get_qa_check_outcome(event_type, check_type, event_date))


def get_qa_check_outcomes(
    *, connection: Connection, event_type: str, check_type: str, start_date: Date, end_date: Date
) -> list[dict[str, str]]:
    """Return the outcomes of a quality check from `start_date` to `end_date`, both included.

    Each is `{"cdr_date", "type_of_query_or_check", "outcome"}`.
    """
    return connection.perform(exchange.get_qa_check_outcomes(event_type, check_type, start_date, end_date))


def get_qa_check_outcomes_df(
    *, connection: Connection, event_type: str, check_type: str, start_date: Date, end_date: Date
) -> pd.DataFrame:
    """Return the outcomes of a quality check from `start_date` to `end_date`, both included, as a DataFrame."""
    return connection.perform(
        exchange.framed(exchange.get_qa_check_outcomes(event_type, check_type, start_date, end_date))
    )
