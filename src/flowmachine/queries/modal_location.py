"""Where each subscriber was on most days."""

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.cdr import Cdr
from flowmachine.queries.daily_location import place_a_day
from flowmachine.query import L, Query, Role

if TYPE_CHECKING:
    from flowmachine.queries.daily_location import DailyLocation as InputToModalLocation


class ModalLocation(Query):
    """Where each subscriber was on most of several days.

    Of equals, the place of the most recent day, then the one whose code sorts last. Days on which a subscriber was at
    no known place do not count.
    """

    query_kind: Literal["modal_location"] = "modal_location"
    locations: Annotated[
        tuple["InputToModalLocation", ...],
        Field(min_length=1, description="The daily locations to choose from, all in one unit."),
    ]

    role: ClassVar[Role] = "ReferenceLocation"
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
        units = sorted({location.aggregation_unit for location in self.locations})
        if len(units) > 1:
            raise ValueError(f"The locations must be in one unit, not in {' and '.join(units)}.")
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place. Days that differ in their date alone are one scan."""
        alike = defaultdict(list)
        for location in self.locations:
            template = {name: value for name, value in location.spec.items() if name != "date"}
            alike[json.dumps(template, sort_keys=True), location.date.time()].append(location)
        tables = []
        for (_, time_of_day), days in alike.items():
            midnight = time_of_day == days[0].date.min.time()
            # The same day named twice counts twice, as it would if its rows were stored and united.
            once = list({day.date: day for day in days}.values())
            repeated = len(once) < len(days)
            if midnight and len(once) > 1 and not repeated:
                placed = place_a_day(cdr, days[0], [window for day in days for window in day.windows])
                tables.append(placed.select("subscriber", "day", "place"))
            else:
                for day in days:
                    placed = place_a_day(cdr, day, day.windows)
                    tables.append(placed.select("subscriber", day=ibis.date(day.date.date()), place=placed.place))
        placed = ibis.union(*tables) if len(tables) > 1 else tables[0]
        days_at = placed.group_by("subscriber", "place").agg(days=placed.count(), day=placed.day.max())
        return cdr.best(days_at, ["subscriber"], ["days", "day", "place"])
