"""An engine of another package is found by its entry point, and answers without an edit of FlowMachine."""

import datetime as dt
import importlib
from pathlib import Path

import pytest
from tests.flowmachine.test_kinds_on_engines import assert_same

import flowmachine
from flowmachine.engines.registry import engine_kinds
from flowmachine.errors import FlowMachineError, Unsupported
from flowmachine.questions.parsing import parse
from flowmachine.server.settings import Settings
from flowmachine.testing import Cell, Event, World

PACKAGE = Path(__file__).parents[1] / "engines" / "fourth_engine"
URL = "memory://world"
CELLS = [Cell("a", pcods={"admin3": "A"}), Cell("b", pcods={"admin3": "B"})]
EVENTS = [
    Event("calls", n, f"2016-01-01T{8 + n % 9:02}:00", "ab"[n % 2], counterpart=n + 1, outgoing=True)
    for n in range(1, 30)
]
WORLD = World(EVENTS, CELLS, "Asia/Kathmandu")
WINDOW = {"start_date": "2016-01-01", "end_date": "2016-01-02"}
PEOPLE = {**WINDOW, "query_kind": "unique_subscriber_counts", "aggregation_unit": "admin3"}


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A session on a store that only the other package's engine can read."""
    monkeypatch.syspath_prepend(str(PACKAGE))
    importlib.import_module("in_memory_engine").keep(URL, WORLD.lake(tmp_path / "lake"))
    session = flowmachine.connect(URL)
    yield session
    session.close()


@pytest.mark.parametrize(
    "spec",
    [
        PEOPLE,
        {**WINDOW, "query_kind": "location_event_counts", "aggregation_unit": "admin3", "interval": "hour"},
        {**WINDOW, "query_kind": "total_network_objects", "aggregation_unit": "admin3", "total_by": "hour"},
        {**WINDOW, "query_kind": "radius_of_gyration"},
    ],
    ids=lambda spec: spec["query_kind"],
)
def test_it_answers_as_the_definition_says(session, spec):
    """Questions asked of it have the rows of their plain definition."""
    assert_same(session, parse(spec), WORLD)


def test_the_store_chooses_it(session):
    """A URL of its own scheme needs no name of an engine, and the server's settings take the name."""
    assert session.engine.dialect.name == "memory"
    assert "memory" in engine_kinds()
    assert Settings(flowdb_store=URL, flowmachine_engine="memory").flowmachine_engine == "memory"


def test_what_it_lacks_is_said_in_a_sentence(session):
    """It has no boundaries and stores no rows, as it declares: both are refused before anything runs."""
    with pytest.raises(Unsupported, match="geography needs the boundaries of places, which the engine memory lacks"):
        session.run({"query_kind": "geography", "aggregation_unit": "admin3"})
    with pytest.raises(Unsupported, match="The engine memory stores no rows"):
        session.store({**WINDOW, "query_kind": "event_count"})


def test_its_versions_identify_results(session):
    """The version of a day is a text that the engine gives; results of other days have other ids."""
    query = parse(PEOPLE)
    before = session.result_id(query)
    assert session.result_id(query) == before

    day = ("calls", dt.date(2016, 1, 1))
    session.engine._events = {**session.engine._events, day: session.engine._events[day].slice(1)}
    assert session.result_id(query) != before


def test_an_engine_that_nobody_has_is_refused(session):
    """The sentence names the engines that there are, what each reads, and the one that is perhaps meant."""
    with pytest.raises(FlowMachineError, match=r"No engine 'memroy'.*memory reads a memory:// URL.*Perhaps memory is"):
        flowmachine.connect(URL, engine="memroy")
    with pytest.raises(FlowMachineError) as refusal:
        flowmachine.connect("oracle://user:secret@host/db")
    assert "secret" not in str(refusal.value)
