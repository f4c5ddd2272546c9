"""Stored results and shared parts: Parquet files in the cache directory, with records in a database.

A file is written under another name, synced and renamed, then recorded; if a killed server left a file without its
record, or a record without its file, `mend` repairs it. Results are released rows, and only they are served; parts are
rows of single subscribers, which other queries are computed from, and never leave the server.
"""

import datetime as dt
import fcntl
import json
import math
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from flowdb.lake import Snapshot
from flowmachine.engines import ROWS_AT_ONCE
from flowmachine.errors import FlowMachineError
from flowmachine.release import Rule
from flowmachine.server.questions import may_leave
from flowmachine.server.records import open_records, queries, query_days
from flowmachine.server.states import (
    CANCELLED,
    COMPLETED,
    ERRORED,
    EXECUTING,
    KNOWN,
    QUEUED,
    RESETTING,
    fire,
)
from flowmachine.stored.files import measured, publish, remove, size
from flowmachine.stored.identity import days_read
from flowmachine.stored.parts import Question

MOST_DEATHS = 2
"""How often a server may die while a query runs, before the query is put aside."""
PUT_ASIDE = (
    f"The server died {MOST_DEATHS} times while this query ran, most likely for want of memory, so it is put aside: "
    "ask for fewer days or a coarser unit, or have the administrator give the server more memory."
)

_FRESH: dict[str, Any] = {"started": None, "finished": None, "error": None}


@dataclass(frozen=True)
class Limits:
    """How much is stored, and for how long."""

    size: int
    """Bytes that stored files may take together."""
    half_life: float = 1000
    """After how many retrievals of any results a retrieval counts half."""
    protected: timedelta = timedelta(days=1)
    """For how long a new file is never evicted."""


@dataclass(frozen=True)
class OutdatedDay:
    """A day that a result was computed from, and that has changed since."""

    event_type: str
    day: dt.date
    withdrawn: bool
    """Whether it was withdrawn; else it was replaced."""


Row: TypeAlias = sa.Row[Any]
"""A record of `queries`."""


class Store:
    """The cache directory of one server and the records of its files."""

    def __init__(self, directory: Path, records: sa.Engine, limits: Limits, rule: Rule, lock: IO[str]) -> None:
        self._directory = directory
        self.records = records
        self._limits = limits
        self._rule_identity = json.dumps(rule.identity)
        self._file_lock = lock
        self._lock = threading.RLock()
        self._in_use: Counter[str] = Counter()
        with self._reading() as connection:
            self._touches = connection.execute(sa.select(sa.func.sum(queries.c.access_count))).scalar() or 0

    def close(self) -> None:
        """Close the records and release the directory."""
        self.records.dispose()
        self._file_lock.close()

    # Records

    def find(self, query_id: str) -> Row | None:
        """The record of a query or part; None if it is unknown."""
        with self._reading() as connection:
            return connection.execute(sa.select(queries).where(queries.c.query_id == query_id)).one_or_none()

    def enter(self, question: Question, request_id: str) -> bool:
        """Record a query, and queue it unless it is queued, running or stored.

        Returns whether it was queued. Failed and cancelled queries are tried again.
        """
        with self._lock, self._writing() as connection:
            self._reset_if_lost(connection, question.query_id)
            for part in question.parts:
                self._known(connection, part)
            self._known(connection, question, depends_on=[part.query_id for part in question.parts])
            self._reset(connection, question.query_id, (ERRORED, CANCELLED))
            now = datetime.now(UTC)
            return fire(connection, question.query_id, "queue", submitted=now, request_id=request_id, **_FRESH)

    def take(self, busy: set[str]) -> Row | None:
        """The query that has waited longest, now executing; None if none can run. Those in `busy` run already.

        A query that ran when a server died runs alone: if the server dies again, it is the reason.
        """
        chosen = (
            sa.select(queries)
            .where(queries.c.state == QUEUED)
            .order_by(queries.c.priority.desc(), queries.c.submitted, queries.c.query_id)
        )
        with self._lock, self._writing() as connection:
            running = sa.select(queries.c.deaths).where(queries.c.query_id.in_(busy))
            if any(connection.execute(running).scalars()):
                return None
            for row in connection.execute(chosen).all():
                if row.deaths and busy:
                    continue
                if row.query_id not in busy and fire(
                    connection, row.query_id, "execute", started=datetime.now(UTC), versions=self._rule_identity
                ):
                    return row
        return None

    def take_part(self, part: Question) -> bool:
        """Mark a part as executing; False if it is stored already."""
        now = datetime.now(UTC)
        with self._lock, self._writing() as connection:
            self._known(connection, part)
            self._reset_if_lost(connection, part.query_id)
            self._reset(connection, part.query_id, (ERRORED, CANCELLED))
            fire(connection, part.query_id, "queue", submitted=now, **_FRESH)
            return fire(connection, part.query_id, "execute", started=now, versions=self._rule_identity)

    def change(self, query_id: str, event: str, **values: Any) -> bool:
        """Apply an event to a query; False if its state does not allow it."""
        with self._writing() as connection:
            return fire(connection, query_id, event, **values)

    def fail(self, query_id: str, reason: str) -> bool:
        """Record why a query failed."""
        return self.change(query_id, "error", error=reason, finished=datetime.now(UTC))

    def take_back(self, busy: set[str], reasons: Mapping[str, str]) -> int:
        """Mend queries that execute by the records although no worker has them; returns how many.

        Their end could not be recorded, as on a full disk. Queries in `reasons` are recorded as failed; other
        queries are queued again, and parts can be computed again.
        """
        executing = sa.select(queries.c.query_id, queries.c.query_kind).where(queries.c.state == EXECUTING)
        with self._reading() as connection:
            lost = [row for row in connection.execute(executing) if row.query_id not in busy]
        if not lost:
            return 0
        with self._writing() as connection:
            for row in lost:
                if not may_leave(row.query_kind):
                    fire(connection, row.query_id, "cancel")
                elif row.query_id in reasons:
                    fire(connection, row.query_id, "error", error=reasons[row.query_id], finished=datetime.now(UTC))
                else:
                    fire(connection, row.query_id, "resume")
        return len(lost)

    def wait_again(self, row: Row) -> bool:
        """Queue a completed query again if its file is missing or is not as it was stored."""
        now = self.find(row.query_id)
        if row.state != COMPLETED or now is None or (now.state == COMPLETED and not self._is_lost(now)):
            return False
        with self._lock, self._writing() as connection:
            self._reset_if_lost(connection, row.query_id)
            return fire(connection, row.query_id, "queue", submitted=datetime.now(UTC), **_FRESH)

    def outdated(self, query_id: str, snapshot: Snapshot) -> list[OutdatedDay]:
        """The days that a query read and that have since been withdrawn or replaced, in order."""
        chosen = sa.select(query_days).where(query_days.c.query_id == query_id)
        with self._reading() as connection:
            days = connection.execute(chosen.order_by(query_days.c.event_type, query_days.c.day)).all()
        current = [snapshot.days.get(row.event_type, {}).get(row.day) for row in days]
        return [
            OutdatedDay(row.event_type, row.day, withdrawn=stored is None)
            for row, stored in zip(days, current, strict=True)
            if stored is None or stored.version != row.version
        ]

    def drop_outdated(self, snapshot: Snapshot) -> int:
        """Delete stored rows computed from days that have since been withdrawn or replaced; returns how many."""
        d = query_days.c
        current = {(t, day, stored.version) for t, days in snapshot.days.items() for day, stored in days.items()}
        with self._reading() as connection:
            used = connection.execute(sa.select(d.event_type, d.day, d.version).distinct()).all()
            gone = [row for row in used if tuple(row) not in current]
            completed = sa.select(d.query_id).join(queries, queries.c.query_id == d.query_id)
            completed = completed.where(queries.c.state == COMPLETED).distinct()
            ids = {
                query_id
                for row in gone
                for query_id in connection.execute(
                    completed.where(d.event_type == row.event_type, d.day == row.day, d.version == row.version)
                ).scalars()
            }
        return sum(self.forget(query_id) for query_id in sorted(ids))

    def states(self, query_ids: Sequence[str]) -> dict[str, str]:
        """The states of these queries."""
        chosen = sa.select(queries.c.query_id, queries.c.state).where(queries.c.query_id.in_(query_ids))
        with self._reading() as connection:
            return {row.query_id: row.state for row in connection.execute(chosen)}

    def counts(self) -> dict[str, int]:
        """How many queries are in each state, without parts."""
        c = queries.c
        chosen = sa.select(c.query_kind, c.state, sa.func.count().label("n")).group_by(c.query_kind, c.state)
        counted: Counter[str] = Counter()
        with self._reading() as connection:
            for row in connection.execute(chosen):
                if may_leave(row.query_kind):
                    counted[row.state] += row.n
        return dict(counted)

    def every(self) -> list[Row]:
        """The records of every query and part, the latest submitted first."""
        with self._reading() as connection:
            newest = sa.select(queries).order_by(queries.c.submitted.desc(), queries.c.query_id)
            return list(connection.execute(newest).all())

    # Files

    def staged(self, query_id: str, kind: str) -> Path:
        """Where to write the rows of a query before they are stored."""
        return self._path(query_id, kind).with_suffix(".part")

    def keep(self, question: Question, milliseconds: float) -> bool:
        """Store the staged rows of a query; False if it was cancelled meanwhile."""
        query_id, kind = question.query_id, question.query.kind
        staged, path = self.staged(query_id, kind), self._path(query_id, kind)
        rows, taken = measured(staged)
        if staged.is_dir() or path.is_dir():
            # A rename replaces only a file by a file.
            remove(path)
        publish(staged, path)
        kept = self.change(
            query_id,
            "finish",
            finished=datetime.now(UTC),
            rows=rows,
            bytes=taken,
            compute_time=milliseconds,
            cache_score_multiplier=self._touched(None),
            access_count=0,
            error=None,
            deaths=0,
        )
        if not kept:
            remove(path)
        return kept

    @contextmanager
    def using(self, query_id: str) -> Iterator[Path | None]:
        """The file of stored rows, protected from eviction meanwhile; None if there is none."""
        with self._lock:
            self._in_use[query_id] += 1
        try:
            row = self.find(query_id)
            yield self._path(query_id, row.query_kind) if row is not None and row.state == COMPLETED else None
        finally:
            with self._lock:
                self._in_use[query_id] -= 1
                if not self._in_use[query_id]:
                    del self._in_use[query_id]

    def touch(self, query_id: str) -> None:
        """Count a retrieval: results that are often retrieved are kept longer."""
        with self._lock, self._writing() as connection:
            multiplier = connection.execute(
                sa.select(queries.c.cache_score_multiplier).where(queries.c.query_id == query_id)
            ).scalar()
            self._touches += 1
            connection.execute(
                sa.update(queries)
                .where(queries.c.query_id == query_id)
                .values(
                    cache_score_multiplier=self._touched(multiplier),
                    access_count=queries.c.access_count + 1,
                    last_accessed=datetime.now(UTC),
                )
            )

    def forget(self, query_id: str) -> bool:
        """Delete stored rows but not the query's record. False if they are in use or do not exist."""
        with self._lock:
            if self._in_use[query_id]:
                return False
            row = self.find(query_id)
            if row is None or not self.change(query_id, "reset"):
                return False
        remove(self._path(query_id, row.query_kind))
        return self.change(query_id, "finish_resetting")

    def lost(self, query_id: str) -> None:
        """Record that stored rows are unreadable, so that the next request computes them again."""
        with self._lock, self._writing() as connection:
            self._reset(connection, query_id, (COMPLETED,))

    def shrink(self) -> int:
        """Evict the files of least worth until the rest fits the limit; returns how many were evicted.

        Worth is FlowKit's cache score: the seconds of computation per byte, times a weight for how often and how lately
        the rows were retrieved. Files in use, or younger than the protected period, stay.
        """
        now, gone = datetime.now(UTC), 0
        with self._reading() as connection:
            completed = connection.execute(sa.select(queries).where(queries.c.state == COMPLETED)).all()
        total = sum(row.bytes for row in completed)
        for row in sorted(completed, key=_log_score):
            if total <= self._limits.size:
                break
            if now - row.finished >= self._limits.protected and self.forget(row.query_id):
                total -= row.bytes
                gone += 1
        return gone

    def mend(self) -> dict[str, int]:
        """Repair the state that a killed server left; queries that were queued or running are queued again.

        Results released under another rule are deleted. Returns the number of each repair.
        """
        mended: Counter[str] = Counter()
        kept: set[Path] = set()
        with self._writing() as connection:
            for row in connection.execute(sa.select(queries)).all():
                path, public = self._path(row.query_id, row.query_kind), may_leave(row.query_kind)
                if row.state == EXECUTING and public:
                    deaths = row.deaths + 1
                    if deaths >= MOST_DEATHS:
                        mended["put_aside"] += 1
                        values = {"error": PUT_ASIDE, "finished": datetime.now(UTC), "deaths": deaths}
                        fire(connection, row.query_id, "error", **values)
                    else:
                        mended["requeued"] += 1
                        fire(connection, row.query_id, "resume", deaths=deaths)
                elif row.state in (EXECUTING, QUEUED) and not public:
                    # Parts are computed when a query needs them, and are not queued.
                    fire(connection, row.query_id, "cancel")
                elif row.state == RESETTING:
                    fire(connection, row.query_id, "finish_resetting")
                elif row.state == COMPLETED:
                    if size(path) == row.bytes and (row.versions == self._rule_identity or not public):
                        kept.add(path)
                    else:
                        mended["forgotten"] += 1
                        self._reset(connection, row.query_id, (COMPLETED,))
        for file in self._directory.glob("*/*"):
            if file not in kept:
                mended["swept"] += 1
                remove(file)
        return dict(mended)

    def _path(self, query_id: str, kind: str) -> Path:
        return self._directory / ("results" if may_leave(kind) else "parts") / f"{query_id}.parquet"

    def _known(self, connection: sa.Connection, question: Question, **values: Any) -> None:
        chosen = sa.select(queries.c.query_id).where(queries.c.query_id == question.query_id)
        if connection.execute(chosen).one_or_none() is None:
            connection.execute(
                sa.insert(queries).values(
                    query_id=question.query_id,
                    query_kind=question.query.kind,
                    params=question.query.spec,
                    state=KNOWN,
                    **values,
                )
            )
            days = [
                {"query_id": question.query_id, "event_type": day.event_type, "day": day.day, "version": day.version}
                for day in days_read(question.reads, question.snapshot)
            ]
            if days:
                connection.execute(sa.insert(query_days), days)

    def _is_lost(self, row: Row) -> bool:
        return row.state == COMPLETED and size(self._path(row.query_id, row.query_kind)) != row.bytes

    def _reset_if_lost(self, connection: sa.Connection, query_id: str) -> None:
        row = connection.execute(sa.select(queries).where(queries.c.query_id == query_id)).one_or_none()
        if row is not None and self._is_lost(row):
            self._reset(connection, query_id, (COMPLETED,))

    def _reset(self, connection: sa.Connection, query_id: str, states: Sequence[str]) -> None:
        state = connection.execute(sa.select(queries.c.state).where(queries.c.query_id == query_id)).scalar()
        if state in states and fire(connection, query_id, "reset"):
            fire(connection, query_id, "finish_resetting")

    def _touched(self, former: float | None) -> float:
        """The multiplier after a retrieval: the sum of (1 + ln 2 / half life) ** retrievals so far.

        It is stored as its logarithm: the sum itself would exceed the range of a float after a million retrievals.
        """
        added = (self._touches - 2) * math.log1p(math.log(2) / self._limits.half_life)
        if former is None:
            return added
        return max(former, added) + math.log1p(math.exp(-abs(former - added)))

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self.records.execution_options(reads=True).connect() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self.records.begin() as connection:
            yield connection


def open_store(directory: Path, records_url: str, limits: Limits, rule: Rule) -> Store:
    """Open a cache directory, created if missing; raises FlowMachineError if another server uses it."""
    try:
        for folder in (directory, directory / "results", directory / "parts"):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        lock = (directory / "lock").open("w")
    except OSError as problem:
        raise FlowMachineError(f"The cache directory {directory} cannot be used: {problem.strerror}.") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise FlowMachineError(
            f"Another FlowMachine server uses the cache {directory}: stop it, or name another FLOWMACHINE_CACHE_DIR."
        ) from None
    return Store(directory, open_records(records_url), limits, rule, lock)


def batch_count(path: Path) -> tuple[int, int]:
    """The number of batches and of rows; a result without rows is one empty batch."""
    rows = pq.read_metadata(path).num_rows
    return max(1, math.ceil(rows / ROWS_AT_ONCE)), rows


def read_rows(path: Path, start: int = 0, stop: int | None = None) -> pa.Table:
    """Stored rows from `start` to before `stop`; other row groups are not read."""
    with pq.ParquetFile(path) as file:
        stop = file.metadata.num_rows if stop is None else stop
        offset, chosen, skipped = 0, [], 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if offset + size <= start:
                skipped = offset + size
            elif offset < stop:
                chosen.append(group)
            offset += size
        return file.read_row_groups(chosen).slice(start - skipped, max(0, stop - start))


def _log_score(row: Row) -> float:
    return row.cache_score_multiplier + math.log(max(row.compute_time, 1e-3) / 1000 / max(row.bytes, 1))
