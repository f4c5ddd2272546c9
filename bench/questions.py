"""What is asked: one question a kind, as specs; each has its hand-written SQL in handwritten/<name>.sql."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from bench.data import FIRST

CALLS = {"event_types": ["calls"]}
DISTRICTS = {"aggregation_unit": "admin3"}
WORKDAYS, WEEKEND = ("monday", "tuesday", "wednesday", "thursday", "friday"), ("saturday", "sunday")
CLUSTERS = {
    "tower_hour_of_day_scores": [*[-1] * 7, *[0] * 2, *[1] * 8, *[0] * 2, *[-1] * 5],
    "tower_day_of_week_scores": {**dict.fromkeys(WORKDAYS, 1), **dict.fromkeys(WEEKEND, -1)},
    "tower_cluster_radius": 10,
    "labels": {
        "evening": {"type": "Polygon", "coordinates": [[[-2, -2], [0, -2], [0, 2], [-2, 2], [-2, -2]]]},
        "day": {"type": "Polygon", "coordinates": [[[0.1, -2], [2, -2], [2, 2], [0.1, 2], [0.1, -2]]]},
    },
    **DISTRICTS,
    **CALLS,
}


def _day(n: int) -> str:
    return str(FIRST + dt.timedelta(days=n))


def _window(first: int, stop: int) -> dict[str, Any]:
    return {"start_date": _day(first), "end_date": _day(stop), **CALLS}


def _daily(n: int, method: str = "last") -> dict[str, Any]:
    return {"query_kind": "daily_location", "date": _day(n), "method": method, **DISTRICTS, **CALLS}


def _modal(first: int, stop: int) -> dict[str, Any]:
    return {"query_kind": "modal_location", "locations": [_daily(n) for n in range(first, stop)]}


def _majority(first: int, stop: int, **more: Any) -> dict[str, Any]:
    visits = {"query_kind": "location_visits", "locations": [_daily(n) for n in range(first, stop)]}
    return {"query_kind": "majority_location", "subscriber_location_weights": visits, **more}


def _coalesced(first: int, stop: int) -> dict[str, Any]:
    fallback = _majority(first, stop)
    return {
        "query_kind": "coalesced_location",
        "preferred_location": _majority(first + 3, stop, minimum_total_weight=3, include_unlocatable=True),
        "fallback_location": fallback,
        "subscriber_location_weights": fallback["subscriber_location_weights"],
        "weight_threshold": 2,
    }


_ACTIVE = {
    "query_kind": "active_at_reference_location_counts",
    "unique_locations": {"query_kind": "unique_locations", **_window(7, 14), **DISTRICTS},
    "reference_locations": _modal(0, 7),
}
_MOVES = {"from_location": _modal(0, 7), "to_location": _modal(7, 14)}
_COUNT = {"query_kind": "event_count", "direction": "both", **_window(0, 7)}
_NIGHT = {"start_hour": 20, "end_hour": 4}
_WEEK = {"start_date": _day(0), "end_date": _day(7)}
_PERIODS = {"start_date": _day(0), "total_periods": 28, "period_length": 12, "period_unit": "hours", **CALLS}

_CELLS = {"query_kind": "total_network_objects", "total_by": "hour", **DISTRICTS}
_WEEKS = [_coalesced(0, 7), _coalesced(7, 14)]
_MOBILITY = {"query_kind": "mobility_classification", "locations": _WEEKS, "stay_length_threshold": 2}

QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "daily_location_last": _daily(0),
    "daily_location_most_common": _daily(0, "most-common"),
    "modal_location": _modal(0, 7),
    "most_frequent_location": {"query_kind": "most_frequent_location", **_window(0, 7), **DISTRICTS},
    "visited_most_days": {"query_kind": "visited_most_days", **_window(0, 7), **DISTRICTS},
    "majority_location": _majority(0, 7),
    "coalesced_location": _WEEKS[0],
    "mobility_classification": _MOBILITY,
    "labelled_spatial_aggregate": {
        "query_kind": "labelled_spatial_aggregate",
        "locations": _WEEKS[1],
        "labels": _MOBILITY,
    },
    "labelled_flows": {
        "query_kind": "labelled_flows",
        "from_location": _WEEKS[0],
        "to_location": _WEEKS[1],
        "labels": _MOBILITY,
    },
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
    "total_network_objects": {**_CELLS, **_window(0, 14), "total_by": "day"},
    "aggregate_network_objects": {
        "query_kind": "aggregate_network_objects",
        "total_network_objects": {**_CELLS, **_window(0, 7)},
        "statistic": "avg",
        "aggregate_by": "day",
    },
    "event_count": _COUNT,
    "radius_of_gyration": {"query_kind": "radius_of_gyration", **_window(0, 7)},
    "subscriber_degree": {"query_kind": "subscriber_degree", **_window(0, 7)},
    "pareto_interactions": {"query_kind": "pareto_interactions", "proportion": 0.8, **_window(0, 7)},
    "nocturnal_events": {"query_kind": "nocturnal_events", "night_hours": _NIGHT, **_window(0, 7)},
    "handset": {"query_kind": "handset", "characteristic": "brand", "method": "most-common", **_window(0, 7)},
    "displacement": {
        "query_kind": "displacement",
        "statistic": "avg",
        "reference_location": {**_daily(0), "aggregation_unit": "lon-lat"},
        **_window(0, 7),
    },
    "topup_amount": {"query_kind": "topup_amount", "statistic": "sum", **_WEEK},
    "topup_balance": {"query_kind": "topup_balance", "statistic": "avg", **_WEEK},
    "total_active_periods": {"query_kind": "total_active_periods", **_PERIODS},
    "calendar_activity": {"query_kind": "calendar_activity", **_PERIODS},
    "localised_calendar_activity": {
        "query_kind": "localised_calendar_activity",
        "reference_location": _daily(0),
        **_PERIODS,
    },
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
    "consecutive_trips_od_matrix": {"query_kind": "consecutive_trips_od_matrix", **_window(0, 7), **DISTRICTS},
    "unique_location_counts": {"query_kind": "unique_location_counts", **_window(0, 7), **DISTRICTS},
    "unmoving_counts": {
        "query_kind": "unmoving_counts",
        "locations": {"query_kind": "unique_locations", **_window(0, 1), **DISTRICTS},
    },
    "unmoving_at_reference_location_counts": {
        "query_kind": "unmoving_at_reference_location_counts",
        "locations": {"query_kind": "unique_locations", **_window(7, 8), **DISTRICTS},
        "reference_locations": _modal(0, 7),
    },
    "active_at_reference_location_counts": _ACTIVE,
    "unique_visitor_counts": {
        "query_kind": "unique_visitor_counts",
        "active_at_reference_location_counts": _ACTIVE,
        "unique_subscriber_counts": {"query_kind": "unique_subscriber_counts", **_window(7, 14), **DISTRICTS},
    },
    "meaningful_locations_aggregate": {
        "query_kind": "meaningful_locations_aggregate",
        "label": "evening",
        **_window(0, 7),
        **CLUSTERS,
    },
    "meaningful_locations_between_label_od_matrix": {
        "query_kind": "meaningful_locations_between_label_od_matrix",
        "label_a": "evening",
        "label_b": "day",
        **_window(0, 7),
        **CLUSTERS,
    },
    "meaningful_locations_between_dates_od_matrix": {
        "query_kind": "meaningful_locations_between_dates_od_matrix",
        "label": "evening",
        **{f"{name}_a": day for name, day in _window(0, 7).items() if name != "event_types"},
        **{f"{name}_b": day for name, day in _window(7, 14).items() if name != "event_types"},
        **CLUSTERS,
    },
    "location_introversion": {
        "query_kind": "location_introversion",
        "direction": "both",
        **_window(0, 7),
        **DISTRICTS,
    },
    "geography": {"query_kind": "geography", **DISTRICTS},
}
"""The questions by name: a day, a week or all of the two weeks."""
