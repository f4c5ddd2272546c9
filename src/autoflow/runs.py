"""The run table: which workflow has run for which day, with what outcome, and who is running it now.

`workflow_runs` keeps one row for each change of state and never rewrites one, but for the lease of a run
under way. A run is known by its workflow and the hash of its parameters; its newest row says how it stands.
"""

import datetime as dt
import enum
import hashlib
import json
import os
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url

TABLE = "workflow_runs"


class RunState(enum.Enum):
    """The states of a run, under the names that the database knows."""

    running = "running"
    success = "success"
    failed = "failed"


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
    ]


@dataclass(frozen=True)
class Run:
    """How a run stands: the newest row of a workflow with certain parameters.

    `attempt` counts from 1. `outputs` holds one mapping a notebook with its `key`, `notebook` and, where
    one was asked for, `report`, as paths. A failed run may be tried again from `retry_at` on.
    """

    workflow_name: str
    parameters_hash: str
    state: RunState
    timestamp: dt.datetime
    id: int = 0
    run_id: str | None = None
    reference_date: dt.date | None = None
    parameters: Mapping[str, Any] | None = None
    attempt: int | None = None
    error: str | None = None
    outputs: tuple[Mapping[str, str], ...] = ()
    retry_at: dt.datetime | None = None
    runner: str | None = None
    lease_until: dt.datetime | None = None

    def died(self, now: dt.datetime) -> bool:
        """Tell whether this run says that it is under way although nobody is at work on it."""
        if self.state is not RunState.running:
            return False
        # FlowKit writes no lease: a row of its that says "running" after its process ended would say so for ever.
        return self.lease_until is None or self.lease_until <= now or runner_is_gone(self.runner)


@dataclass(frozen=True)
class Limits:
    """How often and how soon a failed run is tried again, and how long a silent one is believed (seconds)."""

    max_attempts: int = 5
    retry_delay: float = 300
    lease: float = 60


def json_safe(value: Any) -> Any:
    """Give a parameter as JSON can hold it: dates as ISO text, tuples as lists, keys as text."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(part) for part in value]
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else value


def parameters_hash(parameters: Mapping[str, Any]) -> str:
    """Give the MD5 of the parameters as JSON, whatever the order of their names."""
    text = json.dumps(json_safe(parameters), sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def runner_name() -> str:
    """Name this process so that another on the same machine can tell whether it still lives.

    The parts are the host, the boot and process namespace, the process id and its start time.
    """
    return f"{socket.gethostname()}/{_machine()}/{os.getpid()}/{_start_time(os.getpid())}"


def runner_is_gone(runner: str | None) -> bool:
    """Tell whether a runner is known to have ended; False where that cannot be seen from here."""
    parts = (runner or "").rsplit("/", 3)
    if len(parts) != 4 or not parts[1] or parts[1] != _machine():
        return False
    return _start_time(int(parts[2])) != parts[3]


@lru_cache(maxsize=1)
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _start_time(pid: int) -> str:
    try:
        # The command's name, in brackets, may hold blanks; the start time is the 20th field after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[19]


class RunTable:
    """The table `workflow_runs` of a database; one pool of connections for the whole process.

    Opening it makes the table, and gives an existing one of FlowKit's the columns that it lacks.
    """

    def __init__(self, uri: str, password: str = "", limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.runner = runner_name()
        self.engine = _engine(uri, password)
        self._table = _ensure_table(self.engine)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def latest(self) -> dict[tuple[str, str], Run]:
        """Give how every run stands, by workflow name and hash of the parameters."""
        newest = sa.select(sa.func.max(self._table.c.id)).group_by(
            self._table.c.workflow_name, self._table.c.parameters_hash
        )
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(self._table).where(self._table.c.id.in_(newest)))
            return {(run.workflow_name, run.parameters_hash): run for run in map(_run, rows.mappings())}

    def history(self) -> list[Run]:
        """Give every change of state, oldest first."""
        with self.engine.connect() as connection:
            return [_run(row) for row in connection.execute(sa.select(self._table).order_by("id")).mappings()]

    def claim(
        self,
        workflow_name: str,
        parameters: Mapping[str, Any],
        reference_date: dt.date | None = None,
        *,
        force: bool = False,
    ) -> Run | None:
        """Take a run, if it is to be done now and nobody else has it; give None otherwise.

        `force` takes a failed run before its time and beyond the limit of attempts.
        """
        safe = json_safe(parameters)
        with self._alone(workflow_name, digest := parameters_hash(parameters)) as (connection, newest):
            now = dt.datetime.now(dt.UTC)
            before = newest
            if newest and newest.died(now):
                before = self._insert(
                    connection,
                    replace(
                        newest,
                        state=RunState.failed,
                        attempt=newest.attempt or 1,
                        error="The process that ran this ended before the run did.",
                        retry_at=now,
                    ),
                )
            if before and (self.held_back(before, now) if not force else before.state is not RunState.failed):
                return None
            return self._insert(
                connection,
                Run(
                    workflow_name,
                    digest,
                    RunState.running,
                    now,
                    run_id=uuid.uuid4().hex,
                    reference_date=reference_date,
                    parameters=safe,
                    attempt=(before.attempt or 0) + 1 if before else 1,
                    runner=self.runner,
                    lease_until=now + dt.timedelta(seconds=self.limits.lease),
                ),
            )

    def held_back(self, run: Run, now: dt.datetime) -> str | None:
        """Say why a run that stands like this is not started now; None if it is to be started."""
        if run.state is RunState.success:
            return "done"
        if run.state is RunState.running:
            return None if run.died(now) else f"running since {run.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        attempt = run.attempt or 0
        if attempt >= self.limits.max_attempts:
            return f"failed {attempt} times, which is the limit"
        if run.retry_at and run.retry_at > now:
            when = f"{run.retry_at:%Y-%m-%d %H:%M:%S} UTC"
            return f"failed {attempt} of {self.limits.max_attempts} times; next try after {when}"
        return None

    def next_change(self, run: Run) -> dt.datetime | None:
        """Give the moment from which a run that stands like this may be taken (again); None for never."""
        if run.state is RunState.running:
            return run.lease_until
        if run.state is RunState.failed and (run.attempt or 0) < self.limits.max_attempts:
            return run.retry_at or run.timestamp
        return None

    def keep(self, run_ids: list[str]) -> None:
        """Renew the leases of runs under way."""
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.limits.lease)
        running = (self._table.c.run_id.in_(run_ids)) & (self._table.c.state == RunState.running)
        with self.engine.begin() as connection:
            connection.execute(sa.update(self._table).where(running).values(lease_until=until))

    def succeed(self, run: Run, outputs: tuple[Mapping[str, str], ...]) -> Run | None:
        """Record that a run has ended well; None if another runner has taken it over meanwhile."""
        return self._end(run, replace(run, state=RunState.success, outputs=outputs))

    def fail(self, run: Run, error: str, outputs: tuple[Mapping[str, str], ...] = ()) -> Run | None:
        """Record that a run has failed, and when to try again; None if another runner has taken it over meanwhile."""
        wait = self.limits.retry_delay * 2 ** min((run.attempt or 1) - 1, 20)
        retry_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait)
        return self._end(run, replace(run, state=RunState.failed, error=error, outputs=outputs, retry_at=retry_at))

    def give_back(self, run: Run, reason: str) -> Run | None:
        """Record that a run was stopped through no fault of its own: the attempt does not count."""
        attempt = (run.attempt or 1) - 1
        now = dt.datetime.now(dt.UTC)
        return self._end(run, replace(run, state=RunState.failed, attempt=attempt, error=reason, retry_at=now))

    def _end(self, run: Run, ended: Run) -> Run | None:
        with self._alone(run.workflow_name, run.parameters_hash) as (connection, newest):
            return self._insert(connection, ended) if newest and newest.id == run.id else None

    @contextmanager
    def _alone(self, workflow_name: str, digest: str) -> Iterator[tuple[sa.Connection, Run | None]]:
        """Give a transaction in which nobody else changes this run, and how the run stands."""
        with self.engine.begin() as connection:
            if self.engine.dialect.name == "postgresql":
                lock = sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"{workflow_name}/{digest}", 0))
                connection.execute(sa.select(lock))
            row = connection.execute(
                sa.select(self._table)
                .where(self._table.c.workflow_name == workflow_name, self._table.c.parameters_hash == digest)
                .order_by(self._table.c.id.desc())
                .limit(1)
            ).mappings()
            newest = row.one_or_none()
            yield connection, _run(newest) if newest else None

    def _insert(self, connection: sa.Connection, run: Run) -> Run:
        run = replace(run, timestamp=dt.datetime.now(dt.UTC))
        values = {name: getattr(run, name) for name in self._table.c.keys() if name != "id"}  # noqa: SIM118
        if run.state is not RunState.running:
            values["lease_until"] = None
        values["outputs"] = [dict(output) for output in run.outputs]
        number = connection.scalar(sa.insert(self._table).values(values).returning(self._table.c.id))
        return replace(run, id=number or 0, lease_until=values["lease_until"])


def _run(row: Mapping[Any, Any]) -> Run:
    return Run(**{**row, "outputs": tuple(row["outputs"] or ())})


def _engine(uri: str, password: str) -> sa.Engine:
    """Connect lazily to a database URI in which {} stands for the password."""
    url = make_url(uri.replace("{}", "password"))
    if "{}" in uri:
        url = url.set(password=password)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
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


def _ensure_table(engine: sa.Engine) -> sa.Table:
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
