"""Where people are for the most part, and how much they move: the rules that choose, one by one."""

import datetime as dt

import pytest

from flowmachine.building.plan import plan
from flowmachine.building.tables import Reference
from flowmachine.engines.duckdb import DuckDB, DuckDBDialect
from flowmachine.errors import InvalidQuery
from flowmachine.queries.coalesced_location import coalesced_of
from flowmachine.queries.labelled_flows import LabelledFlows
from flowmachine.queries.labelled_spatial_aggregate import LabelledSpatialAggregate
from flowmachine.queries.majority_location import majority_of
from flowmachine.queries.mobility_classification import mobility_of
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

CELLS = [
    Cell("a", 0, 80.0, 26.0, {"admin1": "A"}),
    Cell("a too", 0, 80.5, 26.0, {"admin1": "A"}),
    Cell("b", 0, 81.0, 26.0, {"admin1": "B"}),
]
DAYS = [dt.date(2016, 1, day) for day in range(1, 9)]


def answers(path, visits, query):
    """What a query tells of each person, from where each was when."""
    events = [Event("calls", person, at, cell) for person, seen in visits.items() for at, cell in seen]
    session = World(events, CELLS, empty_days=[("calls", day) for day in DAYS]).session(path / "lake")
    return dict(rows(session.run(query)))


def majority(*days, **more):
    """A majority location of some days of January."""
    return {**majority_of(*(str(DAYS[day - 1]) for day in days), unit="admin1"), **more}


def noons(cells):
    """Where a person was at noon of one day after another; a space is nowhere."""
    return [
        (dt.datetime.combine(day, dt.time(12)), cell) for day, cell in zip(DAYS, cells, strict=False) if cell != " "
    ]


@pytest.mark.parametrize("end", ["2016-01-05", "2016-06-05"])
def test_visited_most_days_prefers_days_then_events_then_the_later_then_the_last_code(end, tmp_path):
    """However long the window is, two cells of one region on one day are one day."""
    visits = {
        1: [("2016-01-01T08:00", "a"), ("2016-01-02T08:00", "a")] + [(f"2016-01-03T{n:02}:00", "b") for n in range(5)],
        2: [("2016-01-01T08:00", "a"), ("2016-01-01T08:01", "a"), ("2016-01-02T08:00", "b")],
        3: [("2016-01-01T08:00", "b"), ("2016-01-01T08:01", "a")],
        4: [("2016-01-01T08:00", "b"), ("2016-01-01T08:00", "a")],
        5: [("2016-01-01T08:00", "a"), ("2016-01-01T09:00", "a too")] + [("2016-01-02T08:00", "b")] * 2,
    }
    asked = {
        "query_kind": "visited_most_days",
        "start_date": "2016-01-01",
        "end_date": end,
        "aggregation_unit": "admin1",
    }

    assert answers(tmp_path, visits, asked) == {1: "A", 2: "A", 3: "A", 4: "B", 5: "B"}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, {1: "A", 2: "A"}),
        ({"include_unlocatable": True}, {1: "A", 2: "A", 3: None}),
        ({"minimum_total_weight": 3.5}, {1: "A"}),
        ({"minimum_total_weight": 4, "include_unlocatable": True}, {1: None, 2: None, 3: None}),
    ],
)
def test_a_majority_is_more_than_half(more, told, tmp_path):
    """Half is no majority, neither of what is known of a person nor of the least that must be known."""
    visits = {1: noons("aa"), 2: noons("a"), 3: noons("aabb")}

    assert answers(tmp_path, visits, majority(1, 2, 3, 4, **more)) == told


@pytest.mark.parametrize(("threshold", "told"), [(1, {1: "A", 2: "B", 3: "B"}), (2, {1: "A", 2: "B", 3: None})])
def test_a_fallback_needs_weight(threshold, told, tmp_path):
    """The fallback stands in where the preferred account is at a loss, if the person was often enough there."""
    visits = {1: noons("aab"), 2: noons("abb"), 3: noons("a b")}
    asked = {
        "query_kind": "coalesced_location",
        "preferred_location": majority(1, 2, minimum_total_weight=2, include_unlocatable=True),
        "fallback_location": majority(3),
        "subscriber_location_weights": majority(1, 2, 3)["subscriber_location_weights"],
        "weight_threshold": threshold,
    }

    assert answers(tmp_path, visits, asked) == told


# A period is two days, and one of them at a and one at b is one without a location. Where the threshold decides, the
# longest stay is told.
HISTORIES = {
    "aaaaaabb": 3,
    "bbaaaaaa": 3,
    "aaaabbbb": 2,
    "aabbaabb": 1,
    "aaabaaaa": "not_always_locatable",
    "aaaaaaab": "unlocated",
    "aa  aaaa": "irregular",
    "ab  aaaa": "irregular",
    "  aaaaab": "unlocated",
    "aaaaaa  ": None,
}


@pytest.mark.parametrize("threshold", [0, 1, 2, 3, 5, 2**31 - 1])
def test_mobility_is_the_first_label_that_is_true(threshold, tmp_path):
    """Each history has its label; how long a stay makes a person stable is all that the threshold changes."""
    periods = [tuple(str(day) for day in DAYS[n : n + 2]) for n in range(0, 8, 2)]
    asked = {**mobility_of(*periods, unit="admin1"), "stay_length_threshold": threshold}
    told = {}
    for person, label in enumerate(HISTORIES.values()):
        if isinstance(label, int):
            told[person] = "stable" if label >= threshold else "mobile"
        elif label is not None:
            told[person] = label

    assert answers(tmp_path, dict(enumerate(map(noons, HISTORIES))), asked) == told


@pytest.mark.parametrize("kind", [LabelledFlows, LabelledSpatialAggregate])
def test_a_part_of_many_questions_is_computed_once(kind):
    """However often an account of where people are stands in a question, it reads each table of events once."""
    made = plan(parse(kind.example), DuckDBDialect(), "UTC")
    sql = DuckDB.sql(None, made)
    read = {name: sql.count(f'"{name}"') for name, source in made.sources.items() if not isinstance(source, Reference)}

    assert read
    assert set(read.values()) == {1}


def test_a_classification_grows_with_its_periods_alone():
    """Twice as many stored periods make no more than about twice the SQL."""

    def size(periods):
        query = parse(mobility_of(*([f"2016-{n // 28 + 1:02}-{n % 28 + 1:02}"] for n in range(periods))))
        stored = [location.id for location in query.locations]
        return len(DuckDB.sql(None, plan(query, DuckDBDialect(), "UTC", stored_parts=stored)))

    assert size(48) < 2.2 * size(24)


def test_labels_may_be_of_another_unit():
    """The unit of a labelled table is that of its locations."""
    finer = {**LabelledFlows.example, "labels": mobility_of(["2016-01-01"], unit="admin3")}

    assert parse(finer).unit == "admin1"
    assert parse(finer["labels"]).unit is None
    assert list(parse(finer).result_columns) == ["pcod_from", "pcod_to", "value_label", "value"]


def test_periods_in_another_order_are_another_question():
    """A classification of periods taken backwards has an id of its own."""
    there, back = mobility_of(["2016-01-01"], ["2016-01-02"]), mobility_of(["2016-01-02"], ["2016-01-01"])

    assert parse(there).id != parse(back).id


NORTH, DISTRICTS = coalesced_of("2016-01-01", unit="admin1"), coalesced_of("2016-01-01", unit="admin3")


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        ({**majority(1), "minimum_total_weight": -1}, "minimum_total_weight", "greater than or equal to 0"),
        ({**majority(1), "minimum_total_weight": float("inf")}, "minimum_total_weight", "finite"),
        (
            {**NORTH, "fallback_location": DISTRICTS["fallback_location"]},
            "",
            "must be in one unit, not in admin1 and admin3",
        ),
        ({**NORTH, "weight_threshold": -1}, "weight_threshold", "greater than or equal to 0"),
        ({**NORTH, "preferred_location": NORTH}, "preferred_location.query_kind", "majority_location"),
        ({**mobility_of(["2016-01-01"]), "locations": [NORTH, DISTRICTS]}, "", "one unit, not in admin1 and admin3"),
        ({**mobility_of(["2016-01-01"]), "locations": []}, "locations", "at least one"),
        ({**LabelledFlows.example, "to_location": DISTRICTS}, "", "admin1 and admin3"),
        ({**LabelledFlows.example, "labels": NORTH}, "labels.query_kind", "mobility_classification"),
    ],
)
def test_a_wrong_question_is_told_by_path(spec, path, words):
    """The message names what is wrong and what would be right."""
    with pytest.raises(InvalidQuery) as refusal:
        parse(spec)

    assert any(words in message for message in refusal.value.problems[path]), refusal.value.problems
