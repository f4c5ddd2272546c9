"""Two different questions never share an id, and one question has one id however it is spelled."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.flowmachine.worlds import questions

from flowmachine.building.plan import plan
from flowmachine.engines.duckdb import DuckDBDialect
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds
from flowmachine.testing import Cell, Event, World


def daily(date, **more):
    return {"query_kind": "daily_location", "date": date, "aggregation_unit": "admin3", "method": "last", **more}


def test_swapped_flows_are_two_questions():
    """From A to B is not from B to A."""
    there = {"query_kind": "flows", "from_location": daily("2016-01-01"), "to_location": daily("2016-01-02")}
    back = {"query_kind": "flows", "from_location": daily("2016-01-02"), "to_location": daily("2016-01-01")}

    assert parse(there).id != parse(back).id


def test_equal_values_spelled_differently_are_one_question():
    """Date formats, defaults that are written out, and repeated event types change nothing."""
    plain = parse(daily("2016-01-01", event_types=["calls", "sms"]))

    assert parse(daily("20160101", event_types=["sms", "calls", "calls"])).id == plain.id
    assert parse(daily("2016-01-01T00:00:00", event_types=["calls", "sms"], hours=None)).id == plain.id


@settings(
    max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
)
@given(st.sampled_from(sorted(kinds())).flatmap(lambda kind: st.tuples(questions(kind), questions(kind))))
def test_ids_are_equal_exactly_for_equal_questions(pair):
    """Two random questions have one id if and only if all their parameters are equal."""
    a, b = pair

    assert (a.id == b.id) == (a.spec == b.spec)
    assert parse(json.loads(json.dumps(a.spec))).id == a.id


def test_a_corrected_day_changes_the_ids_of_the_results_that_read_it_alone(tmp_path):
    """After a day is loaded again, results over it are stale, and results over other days are not."""
    cells = [Cell("a", pcods={"admin3": "A"})]
    events = [Event("calls", 1, f"2016-01-0{d}T08:00", "a") for d in (1, 2)]
    session = World(events, cells).session(tmp_path / "lake")
    first, second = parse(daily("2016-01-01")), parse(daily("2016-01-02"))
    before = session.result_id(first), session.result_id(second)

    other = World([Event("calls", 7, "2016-01-02T08:00", "a")], cells).lake(tmp_path / "other")
    staged = session.engine.lake.stage("calls", events[1].local.date())
    staged.write_bytes(next(iter(other.snapshot().days["calls"].values())).files[0].read_bytes())
    session.engine.lake.commit_day("calls", events[1].local.date(), [staged], {})

    assert session.result_id(first) == before[0]
    assert session.result_id(second) != before[1]


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_planning_needs_no_connection(kind):
    """A query's SQL is made from its parameters alone."""
    made = plan(parse(kinds()[kind].example), DuckDBDialect(), "Asia/Kathmandu")

    assert made.expression.columns == tuple(made.query.result_columns)


def test_building_a_query_imports_no_driver():
    """An analyst can make queries, ids and schemas where no engine is installed."""
    program = (
        "import sys, flowmachine; from flowmachine.catalogue import catalogue; catalogue();"
        "print([m for m in ('duckdb', 'pyspark', 'psycopg', 'adbc_driver_postgresql') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
