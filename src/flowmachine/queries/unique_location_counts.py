"""In how many places each subscriber was seen."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, InUnit, OfEvents, Role, Window


class UniqueLocationCounts(Window, InUnit, OfEvents, AtHours):
    """In how many different locations each subscriber was seen; those who were seen in none are absent."""

    query_kind: Literal["unique_location_counts"] = "unique_location_counts"

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "int64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "unique_location_counts",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin3",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        seen = cdr.visited(self).select("subscriber", "place").distinct()
        return seen.group_by("subscriber").agg(value=seen.count())
