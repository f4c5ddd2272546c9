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

# For each function the values of each parameter: every combination is tried, with and without the defaults.
CALLS = {
    "daily_location_spec": {"date": ["2016-01-01"], "method": ["last", "most-common"]} | UNIT | EVENTS | HOURS | TABLES,
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
    "unique_locations_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "event_count_spec": WINDOW | DIRECTION | EVENTS | HOURS,
    "radius_of_gyration_spec": WINDOW | EVENTS | HOURS,
    "flows_spec": FLOWS,
    "inflows_spec": FLOWS,
    "outflows_spec": FLOWS,
    "unique_subscriber_counts_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
    "location_event_counts_spec": WINDOW
    | UNIT
    | {"count_interval": ["day", "hour", "min"]}
    | DIRECTION
    | EVENTS
    | HOURS
    | TABLES,
    "spatial_aggregate_spec": {"locations": [LOCATION]},
    "joined_spatial_aggregate_spec": {"locations": [LOCATION], "metric": [METRIC], "method": ["avg", "max"]},
    "histogram_aggregate_spec": {"metric": [METRIC], "bins": [5, [1, 2, 3.5]], "range": [None]},
    "trips_od_matrix_spec": WINDOW | UNIT | EVENTS | HOURS | TABLES,
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
    optional = [name for name, options in values.items() if None in options or name in ("direction", "join_type")]
    optional += ["method"] if function == "joined_spatial_aggregate_spec" else []
    calls += [{k: v for k, v in first.items() if k != name} for name in optional]
    return [*calls, {k: v for k, v in first.items() if k not in optional}]


def test_specs_are_those_of_the_published_client():
    """For the same call, each spec function makes what the published one makes."""
    assert set(CALLS) == {name for name in flowclient.__all__ if name.endswith("_spec")}
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
