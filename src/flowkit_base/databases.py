"""SQLite and PostgreSQL through SQLAlchemy, opened in one way by every part that keeps records."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from flowkit_base.errors import UserError

PATIENCE = 30
"""Seconds for which a transaction waits for the one that writes."""


class DatabaseError(UserError):
    """A database cannot be used; the message says why and what to do."""


class Moment(sa.TypeDecorator[dt.datetime]):
    """A moment: aware going in and out, and UTC in the database, which on SQLite keeps no zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """The moment as the database keeps it; a time without a zone is a defect of the program."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone.")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """The moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def database_url(setting: str, uri: str, password: str = "") -> sa.URL:
    """The URL that the setting `setting` names, in which {} stands for the password.

    SQLite needs a file, and PostgreSQL is reached by psycopg 3. Raises DatabaseError, which names the setting.
    """
    try:
        url = make_url(uri.replace("{}", "password"))
    except ArgumentError:
        raise DatabaseError(
            f"{setting} is not a database URI: write it as postgresql://user:{{}}@host:5432/database or "
            "sqlite:////path/to/file.db."
        ) from None
    if "{}" in uri:
        url = url.set(password=password)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"{setting} names neither SQLite nor PostgreSQL: records are kept in one of these.")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseError(f"{setting} needs a file, such as sqlite:////path/to/file.db: records outlive the process.")
    return url


def open_database(url: sa.URL, *, begin: Callable[[sa.Connection], None] | None = None, **options: Any) -> sa.Engine:
    """An engine on SQLite or PostgreSQL that connects lazily.

    On SQLite, a transaction holds the database from its beginning (BEGIN IMMEDIATE), because two that read and then
    write could not both end; one whose connection has the execution option `reads` waits for nobody. On PostgreSQL,
    times are UTC, and `begin` is called at the beginning of each transaction: a place for locks. `options` go to
    `sqlalchemy.create_engine`.
    """
    options = {"hide_parameters": True} | options
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, connect_args={"timeout": PATIENCE}, **options)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = sa.create_engine(url, pool_pre_ping=True, **options)
    event.listen(engine, "connect", _prepare_postgresql)
    if begin is not None:
        event.listen(engine, "begin", begin)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes at the first write, which is too late; `_begin_sqlite` sends it.
    connection.isolation_level = None
    for pragma in ("foreign_keys=ON", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    # In a zone east of Greenwich the last hours of 9999 are in a year that Python lacks.
    connection.execute("SET TIME ZONE 'UTC'")
    connection.commit()
