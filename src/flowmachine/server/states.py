"""The states of a stored query, as data."""

from typing import Any

import sqlalchemy as sa

from flowmachine.server.records import queries

KNOWN, QUEUED, EXECUTING, COMPLETED, ERRORED, CANCELLED, RESETTING = (
    "known",
    "queued",
    "executing",
    "completed",
    "errored",
    "cancelled",
    "resetting",
)
AWOL = "awol"
"""The state in an answer about an unknown id; no state of a query."""
WITHDRAWN = "withdrawn"
"""The state in an answer about a result of days that have since been withdrawn or replaced; no state of a query."""

TRANSITIONS: frozenset[tuple[str, str, str]] = frozenset(
    {
        (KNOWN, "queue", QUEUED),
        (QUEUED, "execute", EXECUTING),
        (EXECUTING, "finish", COMPLETED),
        (EXECUTING, "error", ERRORED),
        (QUEUED, "cancel", CANCELLED),
        (EXECUTING, "cancel", CANCELLED),
        # No worker runs these: a server died or stopped, or could not record their end. They are queued again.
        (EXECUTING, "resume", QUEUED),
        (CANCELLED, "reset", RESETTING),
        (ERRORED, "reset", RESETTING),
        (COMPLETED, "reset", RESETTING),
        (RESETTING, "finish_resetting", KNOWN),
    }
)
"""Every transition: from a state, by an event, to a state."""

STATES: frozenset[str] = frozenset(state for start, _, stop in TRANSITIONS for state in (start, stop))
EVENTS: frozenset[str] = frozenset(event for _, event, _ in TRANSITIONS)


def fire(connection: sa.Connection, query_id: str, event: str, **values: Any) -> bool:
    """Apply an event to a query and set columns with it; False if its state does not allow it.

    One UPDATE that names the former states, so that only one of several callers succeeds.
    """
    starts = {start for start, name, _ in TRANSITIONS if name == event}
    (stop,) = {stop for _, name, stop in TRANSITIONS if name == event}
    changed = connection.execute(
        sa.update(queries)
        .where(queries.c.query_id == query_id, queries.c.state.in_(starts))
        .values(state=stop, **values)
    )
    return changed.rowcount == 1
