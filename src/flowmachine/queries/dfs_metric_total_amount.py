"""How much mobile money moved at each location each day."""

import datetime as dt
from typing import Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from flowdb.tables import UNITS
from flowmachine.building.places import cells_in
from flowmachine.kind import ByUnit, Cdr, L, Moment, Unit
from flowmachine.release import contributed

_FINEST = 10_000
"""Amounts have four decimals: in ten-thousandths they are whole, and their sums do not depend on the order."""


def _an_area(unit: str) -> str:
    if unit == "lon-lat":
        raise ValueError("It is 'lon-lat': amounts are given for areas, such as admin1, and not for single points.")
    return unit


class DFSTotalMetricAmount(ByUnit):
    """Total amount, fee, commission or discount of mobile money transactions at each location, each day.

    Both parties of a transaction count, each at the cell and version of a cell where it was, so that a transfer within
    a unit counts twice. The window includes `end_date`, unlike every other kind's. FlowKit's definition. Transactions
    that do not tell the metric are left out.

    A row is published where enough different subscribers stand behind it, and none of them makes up too much of it: the
    amounts of all but the two greatest contributors must come to 10 % of the greatest one's (the p-percent rule, see
    `release.PERCENT`). FlowKit publishes every row.
    """

    query_kind: Literal["dfs_metric_total_amount"] = "dfs_metric_total_amount"
    start_date: Annotated[Moment, Field(description="The first day.")]
    end_date: Annotated[Moment, Field(description="The last day, which is included.")]
    metric: Annotated[
        Literal["amount", "commission", "fee", "discount"],
        Field(description="Which amount of a transaction to add up."),
    ]
    aggregation_unit: Annotated[
        Unit,
        AfterValidator(_an_area),
        WithJsonSchema({"type": "string", "enum": [unit for unit in UNITS if unit != "lon-lat"]}, mode="validation"),
        Field(description="The level to tell locations by; not lon-lat."),
    ]

    columns: ClassVar = {"date": "date", "location": L, "value": "float64"}
    counts: ClassVar = "subscribers"
    contributions: ClassVar = ("greatest", "rest")
    example: ClassVar = {
        "query_kind": "dfs_metric_total_amount",
        "metric": "amount",
        "start_date": "2016-01-01",
        "end_date": "2016-01-07",
        "aggregation_unit": "admin1",
    }

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_date > self.end_date:
            raise ValueError(
                f"start_date ({self.start_date}) must not be after end_date ({self.end_date}), which is the last day."
            )
        return self

    @property
    def types(self) -> tuple[str, ...]:
        """The one table that is read."""
        return ("transactions",)

    @property
    def windows(self) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
        """The half-open period of local time that is read: to the end of `end_date`."""
        return ((self.start_date, self.end_date + dt.timedelta(days=1)),)

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a day and place: date, place, value, subscribers, greatest, rest."""
        sides = cdr.events(self, "location_id", "cell_version", "day", self.metric)
        sides = sides.filter(sides[self.metric].notnull())
        cells = cells_in(cdr.tables, self.aggregation_unit)
        # If a transaction names the version of its cell, that version counts, whatever the day.
        in_service = ((sides.cell_version == cells.version) | sides.cell_version.isnull()) & (
            sides.cell_version.notnull() | sides.day.between(cells.first_day, cells.last_day)
        )
        placed = sides.join(cells, [sides.location_id == cells.location_id, in_service])
        amount = (placed[self.metric] * _FINEST).round().cast("int64")
        by = {"date": placed.day, "place": placed.place}
        each = placed.group_by("subscriber", **by).agg(part=amount.sum())
        total = contributed(each, list(by), "part")
        return total.mutate(value=total.value / _FINEST)
