"""Waiting for a moment, or for a change of a file."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Since = Literal["start", "tick", "change", "stop"]
"""Why a pass over the available dates is made: the service starts, its moment has come, the file has changed."""


@dataclass(frozen=True)
class Until:
    """What is waited for: a moment, or that a file no longer has the stamp that it had when it was last read.

    `changed` is the reason that a change of the file gives.
    """

    moment: dt.datetime
    file: Path
    seen: str
    changed: Since = "change"


def wait(
    until: Until,
    stopped: threading.Event,
    clock: Callable[[], float] = time.time,
    steady: Callable[[], float] = time.monotonic,
    step: float = 5,
) -> Since:
    """Wait until it is time, or the file has changed, or the clock was set back, or a stop is requested; return which.

    The clock is looked at every `step` seconds, so that one that is set forward makes nothing late.
    """
    offset = clock() - steady()
    while not stopped.is_set():
        left = until.moment.timestamp() - clock()
        if left <= 0:
            return "tick"
        # What was to come tomorrow may, on a clock that was set back by a week, be due today.
        if stamp(until.file) != until.seen or clock() - steady() < offset - 60:
            return until.changed
        stopped.wait(min(left, step))
    return "stop"


def stamp(file: Path) -> str:
    """Give a text that is another one once the file has changed."""
    try:
        status = file.stat()
    except OSError:
        return "none"
    return f"{status.st_mtime_ns}:{status.st_size}:{status.st_ino}"
