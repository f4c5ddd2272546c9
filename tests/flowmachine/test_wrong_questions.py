"""A wrong question is answered with a sentence that names the place in it, what was given, and what is allowed."""

import pytest

import flowmachine
from flowmachine.errors import InvalidQuery, MissingDates
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World

DAILY = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin3", "method": "last"}
COUNTS = {
    "query_kind": "unique_subscriber_counts",
    "start_date": "2016-01-01",
    "end_date": "2016-01-02",
    "aggregation_unit": "admin3",
}
COUNTED = {name: value for name, value in COUNTS.items() if name != "query_kind"}
WINDOW = {"start_date": "2016-01-01", "end_date": "2016-01-02"}
HANDSET = {**WINDOW, "query_kind": "handset", "characteristic": "brand", "method": "last"}
CALENDAR = {"query_kind": "calendar_activity", "start_date": "2016-01-01", "total_periods": 3}
MODAL = {"query_kind": "modal_location", "locations": [DAILY, DAILY, {**DAILY, "date": "2016-02-30"}]}
MONEY = {**COUNTS, "query_kind": "dfs_metric_total_amount", "metric": "amount"}
DUMMY = {"query_kind": "dummy_query", "dummy_param": "a test", "aggregation_unit": "admin3"}

WRONG = {
    "an unknown kind": ({"query_kind": "flaws"}, "query_kind", "Must be one of: active_at_reference_location_counts"),
    "a kind that is nearly one": (
        {"query_kind": "unique_subscriber_count"},
        "query_kind",
        "visited_most_days. Perhaps unique_subscriber_counts is meant.",
    ),
    "a nested kind that is nearly one": (
        {"query_kind": "spatial_aggregate", "locations": {**DAILY, "query_kind": "dayly_location"}},
        "locations",
        "visited_most_days. Perhaps daily_location is meant.",
    ),
    "a misspelt parameter, deep inside": (
        {"query_kind": "spatial_aggregate", "locations": {**DAILY, "agregation_unit": "admin1"}},
        "locations.agregation_unit",
        "There is no such parameter. Perhaps aggregation_unit is meant.",
    ),
    "a misspelt choice": ({**DAILY, "method": "lats"}, "method", "Perhaps last is meant."),
    "no kind": ({}, "query_kind", "is missing"),
    "an unknown field": ({**DAILY, "colour": 1}, "colour", "There is no such parameter."),
    "a unit that nobody has": (
        {**DAILY, "aggregation_unit": "Admin 3"},
        "aggregation_unit",
        "Must be one of: admin0, admin1, admin2, admin3, lon-lat, cell, site; or a unit of the deployment's own",
    ),
    "the word for no unit": ({**DAILY, "aggregation_unit": "nonspatial"}, "aggregation_unit", "Must be one of"),
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
    "a table without its schema": ({**DAILY, "mapping_table": "x; DROP"}, "mapping_table", "named as schema.table"),
    "a kind that does not fit": (
        {"query_kind": "spatial_aggregate", "locations": COUNTS},
        "locations",
        "Must be one of: coalesced_location, daily_location, majority_location, modal_location, most_frequent_location",
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
    "hours of which days are to be told": (
        {
            "query_kind": "aggregate_network_objects",
            "total_network_objects": {**COUNTS, "query_kind": "total_network_objects", "total_by": "day"},
            "statistic": "avg",
            "aggregate_by": "hour",
        },
        "",
        "aggregate_by is hour, which is finer than the day of total_by",
    ),
    "money at a point": ({**MONEY, "aggregation_unit": "lon-lat"}, "aggregation_unit", "amounts are given for areas"),
    "money of a table of places": ({**MONEY, "mapping_table": None}, "mapping_table", "There is no such parameter."),
    "money of reversed days": ({**MONEY, "end_date": "2015-12-31"}, "", "must not be after end_date"),
    "money of no known kind": ({**MONEY, "metric": "tax"}, "metric", "amount, commission, fee, discount"),
    "a day's delay": ({**DUMMY, "dummy_delay": 86_400}, "dummy_delay", "less than or equal to 3600"),
    "a delay into the past": ({**DUMMY, "dummy_delay": -1}, "dummy_delay", "greater than or equal to 0"),
    "contacts of events without a counterpart": (
        {
            "query_kind": "joined_spatial_aggregate",
            "locations": DAILY,
            "metric": {**WINDOW, "query_kind": "subscriber_degree", "event_types": ["calls", "mds", "topups"]},
            "method": "avg",
        },
        "metric",
        "Leave mds and topups out of event_types: they have no counterpart.",
    ),
    "most of the events of no contact": (
        {**WINDOW, "query_kind": "pareto_interactions", "proportion": 0.8, "event_types": ["mds"]},
        "",
        "Leave mds out of event_types",
    ),
    "a proportion of all": (
        {**WINDOW, "query_kind": "pareto_interactions", "proportion": 1},
        "proportion",
        "less than 1",
    ),
    "a proportion of nothing": (
        {**WINDOW, "query_kind": "pareto_interactions", "proportion": 0},
        "proportion",
        "greater than 0",
    ),
    "a night of no hour": (
        {**WINDOW, "query_kind": "nocturnal_events", "night_hours": {"start_hour": 4, "end_hour": 4}},
        "night_hours",
        "no hour",
    ),
    "distances from districts": (
        {**WINDOW, "query_kind": "displacement", "statistic": "avg", "reference_location": DAILY},
        "",
        "reference_location is of admin3: distances are between points",
    ),
    "an average handset": (
        {"query_kind": "joined_spatial_aggregate", "locations": DAILY, "metric": HANDSET, "method": "avg"},
        "",
        "handset is no number: it must be distr or mode",
    ),
    "shares of a number": (
        {
            "query_kind": "joined_spatial_aggregate",
            "locations": DAILY,
            "metric": {**WINDOW, "query_kind": "event_count"},
            "method": "distr",
        },
        "",
        "event_count is a number: it must be mode or one of count",
    ),
    "a histogram of handsets": (
        {"query_kind": "histogram_aggregate", "metric": HANDSET, "bins": {"n_bins": 2}},
        "metric",
        "Its query_kind is 'handset'. Must be one of: displacement",
    ),
    "no periods": ({**CALENDAR, "total_periods": 0}, "total_periods", "greater than or equal to 1"),
    "empty periods": ({**CALENDAR, "period_length": 0}, "period_length", "greater than or equal to 1"),
    "too many periods": ({**CALENDAR, "total_periods": 100_001}, "total_periods", "less than or equal to 100000"),
    "periods of centuries": (
        {**CALENDAR, "period_length": 10**12},
        "",
        "3,000,000,000,000 days from 2016-01-01 reach too far",
    ),
    "periods past the calendar": ({**CALENDAR, "start_date": "9999-12-31"}, "", "from 9999-12-31 reach too far"),
    "periods from a second on": ({**CALENDAR, "start_date": "2016-01-01T00:00:30"}, "", "must be a whole minute"),
    "periods of weeks": ({**CALENDAR, "period_unit": "weeks"}, "period_unit", "Must be one of: days, hours, minutes"),
    "activity at no location": (
        {**CALENDAR, "query_kind": "localised_calendar_activity"},
        "reference_location",
        "It is missing.",
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


def test_a_wrong_keyword_of_a_constructor_is_told_in_a_sentence():
    """Who makes a query in Python with a wrong keyword or value reads which one, and what is perhaps meant."""
    with pytest.raises(InvalidQuery) as refusal:
        flowmachine.LocationEventCounts(
            start_date="2016-01-01", end_date="2016-01-02", agregation_unit="admin3", interval="dya"
        )

    assert refusal.value.problems == {
        "aggregation_unit": ["It is missing."],
        "agregation_unit": ["There is no such parameter. Perhaps aggregation_unit is meant."],
        "interval": ["It is 'dya'. Must be one of: day, hour, min. Perhaps day is meant."],
    }


def test_a_wrong_spec_inside_a_constructor_is_told_by_path():
    """A nested spec that is wrong is named by its path, in a constructor as in a spec."""
    with pytest.raises(InvalidQuery) as refusal:
        flowmachine.SpatialAggregate(locations={**DAILY, "date": "2016-02-30"})

    assert list(refusal.value.problems) == ["locations.date"]


def test_the_clients_word_for_the_interval_is_accepted():
    """The client's count_interval and the wire's interval are the same parameter, in the library and in a spec."""
    by_wire = flowmachine.LocationEventCounts(**COUNTED, interval="hour")

    assert flowmachine.LocationEventCounts(**COUNTED, count_interval="hour") == by_wire
    assert parse({**COUNTED, "query_kind": "location_event_counts", "count_interval": "hour"}).id == by_wire.id
    assert by_wire.spec["interval"] == "hour"
    with pytest.raises(InvalidQuery, match="count_interval: There is no such parameter"):
        flowmachine.LocationEventCounts(**COUNTED, interval="hour", count_interval="day")


def test_days_without_data_are_named(tmp_path):
    """A window on which nothing lies is refused with what there is; a window with a gap is answered."""
    world = World([Event("calls", 1, "2016-01-01T08:00", "a")], [Cell("a", pcods={"admin3": "A"})])
    session = world.session(tmp_path / "lake")

    with pytest.raises(MissingDates, match=r"2017-05-01.* there is data from 2016-01-01 to 2016-01-01"):
        session.run({**DAILY, "date": "2017-05-01"})
    assert session.run({**COUNTS, "end_date": "2016-01-08"}).num_rows == 1
