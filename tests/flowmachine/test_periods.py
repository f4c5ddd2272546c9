"""Periods are of the clock on the wall, and tell who was active in which of them."""

import datetime as dt
import json

import pyarrow.parquet as pq
import pytest
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowmachine.building.plan import plan
from flowmachine.geojson import Atlas, all_features
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

CALENDAR = {"query_kind": "calendar_activity", "start_date": "2016-10-30", "event_types": ["calls"]}
HOME = {"query_kind": "daily_location", "date": "2016-10-30", "aggregation_unit": "admin1", "method": "last"}
LOCAL = {**CALENDAR, "query_kind": "localised_calendar_activity", "reference_location": HOME}


def world_of(*events, **more):
    return World([Event("calls", *event) for event in events], [Cell("a", pcods={"admin1": "N"})], **more)


@pytest.fixture(params=ENGINES)
def ask(request):
    """Opens a session on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")


def at(hour, minute=0, day=30):
    return dt.datetime.fromisoformat(f"2016-10-{day:02}T{hour:02}:{minute:02}")


def test_a_repeated_hour_is_one_period(ask):
    """When clocks go back, the two hours that they tell alike are one period of an hour."""
    twice = [(n, at(2, 30), "a") for n in (1, 2)]
    session = ask(world_of(*twice, (1, at(3), "a"), (2, at(23, 59), "a"), timezone="Europe/Paris"))

    asked = {**CALENDAR, "start_date": "2016-10-30T02:00", "total_periods": 22, "period_unit": "hours"}

    assert rows(session.run(asked)) == [((at(2), at(3)), 1), ((at(2), at(23)), 1)]


def test_more_periods_than_an_integer_has_bits_are_told_alike(ask):
    """Whether there are 62 periods or 63, the same people are told of the same periods."""
    session = ask(world_of((1, at(0), "a"), (1, at(1, 1), "a"), (2, at(0), "a"), (3, at(1, 2), "a")))
    minutes = {"period_unit": "minutes"}

    fewer = rows(session.run({**CALENDAR, **minutes, "total_periods": 62}))
    more = rows(session.run({**CALENDAR, **minutes, "total_periods": 63}))
    counts = rows(session.run({**CALENDAR, **minutes, "query_kind": "total_active_periods", "total_periods": 63}))

    assert fewer == [((at(0),), 1), ((at(0), at(1, 1)), 1)]
    assert more == [((at(0),), 1), ((at(0), at(1, 1)), 1), ((at(1, 2),), 1)]
    assert counts == [(1, 2), (2, 1), (3, 1)]


def test_days_without_data_are_days_without_activity(ask_duckdb):
    """Periods of which some have no data are answered; only where none has any is there nothing to tell."""
    session = ask_duckdb(world_of((1, at(8), "a")))

    assert rows(session.run({**CALENDAR, "total_periods": 10})) == [((at(0),), 1)]


@pytest.mark.parametrize("unit", ["days", "hours", "minutes"])
def test_a_plan_does_not_grow_with_the_periods(unit, ask_duckdb):
    """Six times the periods take no more SQL."""
    session = ask_duckdb(world_of((1, at(8), "a")))

    sizes = {len(session.explain({**LOCAL, "total_periods": n, "period_unit": unit})) for n in (1440, 8640)}

    # The names of the days that are read, and numbers, may be longer by a digit.
    assert max(sizes) - min(sizes) < 50


def test_a_sample_is_of_people(ask_duckdb):
    """A sample of twenty of forty people counts twenty people, not half of the rows."""
    session = ask_duckdb(world_of(*[(n, at(8 + n % 2), "a") for n in range(40)]))
    sampling = {"sampling_method": "random_ids", "size": 20, "seed": 0.5}

    for asked in (CALENDAR, LOCAL):
        told = rows(session.run({**asked, "total_periods": 24, "period_unit": "hours", "sampling": sampling}))
        assert sum(row[-1] for row in told) == 20


def test_a_location_is_withheld_whole(ask):
    """Where one group of a location is too small, the location is not told; where all are large, all are."""
    people = [(n, at(8), "a") for n in range(16)] + [(n, at(9), "a") for n in range(100, 116)]
    asked = {**LOCAL, "start_date": "2016-10-30T08:00", "total_periods": 1, "period_unit": "hours"}

    enough = ask(world_of(*people))
    assert rows(enough.run(asked, release=True)) == [("N", (at(8),), 16), ("N", None, 16)]
    short = ask(world_of(*people[1:]))
    assert rows(short.run(asked)) == [("N", (at(8),), 15), ("N", None, 16)]
    assert rows(short.run(asked, release=True)) == []


def test_periods_travel_as_parquet_and_geojson(ask_duckdb, tmp_path):
    """Stored rows hold lists of local times, and features tell them as text."""
    session = ask_duckdb(world_of(*[(n, at(8), "a") for n in range(16)]))
    query = parse({**LOCAL, "total_periods": 2})
    made, snapshot = plan(query, session.engine.dialect, session.timezone, rule=session.rule), session.engine.snapshot()
    file = tmp_path / "rows.parquet"

    session.engine.store(made, snapshot, file)

    stored = pq.read_table(file)
    assert stored.schema.equals(made.schema)
    assert rows(stored) == [("N", (at(0),), 16)]
    (batch,) = all_features(stored, query, Atlas(session.engine, session.timezone).places("admin1", snapshot))
    assert json.loads(batch["feature"][0].as_py())["properties"]["value_label"] == ["2016-10-30T00:00:00"]
