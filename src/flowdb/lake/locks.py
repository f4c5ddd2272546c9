"""Locks between processes that write to one lake."""

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowdb.lake.delta import LakeError

if TYPE_CHECKING:
    from flowdb.lake.directory import Lake


@contextmanager
def locked(lake: "Lake", name: str, refusal: str, wait: float = 0) -> Iterator[None]:
    """Lock a named part of a lake against other processes; the lock of a process that dies is free at once.

    Raises LakeError with `refusal` if another process still has the lock after `wait` seconds.
    """
    import fcntl  # noqa: PLC0415 - POSIX only; the client must import on Windows

    directory = lake.path / "locks"
    directory.mkdir(exist_ok=True)
    until = time.monotonic() + wait
    with (directory / name).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise LakeError(refusal) from None
                time.sleep(0.05)
        yield


@contextmanager
def day_lock(lake: "Lake", event_type: str, day: dt.date) -> Iterator[None]:
    """Lock a day against other loads of it."""
    refusal = f"Another load of the {event_type} of {day} is running: wait for it to end."
    with locked(lake, f"{event_type}_{day}", refusal):
        yield
