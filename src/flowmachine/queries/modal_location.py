"""Where each subscriber was on most days."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Role, Sampled, require_one_unit
from flowmachine.queries.daily_location import places_of

if TYPE_CHECKING:
    from flowmachine.queries.daily_location import DailyLocation as InputToModalLocation


class ModalLocation(Sampled):
    """Where each subscriber was on most of several days.

    Of equals, the place of the most recent day, then the one whose code sorts last. Days on which a subscriber was at
    no known place do not count.
    """

    query_kind: Literal["modal_location"] = "modal_location"
    locations: Annotated[
        tuple["InputToModalLocation", ...],
        Field(min_length=1, description="The daily locations to choose from, all in one unit."),
    ]

    role: ClassVar[Role] = "ModalLocation"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "modal_location",
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
        """One row a subscriber: subscriber, place."""
        placed = places_of(cdr, self.locations)
        days_at = placed.group_by("subscriber", "place").agg(days=placed.count(), day=placed.day.max())
        return cdr.best(days_at, ["subscriber"], ["days", "day", "place"])
