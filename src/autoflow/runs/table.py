"""The run table: which workflow has run for which day, with what outcome, and who is running it now.

`workflow_runs` keeps one row for each change of state and never rewrites one, except for the lease of a run
under way. A run is known by its workflow and the hash of its parameters; its newest row gives its state.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from autoflow.runs.database import ensure_table, look_at_table
from autoflow.runs.processes import runner_name
from autoflow.runs.run import Limits, Run, RunState, json_safe, parameters_hash, under_way
from autoflow.settings import Settings
from flowkit_base.databases import Moment, database_url, open_database

DIED = "The process that ran this ended before the run did."


UNRECORDED = "How this ended could not be written into the run table."


RUN_REQUESTED = "It was requested to run again."


class RunTable:
    """The table `workflow_runs` of a database; one pool of connections for the whole process.

    Opening it makes the table, and gives an existing one of FlowKit's the columns that it lacks. With `read_only`
    nothing is made or changed, and where there is no table, no run has been.
    """

    def __init__(self, url: sa.URL | str, limits: Limits | None = None, *, read_only: bool = False) -> None:
        self.limits = limits or Limits()
        self.runner = runner_name()
        url = database_url("AUTOFLOW_DB_URI", url) if isinstance(url, str) else url
        if read_only:
            self.engine, self._table = look_at_table(url)
        else:
            self.engine = open_database(url)
            self._table = ensure_table(self.engine)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def latest(self) -> dict[tuple[str, str], Run]:
        """Give the state of every run, by workflow name and hash of the parameters."""
        newest = sa.select(sa.func.max(self._table.c.id)).group_by(
            self._table.c.workflow_name, self._table.c.parameters_hash
        )
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(self._table).where(self._table.c.id.in_(newest)))
            names = self._table.c.keys()
            runs = [_run(dict(zip(names, row, strict=True))) for row in rows]
        return {(run.workflow_name, run.parameters_hash): run for run in runs}

    def begun(self) -> dict[str, dt.datetime]:
        """Give the moment at which each run began, by its run id."""
        columns = self._table.c
        if "run_id" not in columns:
            return {}
        first = sa.select(columns.run_id, sa.func.min(columns.timestamp, type_=Moment))
        running = first.where(columns.state == RunState.running, columns.run_id.is_not(None)).group_by(columns.run_id)
        with self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(running)}

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
        fingerprint: Mapping[str, str] | None = None,
        on_change: Iterable[str] = (),
    ) -> Run | None:
        """Claim a run, if it is due and no other runner has it; give None otherwise.

        `force` takes a failed run before its time and beyond the limit of attempts. A run that has ended is taken
        again if a part of the `fingerprint` that `on_change` names ("notebooks", "data") has changed since.
        """
        safe = json_safe(parameters)
        with self._alone(workflow_name, digest := parameters_hash(parameters)) as (connection, newest):
            now = self._now(connection)
            before = newest
            if newest and newest.died(now):
                before = self._insert(connection, self._dead(newest, now), now)
            forced = before and force and before.state is RunState.failed
            if before and not forced and self.reason_not_started(before, now, fingerprint, on_change):
                return None
            again = before is None or before.changed(fingerprint, on_change)
            taken = self._insert(
                connection,
                Run(
                    workflow_name,
                    digest,
                    RunState.running,
                    now,
                    run_id=uuid.uuid4().hex,
                    reference_date=reference_date,
                    parameters=safe,
                    attempt=1 if again or before is None else (before.attempt or 0) + 1,
                    deaths=None if again or forced or before is None else before.deaths,
                    runner=self.runner,
                    lease_until=now + dt.timedelta(seconds=self.limits.lease),
                    fingerprint=dict(fingerprint) if fingerprint else None,
                ),
                now,
            )
            # Before the row can be seen, so that no other thread takes it for one that was left behind.
            under_way.add(str(taken.run_id))
        return taken

    def _dead(self, run: Run, now: dt.datetime) -> Run:
        """The state of a run whose process has died: the attempt does not count, the death does."""
        ended = replace(run, state=RunState.failed, retry_at=now)
        if run.runner == self.runner:
            return replace(ended, error=UNRECORDED, attempt=run.attempt or 1)
        return replace(ended, error=DIED, attempt=max((run.attempt or 1) - 1, 0), deaths=(run.deaths or 0) + 1)

    def given_up(self, run: Run) -> str | None:
        """Say why a failed run is not tried again by itself; None if it is, or has not failed."""
        attempt, deaths = run.attempt or 0, run.deaths or 0
        if run.state is not RunState.failed:
            return None
        if deaths >= self.limits.max_deaths:
            return f"put aside: its process died {deaths} times while it ran, which is the limit"
        if attempt >= self.limits.max_attempts:
            return f"failed {attempt} times, which is the limit"
        return None

    def reason_not_started(
        self,
        run: Run,
        now: dt.datetime,
        fingerprint: Mapping[str, str] | None = None,
        on_change: Iterable[str] = (),
    ) -> str | None:
        """Give the reason why a run in this state is not started now; None if it is to be started.

        `fingerprint` is the one that it would have now, `on_change` names the parts of it that count.
        """
        if run.state is RunState.running:
            return None if run.died(now) else f"running since {run.timestamp:%Y-%m-%d %H:%M:%S} UTC"
        if run.changed(fingerprint, on_change):
            return None
        if run.state is RunState.success:
            return "done"
        if reason := self.given_up(run):
            return reason
        attempt = run.attempt or 0
        if run.retry_at and run.retry_at > now and not _from_the_future(run, now):
            when = f"{run.retry_at:%Y-%m-%d %H:%M:%S} UTC"
            return f"failed {attempt} of {self.limits.max_attempts} times; next try after {when}"
        return None

    def next_change(self, run: Run) -> dt.datetime | None:
        """Give the moment from which a run in this state may be claimed (again); None for never."""
        if run.state is RunState.running:
            return run.lease_until
        if run.state is RunState.failed and not self.given_up(run):
            now = dt.datetime.now(dt.UTC)
            return now if _from_the_future(run, now) else run.retry_at or run.timestamp
        return None

    def keep(self, run_ids: list[str]) -> list[str]:
        """Renew the leases of runs under way; give those that another runner has taken over meanwhile."""
        running = (self._table.c.run_id.in_(run_ids)) & (self._table.c.state == RunState.running)
        with self.engine.begin() as connection:
            until = self._now(connection) + dt.timedelta(seconds=self.limits.lease)
            connection.execute(sa.update(self._table).where(running).values(lease_until=until))
            later, same = self._table.alias(), self._table.c
            taken_over = sa.exists().where(
                later.c.workflow_name == same.workflow_name,
                later.c.parameters_hash == same.parameters_hash,
                later.c.id > same.id,
            )
            return [str(run_id) for run_id in connection.scalars(sa.select(same.run_id).where(running, taken_over))]

    def succeed(self, run: Run, outputs: tuple[Mapping[str, str], ...]) -> Run | None:
        """Record that a run has ended well; None if another runner has taken it over meanwhile."""
        return self._end(run, replace(run, state=RunState.success, outputs=outputs))

    def fail(self, run: Run, error: str, outputs: tuple[Mapping[str, str], ...] = ()) -> Run | None:
        """Record that a run has failed, and when to try again; None if another runner has taken it over meanwhile."""
        wait = self.limits.retry_delay * 2 ** min((run.attempt or 1) - 1, 20)
        return self._end(run, replace(run, state=RunState.failed, error=error, outputs=outputs), wait)

    def give_back(self, run: Run, reason: str) -> Run | None:
        """Record that a run was stopped from outside: the attempt does not count."""
        attempt = (run.attempt or 1) - 1
        return self._end(run, replace(run, state=RunState.failed, attempt=attempt, error=reason), 0)

    def forget(self, run: Run) -> None:
        """Release a run whose end cannot be recorded: it is taken up like one whose process died."""
        under_way.discard(str(run.run_id))

    def ask_again(self, workflow_name: str, digest: str) -> Run | None:
        """Make a run that has ended due once more, with every attempt before it; None if it is under way or unknown."""
        with self._alone(workflow_name, digest) as (connection, newest):
            now = self._now(connection)
            if newest is None or (newest.state is RunState.running and not newest.died(now)):
                return None
            due = replace(
                newest, state=RunState.failed, attempt=0, deaths=0, error=RUN_REQUESTED, outputs=(), retry_at=now
            )
            return self._insert(connection, due, now)

    def _end(self, run: Run, ended: Run, wait: float | None = None) -> Run | None:
        with self._alone(run.workflow_name, run.parameters_hash) as (connection, newest):
            now = self._now(connection)
            if wait is not None:
                ended = replace(ended, retry_at=now + dt.timedelta(seconds=wait))
            recorded = self._insert(connection, ended, now) if newest and newest.id == run.id else None
        self.forget(run)
        return recorded

    def _now(self, connection: sa.Connection) -> dt.datetime:
        """Give the time: that of a shared database, because the clocks of its runners may differ."""
        if self.engine.dialect.name == "postgresql":
            return connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one().astimezone(dt.UTC)
        return dt.datetime.now(dt.UTC)

    @contextmanager
    def _alone(self, workflow_name: str, digest: str) -> Iterator[tuple[sa.Connection, Run | None]]:
        """Give a transaction that locks this run, and the run's state."""
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

    def _insert(self, connection: sa.Connection, run: Run, now: dt.datetime) -> Run:
        run = replace(run, timestamp=now)
        values = {name: getattr(run, name) for name in self._table.c.keys() if name != "id"}  # noqa: SIM118
        if run.state is not RunState.running:
            values["lease_until"] = None
        values["outputs"] = [dict(output) for output in run.outputs]
        number = connection.scalar(sa.insert(self._table).values(values).returning(self._table.c.id))
        return replace(run, id=number or 0, lease_until=values["lease_until"])


def _from_the_future(run: Run, now: dt.datetime) -> bool:
    """Whether a row's time is in the future, as when the clock was set back since: then it cannot be used."""
    return run.timestamp > now + dt.timedelta(minutes=1)


def open_run_table(settings: Settings, *, read_only: bool = False) -> RunTable:
    """Open the run table that the settings name: by default an SQLite file among the outputs."""
    limits = Limits(
        settings.autoflow_max_attempts,
        settings.autoflow_max_deaths,
        settings.autoflow_retry_delay,
        settings.autoflow_lease,
    )
    return RunTable(settings.database, limits, read_only=read_only)


def complaint(error: SQLAlchemyError) -> str:
    """Say in a sentence that the run table cannot be used."""
    cause = str(error.__cause__ or error).strip().partition("\n")[0]
    return f"The run table's database cannot be used: {cause}; see AUTOFLOW_DB_URI and AUTOFLOW_DB_PASSWORD."


def _run(row: Mapping[Any, Any]) -> Run:
    return Run(**{**row, "outputs": tuple(row.get("outputs") or ())})
