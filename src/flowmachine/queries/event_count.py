"""How many events each subscriber had."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, Directed, Role, Sampled, Window


class EventCount(Window, Directed, AtHours, Sampled):
    """How many events each subscriber had; those without one are absent."""

    query_kind: Literal["event_count"] = "event_count"

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "int64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "event_count",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "direction": "both",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        visits = cdr.visits(self, "events")
        return visits.group_by("subscriber").agg(value=visits.events.sum())
