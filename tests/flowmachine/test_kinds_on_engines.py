"""Every kind, on every engine, against its plain definition."""

import datetime as dt
import math
import os

import pytest
from hypothesis import strategies as st
from tests.flowmachine import reference
from tests.flowmachine.random_examples import afresh
from tests.flowmachine.worlds import questions, worlds

from flowmachine.questions.registry import kinds
from flowmachine.testing import rows

pytestmark = pytest.mark.takes_long("asks hundreds of random questions about random worlds")

ENGINES = [
    "duckdb",
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("spark", marks=pytest.mark.spark),
]
COUNTED = sorted(set(kinds()) - {"geography"})
ASKED = 6
"""How many questions are asked of a world, each of another kind."""
WORLDS = {
    engine: int(os.environ.get("FLOWKIT_WORLDS", n)) for engine, n in [("duckdb", 60), ("postgres", 16), ("spark", 5)]
}
"""How many random worlds an engine is asked about."""


@st.composite
def worlds_and_questions(draw, asked=ASKED):
    some = st.lists(st.sampled_from(COUNTED), min_size=asked, max_size=asked, unique=True)
    return draw(worlds()), [draw(questions(kind)) for kind in draw(some)]


@pytest.mark.parametrize("engine", ENGINES)
def test_agrees_with_its_definition_on_random_worlds(engine, request):
    """Whatever the events, cells, zone and parameters, every engine gives the rows that the definition gives."""
    ask = request.getfixturevalue(f"ask_{engine}")

    @afresh(WORLDS[engine], 2016, worlds_and_questions())
    def agree(drawn):
        world, asked = drawn
        session = ask(world)
        for query in asked:
            assert_same(session, query, world)
        if engine != "spark":
            session.close()

    agree()


def assert_same(session, query, world):
    """The engine's rows are the reference's, in order."""
    got = rows(session.run(query))
    expected = reference.answer(query, world)
    assert len(got) == len(expected), (query.spec, got, expected)
    for ours, theirs in zip(got, expected, strict=True):
        assert all(same(a, b) for a, b in zip(ours, theirs, strict=True)), (query.spec, got, expected)


def same(a, b):
    """Equal; numbers to 1e-3, for the plane's formula is not the ellipsoid's; a time is what its text tells."""
    if isinstance(b, str) and isinstance(a, dt.date):
        return a.isoformat() == b
    if isinstance(a, float) or isinstance(b, float):
        return (a is None) == (b is None) and (a is None or math.isclose(a, b, rel_tol=2e-4, abs_tol=1e-6))
    return a == b
