"""How many of each subscriber's events are at night."""

from typing import Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, Hours, OfEvents, Role, Sampled, Window


class NocturnalEvents(Window, OfEvents, Sampled):
    """How many of each subscriber's events are at night, in per cent.

    The night is from the start of one local hour to the start of another; 20 to 4 wraps midnight, 1 to 5 does not.
    """

    query_kind: Literal["nocturnal_events"] = "nocturnal_events"
    night_hours: Annotated[Hours, Field(description="The hours of the night.")]

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "float64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "nocturnal_events",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "night_hours": {"start_hour": 20, "end_hour": 4},
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        events = cdr.events(self, "minute")
        start, stop = self.night_hours.start_hour, self.night_hours.end_hour
        late, early = events.minute >= start * 60, events.minute < stop * 60
        night = late & early if start < stop else late | early
        return events.group_by("subscriber").agg(value=events.count(where=night) * 100.0 / events.count())
