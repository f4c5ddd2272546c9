"""How many subscribers came to each location on several days."""

from typing import Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Window


class RegularVisitors(Window, InUnit, OfEvents, AtHours):
    """How many subscribers were seen at each location on at least `days` different days of the window.

    One day tells who passes by; several tell whom a market, a clinic or a school serves. A day is one of the
    deployment's time zone. A subscriber may be a regular visitor of several locations. A location without regular
    visitors is absent.
    """

    query_kind: Literal["regular_visitors"] = "regular_visitors"
    days: Annotated[int, Field(ge=1, description="On how many different days a visitor is seen, at the least.")] = 2

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "regular_visitors",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin3",
        "days": 3,
    }

    @model_validator(mode="after")
    def _fits(self) -> Self:
        (start, stop), *_ = self.windows
        if self.days > (stop - start).days:
            raise ValueError(f"days is {self.days}, and the window has {(stop - start).days}.")
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value."""
        days = cdr.located(self, "day").distinct()
        each = days.group_by("subscriber", "place").agg(days=days.count())
        regular = each.filter(each.days >= self.days)
        return regular.group_by("place").agg(value=regular.count())
