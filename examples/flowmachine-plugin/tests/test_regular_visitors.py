"""Regular visitors, on a world small enough to count by hand."""

import pytest
from regular_visitors import RegularVisitors

from flowmachine.errors import InvalidQuery
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

CELLS = [Cell("a", pcods={"admin3": "A"}), Cell("b", pcods={"admin3": "B"})]
EVENTS = [
    # Subscriber 1 is in A on three days, on one of them twice; subscriber 2 on two; subscriber 3 on one.
    *(Event("calls", 1, at, "a") for at in ("2016-01-01T08:00", "2016-01-01T20:00", "2016-01-02T08:00")),
    Event("sms", 1, "2016-01-03T08:00", "a"),
    *(Event("calls", 2, at, "a") for at in ("2016-01-01T08:00", "2016-01-02T08:00")),
    Event("calls", 3, "2016-01-02T08:00", "a"),
    # And subscriber 3 is in B on two.
    *(Event("calls", 3, at, "b") for at in ("2016-01-01T08:00", "2016-01-03T08:00")),
]
SPEC = {**RegularVisitors.example, "end_date": "2016-01-04"}


@pytest.fixture
def session(tmp_path):
    return World(EVENTS, CELLS).session(tmp_path / "lake")


@pytest.mark.parametrize(("days", "expected"), [(1, [("A", 3), ("B", 1)]), (2, [("A", 2), ("B", 1)]), (3, [("A", 1)])])
def test_a_day_counts_once(session, days, expected):
    """Whoever is seen twice on a day was there on one day."""
    assert rows(session.run({**SPEC, "days": days})) == expected


def test_few_visitors_are_not_published(session):
    """Release withholds locations of fewer than sixteen regular visitors, as of every kind."""
    assert session.run(SPEC, release=True).num_rows == 0


def test_more_days_than_the_window_has_are_refused():
    """A question that nobody can answer is told so before it runs."""
    with pytest.raises(InvalidQuery, match="days is 4, and the window has 3"):
        parse({**SPEC, "days": 4})
