"""Our spec functions against those of the published flowclient, which runs in an environment of its own."""

import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest

import flowclient

PEER = os.environ.get("FLOWKIT_PEER_PYTHON")

pytestmark = pytest.mark.skipif(not PEER, reason="FLOWKIT_PEER_PYTHON names no python with the published flowclient")

LOCATION = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin3", "method": "last"}
METRIC = {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-08"}
WINDOW = {"start_date": ["2016-01-01"], "end_date": ["2016-01-08"]}
EVENTS = {"event_types": [None, ["calls", "sms"]], "subscriber_subset": [None, "0" * 32, LOCATION]}
HOURS = {"hours": [None, (9, 17), [22, 5]]}
UNIT = {"aggregation_unit": ["admin3", "lon-lat"]}
TABLES = {"mapping_table": [None, "a.b"], "geom_table": [None, "c.d"], "geom_table_join_column": [None, "e"]}
FLOWS = {"from_location": [LOCATION], "to_location": [LOCATION], "join_type": ["inner", "full outer"]}
DIRECTION = {"direction": ["both", "in", "out"]}

PLACES = {"unique_locations": [{"query_kind": "unique_locations"}], "reference_locations": [LOCATION]}
PERIODS = {
    "start_date": ["2016-01-01"],
    "total_periods": [7],
    "period_unit": ["days", "hours"],
    "period_length": [1, 2],
}
POLYGON = {"type": "Polygon", "coordinates": [[[-1, -1], [-1, 1], [0, 1], [0, -1], [-1, -1]]]}
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MEANINGFUL = {
    "labels": [{"home": POLYGON, "work": POLYGON}],
    "tower_day_of_week_scores": [dict.fromkeys(DAYS, 1)],
    "tower_hour_of_day_scores": [[0.5] * 24],
    "tower_cluster_radius": [1.0, 2.5],
    "tower_cluster_call_threshold": [0, 3],
    "event_types": [None, ["calls"]],
    "subscriber_subset": [None, LOCATION],
    "mapping_table": [None],
    "geom_table": [None, "c.d"],
    "geom_table_join_column": [None],
}
VISITS = {"query_kind": "location_visits", "locations": [LOCATION]}
SAMPLE = {
    "query": [METRIC],
    "seed": [0.5, -1],
    "sampling_method": ["random_ids", "system", "bernoulli"],
    "estimate_count": [True, False],
}
# Optional parameters, and the values that the published client gives them where they are left out.
OPTIONAL = {
    "aggregate_by",
    "characteristic",
    "direction",
    "estimate_count",
    "include_unlocatable",
    "join_type",
    "minimum_total_weight",
    "period_length",
    "period_unit",
    "sampling_method",
    "total_by",
    "tower_cluster_call_threshold",
    "tower_cluster_radius",
}
# (function, parameter): optional in this function alone.
OPTIONAL_IN = {("joined_spatial_aggregate_spec", "method"), ("handset_spec", "method")}
# Functions that the published client does not have, though servers have their kinds.
OURS_ALONE = {
    "dfs_metric_total_amount_spec",
    "dummy_query_spec",
    "unique_visitor_counts_spec",
    "visited_most_days_spec",
}

# For each function the values of each parameter: every combination is tried, with and without the defaults.
CALLS = {
    "active_at_reference_location_counts_spec": PLACES,
    "aggregate_network_objects_spec": {
        "total_network_objects": [{"query_kind": "total_network_objects"}],
        "statistic": ["avg", "max"],
        "aggregate_by": ["day", "month"],
    },
    "calendar_activity_spec": PERIODS | EVENTS | HOURS,
    "coalesced_location_spec": {
        "preferred_location": [LOCATION],
        "fallback_location": [LOCATION],
        "subscriber_location_weights": [VISITS],
        "weight_threshold": [0, 3],
    },
    "consecutive_trips_od_matrix_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "daily_location_spec": {"date": ["2016-01-01"], "method": ["last", "most-common"]} | UNIT | EVENTS | HOURS | TABLES,
    "displacement_spec": WINDOW | {"statistic": ["avg", "max"], "reference_location": [LOCATION]} | EVENTS | HOURS,
    "event_count_spec": WINDOW | DIRECTION | EVENTS | HOURS,
    "flows_spec": FLOWS,
    "handset_spec": WINDOW
    | {"characteristic": ["hnd_type", "brand"], "method": ["last", "most-common"]}
    | EVENTS
    | HOURS,
    "histogram_aggregate_spec": {"metric": [METRIC], "bins": [5, [1, 2, 3.5]], "range": [None]},
    "inflows_spec": FLOWS,
    "joined_spatial_aggregate_spec": {"locations": [LOCATION], "metric": [METRIC], "method": ["avg", "distr"]},
    "labelled_flows_spec": FLOWS | {"labels": [METRIC]},
    "labelled_spatial_aggregate_spec": {"locations": [LOCATION], "labels": [METRIC]},
    "localised_calendar_activity_spec": PERIODS | EVENTS | HOURS | {"locations": [None, LOCATION]},
    "location_event_counts_spec": WINDOW
    | UNIT
    | {"count_interval": ["day", "hour", "min"]}
    | DIRECTION
    | EVENTS
    | HOURS
    | TABLES,
    "location_introversion_spec": WINDOW | UNIT | DIRECTION | EVENTS | HOURS | TABLES,
    "location_visits_spec": {"locations": [[], [LOCATION]]},
    "majority_location_spec": {
        "subscriber_location_weights": [VISITS],
        "minimum_total_weight": [0.0, 2],
        "include_unlocatable": [False, True],
    },
    "meaningful_locations_aggregate_spec": WINDOW | {"label": ["home", "unknown"]} | UNIT | MEANINGFUL,
    "meaningful_locations_between_dates_od_matrix_spec": {
        "start_date_a": ["2016-01-01"],
        "end_date_a": ["2016-01-05"],
        "start_date_b": ["2016-01-05"],
        "end_date_b": ["2016-01-08"],
        "label": ["home"],
    }
    | UNIT
    | MEANINGFUL,
    "meaningful_locations_between_label_od_matrix_spec": WINDOW
    | {"label_a": ["home"], "label_b": ["work"]}
    | UNIT
    | MEANINGFUL,
    "mobility_classification_spec": {"locations": [[LOCATION, LOCATION]], "stay_length_threshold": [1, 3]},
    "modal_location_spec": {"locations": [[], [LOCATION], [LOCATION, LOCATION]]},
    "modal_location_from_dates_spec": {
        "start_date": ["2016-01-01", "2016-01-01T13:00:00", "20160101"],
        "end_date": ["2016-01-03", "2016-01-03 12:00", "2016-03-02"],
        "method": ["last"],
    }
    | UNIT
    | HOURS
    | TABLES,
    "most_frequent_location_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "nocturnal_events_spec": WINDOW | {"hours": [(22, 4), [20, 5]]} | EVENTS,
    "outflows_spec": FLOWS,
    "pareto_interactions_spec": WINDOW | {"proportion": [0.8]} | EVENTS | HOURS,
    "radius_of_gyration_spec": WINDOW | EVENTS | HOURS,
    "random_sample_spec": SAMPLE | {"size": [10]},
    "spatial_aggregate_spec": {"locations": [LOCATION]},
    "subscriber_degree_spec": WINDOW | DIRECTION | EVENTS | HOURS,
    "topup_amount_spec": WINDOW | {"statistic": ["avg", "mode"], "subscriber_subset": [None, LOCATION]} | HOURS,
    "topup_balance_spec": WINDOW | {"statistic": ["avg", "mode"], "subscriber_subset": [None, LOCATION]} | HOURS,
    "total_active_periods_spec": PERIODS | EVENTS | HOURS,
    "total_network_objects_spec": WINDOW | UNIT | {"total_by": ["day", "month"]} | EVENTS | HOURS | TABLES,
    "trips_od_matrix_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "unique_location_counts_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "unique_locations_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "unique_subscriber_counts_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "unmoving_at_reference_location_counts_spec": PLACES,
    "unmoving_counts_spec": {"unique_locations": PLACES["unique_locations"]},
}
# The published client sends a minute and a range in words that no server takes; ours are the server's.
MENDED = [
    (
        "location_event_counts_spec",
        {
            "start_date": "2016-01-01",
            "end_date": "2016-01-08",
            "aggregation_unit": "admin3",
            "count_interval": "minute",
        },
        {"interval": "minute"},
        {"interval": "min"},
    ),
    (
        "histogram_aggregate_spec",
        {"metric": METRIC, "bins": 5, "range": (0.0, 9.5)},
        {"range": [0.0, 9.5]},
        {"range": {"lower_bound": 0.0, "upper_bound": 9.5}},
    ),
]


def published(calls):
    """Return what the published spec functions make of these calls."""
    script = Path(__file__).with_name("published_specs.py")
    done = subprocess.run([PEER, str(script)], input=json.dumps(calls), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def calls_of(function):
    """Return every combination of a function's values, and the calls that leave one optional parameter out."""
    values = CALLS[function]
    calls = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    first = calls[0]
    optional = [
        name
        for name, options in values.items()
        if None in options or name in OPTIONAL or (function, name) in OPTIONAL_IN
    ]
    calls += [{k: v for k, v in first.items() if k != name} for name in optional]
    return [*calls, {k: v for k, v in first.items() if k not in optional}]


@pytest.mark.takes_long("starts the published client")
def test_specs_are_those_of_the_published_client():
    """For the same call, each spec function makes what the published one makes."""
    assert set(CALLS) == {name for name in flowclient.__all__ if name.endswith("_spec")} - OURS_ALONE
    calls = [(function, arguments) for function in CALLS for arguments in calls_of(function)]
    assert len(calls) > 1000
    for (function, arguments), theirs in zip(calls, published(calls), strict=True):
        ours = json.loads(json.dumps(getattr(flowclient, function)(**arguments)))
        assert ours == theirs, (function, arguments)


def test_what_the_published_client_sends_wrongly_is_mended():
    """A minute and a range, which the published client sends wrongly, are sent rightly; nothing else differs."""
    theirs = published([(function, arguments) for function, arguments, _, _ in MENDED])
    for (function, arguments, wrong, right), spec in zip(MENDED, theirs, strict=True):
        assert spec == spec | wrong
        assert getattr(flowclient, function)(**arguments) == spec | right
