"""The catalogue: states of days and results of quality checks, in SQLite or PostgreSQL.

The lake decides which days are published; `mend` brings the catalogue in line with it after a kill between the two.
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
from sqlalchemy.exc import SQLAlchemyError

from flowdb.lake import Lake, LakeError, day_lock
from flowdb.tables import DAILY
from flowkit_base.databases import DatabaseError, Moment, database_url, open_database

STATES = ("found", "loading", "ingested", "failed", "withdrawn")
"""The states of a day; `ingested` and `withdrawn` are those of the lake, the others those of a load."""
SETTLED_STATES = ("ingested", "withdrawn")

_MIGRATIONS = Path(__file__).with_name("migrations")


metadata = sa.MetaData()

etl_records = sa.Table(
    "etl_records",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("cdr_type", sa.Text, nullable=False),
    sa.Column("cdr_date", sa.Date, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("timestamp", Moment, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Index("etl_records_day", "cdr_type", "cdr_date", "id"),
)
"""Every state of every day of an event type, with its time; rows are only added."""

post_etl_queries = sa.Table(
    "post_etl_queries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("cdr_date", sa.Date, nullable=False),
    sa.Column("cdr_type", sa.Text, nullable=False),
    sa.Column("type_of_query_or_check", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("optional_comment_or_description", sa.Text),
    sa.Column("timestamp", Moment, nullable=False),
    sa.Index("post_etl_queries_day", "cdr_type", "cdr_date", "type_of_query_or_check", "id"),
)
"""Results of quality checks, as text; the newest of a day, type and check is valid."""


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
        """Open the catalogue at a database URL, created or upgraded if needed.

        `sqlite:///path/catalogue.db` or `postgresql+psycopg://…`. Raises LakeError if that cannot be done.
        """
        try:
            address = database_url("The catalogue's address", url)
        except DatabaseError as error:
            raise LakeError(str(error)) from None
        if address.get_backend_name() == "sqlite" and not Path(str(address.database)).parent.is_dir():
            raise LakeError(f"The catalogue {address.database} cannot be opened: its folder does not exist.")
        engine = open_database(address)
        try:
            _upgrade(engine)
        except SQLAlchemyError as error:
            where = engine.url.render_as_string(hide_password=True)
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise LakeError(f"The catalogue {where} cannot be opened: {reason}.") from None
        return Catalogue(engine)

    def close(self) -> None:
        """Close the connections."""
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


def record_commit(catalogue: Catalogue, event_type: str, record: Mapping[str, Any]) -> None:
    """Append what a commit of the lake says (see `Lake.history`): the day's state, and the results of its checks."""
    day, timestamp = dt.date.fromisoformat(record["day"]), dt.datetime.fromisoformat(record["timestamp"])
    state = {
        "cdr_type": event_type,
        "cdr_date": day,
        "state": record["state"],
        "timestamp": timestamp,
        "reason": record["facts"].get("reason"),
    }
    descriptions = record["facts"].get("descriptions", {})
    checks = [
        {
            "cdr_type": event_type,
            "cdr_date": day,
            "type_of_query_or_check": name,
            "outcome": outcome,
            "optional_comment_or_description": descriptions.get(name),
            "timestamp": timestamp,
        }
        for name, outcome in record["facts"].get("checks", {}).items()
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
    """The published days by event type; a day that is being loaded again stays published until it is replaced."""
    available: dict[str, list[dt.date]] = {}
    for latest in _latest(catalogue, None, SETTLED_STATES):
        if latest.state == "ingested":
            available.setdefault(latest.event_type, []).append(latest.day)
    return available


def list_checks(catalogue: Catalogue) -> list[tuple[str, str]]:
    """Event type and name of every quality check that has a result for a published day, in order."""
    q = post_etl_queries.c
    published = _newest_states(None, SETTLED_STATES).subquery()
    named = (
        sa.select(q.cdr_type, q.type_of_query_or_check)
        .join(published, (q.cdr_type == published.c.cdr_type) & (q.cdr_date == published.c.cdr_date))
        .where(published.c.state == "ingested")
        .distinct()
        .order_by(q.cdr_type, q.type_of_query_or_check)
    )
    with _reading(catalogue) as connection:
        return [(row.cdr_type, row.type_of_query_or_check) for row in connection.execute(named)]


def get_checks(
    catalogue: Catalogue,
    event_type: str | None = None,
    name: str | None = None,
    start: dt.date | None = None,
    stop: dt.date | None = None,
) -> list[Check]:
    """The newest results of quality checks for published days in [start, stop), in order of type, day and name."""
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
    published = {(t, day) for t, days in available_dates(catalogue).items() for day in days}
    with _reading(catalogue) as connection:
        return [
            Check(r.cdr_type, r.cdr_date, r.type_of_query_or_check, r.outcome, r.optional_comment_or_description)
            for r in connection.execute(chosen)
            if (r.cdr_type, r.cdr_date) in published
        ]


def mend(catalogue: Catalogue, lake: Lake, event_types: Sequence[str] = tuple(DAILY)) -> int:
    """Bring the catalogue in line with the lake; returns how many days were mended.

    A day that was committed but not recorded is recorded, with its checks; a load that died is recorded as failed.
    Safe at any time, beside running loads.
    """
    mended = 0
    for event_type in event_types:
        recorded = {s.day: s for s in _latest(catalogue, event_type, SETTLED_STATES)}
        commits = {dt.date.fromisoformat(commit["day"]): commit for commit in lake.history(event_type)}
        for day, commit in sorted(commits.items()):
            latest, timestamp = recorded.get(day), dt.datetime.fromisoformat(commit["timestamp"])
            if latest and (latest.state, latest.timestamp) == (commit["state"], timestamp):
                continue
            # A running load records its commits itself; a moment later there is nothing to mend.
            with suppress(LakeError), day_lock(lake, event_type, day):
                record_commit(catalogue, event_type, commit)
                mended += 1
        for day in sorted(recorded.keys() - commits.keys()):
            if recorded[day].state == "ingested":
                record_state(catalogue, event_type, day, "withdrawn", "The lake does not have this day.")
                mended += 1
        mended += _fail_dead_loads(catalogue, lake, event_type)
    return mended


def _fail_dead_loads(catalogue: Catalogue, lake: Lake, event_type: str) -> int:
    failed = 0
    for latest in _latest(catalogue, event_type):
        if latest.state != "loading":
            continue
        with suppress(LakeError), day_lock(lake, event_type, latest.day):
            reason = "The load was cut off: run it again."
            record_state(catalogue, event_type, latest.day, "failed", reason)
            failed += 1
    return failed


def _latest(catalogue: Catalogue, event_type: str | None, states: Sequence[str] = STATES) -> list[DayState]:
    with _reading(catalogue) as connection:
        rows = connection.execute(_newest_states(event_type, states))
        return [DayState(r.cdr_type, r.cdr_date, r.state, r.timestamp, r.reason) for r in rows]


def _newest_states(event_type: str | None, states: Sequence[str]) -> sa.Select[Any]:
    """The newest record with one of these states of each day."""
    e = etl_records.c
    newest = sa.select(sa.func.max(e.id)).where(e.state.in_(states)).group_by(e.cdr_type, e.cdr_date)
    chosen = sa.select(etl_records).where(e.id.in_(newest)).order_by(e.cdr_type, e.cdr_date)
    return chosen if event_type is None else chosen.where(e.cdr_type == event_type)


def _reading(catalogue: Catalogue) -> sa.Connection:
    """A connection that waits for no writer."""
    return catalogue.engine.execution_options(reads=True).connect()


def _upgrade(engine: sa.Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.execution_options(reads=True).connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('flowkit catalogue'))"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
