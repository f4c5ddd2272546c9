"""The database of the run table: its columns, on SQLite or PostgreSQL, and how it is opened."""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from autoflow.runs.run import RunState
from flowkit_base.databases import Moment

TABLE = "workflow_runs"


def _columns(state: sa.types.TypeEngine[Any]) -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("workflow_name", sa.String),
        sa.Column("parameters_hash", sa.String),
        sa.Column("state", state),
        sa.Column("timestamp", Moment),
        # The columns above are FlowKit's; those below may be absent from its rows.
        sa.Column("run_id", sa.String(32)),
        sa.Column("reference_date", sa.Date),
        sa.Column("parameters", sa.JSON),
        sa.Column("attempt", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("outputs", sa.JSON),
        sa.Column("retry_at", Moment),
        sa.Column("runner", sa.String),
        sa.Column("lease_until", Moment),
        sa.Column("fingerprint", sa.JSON(none_as_null=True)),
        sa.Column("deaths", sa.Integer),
    ]


def look_at_table(url: sa.URL) -> tuple[sa.Engine, sa.Table]:
    """Connect to a database that is only read; give its table with the columns that it has, or an empty one."""
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
            # The existing enum may have any name in PostgreSQL; values must be sent as that type.
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
