"""A wrong question is answered with a sentence that names the place in it, what was given, and what is allowed."""

import pytest

from flowmachine.errors import InvalidQuery, MissingDates
from flowmachine.query import parse
from flowmachine.testing import Cell, Event, World

DAILY = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin3", "method": "last"}
COUNTS = {
    "query_kind": "unique_subscriber_counts",
    "start_date": "2016-01-01",
    "end_date": "2016-01-02",
    "aggregation_unit": "admin3",
}
MODAL = {"query_kind": "modal_location", "locations": [DAILY, DAILY, {**DAILY, "date": "2016-02-30"}]}

WRONG = {
    "an unknown kind": ({"query_kind": "flaws"}, "query_kind", "Must be one of: daily_location"),
    "no kind": ({}, "query_kind", "is missing"),
    "an unknown field": ({**DAILY, "colour": 1}, "colour", "There is no such parameter."),
    "an unknown unit": ({**DAILY, "aggregation_unit": "admin9"}, "aggregation_unit", "Must be one of: admin0, admin1"),
    "an unknown date, deep inside": (
        {"query_kind": "spatial_aggregate", "locations": MODAL},
        "locations.locations[2].date",
        "2016-02-30",
    ),
    "a missing field": ({k: v for k, v in DAILY.items() if k != "date"}, "date", "It is missing."),
    "an empty list": ({**MODAL, "locations": []}, "locations", "at least one"),
    "a reversed window": ({**COUNTS, "end_date": "2015-12-31"}, "", "must be before end_date"),
    "an empty window": ({**COUNTS, "end_date": "2016-01-01"}, "", "must be before end_date"),
    "an offset": ({**DAILY, "date": "2016-01-01T00:00:00+05:45"}, "date", "UTC offset"),
    "an unknown event type": (
        {**DAILY, "event_types": ["calls", "cals"]},
        "event_types[1]",
        "Must be one of: calls, sms",
    ),
    "an hour too many": (
        {**DAILY, "hours": {"start_hour": 1, "end_hour": 25}},
        "hours.end_hour",
        "less than or equal to 24",
    ),
    "hours that hold none": ({**DAILY, "hours": {"start_hour": 8, "end_hour": 8}}, "hours", "no hour"),
    "an unknown subset": ({**DAILY, "subscriber_subset": "abc"}, "subscriber_subset", "'abc'"),
    "a table that is not offered": ({**DAILY, "mapping_table": "geography.x"}, "mapping_table", "no such table"),
    "a kind that does not fit": (
        {"query_kind": "spatial_aggregate", "locations": COUNTS},
        "locations",
        "Must be one of: daily_location, modal_location, most_frequent_location.",
    ),
    "units that do not match": (
        {"query_kind": "flows", "from_location": DAILY, "to_location": {**DAILY, "aggregation_unit": "admin1"}},
        "",
        "admin3 and admin1",
    ),
    "a direction without events that have one": (
        {
            "query_kind": "event_count",
            "start_date": "2016-01-01",
            "end_date": "2016-01-02",
            "direction": "in",
            "event_types": ["mds"],
        },
        "",
        "mds have no direction",
    ),
    "both forms of bins": (
        {
            "query_kind": "histogram_aggregate",
            "metric": {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-02"},
            "bins": {"n_bins": 3, "bin_list": [1, 2]},
        },
        "bins",
        "either n_bins or bin_list",
    ),
    "not an object": ([1], "", "an object with a query_kind"),
}


@pytest.mark.parametrize(("spec", "path", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_spec_is_told_by_path(spec, path, words):
    """The message names the path as its reader writes it, and what would be right."""
    with pytest.raises(InvalidQuery) as refusal:
        parse(spec)

    assert path in refusal.value.problems
    assert any(words in message for message in refusal.value.problems[path]), refusal.value.problems


def test_days_without_data_are_named(tmp_path):
    """A window on which nothing lies is refused with what there is; a window with a gap is answered."""
    world = World([Event("calls", 1, "2016-01-01T08:00", "a")], [Cell("a", pcods={"admin3": "A"})])
    session = world.session(tmp_path / "lake")

    with pytest.raises(MissingDates, match=r"2017-05-01.* there is data from 2016-01-01 to 2016-01-01"):
        session.run({**DAILY, "date": "2017-05-01"})
    assert session.run({**COUNTS, "end_date": "2016-01-08"}).num_rows == 1
