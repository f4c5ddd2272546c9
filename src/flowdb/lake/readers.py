"""Queries that run over a snapshot, so that cleaning deletes no file that one of them may still read."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flowdb.lake.snapshot import Snapshot


@contextmanager
def reading(lake: Path, snapshot: Snapshot) -> Iterator[None]:
    """Keep the files of a snapshot of the lake in this folder while the block runs.

    A lake that this process cannot write to is read without it; see `retention.LEAST_AGE`.
    """
    import fcntl  # noqa: PLC0415 - POSIX only; the client must import on Windows

    name = f"{snapshot.taken:.3f}_{uuid.uuid4().hex}"
    folder = lake / "locks" / "readers"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{name}").open("w")
    except OSError:
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Named only when it is locked: an unlocked name is of a process that died.
        path = (folder / f".{name}").rename(folder / name)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def oldest_snapshot(lake: Path) -> float:
    """When the oldest snapshot was taken that is being read, in seconds since 1970; now if none is."""
    import fcntl  # noqa: PLC0415 - POSIX only; the client must import on Windows

    oldest = time.time()
    for path in (lake / "locks" / "readers").glob("[0-9]*"):
        try:
            with path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except BlockingIOError:
            oldest = min(oldest, float(path.name.partition("_")[0]))
    return oldest
