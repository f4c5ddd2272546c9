"""How many of the subscribers of each reference location were seen there and nowhere else."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Query, require_one_unit
from flowmachine.queries.unique_locations import UniqueLocations
from flowmachine.queries.unmoving_counts import unmoving

if TYPE_CHECKING:
    from flowmachine.kind import ReferenceLocation


class UnmovingAtReferenceLocationCounts(Query):
    """How many of the subscribers who have each location as their reference location were seen there and nowhere else.

    Subscribers who were not seen at all do not count.
    """

    query_kind: Literal["unmoving_at_reference_location_counts"] = "unmoving_at_reference_location_counts"
    locations: Annotated[UniqueLocations, Field(description="Everywhere each subscriber was seen.")]
    reference_locations: Annotated[
        "ReferenceLocation", Field(description="The location that each subscriber belongs to, in the same unit.")
    ]

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "unmoving_at_reference_location_counts",
        "locations": {
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

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit("locations and reference_locations", [self.locations.unit, self.reference_locations.unit])
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value."""
        references = cdr.rows(self.reference_locations).select("subscriber", "place")
        still = references.semi_join(unmoving(cdr, self.locations), ["subscriber", "place"])
        return still.group_by("place").agg(value=still.count())
