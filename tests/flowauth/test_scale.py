import pytest
import sqlalchemy as sa

from bench import flowauth as bench
from flowauth.app import create_app
from flowauth.database import Database
from flowauth.services.following import claim
from flowauth.tables import Base

FEW = bench.Size(users=60, servers=3, roles=6, records=120)
MANY = bench.Size(users=1_200, servers=55, roles=165, records=1_000)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Every address of a FlowAuth that has little, and of one that has much, asked."""
    found = {}
    for size in (FEW, MANY):
        folder = tmp_path_factory.mktemp("scale")
        app = create_app(bench.settings(f"sqlite:///{folder / 'flowauth.db'}"))
        bench.fill(app.state.database.engine, size)
        found[size] = {(each.who, each.path): each for each in bench.ask(app, size, times=1 if size is FEW else 3)}
        app.state.database.close()
    return found


def test_every_page_answers_in_time_and_is_small(asked):
    """With a thousand people and more no page takes 200 ms of the processor or 100 kB, and each answers."""
    pages = [each for each in asked[MANY].values() if each.page]
    assert len(pages) >= 20
    over = [each for each in pages if each.status != 200 or each.size > bench.MOST_BYTES]
    assert not over, bench.told(over)
    slow = [each for each in pages if each.processor > bench.MOST_SECONDS]
    assert not slow, bench.told(slow)


def test_lists_with_a_limit_answer_in_time(asked):
    """A script that asks for part of a list has it within 200 ms of the processor."""
    lists = [each for each in asked[MANY].values() if not each.page and each.judged]
    assert len(lists) >= 20
    slow = [each for each in lists if each.status != 200 or each.processor > bench.MOST_SECONDS]
    assert not slow, bench.told(slow)


def test_no_address_asks_the_database_once_for_each_thing(asked):
    """Twenty times the people, servers and roles cost not one statement more."""
    more = {
        path: (asked[FEW][path].statements, each.statements)
        for path, each in asked[MANY].items()
        if path in asked[FEW] and each.statements > asked[FEW][path].statements
    }
    assert not more
    assert len(set(asked[FEW]) & set(asked[MANY])) >= 40
    assert max(each.statements for each in asked[MANY].values()) <= 15


def test_every_table_and_index_comes_from_the_migrations(tmp_path):
    """What the migrations make is what is declared, indexes included: a database that was upgraded is as fast."""
    database = Database(f"sqlite:///{tmp_path / 'flowauth.db'}")
    there = sa.inspect(database.engine)
    for table in Base.metadata.sorted_tables:
        columns = {column["name"] for column in there.get_columns(table.name)}
        assert columns == {column.name for column in table.columns}
        indexes = {tuple(index["column_names"]) for index in there.get_indexes(table.name) if not index["unique"]}
        assert indexes == {tuple(column.name for column in index.columns) for index in table.indexes}
    assert claim(database, 300) is None
    database.close()
