"""The database of the run table: its columns, on SQLite or PostgreSQL, and how it is opened."""

import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url

from autoflow.runs.run import RunState

TABLE = "workflow_runs"


class UtcTime(sa.TypeDecorator[dt.datetime]):
    """A moment in UTC, also on SQLite, which keeps no time zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Send the moment in UTC."""
        return value.astimezone(dt.UTC) if value else None

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Give the moment in UTC."""
        if value is None:
            return None
        return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)


def _columns(state: sa.types.TypeEngine[Any]) -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("workflow_name", sa.String),
        sa.Column("parameters_hash", sa.String),
        sa.Column("state", state),
        sa.Column("timestamp", UtcTime),
        # The columns above are FlowKit's; those below may be absent from its rows.
        sa.Column("run_id", sa.String(32)),
        sa.Column("reference_date", sa.Date),
        sa.Column("parameters", sa.JSON),
        sa.Column("attempt", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("outputs", sa.JSON),
        sa.Column("retry_at", UtcTime),
        sa.Column("runner", sa.String),
        sa.Column("lease_until", UtcTime),
        sa.Column("fingerprint", sa.JSON(none_as_null=True)),
        sa.Column("deaths", sa.Integer),
    ]


def _url(uri: str, password: str) -> sa.URL:
    """Give a database URI in which {} stands for the password."""
    url = make_url(uri.replace("{}", "password"))
    if "{}" in uri:
        url = url.set(password=password)
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgresql", "postgres") else url


def look_at_table(uri: str, password: str) -> tuple[sa.Engine, sa.Table]:
    """Connect to a database that is only read; give its table with the columns that it has, or an empty one."""
    url = _url(uri, password)
    empty = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    if url.get_backend_name() != "sqlite":
        only = {"options": "-c default_transaction_read_only=on"} if url.get_backend_name() == "postgresql" else {}
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=3, connect_args=only)
    elif not Path(url.database or "").is_file():
        return empty, ensure_table(empty)
    else:
        file = f"file:{quote(str(Path(url.database or '').absolute()))}?mode=ro"
        engine = sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(file, uri=True, timeout=30, check_same_thread=False)
        )
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table(TABLE):
            engine.dispose()
            return empty, ensure_table(empty)
        existing = {column["name"]: column["type"] for column in sa.inspect(connection).get_columns(TABLE)}
    state = sa.Enum(RunState, name=getattr(existing.get("state"), "name", None) or "runstate")
    columns = [column for column in _columns(state) if column.name in existing]
    return engine, sa.Table(TABLE, sa.MetaData(), *columns)


def write_engine(uri: str, password: str) -> sa.Engine:
    """Connect lazily to the database."""
    url = _url(uri, password)
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, pool_size=3)
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    # sqlite3 begins a transaction at the first write, which lets two readers both decide to write;
    # a transaction must hold the database from its beginning.
    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin_alone(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def ensure_table(engine: sa.Engine) -> sa.Table:
    """Make the table, or add the columns that an older one lacks."""
    state: sa.types.TypeEngine[Any] = sa.Enum(RunState, name="runstate", create_constraint=True)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(7_283_101)))
        existing = {}
        if sa.inspect(connection).has_table(TABLE):
            existing = {column["name"]: column["type"] for column in sa.inspect(connection).get_columns(TABLE)}
        known = getattr(existing.get("state"), "name", None)
        if known:
            # Whatever the existing enum is called in PostgreSQL, values must be sent as that type.
            state = sa.Enum(RunState, name=known)
        table = sa.Table(TABLE, sa.MetaData(), *_columns(state))
        sa.Index("workflow_runs_newest", table.c.workflow_name, table.c.parameters_hash, table.c.id)
        if not existing:
            table.create(connection)
        for column in table.columns:
            if existing and column.name not in existing:
                kind = column.type.compile(engine.dialect)
                connection.execute(sa.text(f"ALTER TABLE {TABLE} ADD COLUMN {column.name} {kind}"))
    return table
