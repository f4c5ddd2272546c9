"""The database of FlowAuth: SQLite or PostgreSQL, brought to the newest migration when it is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from flowauth.services import audit

MIGRATIONS = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = 7_283_102
"""The advisory lock that PostgreSQL holds for a transaction that writes."""
PATIENCE = 30
"""Seconds for which a transaction that is to write waits for the one that writes."""


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""


class Database:
    """A database of FlowAuth; safe to use from several threads and processes."""

    def __init__(self, uri: str, password: str = "", breached: Path | None = None) -> None:
        self.engine = _engine(uri, password)
        on_postgres = self.engine.dialect.name == "postgresql"
        # On SQLite, too, what a transaction reads is of one moment, whatever is written meanwhile.
        one_moment = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True} if on_postgres else {}
        self._reading = self.engine.execution_options(reads=True, **one_moment)
        # What new passwords are looked up in goes with the sessions that write them.
        self._info = {"breached": breached}
        _migrate(self.engine)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that changes nothing, and sees the database as it is at its first statement."""
        with Session(self._reading, info={"write": self.write}) as session:
            yield session
            session.rollback()

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session in which nobody else writes; it holds whole, or not at all.

        What counts attempts commits in the midst of it, so that a count outlives the refusal; the session then goes on
        in a transaction of its own, in which again nobody else writes.
        """
        with Session(self.engine, expire_on_commit=False, info=self._info) as session:
            yield session
            session.commit()

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def _engine(uri: str, password: str) -> sa.Engine:
    """Connect lazily to a database URI in which {} stands for the password.

    On either engine a transaction waits, before its first statement, for whoever writes: two administrators decide one
    after the other, and the audit log is one chain. One that reads waits for nobody.
    """
    try:
        url = make_url(uri.replace("{}", "password"))
    except ArgumentError as error:
        raise DatabaseError(
            "DB_URI is not a database URI; write it as postgresql://user:{}@host:5432/flowauth or "
            "sqlite:////path/to/flowauth.db"
        ) from error
    if "{}" in uri:
        url = url.set(password=password)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "postgresql":
        return _postgresql(url)
    if url.get_backend_name() != "sqlite":
        raise DatabaseError("DB_URI names neither SQLite nor PostgreSQL; FlowAuth keeps its data in one of these.")
    if url.database in (None, "", ":memory:"):
        raise DatabaseError(
            "DB_URI needs a file, such as sqlite:////path/to/flowauth.db; people must outlive FlowAuth."
        )
    engine = sa.create_engine(
        url, connect_args={"timeout": PATIENCE}, hide_parameters=True, json_serializer=audit.canonical
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # sqlite3 begins a transaction at the first write, which lets two that have read both decide to write.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    # Each statement after the lock must see what those before have written, whatever the server's default is.
    engine = sa.create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        json_serializer=audit.canonical,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # In a zone east of Greenwich the last hours of 9999, which stand for "never", are in a year that Python lacks.
        connection.execute("SET TIME ZONE 'UTC'")
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("reads"):
            patience = sa.func.set_config("lock_timeout", f"{int(PATIENCE * 1000)}ms", True)
            connection.execute(sa.select(patience, sa.func.pg_advisory_xact_lock(ONE_AT_A_TIME)))

    return engine


def _migrate(engine: sa.Engine) -> None:
    """Bring the tables to the newest migration; a database that is newer than this FlowAuth is refused."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, ScriptDirectory.from_config(config).get_current_head() or "head")
    except CommandError as error:
        raise DatabaseError(
            f"The database is not one of this FlowAuth or an older one ({error}); use the FlowAuth that made it."
        ) from error
    except OperationalError as error:
        cause = str(error.orig).strip().splitlines()[0]
        raise DatabaseError(f"The database cannot be used: {cause}; see DB_URI and FLOWAUTH_DB_PASSWORD.") from error
