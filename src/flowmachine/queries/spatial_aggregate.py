"""How many subscribers are at each location."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, L, Query

if TYPE_CHECKING:
    from flowmachine.kind import ReferenceLocation


class SpatialAggregate(Query):
    """How many subscribers have each location as theirs."""

    query_kind: Literal["spatial_aggregate"] = "spatial_aggregate"
    locations: Annotated["ReferenceLocation", Field(description="Where each subscriber is.")]

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "spatial_aggregate",
        "locations": {
            "query_kind": "daily_location",
            "date": "2016-01-01",
            "aggregation_unit": "admin3",
            "method": "last",
        },
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value."""
        located = cdr.rows(self.locations)
        return located.group_by("place").agg(value=located.count())
