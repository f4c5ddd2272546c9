"""Processes: how a runner names itself in the run table, and whether it is still alive."""

import os
import socket
from functools import lru_cache
from pathlib import Path


def runner_name() -> str:
    """Name this process so that another on the same machine can check whether it is alive.

    The parts are the host, the boot and process namespace, the process id and its start time.
    """
    return f"{socket.gethostname()}/{_machine()}/{os.getpid()}/{_process(os.getpid())[1]}"


def runner_seen(runner: str | None) -> bool | None:
    """Whether a runner is at work; None where that cannot be seen from here, or where it has been halted."""
    parts = (runner or "").rsplit("/", 3)
    if len(parts) != 4 or not parts[1] or parts[1] != _machine():
        return None
    state, started = _process(int(parts[2]))
    if state in ("T", "t"):
        return None
    return started == parts[3] and state not in ("Z", "X")


@lru_cache(maxsize=1)
def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}-{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _process(pid: int) -> tuple[str, str]:
    """Give the state and the start time of a process; two empty texts where there is none."""
    try:
        # The command's name, in brackets, may hold blanks; the start time is the 20th field after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
