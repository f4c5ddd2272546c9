"""Visitors, residents and those who stay are published only where enough people stand behind each number."""

import pytest

from flowmachine.errors import InvalidQuery
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

CELLS = [Cell("n", pcods={"admin1": "N"}), Cell("s", 0, 1.0, 1.0, pcods={"admin1": "S"})]
SECOND = {"start_date": "2016-01-02", "end_date": "2016-01-03", "aggregation_unit": "admin1"}
HOME = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin1", "method": "last"}
ACTIVE = {
    "query_kind": "active_at_reference_location_counts",
    "unique_locations": {"query_kind": "unique_locations", **SECOND},
    "reference_locations": HOME,
}
VISITORS = {
    "query_kind": "unique_visitor_counts",
    "active_at_reference_location_counts": ACTIVE,
    "unique_subscriber_counts": {"query_kind": "unique_subscriber_counts", **SECOND},
}


def at(day, cell, people):
    return [Event("calls", person, f"2016-01-0{day}T08:00", cell) for person in people]


def town(residents, visitors):
    """So many who live in N and are there on the 2nd, and so many who live in S and then are in N."""
    locals_, guests = range(residents), range(1000, 1000 + visitors)
    return World([*at(1, "n", locals_), *at(2, "n", locals_), *at(1, "s", guests), *at(2, "n", guests)], CELLS)


@pytest.mark.parametrize(
    ("residents", "visitors", "published"),
    [
        (20, 16, [("N", 16)]),
        (20, 15, []),  # FlowKit publishes them: 35 and 20 are enough people each.
        (20, 1, []),
        (20, 0, []),
        (16, 20, [("N", 20)]),
        (15, 20, []),
        (0, 40, []),
    ],
)
def test_visitors_are_published_where_both_counts_and_their_difference_are(residents, visitors, published, ask_duckdb):
    """A difference of two counts is published where all, residents and visitors are 16 people or more."""
    session = ask_duckdb(town(residents, visitors))

    assert rows(session.run(VISITORS, release=True)) == published


def test_the_difference_is_told_inside_the_operator(ask_duckdb):
    """Unreleased, every reference location has its difference; one where nobody was seen has none."""
    session = ask_duckdb(town(3, 2))

    assert rows(session.run(VISITORS)) == [("N", 2), ("S", None)]
    assert rows(session.run(ACTIVE)) == [("N", 3), ("S", 0)]


def test_a_difference_that_is_below_zero_is_withheld(ask_duckdb):
    """Where residents are counted over more days than all people are, a difference of minus 20 is not published."""
    people = range(40)
    world = World([*at(1, "n", people), *at(2, "n", range(20)), *at(3, "n", people)], CELLS)
    longer = {**ACTIVE, "unique_locations": {**ACTIVE["unique_locations"], "end_date": "2016-01-04"}}
    asked = {**VISITORS, "active_at_reference_location_counts": longer}
    session = ask_duckdb(world)

    assert rows(session.run(asked)) == [("N", -20)]
    assert rows(session.run(asked, release=True)) == []


@pytest.mark.parametrize(("people", "published"), [(15, []), (16, [("N", 16)])])
def test_those_who_were_seen_at_one_place_alone_are_published_from_sixteen_on(people, published, ask_duckdb):
    """A count of those who did not move, or who are active at home, is withheld below 16 people."""
    session = ask_duckdb(town(people, 0))
    places = ACTIVE["unique_locations"]
    asked = [
        {"query_kind": "unmoving_counts", "locations": places},
        {"query_kind": "unmoving_at_reference_location_counts", "locations": places, "reference_locations": HOME},
        ACTIVE,
    ]

    assert [rows(session.run(spec, release=True)) for spec in asked] == [published] * 3


WRONG = {
    "units of visitors": (
        {
            **VISITORS,
            "unique_subscriber_counts": {**VISITORS["unique_subscriber_counts"], "aggregation_unit": "admin3"},
        },
        "",
        "in one unit, not in admin1 and admin3",
    ),
    "units of residents": (
        {**ACTIVE, "reference_locations": {**HOME, "aggregation_unit": "admin3"}},
        "",
        "in one unit, not in admin1 and admin3",
    ),
    "units of those who stay": (
        {
            "query_kind": "unmoving_at_reference_location_counts",
            "locations": {**ACTIVE["unique_locations"], "aggregation_unit": "admin3"},
            "reference_locations": HOME,
        },
        "",
        "in one unit, not in admin3 and admin1",
    ),
    "another kind of locations": (
        {"query_kind": "unmoving_counts", "locations": HOME},
        "locations.query_kind",
        "Must be one of: unique_locations",
    ),
    "introversion of data sessions": (
        {"query_kind": "location_introversion", **SECOND, "event_types": ["calls", "mds", "topups"]},
        "",
        "Leave mds and topups out of event_types",
    ),
}


@pytest.mark.parametrize(("spec", "path", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_question_of_presence_is_told_by_path(spec, path, words):
    """Units that differ, another kind in a slot, and events with one party are refused in a sentence."""
    with pytest.raises(InvalidQuery) as refusal:
        parse(spec)

    assert any(words in message for message in refusal.value.problems[path]), refusal.value.problems


def call(number, caller, here, answerer, there, **changes):
    return [
        Event("calls", caller, "2016-01-02T08:00", here, outgoing=True, id=number),
        Event(
            **{
                "event_type": "calls",
                "subscriber": answerer,
                "at": "2016-01-02T08:00",
                "cell": there,
                "outgoing": False,
            }
            | {"id": number}
            | changes
        ),
    ]


INTROVERSION = {"query_kind": "location_introversion", **SECOND}
CALLS = [
    *call(1, 1, "n", 2, "n"),
    *call(2, 1, "n", 3, "s"),
    *call(3, 3, "s", 1, "n", event_type="sms"),
    Event("calls", 1, "2016-01-02T09:00", "n", outgoing=True, id=4),  # The other party is of another network.
    *call(5, 1, "n", 2, "nowhere"),
    *call(None, 1, "n", 2, "n"),
    *call(6, 1, "n", 2, "n", outgoing=None),
    *call(7, 1, "n", 2, "n", outgoing=True),
]


@pytest.mark.parametrize(
    ("direction", "shares"),
    [("both", [("N", 0.5), ("S", 0.0)]), ("out", [("N", 0.5), ("S", 0.0)]), ("in", [("N", 0.5), ("S", 0.0)])],
)
def test_introversion_is_of_interactions_with_two_known_ends(direction, shares, ask_duckdb):
    """Parties that are elsewhere known, off-net, without an id or without a direction count for nothing."""
    session = ask_duckdb(World(CALLS, CELLS))

    assert rows(session.run({**INTROVERSION, "direction": direction})) == shares


def test_halves_that_share_an_id_with_several_count_with_each(ask_duckdb):
    """As in FlowKit, ids are matched across event types and times, and every pair of halves counts."""
    one_id = [
        *call(1, 1, "n", 2, "n"),
        Event("calls", 3, "2016-01-02T08:05", "s", outgoing=False, id=1),
        Event("sms", 4, "2016-01-02T09:00", "n", outgoing=False, id=1),
    ]
    session = ask_duckdb(World(one_id, CELLS))

    assert rows(session.run(INTROVERSION)) == [("N", 0.8), ("S", 0.0)]
    assert rows(session.run({**INTROVERSION, "hours": {"start_hour": 8, "end_hour": 9}})) == [("N", 2 / 3), ("S", 0.0)]


@pytest.mark.parametrize(("people", "published"), [(15, []), (16, [("N", 1.0)])])
def test_introversion_counts_people_and_not_calls(people, published, ask_duckdb):
    """However many calls are made, sixteen different people must stand behind a share."""
    calls = [event for n in range(60) for event in call(n, n % people, "n", (n + 1) % people, "n")]
    session = ask_duckdb(World(calls, CELLS))

    assert rows(session.run(INTROVERSION, release=True)) == published
