"""Parts: queries whose rows are stored, so that they and queries made of them need not be computed again.

What a part is, how it is named and how its files are written is the same for the server's cache and for what an
analyst stores. The server keeps parts as it sees fit; what an analyst stores stays until it is forgotten.
"""

import datetime as dt
import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq

from flowdb.lake import Snapshot
from flowkit_base.files import sync
from flowmachine.cdr import Dialect
from flowmachine.errors import FlowMachineError
from flowmachine.plan import Plan, plan_part
from flowmachine.query import Query

Where = Path | str
"""Where stored rows are: a Parquet file, a directory of Parquet files, or the name of a database's table."""

Reads = tuple[tuple[str, str, str], ...]
"""What a query reads: event type, first day and the day after the last."""

_ROWS, _ABOUT = "rows.parquet", "about.json"


@dataclass(frozen=True)
class Question:
    """A query asked of what the store held at one moment."""

    query: Query
    query_id: str
    """Covers the query and the versions of all that it reads."""
    plan: Plan
    snapshot: Snapshot
    parts: tuple["Question", ...]
    """Nested queries that are stored for themselves and reused, each after those that it needs itself."""


def result_id(made: Plan, snapshot: Snapshot) -> str:
    """The identity of a plan's result over a snapshot, in 32 hexadecimal digits."""
    return versioned_id(made.query.id, reads(made), snapshot)


def reads(made: Plan) -> Reads:
    """What a plan reads, stored parts left aside."""
    return tuple(
        sorted({(t, str(start), str(stop)) for _, types, spans in made.reads for t in types for start, stop in spans})
    )


def versioned_id(query_id: str, read: Reads, snapshot: Snapshot) -> str:
    """The identity of a query's result: of the question, and of the versions of the days and places it reads."""
    told = [
        (t, start, stop, snapshot.versions([t], dt.date.fromisoformat(start), dt.date.fromisoformat(stop)))
        for t, start, stop in read
    ]
    text = f"{query_id} {told} {snapshot.reference_versions()}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def nested(query: Query) -> Iterator[Query]:
    """The parts of a query at any depth, each after its own."""
    for part in query.parts():
        yield from nested(part)
        yield part


def asked(query: Query, dialect: Dialect, timezone: str, snapshot: Snapshot) -> dict[str, Question]:
    """The parts of a query as questions of a snapshot, by the query's id, each after those that it needs."""
    parts: dict[str, Question] = {}
    for part in nested(query):
        if part.id not in parts:
            below = [p.id for p in nested(part)]
            made = plan_part(part, dialect, timezone, stored_parts=below)
            # The id needs all that is read, stored or not.
            told = plan_part(part, dialect, timezone)
            needs = tuple(parts[i] for i in dict.fromkeys(below))
            parts[part.id] = Question(part, result_id(told, snapshot), made, snapshot, needs)
    return parts


# Files of stored rows: one, or a directory of several where several machines wrote them.


def measured(path: Path) -> tuple[int, int]:
    """How many rows and bytes stored rows have."""
    files = parquet_files(path)
    return sum(pq.read_metadata(f).num_rows for f in files), sum(f.stat().st_size for f in files)


def size(path: Path) -> int | None:
    """How many bytes stored rows take; None where there are none."""
    try:
        return sum(f.stat().st_size for f in parquet_files(path))
    except FileNotFoundError:
        return None


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files of stored rows."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def publish(staged: Path, path: Path) -> None:
    """Give staged rows their name, for this user alone and in one step, once all of them are on the disk."""
    for file in [*staged.rglob("*"), staged] if staged.is_dir() else [staged]:
        file.chmod(0o700 if file.is_dir() else 0o600)
        sync(file)
    staged.rename(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Delete stored or staged rows, if there are any."""
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


# What an analyst stores


@dataclass(frozen=True)
class StoredQuery:
    """Rows that an analyst stored: of which query, when, and how many."""

    kind: str
    id: str
    """Of the result: of the query, and of the days and places that it read."""
    query_id: str
    spec: Mapping[str, Any]
    when: dt.datetime
    reads: Reads
    rows: int = 0
    bytes: int = 0
    stale: bool = False
    """Whether a day or place that it read was corrected since: it is not read any more."""

    def seen_from(self, snapshot: Snapshot) -> "StoredQuery":
        """The same, with `stale` as of a snapshot."""
        return replace(self, stale=self.id != versioned_id(self.query_id, self.reads, snapshot))

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        told = asdict(self)
        del told["stale"]
        return json.dumps(told | {"when": self.when.isoformat()})

    @staticmethod
    def from_json(text: str) -> "StoredQuery":
        """What `to_json` wrote; raises ValueError where it did not."""
        try:
            told = json.loads(text)
            told = {f.name: told[f.name] for f in fields(StoredQuery) if f.name != "stale"}
            read = tuple((str(t), str(start), str(stop)) for t, start, stop in told["reads"])
            return StoredQuery(**told | {"when": dt.datetime.fromisoformat(told["when"]), "reads": read})
        except (KeyError, TypeError) as problem:
            raise ValueError(f"not a record of stored rows: {problem!r}") from None


def record(made: Plan, snapshot: Snapshot) -> StoredQuery:
    """The record of a query's rows before they are written; `made` computes all of it, without stored parts."""
    query = made.query
    now = dt.datetime.now(dt.UTC)
    return StoredQuery(query.kind, result_id(made, snapshot), query.id, query.spec, now, reads(made))


class Storage(Protocol):
    """Where rows lie that analysts store; safe for several processes at once, whole after a kill at any moment."""

    def entries(self) -> list[StoredQuery]:
        """What is stored, the oldest first."""
        ...

    def reading(self, entries: Iterable[StoredQuery]) -> Any:
        """A context in which stored rows cannot be forgotten: those that are there still, by the query's id."""
        ...

    def write(self, entry: StoredQuery, made: Plan, snapshot: Snapshot, parts: Mapping[str, Where]) -> StoredQuery:
        """Store the rows of a plan; whoever stores the same at the same time finds them stored."""
        ...

    def forget(self, entry: StoredQuery) -> None:
        """Delete stored rows; raises FlowMachineError while they are read."""
        ...


class StoredFiles:
    """Rows stored beside a lake: a directory for each, with Parquet files and a record.

    A directory is filled under another name and gets its own in one step, so that it is there whole or not at all. Who
    reads, fills or deletes one has locked it; the kernel lets go of a dead process's locks.
    """

    def __init__(self, directory: Path, store: Callable[[Plan, Snapshot, Path, Mapping[str, Path]], None]) -> None:
        self.directory = directory
        self._store = store

    def entries(self) -> list[StoredQuery]:
        """What is stored, the oldest first."""
        found = []
        for about in self.directory.glob(f"*/{_ABOUT}"):
            if not about.parent.name.startswith("."):
                # What was forgotten at this moment, or written by another release, is not there.
                with suppress(OSError, ValueError):
                    found.append(StoredQuery.from_json(about.read_text()))
        return sorted(found, key=lambda entry: (entry.when, entry.id))

    @contextmanager
    def reading(self, entries: Iterable[StoredQuery]) -> Iterator[dict[str, Path]]:
        """A context in which stored rows cannot be forgotten: those that are there still, by the query's id."""
        with ExitStack() as held:
            found = {}
            for entry in entries:
                there = held.enter_context(_locked(self.directory / entry.id, fcntl.LOCK_SH))
                # A file that was cut short is not trusted.
                if there and size(self.directory / entry.id / _ROWS) == entry.bytes:
                    found[entry.query_id] = self.directory / entry.id / _ROWS
            yield found

    def write(self, entry: StoredQuery, made: Plan, snapshot: Snapshot, parts: Mapping[str, Where]) -> StoredQuery:
        """Store the rows of a plan; whoever stores the same at the same time finds them stored."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._sweep()
        staged = self.directory / f".{uuid.uuid4().hex}"
        staged.mkdir(mode=0o700)
        try:
            with _locked(staged, fcntl.LOCK_EX):
                self._store(made, snapshot, staged / _ROWS, {i: Path(where) for i, where in parts.items()})
                rows, taken = measured(staged / _ROWS)
                entry = replace(entry, rows=rows, bytes=taken)
                (staged / _ABOUT).write_text(entry.to_json())
                try:
                    publish(staged, self.directory / entry.id)
                except OSError as problem:
                    # A directory that is there already is the same rows, stored by another process meanwhile.
                    if problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
        finally:
            remove(staged)
        return entry

    def forget(self, entry: StoredQuery) -> None:
        """Delete stored rows; raises FlowMachineError while they are read."""
        path, gone = self.directory / entry.id, self.directory / f".{uuid.uuid4().hex}"
        try:
            with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as there:
                if there:
                    path.rename(gone)
                    sync(self.directory)
                    remove(gone)
        except BlockingIOError:
            raise FlowMachineError(
                f"The stored rows of {entry.kind} are being read: forget them when that query has ended."
            ) from None

    def _sweep(self) -> None:
        """Delete what killed processes left half written or half deleted."""
        for path in self.directory.glob(".*"):
            # Who fills or deletes it at this moment has locked it.
            with suppress(BlockingIOError), _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as there:
                # One that was made a moment ago may not be locked yet.
                if there and dt.datetime.now().timestamp() - path.stat().st_mtime > _MOMENT:  # noqa: DTZ005
                    remove(path)


_MOMENT = 60
"""Seconds after which a directory that nobody has locked was left by a dead process."""


@contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    """Whether a directory is there, and locked for the time of the block."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        fcntl.flock(handle, how)
        # Another may have been deleted, or renamed to here, before the lock was had.
        yield path.exists() and path.stat().st_ino == os.fstat(handle).st_ino
    finally:
        os.close(handle)
