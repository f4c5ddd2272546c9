"""How often each subscriber is at each location."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Role, Sampled, require_one_unit
from flowmachine.queries.daily_location import places_of

if TYPE_CHECKING:
    from flowmachine.kind import VisitableLocation


class LocationVisits(Sampled):
    """How many of several locations of each subscriber are at each place."""

    query_kind: Literal["location_visits"] = "location_visits"
    locations: Annotated[
        tuple["VisitableLocation", ...],
        Field(min_length=1, description="The daily or modal locations to count, all in one unit."),
    ]

    role: ClassVar[Role] = "WeightedLocations"
    columns: ClassVar = {"subscriber": "int64", "location": L, "value": "int64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "location_visits",
        "locations": [
            {"query_kind": "daily_location", "date": date, "aggregation_unit": "admin3", "method": "last"}
            for date in ("2016-01-01", "2016-01-02", "2016-01-03")
        ],
    }

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit("The locations", sorted(str(location.unit) for location in self.locations))
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber and place: subscriber, place, value."""
        placed = places_of(cdr, self.locations)
        return placed.group_by("subscriber", "place").agg(value=placed.count())
