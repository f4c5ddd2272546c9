"""Waiting: what AutoFlow is between two ticks, a small process that knows a moment and a file.

What runs notebooks takes a few hundred megabytes and keeps them. So `autoflow serve` puts this program in its own
place when a tick is over (`become_small`), under the same process id, and this program puts AutoFlow in its place again
when the moment has come. Settings and secrets are thereby read anew for each tick.
"""

import datetime as dt
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn, cast

from autoflow.log import log, write_log_to_stderr

Since = Literal["start", "tick", "change", "stop"]
"""Why a pass over the available dates is made: the service starts, its moment has come, the file has changed."""

SINCE = "AUTOFLOW_WOKEN_BY"
STOPPING = "stop"
"""The name of the thread in which a signal to stop is answered."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Until:
    """What is waited for: a moment, or that a file no longer has the stamp that it had when it was last read.

    `changed` is what a change of the file stands for.
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
    """Wait until it is time, or the file has changed, or the clock was set back, or somebody stops it; tell which.

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
        found = file.stat()
    except OSError:
        return "none"
    return f"{found.st_mtime_ns}:{found.st_size}:{found.st_ino}"


def become_small(until: Until, stopped: threading.Event) -> Since:
    """Put the small process in the place of this one; returns only if it was stopped before."""
    # Signals that come while one program follows the other wait until somebody listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for thread in threading.enumerate():
        if thread.name == STOPPING:
            thread.join()
    if stopped.is_set():
        return "stop"
    log.debug("waiting", until=until.moment)
    moment = until.moment.isoformat()
    return _become("autoflow.schedule.waiting", moment, str(until.file), until.seen, until.changed, _level())


def woken_by() -> Since:
    """Tell why this process was started, and forget it."""
    return cast("Since", os.environ.pop(SINCE, "start"))


def main(until: Until, level: str) -> None:
    """Wait as a process of its own, then become AutoFlow again."""
    write_log_to_stderr(level)
    stopped = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: stopped.set())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    since = wait(until, stopped)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    if since == "stop" or stopped.is_set():
        log.info("stopped")
        return
    # In a container this may be the process that inherits the dead.
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    os.environ[SINCE] = since
    _become("autoflow", "serve")


def _become(module: str, *arguments: str) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    # -m puts the working directory first among the places of modules, which only some ways of starting do.
    way = ["-m"] if "" in sys.path or str(Path.cwd()) in sys.path else ["-P", "-m"]
    os.execv(sys.executable, [sys.executable, *way, module, *arguments])  # noqa: S606


def _level() -> str:
    return logging.getLevelName(logging.getLogger("autoflow").level)


if __name__ == "__main__":
    _moment, _file, _seen, _changed, _log_level = sys.argv[1:]
    main(Until(dt.datetime.fromisoformat(_moment), Path(_file), _seen, cast("Since", _changed)), _log_level)
