"""Runs: a workflow with certain parameters, as one row of the run table describes it."""

import datetime as dt
import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autoflow.runs.processes import runner_name, runner_seen


class RunState(enum.Enum):
    """The states of a run, under the names that the database knows."""

    running = "running"
    success = "success"
    failed = "failed"


@dataclass(frozen=True)
class Run:
    """The state of a run: the newest row of a workflow with certain parameters.

    `attempt` counts from 1; `deaths` counts the times that its process ended before the run did, which cost no
    attempt. `outputs` holds one mapping a notebook with its `key`, `notebook` and, if there are any, `report`, as
    paths, and `warnings`, as sentences. A failed run may be tried again from `retry_at` on. `fingerprint` holds a
    digest of the "notebooks" and of the "data" that the run was started with, where they are known.
    """

    workflow_name: str
    parameters_hash: str
    state: RunState
    timestamp: dt.datetime
    id: int = 0
    run_id: str | None = None
    reference_date: dt.date | None = None
    parameters: Mapping[str, Any] | None = None
    attempt: int | None = None
    error: str | None = None
    outputs: tuple[Mapping[str, str], ...] = ()
    retry_at: dt.datetime | None = None
    runner: str | None = None
    lease_until: dt.datetime | None = None
    fingerprint: Mapping[str, str] | None = None
    deaths: int | None = None

    def died(self, now: dt.datetime) -> bool:
        """Whether this run is recorded as running although no process works on it."""
        if self.state is not RunState.running:
            return False
        if self.runner == runner_name():
            return self.run_id not in under_way
        seen = runner_seen(self.runner)
        if seen is not None:
            # A process that is seen here needs no lease, so that a clock that is set forward takes nothing from it.
            return not seen
        # FlowKit writes no lease: one of its rows that says "running" after its process ended would do so for ever.
        return self.lease_until is None or self.lease_until <= now

    @property
    def warnings(self) -> str:
        """The warnings of the run's outputs, as sentences."""
        return " ".join(output["warnings"] for output in self.outputs if "warnings" in output)

    def changed(self, fingerprint: Mapping[str, str] | None, on_change: Iterable[str]) -> list[str]:
        """Give which of the parts that matter have changed since this run; what was not recorded has not."""
        then, now = self.fingerprint or {}, fingerprint or {}
        return [part for part in sorted(on_change) if part in then and part in now and then[part] != now[part]]


# The runs that this process has at hand. A row that names this process and is not among them was left behind: its
# end could not be recorded, or the service has begun again under the same process id since.
under_way: set[str] = set()


@dataclass(frozen=True)
class Limits:
    """How often and how soon a failed run is tried again, and for how many seconds a silent run counts as running.

    A run whose process has died `max_deaths` times is put aside, for it may be what kills the process.
    """

    max_attempts: int = 5
    max_deaths: int = 10
    retry_delay: float = 300
    lease: float = 60


def json_safe(value: Any) -> Any:
    """Give a parameter as JSON can hold it: dates as ISO text, tuples as lists, keys as text."""
    if isinstance(value, Mapping):
        return {str(key): json_safe(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_safe(part) for part in value]
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else value


_SORTED = json.JSONEncoder(sort_keys=True)


def parameters_hash(parameters: Mapping[str, Any], *, safe: bool = False) -> str:
    """Give the MD5 of the parameters as JSON, independent of the order of their names; `safe` ones are JSON already."""
    text = _SORTED.encode(parameters if safe else json_safe(parameters))
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
