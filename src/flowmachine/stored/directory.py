"""Rows that analysts store beside a lake, in files."""

import datetime as dt
import errno
import fcntl
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from flowdb.lake import Snapshot
from flowkit_base.files import sync
from flowmachine.building.plan import Plan
from flowmachine.errors import FlowMachineError
from flowmachine.stored.entries import StoredQuery, Where
from flowmachine.stored.files import measured, publish, remove, size

_ROWS, _ABOUT = "rows.parquet", "about.json"


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
        entries = []
        for about in self.directory.glob(f"*/{_ABOUT}"):
            if not about.parent.name.startswith("."):
                # Skips rows that are being deleted, or were written by another release.
                with suppress(OSError, ValueError):
                    entries.append(StoredQuery.from_json(about.read_text()))
        return sorted(entries, key=lambda entry: (entry.when, entry.id))

    @contextmanager
    def reading(self, entries: Iterable[StoredQuery]) -> Iterator[dict[str, Path]]:
        """A context in which stored rows cannot be forgotten: those that still exist, by the query's id."""
        with ExitStack() as locks:
            paths = {}
            for entry in entries:
                is_present = locks.enter_context(_locked(self.directory / entry.id, fcntl.LOCK_SH))
                # A truncated file is not used.
                if is_present and size(self.directory / entry.id / _ROWS) == entry.bytes:
                    paths[entry.query_id] = self.directory / entry.id / _ROWS
            yield paths

    def write(self, entry: StoredQuery, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Where]) -> StoredQuery:
        """Store the rows of a plan; safe if two processes store the same query at once."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        self._sweep()
        staged = self.directory / f".{uuid.uuid4().hex}"
        staged.mkdir(mode=0o700)
        try:
            with _locked(staged, fcntl.LOCK_EX):
                self._store(plan, snapshot, staged / _ROWS, {i: Path(where) for i, where in parts.items()})
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
            with _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_present:
                if is_present:
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
            with suppress(BlockingIOError), _locked(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_present:
                # One that was made a moment ago may not be locked yet.
                if is_present and dt.datetime.now().timestamp() - path.stat().st_mtime > _MOMENT:  # noqa: DTZ005
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
