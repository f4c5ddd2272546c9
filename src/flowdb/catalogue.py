"""The catalogue: states of days and results of quality checks, in SQLite or PostgreSQL.

The lake is the truth about which days are in; `mend` brings the catalogue back to it after a kill between the two.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from flowdb.lake import Lake, LakeError, day_lock
from flowdb.tables import DAILY

STATES = ("found", "loading", "ingested", "failed", "withdrawn")
"""What a day of data goes through; `ingested` and `withdrawn` say what the lake holds, the others how a load goes."""
SETTLED_STATES = ("ingested", "withdrawn")

_MIGRATIONS = Path(__file__).with_name("migrations")


class Instant(sa.TypeDecorator[dt.datetime]):
    """An instant: aware going in and out, UTC in the database whether or not it keeps zones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """The instant as the database keeps it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone.")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """The instant in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


metadata = sa.MetaData()

etl_records = sa.Table(
    "etl_records",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("cdr_type", sa.Text, nullable=False),
    sa.Column("cdr_date", sa.Date, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("timestamp", Instant, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Index("etl_records_day", "cdr_type", "cdr_date", "id"),
)
"""Every state that a day of an event type went through; nothing is ever changed or deleted in it."""

post_etl_queries = sa.Table(
    "post_etl_queries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("cdr_date", sa.Date, nullable=False),
    sa.Column("cdr_type", sa.Text, nullable=False),
    sa.Column("type_of_query_or_check", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("optional_comment_or_description", sa.Text),
    sa.Column("timestamp", Instant, nullable=False),
    sa.Index("post_etl_queries_day", "cdr_type", "cdr_date", "type_of_query_or_check", "id"),
)
"""Results of quality checks, as text; the newest of a day, type and check is the one that holds."""


@dataclass(frozen=True)
class DayState:
    """The newest state of a day of an event type."""

    event_type: str
    day: dt.date
    state: str
    timestamp: dt.datetime
    reason: str | None


@dataclass(frozen=True)
class Check:
    """The newest result of a quality check of a day."""

    event_type: str
    day: dt.date
    name: str
    outcome: str | None
    description: str | None


@dataclass(frozen=True)
class Catalogue:
    """A catalogue that is up to date with this release; open one with `Catalogue.open`."""

    engine: sa.Engine

    @staticmethod
    def open(url: str) -> "Catalogue":
        """Open the catalogue at a database URL, made or upgraded as needed.

        `sqlite:///path/catalogue.db` or `postgresql+psycopg://…`. Raises LakeError where that cannot be.
        """
        try:
            engine = sa.create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError):
            raise LakeError(
                "The catalogue's address is not a database URL: write sqlite:///catalogue.db or "
                "postgresql+psycopg://user@host/database."
            ) from None
        if engine.dialect.name == "sqlite":
            _careful_sqlite(engine)
        try:
            _upgrade(engine)
        except SQLAlchemyError as error:
            where = engine.url.render_as_string(hide_password=True)
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise LakeError(f"The catalogue {where} cannot be opened: {reason}.") from None
        return Catalogue(engine)

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()


def record_state(
    catalogue: Catalogue,
    event_type: str,
    day: dt.date,
    state: str,
    reason: str | None = None,
    *,
    timestamp: dt.datetime | None = None,
) -> None:
    """Append a state of a day; `timestamp` is now unless given."""
    record_states(catalogue, event_type, [day], state, reason, timestamp=timestamp)


def record_states(
    catalogue: Catalogue,
    event_type: str,
    days: Sequence[dt.date],
    state: str,
    reason: str | None = None,
    *,
    timestamp: dt.datetime | None = None,
) -> None:
    """Append one state for each of several days; `timestamp` is now unless given."""
    if state not in STATES:
        raise ValueError(f"{state!r} is none of {', '.join(STATES)}.")
    if not days:
        return
    row = {"cdr_type": event_type, "state": state, "timestamp": timestamp or _now(), "reason": reason}
    with catalogue.engine.begin() as connection:
        connection.execute(sa.insert(etl_records), [row | {"cdr_date": day} for day in days])


def record_commit(catalogue: Catalogue, event_type: str, told: Mapping[str, Any]) -> None:
    """Append what a commit of the lake says (see `Lake.history`): the day's state, and the results of its checks."""
    day, timestamp = dt.date.fromisoformat(told["day"]), dt.datetime.fromisoformat(told["timestamp"])
    state = {
        "cdr_type": event_type,
        "cdr_date": day,
        "state": told["state"],
        "timestamp": timestamp,
        "reason": told["facts"].get("reason"),
    }
    descriptions = told["facts"].get("descriptions", {})
    checks = [
        {
            "cdr_type": event_type,
            "cdr_date": day,
            "type_of_query_or_check": name,
            "outcome": outcome,
            "optional_comment_or_description": descriptions.get(name),
            "timestamp": timestamp,
        }
        for name, outcome in told["facts"].get("checks", {}).items()
    ]
    with catalogue.engine.begin() as connection:
        connection.execute(sa.insert(etl_records), [state])
        if checks:
            connection.execute(sa.insert(post_etl_queries), checks)


def record_qa(
    catalogue: Catalogue,
    event_type: str,
    day: dt.date,
    name: str,
    *,
    outcome: str | None,
    description: str | None = None,
) -> None:
    """Append the result of one quality check of a day."""
    row = {
        "cdr_type": event_type,
        "cdr_date": day,
        "type_of_query_or_check": name,
        "outcome": outcome,
        "optional_comment_or_description": description,
        "timestamp": _now(),
    }
    with catalogue.engine.begin() as connection:
        connection.execute(sa.insert(post_etl_queries), [row])


def latest_states(catalogue: Catalogue, event_type: str | None = None) -> list[DayState]:
    """The newest state of every day, of all event types or one, in order of type and day."""
    return _latest(catalogue, event_type)


def available_dates(catalogue: Catalogue) -> dict[str, list[dt.date]]:
    """The days that are in, by event type; a day that is being delivered again stays in until it is replaced."""
    available: dict[str, list[dt.date]] = {}
    for held in _latest(catalogue, None, SETTLED_STATES):
        if held.state == "ingested":
            available.setdefault(held.event_type, []).append(held.day)
    return available


def list_checks(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Event type and name of every quality check that has a result for a day that is in, in order."""
    return sorted({(c.event_type, c.name) for c in get_checks(catalogue)})


def get_checks(
    catalogue: Catalogue,
    event_type: str | None = None,
    name: str | None = None,
    start: dt.date | None = None,
    stop: dt.date | None = None,
) -> list[Check]:
    """The newest results of quality checks for days in [start, stop) that are in, in order of type, day and name."""
    q = post_etl_queries.c
    keys = (q.cdr_type, q.cdr_date, q.type_of_query_or_check)
    # Ids grow with time, in one process and in several.
    newest = sa.select(sa.func.max(q.id)).group_by(*keys)
    chosen = sa.select(post_etl_queries).where(q.id.in_(newest)).order_by(*keys)
    for column, value in ((q.cdr_type, event_type), (q.type_of_query_or_check, name)):
        if value is not None:
            chosen = chosen.where(column == value)
    if start is not None:
        chosen = chosen.where(q.cdr_date >= start)
    if stop is not None:
        chosen = chosen.where(q.cdr_date < stop)
    held = {(t, day) for t, days in available_dates(catalogue).items() for day in days}
    with catalogue.engine.connect() as connection:
        return [
            Check(r.cdr_type, r.cdr_date, r.type_of_query_or_check, r.outcome, r.optional_comment_or_description)
            for r in connection.execute(chosen)
            if (r.cdr_type, r.cdr_date) in held
        ]


def mend(catalogue: Catalogue, lake: Lake, event_types: Sequence[str] = tuple(DAILY)) -> int:
    """Bring the catalogue in line with the lake; returns how many days were mended.

    A day that was committed but not recorded is recorded, with its checks; a load that died is recorded as failed.
    Safe at any time, beside running loads.
    """
    mended = 0
    for event_type in event_types:
        recorded = {s.day: s for s in _latest(catalogue, event_type, SETTLED_STATES)}
        told = {dt.date.fromisoformat(h["day"]): h for h in lake.history(event_type)}
        for day, commit in sorted(told.items()):
            held, timestamp = recorded.get(day), dt.datetime.fromisoformat(commit["timestamp"])
            if held and (held.state, held.timestamp) == (commit["state"], timestamp):
                continue
            # A running load records its commits itself; a moment later there is nothing to mend.
            with suppress(LakeError), day_lock(lake, event_type, day):
                record_commit(catalogue, event_type, commit)
                mended += 1
        for day in sorted(recorded.keys() - told.keys()):
            if recorded[day].state == "ingested":
                record_state(catalogue, event_type, day, "withdrawn", "The lake does not hold this day.")
                mended += 1
        mended += _bury_dead_loads(catalogue, lake, event_type)
    return mended


def _bury_dead_loads(catalogue: Catalogue, lake: Lake, event_type: str) -> int:
    buried = 0
    for held in _latest(catalogue, event_type):
        if held.state != "loading":
            continue
        with suppress(LakeError), day_lock(lake, event_type, held.day):
            reason = "The load was cut off: run it again."
            record_state(catalogue, event_type, held.day, "failed", reason)
            buried += 1
    return buried


def _latest(catalogue: Catalogue, event_type: str | None, states: Sequence[str] = STATES) -> list[DayState]:
    e = etl_records.c
    newest = sa.select(sa.func.max(e.id)).where(e.state.in_(states)).group_by(e.cdr_type, e.cdr_date)
    chosen = sa.select(etl_records).where(e.id.in_(newest)).order_by(e.cdr_type, e.cdr_date)
    if event_type is not None:
        chosen = chosen.where(e.cdr_type == event_type)
    with catalogue.engine.connect() as connection:
        return [DayState(r.cdr_type, r.cdr_date, r.state, r.timestamp, r.reason) for r in connection.execute(chosen)]


def _careful_sqlite(engine: sa.Engine) -> None:
    """Make SQLite wait for other writers, read beside them, and keep schema changes inside transactions."""

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: Any) -> None:
        # The driver's own BEGIN comes too late for DDL; ours is below.
        connection.isolation_level = None
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        # A transaction that reads and then writes cannot wait for another writer unless it says so at its beginning.
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _upgrade(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with engine.execution_options(immediate=True).begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('flowkit catalogue'))"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
