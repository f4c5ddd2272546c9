"""How many of the subscribers of each reference location were seen there."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Query, require_one_unit
from flowmachine.queries.unique_locations import UniqueLocations
from flowmachine.queries.unmoving_counts import seen_at

if TYPE_CHECKING:
    from flowmachine.kind import ReferenceLocation

EXAMPLE: dict[str, Any] = {
    "query_kind": "active_at_reference_location_counts",
    "unique_locations": {
        "query_kind": "unique_locations",
        "start_date": "2016-01-07",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin3",
    },
    "reference_locations": {
        "query_kind": "daily_location",
        "date": "2016-01-01",
        "aggregation_unit": "admin3",
        "method": "last",
    },
}


class ActiveAtReferenceLocationCounts(Query):
    """How many of the subscribers who have each location as their reference location were seen there.

    A location none of whose subscribers was seen there has the value 0, as in FlowKit; release suppresses it.
    """

    query_kind: Literal["active_at_reference_location_counts"] = "active_at_reference_location_counts"
    unique_locations: Annotated[UniqueLocations, Field(description="Everywhere each subscriber was seen.")]
    reference_locations: Annotated[
        "ReferenceLocation", Field(description="The location that each subscriber belongs to, in the same unit.")
    ]

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = EXAMPLE

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit(
            "unique_locations and reference_locations", [self.unique_locations.unit, self.reference_locations.unit]
        )
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value."""
        references = cdr.once(cdr.rows(self.reference_locations).select("subscriber", "place"))
        # A semi-join: the many events are compared with the few references, and need no deduplication.
        active = references.semi_join(seen_at(cdr, self.unique_locations), ["subscriber", "place"])
        counted = active.group_by("place").agg(value=active.count())
        everywhere = references.select("place").distinct().left_join(counted, "place")
        return everywhere.select("place", value=ibis.coalesce(everywhere.value, 0))
