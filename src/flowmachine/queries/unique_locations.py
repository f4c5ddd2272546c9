"""All locations at which each subscriber was seen."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Role, Sampled, Window


class UniqueLocations(Window, InUnit, OfEvents, AtHours, Sampled):
    """Everywhere each subscriber was seen, each place once."""

    query_kind: Literal["unique_locations"] = "unique_locations"

    role: ClassVar[Role] = "Locations"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "unique_locations",
        "start_date": "2016-01-01",
        "end_date": "2016-01-03",
        "aggregation_unit": "admin3",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """A row for each subscriber and place: subscriber, place."""
        return cdr.visited(self).select("subscriber", "place").distinct()
