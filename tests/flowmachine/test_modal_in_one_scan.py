"""Many days of a modal location are one scan, with the rows that they have as a scan each."""

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from tests.flowmachine.test_kinds_on_engines import assert_same
from tests.flowmachine.worlds import questions, worlds

from flowmachine import plan
from flowmachine.queries import modal_location


@pytest.fixture
def one_scan(monkeypatch):
    """Lets no day be a scan of its own, as where there are more than 31."""
    monkeypatch.setattr(modal_location, "MOST_APART", 0)
    plan._plan.cache_clear()
    yield
    plan._plan.cache_clear()


def test_agrees_with_its_definition(one_scan, ask_duckdb):
    """Days that differ in their date alone, asked together, give the rows of the definition."""

    @settings(
        max_examples=30, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
    )
    @seed(2016)
    @given(worlds(), st.lists(questions("modal_location"), min_size=3, max_size=3))
    def agree(world, asked):
        session = ask_duckdb(world)
        for query in asked:
            together.append(any(len(days) > 1 for days in query._together()))
            assert_same(session, query, world)
        session.close()

    together = []
    agree()

    assert any(together)
