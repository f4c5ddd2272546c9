"""Sums of money: nobody's part of one can be told from it, and the days and cells that it is of."""

import datetime as dt

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowmachine.errors import FlowMachineError, MissingDates
from flowmachine.questions.query import REGISTRY, Query
from flowmachine.release import PERCENT, SMALLEST, Rule, contributed, released
from flowmachine.testing import Cell, Event, World, rows

ENGINE = ibis.duckdb.connect()
CELLS = [
    Cell("a", 0, pcods={"admin1": "N"}, last_day=dt.date(2016, 1, 1)),
    Cell("a", 1, pcods={"admin1": "S"}, first_day=dt.date(2016, 1, 2)),
    Cell("b", 0, pcods={"admin1": "N"}),
]


def paid(subscriber, amount, at="2016-01-01T12:00", cell="b", version=None, **more):
    return Event("transactions", subscriber, at, cell, id=1, values={"amount": amount, "cell_version": version, **more})


def asked(first="2016-01-01", last="2016-01-01", metric="amount"):
    return {
        "query_kind": "dfs_metric_total_amount",
        "metric": metric,
        "start_date": first,
        "end_date": last,
        "aggregation_unit": "admin1",
    }


def told(amounts, **rule):
    """What is published of one unit's total on one day, of these amounts of one person each."""
    people = {"subscriber": list(range(len(amounts))), "at": [1] * len(amounts), "part": amounts}
    each = ibis.memtable(pa.table(people))

    class Total(Query):
        """Sums of amounts, as a plugin would declare them."""

        columns = {"value": "int64"}  # noqa: RUF012
        counts = "subscribers"
        contributions = ("greatest", "rest")

    rows = released(contributed(each, ["at"], "part"), Total.model_construct(), Rule(**rule))
    return ENGINE.to_pyarrow(rows)["value"].to_pylist()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.integers(-50, 1000), min_size=SMALLEST - 2, max_size=SMALLEST + 8), st.integers(PERCENT, 60))
def test_a_total_is_told_where_the_others_hide_the_greatest_part(amounts, percent):
    """A total is published exactly where 16 people make it up and all but two come to p % of the greatest part."""
    first, _, *others = sorted(map(abs, amounts), reverse=True)

    safe = len(amounts) >= SMALLEST and sum(others) * 100 >= percent * first

    assert told(amounts, percent=percent) == ([sum(amounts)] if safe else [])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.lists(st.integers(0, 1000), min_size=SMALLEST, max_size=SMALLEST + 8))
def test_the_second_cannot_tell_the_greatest_part_to_within_ten_percent(amounts):
    """Who takes his own part from a published total knows the greatest part by no less than 10 % too much."""
    published = told(amounts)
    if published:
        first, second, *_ = sorted(amounts, reverse=True)
        assert published[0] - second >= first * (1 + PERCENT / 100)


@pytest.mark.parametrize(("greatest", "published"), [(1400, [("N", 1600.0)]), (1401, [])])
def test_one_big_payer_is_not_told_by_a_total(ask_duckdb, greatest, published):
    """Beside one who pays 60, 14 people who pay 10 each hide one who pays ten times as much as they, and no more."""
    events = [paid(n, 10.0) for n in range(14)] + [paid(98, 60.0), paid(99, float(greatest))]
    session = ask_duckdb(World(events, CELLS))

    got = rows(session.run(asked(), release=True))

    assert [(place, value) for _, place, value in got] == published


def test_many_payments_of_one_person_are_one_part(ask_duckdb):
    """Who pays a hundred times is one person, with the sum of it all."""
    events = [paid(n, 10.0) for n in range(15)] + [paid(99, 20.0, at=f"2016-01-01T12:{n % 60:02}") for n in range(100)]
    session = ask_duckdb(World(events, CELLS))

    assert rows(session.run(asked())) == [(dt.date(2016, 1, 1), "N", 2150.0)]
    assert rows(session.run(asked(), release=True)) == []


def test_a_kind_of_amounts_must_bring_its_contributions(ask_duckdb, monkeypatch):
    """A kind that declares contributions and does not compute them is refused by name, and publishes nothing."""
    ask = ask_duckdb(World([paid(n, 10.0) for n in range(20)], CELLS))
    kind = REGISTRY["dfs_metric_total_amount"]
    careful = kind.expression
    monkeypatch.setattr(kind, "expression", lambda query, cdr: careful(query, cdr).drop("greatest", "rest"))

    with pytest.raises(FlowMachineError, match="lacks greatest and rest"):
        ask.run(asked(metric="commission"), release=True)


@pytest.fixture(params=ENGINES)
def ask(request):
    """What opens a session on a world, on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")


def test_the_last_day_is_included(ask):
    """The window reaches to the end of end_date, and no further."""
    times = ["2016-01-01T00:00", "2016-01-02T23:59:59", "2016-01-03T00:00"]
    world = World([paid(1, 1.0, at=at) for at in times], CELLS, "Asia/Kathmandu")

    got = rows(ask(world).run(asked("2016-01-01", "2016-01-02")))

    assert got == [(dt.date(2016, 1, 1), "N", 1.0), (dt.date(2016, 1, 2), "N", 1.0)]


def test_a_named_version_of_a_cell_is_where_it_was(ask):
    """A transaction is at the version of the cell that it names, or, where it names none, at that of its day."""
    at = "2016-01-02T12:00"
    events = [paid(1, 1.0, at, "a"), paid(2, 20.0, at, "a", 0), paid(3, 300.0, at, "a", 1), paid(4, 4000.0, at, "a", 7)]

    got = rows(ask(World(events, CELLS)).run(asked("2016-01-02", "2016-01-02")))

    assert got == [(dt.date(2016, 1, 2), "N", 20.0), (dt.date(2016, 1, 2), "S", 301.0)]


def test_both_parties_count_and_what_is_not_told_does_not(ask):
    """A transfer within a unit counts on both sides; a fee that is not told is no fee of nought."""
    events = [paid(1, 100.25, fee=1.1), paid(2, 100.25, fee=2.2), paid(3, 5.0)]
    session = ask(World(events, CELLS))

    assert rows(session.run(asked())) == [(dt.date(2016, 1, 1), "N", 205.5)]
    ((_, _, fee),) = rows(session.run(asked(metric="fee")))
    assert fee == pytest.approx(3.3, abs=1e-12)
    assert rows(session.run(asked(metric="discount"))) == []


def test_days_without_mobile_money_are_named(ask_duckdb):
    """Where no mobile money was loaded, the answer says so, and does not say that nothing moved."""
    session = ask_duckdb(World([Event("calls", 1, "2016-01-01T12:00", "b")], CELLS))

    with pytest.raises(MissingDates, match=r"transactions of 2016-01-01, of which there is no data: there is none"):
        session.run(asked())


def test_a_corrected_day_of_money_makes_another_result(ask_duckdb):
    """Mobile money is part of a result's identity: a corrected day has another result, and other days keep theirs."""
    world = World([paid(1, 1.0), paid(1, 2.0, at="2016-01-02T12:00")], CELLS)
    session = ask_duckdb(world)
    query = REGISTRY["dfs_metric_total_amount"]
    first, second = (query.model_validate(asked(day, day)) for day in ("2016-01-01", "2016-01-02"))
    before = [session.result_id(q) for q in (first, second)]
    lake = session.engine.lake
    staged = lake.stage("transactions", dt.date(2016, 1, 1))
    staged.write_bytes(lake.snapshot().days["transactions"][dt.date(2016, 1, 1)].files[0].read_bytes())

    lake.commit_day("transactions", dt.date(2016, 1, 1), [staged], {"rows": 1})

    after = [session.result_id(q) for q in (first, second)]
    assert after[0] != before[0]
    assert after[1] == before[1]
