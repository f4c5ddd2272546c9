"""How many subscribers moved a meaningful location from each area to each other."""

import datetime as dt
from typing import Annotated, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.building.clusters import between, clusters, placed
from flowmachine.kind import Cdr, Moment
from flowmachine.labels import Label
from flowmachine.questions.clusters import BETWEEN, EXAMPLE, OfClusters


class MeaningfulLocationsBetweenDatesODMatrix(OfClusters):
    """How many subscribers have a cluster with a label in an area during one window and in each other during another.

    Clusters, scores and labels are those of `meaningful_locations_aggregate`, found anew in each window. Subscribers
    with the label in both count, in parts that add up to one over all pairs of their clusters. An area is empty where
    a centre lies in none.
    """

    query_kind: Literal["meaningful_locations_between_dates_od_matrix"] = "meaningful_locations_between_dates_od_matrix"
    start_date_a: Annotated[Moment, Field(description="The first day of the window before.")]
    end_date_a: Annotated[Moment, Field(description="The day after the last day of the window before.")]
    start_date_b: Annotated[Moment, Field(description="The first day of the window after.")]
    end_date_b: Annotated[Moment, Field(description="The day after the last day of the window after.")]
    label: Annotated[Label, Field(description="The label in both windows: one of labels, or unknown.")]

    revision: ClassVar[int] = 2
    columns: ClassVar = BETWEEN
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "meaningful_locations_between_dates_od_matrix",
        "start_date_a": "2016-01-01",
        "end_date_a": "2016-01-04",
        "start_date_b": "2016-01-04",
        "end_date_b": "2016-01-09",
        "label": "evening",
        **EXAMPLE,
    }

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for (start, stop), side in zip(self.windows, "ab", strict=True):
            if start >= stop:
                first, last = (self.spec[f"{edge}_date_{side}"] for edge in ("start", "end"))
                raise ValueError(
                    f"start_date_{side} ({first}) must be before end_date_{side} ({last}), "
                    "which is the day after the last day."
                )
        return self

    @property
    def windows(self) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
        """The two half-open periods of local time that are compared."""
        return (self.start_date_a, self.end_date_a), (self.start_date_b, self.end_date_b)

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a pair of places: label_from, label_to, place_from, place_to, value, subscribers."""
        rows = clusters(cdr, self, self.windows)
        rows = rows.filter(self.labels.matches(self.label, rows.hour, rows.weekday)).rename(side="window")
        pairs = between(cdr, placed(cdr, self, rows), 0, 1)
        return pairs.mutate(label_from=ibis.literal(self.label), label_to=ibis.literal(self.label))
