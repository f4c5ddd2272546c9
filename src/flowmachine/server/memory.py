"""The engine's default memory: what the services of a deployment leave of the machine's or container's memory."""

import os
from pathlib import Path

BESIDE = 700_000_000
"""Bytes that a deployment needs in addition to the engine's memory: for this server, FlowAPI, FlowAuth and AutoFlow."""
LEAST = 128_000_000
"""Bytes that the engine gets at least; it spills to the disk what does not fit."""

_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""The limits of a control group, of version 2 and of version 1, as paths in its file system."""


def default_memory(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> str:
    """Four fifths of the machine's or container's memory that the services of a deployment leave."""
    total = min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(cgroups, own)])
    return f"{max(LEAST, (total - BESIDE) * 4 // 5) // 1_000_000}MB"


def _limits(cgroups: Path, own: Path) -> list[int]:
    """The limits of this process's control groups, in bytes; a group without a limit says `max`, or a huge number."""
    try:
        paths = [line.split(":", 2)[2].strip("/") for line in own.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        paths = []
    folders = {cgroups / part for path in paths for part in [Path(path), *Path(path).parents]} | {cgroups}
    limits = []
    for folder in folders:
        for name in _LIMITS:
            try:
                limits.append(int((folder / name).read_text()))
            except (OSError, ValueError):
                continue
    return limits
