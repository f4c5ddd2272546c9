"""The states of a question."""

import datetime as dt

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmachine.server.records import open_records, queries
from flowmachine.server.states import EVENTS, STATES, TRANSITIONS, fire

ENDS = {"completed", "errored", "cancelled"}
QUESTION = "0" * 32


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Records of one query."""
    opened = open_records(f"sqlite:///{tmp_path_factory.mktemp('states') / 'catalogue.db'}")
    with opened.begin() as connection:
        connection.execute(sa.insert(queries).values(query_id=QUESTION, query_kind="flows", params={}, state="known"))
    yield opened
    opened.dispose()


def test_an_event_leads_from_a_state_to_one_state_and_by_one_name():
    """No state is left by one event in two ways, and an event always means the same new state."""
    assert len({(start, event) for start, event, _ in TRANSITIONS}) == len(TRANSITIONS)
    assert len({(event, stop) for _, event, stop in TRANSITIONS}) == len(EVENTS)


@pytest.mark.parametrize("state", sorted(STATES))
def test_every_state_can_be_reached_and_can_end(state):
    """From known every state is reached, and from every state a result, a reason or a cancellation."""

    def reached(first):
        found = {first}
        while more := {stop for start, _, stop in TRANSITIONS if start in found} - found:
            found |= more
        return found

    assert state in reached("known")
    assert reached(state) & ENDS


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.sampled_from(sorted(EVENTS)), max_size=12))
def test_the_records_follow_the_table(records, events):
    """Whatever happens in whatever order, a question changes as the table says, and otherwise stays."""
    steps = {(start, event): stop for start, event, stop in TRANSITIONS}
    with records.begin() as connection:
        connection.execute(sa.update(queries).values(state="known"))
        expected = "known"
        for event in events:
            changed = fire(connection, QUESTION, event)
            assert changed == ((expected, event) in steps)
            expected = steps.get((expected, event), expected)
            assert connection.execute(sa.select(queries.c.state)).scalar() == expected


def test_of_two_who_try_one_succeeds(records):
    """A question that waits is executed by one worker only, and remembers when that began."""
    with records.begin() as connection:
        connection.execute(sa.update(queries).values(state="queued"))
    began = [dt.datetime(2026, 1, 1, hour, tzinfo=dt.UTC) for hour in (1, 2)]
    won = []
    for at in began:
        with records.begin() as connection:
            won.append(fire(connection, QUESTION, "execute", started=at))
    with records.connect() as connection:
        assert won == [True, False]
        assert connection.execute(sa.select(queries.c.started)).scalar() == began[0]
