"""Settled visits change how fast an answer comes, never the answer."""

import random

import pytest
from hypothesis import strategies as st
from tests.flowmachine.random_examples import afresh
from tests.flowmachine.test_kinds_on_engines import assert_same
from tests.flowmachine.worlds import questions, worlds

from flowmachine.building.plan import plan
from flowmachine.engines.duckdb import DuckDBDialect
from flowmachine.questions.parsing import parse
from flowmachine.session import connect
from flowmachine.testing import Cell, Event, World, rows

OF_VISITS = [
    "daily_location",
    "event_count",
    "location_event_counts",
    "modal_location",
    "most_frequent_location",
    "radius_of_gyration",
    "trips_od_matrix",
    "unique_locations",
    "unique_subscriber_counts",
]
EXAMPLES = {"duckdb": 7, "spark": 2}


@pytest.mark.takes_long("asks many questions about random worlds")
@pytest.mark.parametrize("engine", ["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def test_missing_and_torn_visits_change_nothing(engine, new_directory, request):
    """Where some days have no visits, and others half of a file, every question has the answer of its definition."""
    options = {"session": request.getfixturevalue("spark")} if engine == "spark" else {"threads": 2}
    draw = random.Random(7)

    @afresh(EXAMPLES[engine], 2016, worlds(), st.tuples(*(questions(kind) for kind in OF_VISITS)))
    def agree(world, asked):
        lake = world.lake(new_directory())
        for file in sorted(lake.path.glob("visits/*/*/*.parquet")):
            match draw.randrange(3):
                case 0:
                    file.unlink()
                case 1:
                    file.write_bytes(file.read_bytes()[: -draw.randrange(1, 200)])
        session = connect(lake.path, engine=engine, **options)
        for query in asked:
            assert_same(session, query, world)
        if engine == "duckdb":
            session.close()

    agree()


def test_visits_are_read_where_they_tell_what_is_asked():
    """Whole days are asked of visits, of either direction where no time is told; hours and times of day of events."""
    counted = {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-03"}
    for more, table in (
        ({}, "visits_calls"),
        ({"direction": "out"}, "visits_calls"),
        ({"direction": "in"}, "visits_calls"),
        ({"hours": {"start_hour": 8, "end_hour": 20}}, "calls"),
        ({"end_date": "2016-01-02T12:00:00"}, "calls"),
    ):
        made = plan(parse(counted | more), DuckDBDialect(), "UTC")
        assert any(name.startswith(f"{table}_2016") for name in made.sources), (more, list(made.sources))


def test_a_row_without_a_known_cell_counts(ask_duckdb):
    """Events at no cell, and at cells that nobody knows, count where no place is asked for."""
    world = World(
        [
            Event("calls", 1, "2016-01-01T08:00", None, outgoing=True),
            Event("calls", 1, "2016-01-01T08:00", "gone", outgoing=None),
            Event("calls", 1, "2016-01-01T09:00", "a", outgoing=False),
        ],
        [Cell("a", pcods={"admin3": "N1"})],
    )
    session = ask_duckdb(world)
    asked = {
        "query_kind": "event_count",
        "start_date": "2016-01-01",
        "end_date": "2016-01-02",
        "event_types": ["calls"],
    }
    assert rows(session.run(asked)) == [(1, 3)]
    assert rows(session.run(asked | {"direction": "out"})) == [(1, 1)]
    assert rows(session.run(asked | {"direction": "in"})) == [(1, 1)]
    session.close()
