"""What is asked: one question a kind, as specs; each has its hand-written SQL in handwritten/<name>.sql."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from bench.data import FIRST

CALLS = {"event_types": ["calls"]}
DISTRICTS = {"aggregation_unit": "admin3"}


def _day(n: int) -> str:
    return str(FIRST + dt.timedelta(days=n))


def _window(first: int, stop: int) -> dict[str, Any]:
    return {"start_date": _day(first), "end_date": _day(stop), **CALLS}


def _daily(n: int, method: str = "last") -> dict[str, Any]:
    return {"query_kind": "daily_location", "date": _day(n), "method": method, **DISTRICTS, **CALLS}


def _modal(first: int, stop: int) -> dict[str, Any]:
    return {"query_kind": "modal_location", "locations": [_daily(n) for n in range(first, stop)]}


_MOVES = {"from_location": _modal(0, 7), "to_location": _modal(7, 14)}
_COUNT = {"query_kind": "event_count", "direction": "both", **_window(0, 7)}

QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "daily_location_last": _daily(0),
    "daily_location_most_common": _daily(0, "most-common"),
    "modal_location": _modal(0, 7),
    "most_frequent_location": {"query_kind": "most_frequent_location", **_window(0, 7), **DISTRICTS},
    "unique_locations": {"query_kind": "unique_locations", **_window(0, 7), **DISTRICTS},
    "spatial_aggregate": {"query_kind": "spatial_aggregate", "locations": _modal(0, 7)},
    "flows": {"query_kind": "flows", **_MOVES},
    "inflows": {"query_kind": "inflows", **_MOVES},
    "outflows": {"query_kind": "outflows", **_MOVES},
    "unique_subscriber_counts": {"query_kind": "unique_subscriber_counts", **_window(0, 14), **DISTRICTS},
    "location_event_counts": {
        "query_kind": "location_event_counts",
        "interval": "day",
        "direction": "both",
        **_window(0, 14),
        **DISTRICTS,
    },
    "event_count": _COUNT,
    "radius_of_gyration": {"query_kind": "radius_of_gyration", **_window(0, 7)},
    "joined_spatial_aggregate": {
        "query_kind": "joined_spatial_aggregate",
        "locations": _modal(0, 7),
        "metric": _COUNT,
        "method": "avg",
    },
    "histogram_aggregate": {
        "query_kind": "histogram_aggregate",
        "metric": _COUNT,
        "bins": {"n_bins": 10},
        "range": {"lower_bound": 0, "upper_bound": 200},
    },
    "trips_od_matrix": {"query_kind": "trips_od_matrix", **_window(0, 2), **DISTRICTS},
    "geography": {"query_kind": "geography", **DISTRICTS},
}
"""The questions by name: a day, a week or all of the two weeks."""
