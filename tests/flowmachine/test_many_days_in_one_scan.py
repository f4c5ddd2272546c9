"""Many days of a modal location, or of location visits, are one scan with the rows that they have as a scan each."""

import datetime as dt

import pytest
from hypothesis import strategies as st
from tests.flowmachine.random_examples import afresh
from tests.flowmachine.test_kinds_on_engines import ENGINES, assert_same
from tests.flowmachine.world import WORLD
from tests.flowmachine.worlds import questions, worlds

from flowmachine.building.plan import plan
from flowmachine.engines.duckdb import DuckDBDialect
from flowmachine.questions.parsing import parse
from flowmachine.testing import rows

KINDS = ["modal_location", "location_visits"]


def daily(date, **more):
    spec = {"query_kind": "daily_location", "date": str(date), "aggregation_unit": "admin3", "method": "last"}
    return spec | more


def asked(kind, locations):
    return parse({"query_kind": kind, "locations": locations})


@pytest.mark.takes_long("asks many questions about random worlds")
@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_its_definition(kind, ask_duckdb):
    """Days that differ in their date alone, asked together, give the rows of the definition."""

    @afresh(7, 2016, worlds(), st.lists(questions(kind), min_size=3, max_size=3))
    def agree(world, drawn):
        session = ask_duckdb(world)
        for query in drawn:
            assert_same(session, query, world)
        session.close()

    agree()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_together_is_right_beside_it(kind, engine, request):
    """Days named twice, of some hours, of a sample, from a time of day, or of another method count as rows of each."""
    session = request.getfixturevalue(f"ask_{engine}")(WORLD)
    first, second, third = (dt.date(2016, 1, d) for d in (1, 2, 3))
    sample = {"sampling_method": "random_ids", "size": 2, "seed": 0.5}
    for locations in (
        [daily(first), daily(second), daily(first), daily(first)],
        [daily(first, hours={"start_hour": 0, "end_hour": 9}), daily(second, hours={"start_hour": 0, "end_hour": 9})],
        [daily(first, sampling=sample), daily(second, sampling=sample), daily(second), daily(third)],
        [daily(f"{first}T12:00:00"), daily(f"{second}T12:00:00"), daily(first)],
        [daily(first, method="most-common"), daily(third, method="most-common"), daily(second), daily(third)],
        [daily(first, subscriber_subset=daily(third)), daily(second, subscriber_subset=daily(third))],
    ):
        assert_same(session, asked(kind, locations), WORLD)


@pytest.mark.parametrize("kind", KINDS)
def test_the_plan_does_not_grow_with_the_days(kind, ask_duckdb):
    """Two hundred days are asked by the SQL of two, and of as many tables; so are days here and there."""
    session = ask_duckdb(WORLD)

    def built(days):
        locations = [daily(dt.date(2016, 1, 1) + dt.timedelta(days=d)) for d in days]
        return plan(asked(kind, locations), DuckDBDialect(), "UTC")

    few = built(range(2))
    for days in (range(200), range(0, 400, 2)):
        many = built(days)
        assert len(many.sources) == len(few.sources)
        assert abs(len(session.engine.sql(many)) - len(session.engine.sql(few))) < 100
    session.close()


def test_more_days_than_one_number_holds(ask_duckdb):
    """Days more than 400 apart, whose times no longer fit one number, give each day's place too."""
    session = ask_duckdb(WORLD)
    far = [daily(dt.date(2016, 1, 1)), daily(dt.date(2016, 1, 2)), daily(dt.date(2018, 1, 2))]
    # Nothing is there on the last day, which says so; the two years between are never read.
    with pytest.raises(Exception, match="2018-01-02"):
        session.run(asked("modal_location", far))
    made = plan(asked("modal_location", far), session.engine.dialect, "UTC")
    near = session.run(asked("modal_location", far[:2]))
    assert rows(session.engine.run(made, session.engine.snapshot())) == rows(near)
    session.close()
