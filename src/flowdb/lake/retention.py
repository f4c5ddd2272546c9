"""The files of a lake that are no longer needed, and their deletion.

The Delta log, and with it the history and facts of every day, is never deleted: it holds counts and file names, and
no events.
"""

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flowdb.lake import delta, visits
from flowdb.lake.delta import LakeError
from flowdb.lake.directory import Lake
from flowdb.lake.readers import oldest_snapshot
from flowdb.tables import DAILY

KEPT = dt.timedelta(days=30)
"""How long the files of replaced and withdrawn days are kept unless a deployment says otherwise."""
LEAST_AGE = dt.timedelta(days=1)
"""The least time for which they are kept: a query that waits may still name them."""


@dataclass(frozen=True)
class Cleaned:
    """What cleaning did: files deleted, their bytes, and files of removed days that are kept for now."""

    files: int
    bytes: int
    kept: int


def clean(lake: Lake, older_than: dt.timedelta = KEPT) -> Cleaned:
    """Delete the files of days that were replaced or withdrawn longer ago than `older_than`.

    A file that a running query may still read is kept. What killed loads and queries left behind is deleted too, when
    it is older than LEAST_AGE. Raises LakeError if `older_than` is less than LEAST_AGE.
    """
    if older_than < LEAST_AGE:
        raise LakeError(
            "Files of replaced and withdrawn days are kept for at least 1 day, because queries may still read them: "
            "give 1 day or more."
        )
    sizes, kept = [], 0
    before = min(time.time() - older_than.total_seconds(), oldest_snapshot(lake.path))
    for event_type in DAILY:
        root = lake.events_path(event_type)
        _, removed = delta.ever_added(root)
        for name, when in removed.items():
            file = root / name
            if when >= before:
                kept += file.exists()
                continue
            sizes += [size for path in (visits.visits_file(file), file) if (size := _delete(path)) is not None]
    for file in _abandoned(lake, LEAST_AGE):
        if (size := _delete(file)) is not None:
            sizes.append(size)
    return Cleaned(len(sizes), sum(sizes), kept)


def sweep(lake: Lake, older_than: dt.timedelta = LEAST_AGE, event_type: str | None = None) -> int:
    """Delete what killed loads left behind, and visits that nobody reads, of one event type or all; returns how many.

    Staged files that no commit added; and visits of days that are not published, or were replaced or withdrawn so long
    ago that no query reads them still.
    """
    unread = [file for each in ([event_type] if event_type else DAILY) for file in _unread(lake, each, older_than)]
    return sum(_delete(file) is not None for file in unread)


def _abandoned(lake: Lake, older_than: dt.timedelta) -> Iterator[Path]:
    """What `sweep` deletes, and what engines that died had spilled to the disk."""
    for event_type in DAILY:
        yield from _unread(lake, event_type, older_than)
    for pattern in ("spill/*", ".spill-*/*", "visits/*/*/spill/*"):
        for file in lake.path.glob(pattern):
            # An engine that still runs keeps reading a file that it has open.
            with suppress(FileNotFoundError):
                if file.is_file() and time.time() - file.stat().st_mtime > older_than.total_seconds():
                    yield file


def _unread(lake: Lake, event_type: str, older_than: dt.timedelta) -> Iterator[Path]:
    root = lake.events_path(event_type)
    added, removed = delta.ever_added(root)
    active = {file.path for file in delta.active_files(root)}
    files = [(file, False) for file in root.glob("day=*/*.parquet") if file not in active]
    files += [(file, True) for file in lake.visits_path(event_type).glob("day=*/*.parquet*")]
    for file, derived in files:
        path = f"{file.parent.name}/{visits.events_name(file)}"
        unread = path not in added or (derived and (path in removed or file.suffix != ".parquet"))
        # Another process may be sweeping too.
        with suppress(FileNotFoundError):
            since = max(file.stat().st_mtime, removed.get(path, 0))
            if unread and time.time() - since > older_than.total_seconds():
                yield file


def _delete(file: Path) -> int | None:
    """Delete a file; returns its bytes, None if another process deleted it."""
    try:
        size = file.stat().st_size
        file.unlink()
    except FileNotFoundError:
        return None
    return size
