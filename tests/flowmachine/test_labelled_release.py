"""People without a known location, and tables of labels: what is counted and what is published of them."""

import pytest
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowmachine.testing import Cell, Event, World, rows

# How many people were where on the four days; on none where there is no letter.
CROWD = {"NNNN": 20, "SNNN": 16, "  NN": 17, "SSSS": 40, "NSSS": 15, "WWWS": 18}


def crowded():
    histories = [history for history, people in CROWD.items() for _ in range(people)]
    events = [
        Event("calls", person, f"2016-01-0{day}T08:00", place)
        for person, history in enumerate(histories)
        for day, place in enumerate(history, start=1)
        if place != " "
    ]
    return World(events, [Cell(c, 0, 80.0 + n, 26.0, {"admin1": c}) for n, c in enumerate("NSW")])


def coalesced(*days):
    """Where people were for the most part of some days; nowhere, if nowhere."""
    daily = [
        {"query_kind": "daily_location", "date": f"2016-01-0{day}", "aggregation_unit": "admin1", "method": "last"}
        for day in days
    ]
    weights = {"query_kind": "location_visits", "locations": daily}
    majority = {"query_kind": "majority_location", "subscriber_location_weights": weights}
    return {
        "query_kind": "coalesced_location",
        "preferred_location": {**majority, "include_unlocatable": True},
        "fallback_location": majority,
        "subscriber_location_weights": weights,
        "weight_threshold": 1,
    }


AT_LAST = coalesced(3, 4)
LABELS = {
    "query_kind": "mobility_classification",
    "locations": [coalesced(1), coalesced(2)],
    "stay_length_threshold": 2,
}
MOVES = {"from_location": coalesced(2), "to_location": AT_LAST}


@pytest.fixture(scope="module", params=ENGINES)
def session(request):
    """A session on the crowd, on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")(crowded())


def test_a_location_with_one_small_label_is_withheld_whole(session):
    """Fifteen mobile people hide the forty stable ones of their region; people without a label are one like others."""
    asked = {"query_kind": "labelled_spatial_aggregate", "locations": AT_LAST, "labels": LABELS}
    north = [("N", "mobile", 16), ("N", "stable", 20), ("N", None, 17)]

    assert rows(session.run(asked)) == [*north, ("S", "mobile", 15), ("S", "stable", 40), (None, "stable", 18)]
    assert rows(session.run(asked, release=True)) == north


def test_a_pair_with_one_small_label_is_withheld_whole(session):
    """Nothing is told of a pair of regions of which one label is small, nor of one with an unknown side."""
    asked = {"query_kind": "labelled_flows", **MOVES, "labels": LABELS, "join_type": "right"}
    north = [("N", "N", "mobile", 16), ("N", "N", "stable", 20)]

    assert rows(session.run(asked)) == [
        *north,
        ("S", "S", "mobile", 15),
        ("S", "S", "stable", 40),
        ("W", None, "stable", 18),
        (None, "N", None, 17),
    ]
    assert rows(session.run(asked, release=True)) == north


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"query_kind": "spatial_aggregate", "locations": AT_LAST}, [("N", 53), ("S", 55), (None, 18)]),
        ({"query_kind": "flows", **MOVES}, [("N", "N", 36), ("S", "S", 55), ("W", None, 18)]),
        (
            {"query_kind": "flows", **MOVES, "join_type": "full outer"},
            [("N", "N", 36), ("S", "S", 55), ("W", None, 18), (None, "N", 17)],
        ),
        ({"query_kind": "inflows", **MOVES, "join_type": "right"}, [("N", 53), ("S", 55), (None, 18)]),
        (
            {"query_kind": "outflows", **MOVES, "join_type": "right"},
            [("N", 36), ("S", 55), ("W", 18), (None, 17)],
        ),
    ],
    ids=lambda value: value["query_kind"] + value.get("join_type", "") if isinstance(value, dict) else "",
)
def test_counts_of_people_without_a_location_are_told(session, asked, told):
    """Enough people whose location is unknown are a row like others, with an empty location."""
    assert rows(session.run(asked, release=True)) == told


def test_a_metric_of_people_without_a_location_is_not_told(session):
    """A metric by location has no row for people of no known one."""
    metric = {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-05"}
    asked = {"query_kind": "joined_spatial_aggregate", "locations": AT_LAST, "metric": metric, "method": "sum"}

    assert rows(session.run(asked, release=True)) == [("N", 178.0), ("S", 220.0)]
