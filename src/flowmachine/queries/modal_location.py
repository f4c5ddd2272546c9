"""Where each subscriber was on most days."""

import datetime as dt
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.cdr import Cdr
from flowmachine.parameters import Sampled
from flowmachine.queries.daily_location import place_a_day
from flowmachine.query import L, Role

if TYPE_CHECKING:
    from flowmachine.queries.daily_location import DailyLocation as InputToModalLocation

MOST_APART = 31
"""The most days that are each a scan of their own."""


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
        units = sorted({location.aggregation_unit for location in self.locations})
        if len(units) > 1:
            raise ValueError(f"The locations must be in one unit, not in {' and '.join(units)}.")
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        tables = []
        for days in self._together():
            if len(days) > 1:
                placed = place_a_day(cdr, days[0], [window for day in days for window in day.windows])
                tables.append(placed.select("subscriber", "day", "place"))
            else:
                (day,) = days
                placed = cdr.rows(day)
                tables.append(placed.select("subscriber", day=ibis.date(day.date.date()), place=placed.place))
        placed = ibis.union(*tables) if len(tables) > 1 else tables[0]
        days_at = placed.group_by("subscriber", "place").agg(days=placed.count(), day=placed.day.max())
        return cdr.best(days_at, ["subscriber"], ["days", "day", "place"])

    def _together(self) -> list[list[Any]]:
        """The daily locations in lists, each one scan.

        A day by itself is quickest: its groups are few and its cells are those of one day. Many days would make a
        question of many tables, so those that differ in their date alone are then one scan.
        """
        apart = [[location] for location in self.locations]
        if len(apart) <= MOST_APART:
            return apart
        alike = defaultdict(list)
        for location in self.locations:
            template = {name: value for name, value in location.spec.items() if name != "date"}
            alike[json.dumps(template, sort_keys=True), location.date.time()].append(location)
        together: list[list[Any]] = []
        for (_, time_of_day), days in alike.items():
            # The same day named twice counts twice, as it would if its rows were stored and united.
            repeated = len({day.date for day in days}) < len(days)
            midnight = time_of_day == dt.time()
            apart = repeated or not midnight or days[0].sampling is not None
            together += [[day] for day in days] if apart else [days]
        return together
