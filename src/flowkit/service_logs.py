"""The logs of services: readable by their owner only, and cut into files of a bounded size."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 20 * 2**20
"""From which size on a log begins again in an empty file."""
KEPT = 5
"""How many former files of a log are kept: flowapi.log.1 is the newest."""


def open_log(path: Path) -> BinaryIO:
    """A log, opened at its end; a new one is readable by its owner only."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def last_line(path: Path) -> str:
    """The last line of a log; empty if there is none."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 10_000))
        lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
    return ""


def rotate(path: Path, group: int, most_bytes: int = MOST_BYTES) -> bool:
    """Begin a log again in an empty file if it is longer than `most_bytes`; returns whether it was.

    `group` is the process group that writes it. It is stopped for the time of the copy, so that no line is lost: a
    process keeps the file that it was started with. On a full disk the log stays as it is.
    """
    try:
        if path.stat().st_size <= most_bytes:
            return False
        with _stopped(group):
            copy = path.with_name(f"{path.name}.new")
            try:
                shutil.copyfile(path, copy)
                copy.chmod(0o600)
                for number in range(KEPT, 1, -1):
                    with suppress(FileNotFoundError):
                        _former(path, number - 1).replace(_former(path, number))
                copy.replace(_former(path, 1))
                os.truncate(path, 0)
            finally:
                copy.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _former(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


@contextmanager
def _stopped(group: int) -> Iterator[None]:
    """Stop a process group, whose leader is a child of this process, for the length of a block."""
    os.killpg(group, signal.SIGSTOP)
    try:
        # The signal has been taken by all threads once the leader can be waited for; it stays waitable.
        os.waitid(os.P_PID, group, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        yield
    finally:
        os.killpg(group, signal.SIGCONT)
