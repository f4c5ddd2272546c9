"""A statistic of how many cells were in use at each location over time."""

from typing import Annotated, ClassVar, Literal, Self, get_args

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.building.localtime import TimeUnit
from flowmachine.building.statistic import summarised
from flowmachine.kind import Cdr, L, Query, Statistic
from flowmachine.queries.total_network_objects import TotalNetworkObjects, cells, dated

FINEST_FIRST: tuple[TimeUnit, ...] = get_args(TimeUnit)


class AggregateNetworkObjects(Query):
    """A statistic of how many cells had an event at each location, over each longer stretch of time.

    The numbers of cells are those of `total_network_objects`, of the stretches that have any; `datetime` is the
    local time, with its offset, at which the longer stretch begins. `stddev` and `variance` are of the sample; of
    equally common numbers, `mode` is the smallest. A row is published if enough different subscribers were there in the
    whole of the longer stretch; it then has the statistic as it is. FlowKit's definition; FlowKit publishes every row.
    """

    query_kind: Literal["aggregate_network_objects"] = "aggregate_network_objects"
    total_network_objects: Annotated[TotalNetworkObjects, Field(description="The numbers of cells.")]
    statistic: Annotated[Statistic, Field(description="The statistic of the numbers of each longer stretch.")]
    aggregate_by: Annotated[TimeUnit, Field(description="The longer stretch: none is finer than total_by.")]

    columns: ClassVar = {"location": L, "value": "float64", "datetime": "timestamp"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "aggregate_network_objects",
        "total_network_objects": TotalNetworkObjects.example,
        "statistic": "avg",
        "aggregate_by": "day",
    }

    @model_validator(mode="after")
    def _not_finer(self) -> Self:
        total_by = self.total_network_objects.total_by
        if FINEST_FIRST.index(self.aggregate_by) < FINEST_FIRST.index(total_by):
            raise ValueError(
                f"aggregate_by is {self.aggregate_by}, which is finer than the {total_by} of total_by: "
                f"aggregate by the {total_by}, or by more."
            )
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place and longer stretch: place, value, datetime, subscribers."""
        total = self.total_network_objects
        numbers = cells(cdr, total, {"part": total.total_by, "begun": self.aggregate_by})
        return dated(cdr, total, summarised(numbers, ["place", "begun"], self.statistic), self.aggregate_by)
