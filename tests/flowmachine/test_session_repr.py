"""What a notebook shows of queries and sessions."""

import sys

import pytest
from tests.flowmachine.test_session_store import DAYS, crowd, daily, flows

import flowmachine
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds


@pytest.fixture
def session(tmp_path):
    made = crowd().session(tmp_path / "lake", threads=2)
    yield made
    made.close()


def test_a_query_prints_as_its_kind_and_parameters():
    """A query prints as it would be written, without what is as by default."""
    told = repr(parse(daily(DAYS[0], hours={"start_hour": 2, "end_hour": 5})))

    assert told == (
        "DailyLocation(hours=Hours(start_hour=2, end_hour=5), aggregation_unit='admin3', date='2016-01-01', "
        "method='last')"
    )


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_what_a_query_prints_makes_it_again(kind):
    """Whoever copies what a query prints gets an equal query."""
    query = parse(kinds()[kind].example)
    modules = [vars(module) for name, module in list(sys.modules.items()) if name.startswith("flowmachine.")]
    names = {name: value for module in modules for name, value in module.items() if name[:1].isupper()}

    again = eval(repr(query), {}, names)

    assert again == query
    assert again.id == query.id


def test_a_session_prints_store_engine_zone_and_days(session):
    """A session tells what it is connected to, and from when to when there is data of which type."""
    told = repr(session).splitlines()

    assert told[0] == f"FlowMachine session on {session.engine.lake.path} with duckdb, days of UTC"
    assert told[1:] == ["  calls: 2 days, 2016-01-01 to 2016-01-02"]


@pytest.mark.postgres
def test_a_session_prints_no_password(ask_postgres):
    """A session on a database shows host and database, and nothing to sign in with."""
    session = ask_postgres(crowd())
    url = session.engine.url

    assert url.partition("@")[2] in repr(session)
    assert url.split("@")[0].rpartition(":")[2] not in repr(session)


def test_a_tree_shows_what_a_query_is_made_of(session):
    """A tree names each part by the field that it stands in, and tells what is stored."""
    session.store(daily(DAYS[0]))
    asked = {
        "query_kind": "flows",
        "from_location": daily(DAYS[0]),
        "to_location": {"query_kind": "modal_location", "locations": [daily(day) for day in DAYS]},
    }

    first = "DailyLocation(aggregation_unit='admin3', date='2016-01-01', method='last')"
    assert session.tree(asked).splitlines() == [
        "Flows()",
        f"├─ from_location: {first}  [stored: 20 rows]",
        "└─ to_location: ModalLocation()",
        f"   ├─ locations[0]: {first}  [stored: 20 rows]",
        "   └─ locations[1]: DailyLocation(aggregation_unit='admin3', date='2016-01-02', method='last')",
    ]


def test_results_become_data_frames(session):
    """Rows are Arrow, which becomes a pandas frame."""
    frame = session.run(flowmachine.Flows(**{k: v for k, v in flows().items() if k != "query_kind"})).to_pandas()

    assert frame.to_dict("records") == [{"pcod_from": "A", "pcod_to": "B", "value": 20}]
