"""Numbers of cells over time: when a local hour, day or year begins, and who is behind the numbers."""

import datetime as dt

import pytest
from tests.flowmachine import reference
from tests.flowmachine.reference import network
from tests.flowmachine.test_kinds_on_engines import ENGINES, assert_same

from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

CELLS = [Cell("a", pcods={"admin1": "N"}), Cell("b", pcods={"admin1": "N"}), Cell("c", pcods={"admin1": "S"})]


def at(local, cell="a", subscriber=1, fold=0):
    return Event("calls", subscriber, dt.datetime.fromisoformat(local).replace(fold=fold), cell)


def total(start, end, total_by="day"):
    return {
        "query_kind": "total_network_objects",
        "start_date": start,
        "end_date": end,
        "total_by": total_by,
        "aggregation_unit": "admin1",
    }


def aggregated(asked, aggregate_by, statistic="avg"):
    return {
        "query_kind": "aggregate_network_objects",
        "total_network_objects": asked,
        "statistic": statistic,
        "aggregate_by": aggregate_by,
    }


@pytest.fixture(params=ENGINES)
def ask(request):
    """What opens a session on a world, on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")


def utc(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_an_hour_that_is_told_twice_is_two_hours(ask):
    """When clocks go back at night, 02:30 comes twice, and each of them is in an hour of its own."""
    world = World([at("2016-10-30T02:30"), at("2016-10-30T02:30", cell="b", fold=1)], CELLS, "Europe/Paris")

    got = rows(ask(world).run(total("2016-10-30", "2016-10-31", "hour")))

    assert got == [("N", 1, utc("2016-10-30 00:00")), ("N", 1, utc("2016-10-30 01:00"))]


def test_a_day_begins_at_its_own_midnight_whatever_the_clocks_do_later(ask):
    """Of the days around a change of the clocks, each begins at the local midnight before it."""
    events = [at(f"2016-{day}T12:00") for day in ("03-26", "03-27", "03-28", "10-30", "10-31")]
    world = World(events, CELLS, "Europe/Paris")

    got = [moment for _, _, moment in rows(ask(world).run(total("2016-03-26", "2016-11-01")))]

    assert got == [
        utc("2016-03-25 23:00"),
        utc("2016-03-26 23:00"),
        utc("2016-03-27 22:00"),
        utc("2016-10-29 22:00"),
        utc("2016-10-30 23:00"),
    ]


def test_a_day_without_a_midnight_begins_where_the_clocks_jump_to(ask):
    """In a zone whose clocks jump over midnight, that day begins at the jump, at 01:00."""
    world = World([at("2016-10-16T12:00")], CELLS, "America/Sao_Paulo")

    got = rows(ask(world).run(total("2016-10-16", "2016-10-17")))

    assert got == [("N", 1, utc("2016-10-16 03:00"))]


@pytest.mark.parametrize(
    ("zone", "unit", "begins"),
    [
        ("Asia/Kathmandu", "second", "2016-07-01 02:17:21"),
        ("Asia/Kathmandu", "minute", "2016-07-01 02:17:00"),
        # Nepal's hours begin at a quarter past those of UTC.
        ("Asia/Kathmandu", "hour", "2016-07-01 02:15:00"),
        ("Asia/Kathmandu", "day", "2016-06-30 18:15:00"),
        ("Asia/Kathmandu", "month", "2016-06-30 18:15:00"),
        ("Asia/Kathmandu", "year", "2015-12-31 18:15:00"),
        # The year began in winter time.
        ("Europe/Paris", "year", "2015-12-31 23:00:00"),
        ("Europe/Paris", "month", "2016-06-30 22:00:00"),
    ],
)
def test_stretches_begin_by_the_local_clock(ask, zone, unit, begins):
    """08:02:21.5 local time lies in the second, minute, ..., year that begins as that zone's clocks told it."""
    world = World([at("2016-07-01T08:02:21.500000")], CELLS, zone)
    if zone == "Europe/Paris":
        world = World([at("2016-07-01T02:00")], CELLS, zone)

    got = rows(ask(world).run(total("2016-07-01", "2016-07-02", unit)))

    assert got == [("N", 1, utc(begins))]


def test_a_century_begins_with_its_first_year(ask):
    """2000 is of the 20th century, and 2001 of the 21st."""
    world = World([at("2000-12-31T12:00"), at("2001-01-01T12:00")], CELLS)

    got = rows(ask(world).run(aggregated(total("2000-12-31", "2001-01-02"), "century", "count")))

    assert got == [("N", 1.0, utc("1901-01-01")), ("N", 1.0, utc("2001-01-01"))]


@pytest.mark.parametrize("statistic", ["count", "sum", "avg", "max", "min", "median", "stddev", "variance", "mode"])
def test_every_statistic_is_the_plain_one(ask_duckdb, statistic):
    """Each statistic of the numbers of cells of a day's hours is that of its definition."""
    events = [
        at(f"2016-01-01T{h:02}:00", cell=c) for h, cells in enumerate(["a", "ab", "a", "ab", "b", "abc"]) for c in cells
    ]
    world = World(events, CELLS, "Asia/Kathmandu")
    query = parse(aggregated(total("2016-01-01", "2016-01-02", "hour"), "day", statistic))

    assert reference.answer(query, world)
    assert_same(ask_duckdb(world), query, world)


def test_numbers_of_cells_are_told_where_enough_people_were_there(ask_duckdb):
    """An hour with 15 people is withheld and one with 16 is told; a day is told for all of its people together."""
    events = [
        at(f"2016-01-01T{h:02}:30", subscriber=h * 100 + n) for h, people in ((8, 15), (9, 16)) for n in range(people)
    ]
    # The same ten people in three hours of the next day are ten people.
    events += [at(f"2016-01-02T{h:02}:30", subscriber=n) for h in (8, 9, 10) for n in range(10)]
    session = ask_duckdb(World(events, CELLS))
    hours = total("2016-01-01", "2016-01-03", "hour")

    assert rows(session.run(hours, release=True)) == [("N", 1, utc("2016-01-01 09:00"))]
    assert rows(session.run(aggregated(hours, "day", "count"), release=True)) == [("N", 2.0, utc("2016-01-01"))]


def test_one_question_may_span_many_years(ask_duckdb):
    """The plan of twenty years grows by the changes of the clocks alone, and by none where hours are whole."""
    session = ask_duckdb(World([at("2016-01-01T12:00")], CELLS, "Europe/Paris"))

    steps = {unit: session.explain(total("2000-01-01", "2020-01-01", unit)).count("WHEN") for unit in ("hour", "day")}

    assert steps == {"hour": 0, "day": 40}


def test_times_are_local_with_their_offset(ask):
    """The date of a `datetime` is the local day, on either side of Greenwich and in summer as in winter."""
    for zone, day, shown in [
        ("Asia/Kathmandu", "2016-01-01", "2016-01-01T00:00:00+05:45"),
        ("America/Sao_Paulo", "2018-02-15", "2018-02-15T00:00:00-02:00"),
        ("America/Sao_Paulo", "2018-07-15", "2018-07-15T00:00:00-03:00"),
    ]:
        end = dt.date.fromisoformat(day) + dt.timedelta(days=1)
        session = ask(World([at(f"{day}T12:00")], CELLS, zone))

        ((_, _, moment),) = rows(session.run(total(day, str(end))))
        assert moment.isoformat() == shown


@pytest.mark.parametrize("day", ["2018-04-01", "2018-10-07"])
def test_a_cell_counts_once_where_clocks_change_by_half_an_hour(ask, day):
    """On Lord Howe, whose clocks change by half an hour at 02:00, one cell is one cell in each hour of that night."""
    last = dt.date.fromisoformat(day) + dt.timedelta(days=1)
    times = [f"{day}T01:{minute}" for minute in ("05", "35", "45")] + [f"{day}T02:{m}" for m in ("05", "35")]
    events = [at(time, fold=fold) for time in times for fold in (0, 1)]
    world = World(events, CELLS, "Australia/Lord_Howe")
    hours = parse(total(day, str(last), "hour"))
    session = ask(world)

    got = rows(session.run(hours))
    assert [value for _, value, _ in got] == [1] * len(got)
    assert [moment for _, _, moment in got] == sorted({network.begun(e, "hour", world) for e in events})
    for longer in ("hour", "day"):
        assert_same(session, parse(aggregated(hours.spec, longer, "sum")), world)
