"""Databases are opened in one way."""

import datetime as dt

import pytest
import sqlalchemy as sa

from flowkit_base.databases import DatabaseError, Moment, database_url, open_database

TABLE = sa.Table("t", sa.MetaData(), sa.Column("at", Moment))


def test_a_moment_comes_back_in_utc(tmp_path):
    """SQLite keeps no zones; what comes out is the same moment all the same."""
    engine = open_database(database_url("DB_URI", f"sqlite:///{tmp_path}/new/a.db"))
    at = dt.datetime(2016, 1, 1, 5, 45, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=45)))
    TABLE.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(TABLE.insert().values(at=at))
        assert connection.scalar(sa.select(TABLE.c.at)) == dt.datetime(2016, 1, 1, tzinfo=dt.UTC)


def test_a_reader_does_not_wait_for_the_writer(tmp_path):
    """Who reads sees the state before an open transaction, at once."""
    engine = open_database(database_url("DB_URI", f"sqlite:///{tmp_path}/a.db"))
    TABLE.metadata.create_all(engine)
    with engine.begin() as writing:
        writing.execute(TABLE.insert().values(at=dt.datetime.now(dt.UTC)))
        with engine.execution_options(reads=True).begin() as reading:
            assert reading.execute(sa.select(TABLE)).all() == []


@pytest.mark.parametrize("uri", ["nonsense", "mysql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_an_uri_that_cannot_be_used_is_refused_by_the_name_of_its_setting(uri):
    """The message names the setting and not the password."""
    with pytest.raises(DatabaseError, match=r"^AUTOFLOW_DB_URI"):
        database_url("AUTOFLOW_DB_URI", uri, "hunter2")


def test_the_password_takes_the_place_of_the_braces():
    """A password may hold any character."""
    url = database_url("DB_URI", "postgresql://flowauth:{}@db/flowauth", "p@ss/{}")
    assert url.password == "p@ss/{}"
    assert url.drivername == "postgresql+psycopg"
