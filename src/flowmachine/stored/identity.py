"""What identifies the rows of a query: the question, and the versions of the days and places that it reads."""

import datetime as dt
import hashlib

from flowdb.lake import Snapshot, StoredDay
from flowmachine.building.plan import Plan

Reads = tuple[tuple[str, str, str], ...]
"""What a query reads: event type, first day and the day after the last."""


def result_id(plan: Plan, snapshot: Snapshot) -> str:
    """The identity of a plan's result over a snapshot, in 32 hexadecimal digits."""
    return versioned_id(plan.query.id, reads(plan), snapshot)


def reads(plan: Plan) -> Reads:
    """What a plan reads, stored parts left aside."""
    return tuple(
        sorted({(t, str(start), str(stop)) for _, types, spans in plan.reads for t in types for start, stop in spans})
    )


def days_read(read: Reads, snapshot: Snapshot) -> list[StoredDay]:
    """The stored days that a query reads, each once, as a snapshot has them."""
    spans = [(t, dt.date.fromisoformat(start), dt.date.fromisoformat(stop)) for t, start, stop in read]
    days = {
        (t, day): stored
        for t, start, stop in spans
        for day, stored in snapshot.days.get(t, {}).items()
        if start <= day < stop
    }
    return [days[key] for key in sorted(days)]


def versioned_id(query_id: str, read: Reads, snapshot: Snapshot) -> str:
    """The identity of a query's result: of the question, and of the versions of the days and places it reads."""
    versions = [
        (t, start, stop, snapshot.versions([t], dt.date.fromisoformat(start), dt.date.fromisoformat(stop)))
        for t, start, stop in read
    ]
    text = f"{query_id} {versions} {snapshot.reference_versions()}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
