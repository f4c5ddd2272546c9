"""Ask FlowAPI questions about mobile operator data from Python.

`connect` first, then make a query by its function, such as `flows`, and call its `get_result`. Queries are
made of specs, such as `daily_location_spec`. Asynchronous programs use `connect_async`, and the functions of
`flowclient.async_client`.
"""

from flowclient import aggregates, errors, query_specs

# The functions for the query kinds are generated, and so is the list of them: each module's __all__.
from flowclient.aggregates import *  # noqa: F403
from flowclient.async_client import connect_async
from flowclient.async_connection import ASyncAPIQuery, ASyncConnection
from flowclient.client import (
    cancel_query,
    connect,
    download_result,
    get_available_dates,
    get_available_qa_checks,
    get_available_qa_checks_df,
    get_day_versions,
    get_geography,
    get_geojson_result,
    get_qa_check_outcome,
    get_qa_check_outcomes,
    get_qa_check_outcomes_df,
    get_result,
    get_result_by_query_id,
    get_status,
    query_is_ready,
    run_query,
)
from flowclient.connection import APIQuery, Connection
from flowclient.errors import FlowclientConnectionError
from flowclient.query_specs import *  # noqa: F403

__all__ = [
    "APIQuery",
    "ASyncAPIQuery",
    "ASyncConnection",
    "Connection",
    "FlowclientConnectionError",
    "aggregates",
    "cancel_query",
    "connect",
    "connect_async",
    "download_result",
    "errors",
    "get_available_dates",
    "get_available_qa_checks",
    "get_available_qa_checks_df",
    "get_day_versions",
    "get_geography",
    "get_geojson_result",
    "get_qa_check_outcome",
    "get_qa_check_outcomes",
    "get_qa_check_outcomes_df",
    "get_result",
    "get_result_by_query_id",
    "get_status",
    "query_is_ready",
    "query_specs",
    "run_query",
]
__all__ += aggregates.__all__
__all__ += query_specs.__all__
