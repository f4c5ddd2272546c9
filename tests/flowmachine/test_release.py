"""Nothing that stands for too few people is published."""

import datetime as dt
import random

import pytest
from hypothesis import strategies as st
from tests.flowmachine import reference
from tests.flowmachine.random_examples import afresh
from tests.flowmachine.reference.money import contributions
from tests.flowmachine.worlds import BY_HAND, START, TACS, questions

import flowmachine
from flowkit_base.errors import UserError
from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds
from flowmachine.release import PERCENT, SMALLEST, Rule
from flowmachine.testing import Cell, Event, World, rows

AGGREGATES = sorted(k for k, cls in kinds().items() if cls.role == "Aggregate" and cls.counts is not None)
CROWDED = [
    Cell(
        c,
        lon=80 + i,
        lat=26.0 + i,
        site=f"site-{c}",
        pcods={"admin1": r, "admin3": r + str(i), "health_zone": r},
        mapped={BY_HAND: {"admin1": (r,), "admin3": (r + str(i),), "health_zone": ("W",)}},
    )
    for i, (c, r) in enumerate(["aN", "bN", "cS"])
]

AROUND = {
    unit: {
        code: f"POLYGON (({x} {y}, {x + w} {y}, {x + w} {y + w}, {x} {y + w}, {x} {y}))" for code, x, y, w in squares
    }
    for unit, squares in {
        "admin1": [("N", 79.5, 25.5, 2), ("S", 81.5, 27.5, 1)],
        "admin3": [("N0", 79.5, 25.5, 1), ("N1", 80.5, 26.5, 1), ("S2", 81.5, 27.5, 1)],
    }.items()
}
"""Squares round the cells, for what is placed by its own position."""


def _day(n):
    """The nth of the days that random queries are about."""
    return START + dt.timedelta(days=n)


def crowd(size):
    """A world in which so many subscribers are in N and three in S, on every day."""
    where = random.Random(size)
    events = [
        Event(
            "calls",
            n,
            f"{_day(day)}T{where.randrange(3, 23):02}:00",
            "c" if n < 3 else where.choice("ab"),
            counterpart=where.randrange(size),
            outgoing=True,
            values={"tac": where.choice([1, 1, 1, 2, 3])},
        )
        for n in range(size + 3)
        for day in range(5)
    ]
    events += [
        Event(
            "topups",
            n,
            f"{_day(n % 5)}T12:00",
            None,
            values={"recharge_amount": 5.0 * (n % 2), "pre_event_balance": 0.0, "post_event_balance": 5.0 * (n % 2)},
        )
        for n in range(size + 3)
    ]
    events += [
        Event(
            "transactions",
            n,
            f"{_day(day)}T12:00",
            "c" if n < 3 else where.choice("ab"),
            id=n,
            # Now and then somebody moves more than all the others together.
            values={"amount": where.choice([10.0, 10.0, 20.0, 10.0 ** where.randrange(1, 6)]), "fee": 0.0},
        )
        for n in range(size + 3)
        for day in range(5)
    ]
    empty = [(name, _day(n)) for name in ("topups", "transactions") for n in range(5)]
    return World(events, CROWDED, empty_days=empty, tacs=TACS, boundaries=AROUND)


@pytest.mark.parametrize(("people", "published"), [(SMALLEST - 1, []), (SMALLEST, [("N", SMALLEST)])])
def test_a_row_is_published_from_sixteen_people_on(people, published, tmp_path):
    """A count of 15 is withheld, and one of 16 is told."""
    session = crowd(people).session(tmp_path / "lake")
    asked = {
        "query_kind": "unique_subscriber_counts",
        "start_date": str(START),
        "end_date": str(_day(5)),
        "aggregation_unit": "admin1",
    }

    assert rows(session.run(asked, release=True)) == published


@pytest.mark.takes_long("asks every aggregate about several crowds")
def test_no_published_row_stands_for_too_few(ask_duckdb):
    """Whatever is asked of whatever crowd, every published row has at least 16 people behind it, and none is lost."""

    @afresh(7, 2016, st.integers(10, 40).map(crowd), st.tuples(*map(questions, AGGREGATES)))
    def hold(world, asked):
        session = ask_duckdb(world)
        for query in asked:
            assert_published(session, query, world)
        session.close()

    hold()


def assert_published(session, query, world):
    """What is published of a query is what the reference lets through."""
    published = rows(session.run(query, release=True))
    if query.kind == "histogram_aggregate":
        counts = [row[0] for row in published]
        assert all(n is not None and n >= SMALLEST for n in counts) or counts == [None]
        return
    enough = publishable(query, reference.people(query, world))
    if query.contributions is not None:
        parts = contributions(query, world)
        enough -= {key for key, made in parts.items() if sum(made[2:]) * 100 < made[0] * PERCENT}
    told = {tuple(v for n, v in zip(query.result_columns, row, strict=True) if n != "value") for row in published}
    # A mode that too few share is withheld, however many are behind the row; shares have a rule of their own.
    fewer = getattr(query, "method", "") in ("mode", "distr")
    assert told <= enough if fewer else told == enough, query.spec


def publishable(query, behind):
    """The rows that stand for enough people, of locations none of whose rows is withheld where a kind says so."""
    enough = {key for key, n in behind.items() if n >= SMALLEST}
    if query.suppressed_together is None:
        return enough
    places = len(query.result_columns.keys() - query.columns.keys())
    short = {key[:places] for key in behind if key not in enough or None in key[:places]}
    return {key for key in enough if key[:places] not in short}


@pytest.mark.parametrize("kind", sorted(k for k, cls in kinds().items() if cls.role != "Aggregate"))
def test_what_tells_of_single_subscribers_is_never_released(kind, tmp_path):
    """A subscriber-level query cannot be published at all."""
    session = crowd(20).session(tmp_path / "lake")
    query = parse({**kinds()[kind].example})

    with pytest.raises(PermissionError, match="single subscribers"):
        session.run(query, release=True)


@pytest.mark.parametrize(("method", "told"), [("max", 5), ("min", 24), ("mode", None)])
def test_one_persons_value_is_never_published(method, told, tmp_path):
    """Of twenty people with 1 to 20 events more than the least, the 16th greatest and the 16th least are told."""
    events = [
        Event("calls", person, f"2016-03-25T{3 + n // 60:02}:{n % 60:02}", "a")
        for person in range(1, 21)
        for n in range(8 + person)
    ]
    session = World(events, CROWDED).session(tmp_path / "lake")
    place = {"query_kind": "daily_location", "date": "2016-03-25", "aggregation_unit": "admin1", "method": "last"}
    counts = {"query_kind": "event_count", "start_date": "2016-03-25", "end_date": "2016-03-26"}
    asked = {"query_kind": "joined_spatial_aggregate", "locations": place, "metric": counts, "method": method}

    published = rows(session.run(asked, release=True))

    assert published == ([] if told is None else [("N", told + 8.0 if method == "max" else float(told))])


def test_a_deployment_can_ask_for_more_people_but_not_for_fewer():
    """The rule may be stricter than 16, never laxer."""
    assert Rule(30).smallest == 30
    with pytest.raises(ValueError, match="at least 16"):
        Rule(15)
    assert Rule(percent=20).percent == 20
    with pytest.raises(ValueError, match="at least 10"):
        Rule(percent=9)


@pytest.mark.parametrize(("configured", "variable", "smallest"), [("", "", 16), ("30", "", 30), ("30", "40", 40)])
def test_the_library_follows_the_rule_of_the_deployment(tmp_path, monkeypatch, configured, variable, smallest):
    """A session on a deployment's lake follows flowmachine_smallest of flowkit.toml; the environment wins."""
    crowd(16).session(tmp_path / "lake").close()
    if configured:
        (tmp_path / "flowkit.toml").write_text(f"flowmachine_smallest = {configured}\n")
    monkeypatch.setenv("FLOWMACHINE_SMALLEST", variable)

    session = flowmachine.connect(tmp_path / "lake")

    assert session.rule == Rule(smallest)
    session.close()


@pytest.mark.parametrize("wrong", ["flowmachine_smallest = 5", "flowmachine_smallest = "])
def test_a_wrong_rule_of_a_deployment_is_refused(tmp_path, wrong):
    """A deployment whose rule is too mild, or cannot be read, publishes nothing, and says which setting is wrong."""
    crowd(16).session(tmp_path / "lake").close()
    (tmp_path / "flowkit.toml").write_text(wrong)

    with pytest.raises(UserError, match=r"FLOWMACHINE_SMALLEST|flowkit\.toml"):
        flowmachine.connect(tmp_path / "lake")


@pytest.mark.parametrize("method", ["sum", "avg", "stddev", "variance", "count", "median"])
def test_an_average_does_not_tell_a_sum_that_is_suppressed(method, tmp_path):
    """If one of twenty people topped up nearly all, neither the sum nor what tells it is published."""
    day = "2016-03-25"
    events = [Event("calls", n, f"{day}T08:00", "a") for n in range(20)]
    events += [
        Event("topups", n, f"{day}T09:00", None, values={"recharge_amount": 100_000.0 if n == 0 else 1.0})
        for n in range(20)
    ]
    session = World(events, CROWDED).session(tmp_path / "lake")
    window = {"start_date": day, "end_date": "2016-03-26"}
    paid = {"query_kind": "topup_amount", "statistic": "sum", **window}
    place = {"query_kind": "daily_location", "date": day, "aggregation_unit": "admin1", "method": "last"}
    asked = {"query_kind": "joined_spatial_aggregate", "locations": place, "metric": paid, "method": method}

    published = rows(session.run(asked, release=True))

    assert len(rows(session.run(asked))) == 1
    assert published == ({"count": [("N", 20.0)], "median": [("N", 1.0)]}.get(method, []))
    session.close()


def test_a_kind_must_say_how_its_people_are_counted():
    """A kind that does not say which column counts people does not import, so none can slip past release."""
    with pytest.raises(TypeError, match="counts"):

        class Careless(Query):
            """Tells of people without counting them."""

            query_kind: str = "careless"
            columns = {"value": "int64"}  # noqa: RUF012
            example = {"query_kind": "careless"}  # noqa: RUF012


def test_people_behind_inflows_are_counted_once(tmp_path):
    """With unique locations, one subscriber who came from many places is one person behind the row, not many."""
    cells = [Cell(str(n), 0, 80.0, 26.0, {"admin1": f"P{n}"}) for n in range(20)]
    events = [Event("calls", 1, f"2016-03-25T{n:02}:00", str(n)) for n in range(20)]
    session = World(events, cells).session(tmp_path / "lake")
    seen = {
        "query_kind": "unique_locations",
        "start_date": str(START),
        "end_date": "2016-03-26",
        "aggregation_unit": "admin1",
    }
    asked = {"query_kind": "inflows", "from_location": seen, "to_location": seen}

    assert rows(session.run(asked))[0] == ("P0", 20)
    assert rows(session.run(asked, release=True)) == []
