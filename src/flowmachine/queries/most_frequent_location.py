"""Where most of each subscriber's events were."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Role, Sampled, Window
from flowmachine.queries.daily_location import most_common


class MostFrequentLocation(Window, InUnit, OfEvents, AtHours, Sampled):
    """Where most of each subscriber's events were.

    Of equals, the place of the later event, then the one whose code sorts last.
    """

    query_kind: Literal["most_frequent_location"] = "most_frequent_location"

    role: ClassVar[Role] = "ReferenceLocation"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "most_frequent_location",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin3",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        return most_common(cdr, cdr.visited(self, "events", "last"), ["subscriber"])
