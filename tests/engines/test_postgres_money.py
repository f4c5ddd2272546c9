"""Mobile money in FlowKit's tables of PostgreSQL."""

import datetime as dt

import psycopg
import pytest

from flowdb.lake import Lake
from flowdb.postgres import PostgresError, copy_from_lake, create
from flowmachine.testing import Cell, Event, World

pytestmark = pytest.mark.postgres

FIRST, SECOND = dt.date(2016, 1, 1), dt.date(2016, 1, 2)
CELLS = [Cell("C1", pcods={"admin1": "N"}), Cell("C2", pcods={"admin1": "S"})]
# What published programs ask: FlowKit's total of a day and unit, from its own tables alone.
PUBLISHED = """
SELECT (t.timestamp AT TIME ZONE 'UTC')::date::text, c.id, sum(t.amount)::float8
FROM dfs.transactions AS t JOIN dfs.transactions_metadata AS m ON m.transaction_id = t.id
JOIN infrastructure.cells AS c ON c.id = m.cell_id AND c.version = m.cell_version
GROUP BY 1, 2 ORDER BY 1, 2
"""


def side(subscriber, amount, at, cell="C1", number=1, **more):
    return Event("transactions", subscriber, at, cell, id=number, values={"amount": amount, "cell_version": 0, **more})


EVENTS = [
    side(1, 100.25, "2016-01-01T10:00", type="transfer", fee=1.5),
    side(2, 100.25, "2016-01-01T10:00", "C2", type="transfer", fee=1.5),
    # A party whose row tells another amount, at a cell that nobody knows.
    side(3, 7.0, "2016-01-01T11:00", "gone", number=2, type="cash out"),
    side(1, 8.0, "2016-01-01T11:00", number=2, type="cash out"),
    side(1, 20.0, "2016-01-02T00:00", number=3),
]


@pytest.fixture(scope="module")
def template(postgres):
    """The name of an empty FlowDB to copy."""
    with postgres.database() as url:
        create(url, "UTC")
        yield url.rsplit("/", 1)[1]


@pytest.fixture
def flowdb(postgres, template):
    """The URL of an empty FlowDB in UTC."""
    with postgres.database(template) as url:
        with psycopg.connect(url) as connection:
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone TO 'UTC'".encode())
        yield url


def ask(url, query):
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def replace(lake: Lake, day: dt.date, other: Lake) -> None:
    staged = lake.stage("transactions", day)
    staged.write_bytes(other.snapshot().days["transactions"][day].files[0].read_bytes())
    lake.commit_day("transactions", day, [staged], {})


def test_a_lakes_money_lies_in_flowkits_tables(flowdb, tmp_path):
    """Transactions, parties, subscribers and kinds are FlowKit's, and FlowKit's own question finds the sums."""
    done = copy_from_lake(World(EVENTS, CELLS).lake(tmp_path / "lake"), flowdb)

    assert (done.days, done.rows) == (2, 5)
    assert ask(flowdb, PUBLISHED) == [
        ("2016-01-01", "C1", 108.25),
        ("2016-01-01", "C2", 100.25),
        ("2016-01-02", "C1", 20.0),
    ]
    assert ask(flowdb, "SELECT id, msisdn FROM dfs.subscribers ORDER BY id") == [(1, "1"), (2, "2"), (3, "3")]
    # Both parties of the first share one transaction; those of the second tell different amounts, and have two.
    assert ask(flowdb, "SELECT amount::float8, count(*) FROM dfs.transactions GROUP BY 1 ORDER BY 1") == [
        (7.0, 1),
        (8.0, 1),
        (20.0, 1),
        (100.25, 1),
    ]
    assert ask(flowdb, "SELECT descr FROM dfs.transaction_types ORDER BY id") == [("cash out",), ("transfer",)]
    assert ask(flowdb, "SELECT count(*) FROM dfs.transactions_metadata WHERE cell_id = 'gone'") == [(1,)]


def test_money_is_no_event_to_published_programs(flowdb, tmp_path):
    """The list of event tables stays FlowKit's: a program that asks all of them does not find mobile money there."""
    copy_from_lake(World(EVENTS, CELLS).lake(tmp_path / "lake"), flowdb)

    assert ask(flowdb, "SELECT count(*) FROM available_tables() WHERE table_name = 'transactions'") == [(0,)]
    assert ask(flowdb, "SELECT count(*) FROM events.location_ids WHERE cdr_type = 'transactions'") == [(0,)]


def test_a_copy_can_be_repeated_corrected_and_taken_back(flowdb, tmp_path):
    """An unchanged day is left alone, a corrected one replaced, a withdrawn one taken out with who was in it alone."""
    lake = World(EVENTS, CELLS).lake(tmp_path / "lake")
    copy_from_lake(lake, flowdb)
    again = copy_from_lake(lake, flowdb)
    assert (again.days, again.already) == (0, 2)

    replace(lake, FIRST, World([side(9, 1.0, "2016-01-01T10:00")], CELLS).lake(tmp_path / "other"))
    assert copy_from_lake(lake, flowdb).days == 1
    assert ask(flowdb, PUBLISHED) == [("2016-01-01", "C1", 1.0), ("2016-01-02", "C1", 20.0)]
    assert ask(flowdb, "SELECT id FROM dfs.subscribers ORDER BY id") == [(1,), (9,)]

    lake.withdraw_day("transactions", SECOND, "a test")
    assert copy_from_lake(lake, flowdb, ["transactions"]).withdrawn == 1
    assert ask(flowdb, PUBLISHED) == [("2016-01-01", "C1", 1.0)]
    assert ask(flowdb, "SELECT cdr_date FROM etl.available_dates WHERE cdr_type = 'transactions'") == [(FIRST,)]


def test_cells_can_be_loaded_again_under_money(flowdb, tmp_path):
    """A cell that transactions name may go from the network: they stay, and come back to it with it."""
    lake = World(EVENTS, CELLS).lake(tmp_path / "lake")
    copy_from_lake(lake, flowdb)
    fewer = World(EVENTS, CELLS[:1]).lake(tmp_path / "fewer")
    for name in ("cells",):
        lake.replace_reference(name, fewer.reference(name))

    copy_from_lake(lake, flowdb)

    assert [row[1] for row in ask(flowdb, PUBLISHED)] == ["C1", "C1"]
    assert ask(flowdb, "SELECT count(*) FROM dfs.transactions_metadata") == [(5,)]


def test_money_of_another_program_is_not_lost_unseen(flowdb, tmp_path):
    """A day that somebody else filled is not replaced."""
    with psycopg.connect(flowdb) as connection:
        connection.execute("INSERT INTO dfs.transactions (amount, timestamp) VALUES (5, '2016-01-01 12:00+00')")

    with pytest.raises(PostgresError, match=r"2016-01-01 that were not copied from a lake: delete them first"):
        copy_from_lake(World(EVENTS, CELLS).lake(tmp_path / "lake"), flowdb)
    assert ask(flowdb, "SELECT count(*) FROM dfs.transactions WHERE amount <> 5") == [(0,)]
