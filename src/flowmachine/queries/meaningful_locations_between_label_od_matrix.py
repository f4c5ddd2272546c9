"""How many subscribers have one meaningful location in an area and another in each other."""

from typing import Annotated, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building.clusters import between, clusters, placed
from flowmachine.kind import Cdr, Window
from flowmachine.labels import Label
from flowmachine.questions.clusters import BETWEEN, EXAMPLE, OfClusters


class MeaningfulLocationsBetweenLabelODMatrix(Window, OfClusters):
    """How many subscribers have a cluster with one label in an area and one with another label in each other.

    Clusters, scores and labels are those of `meaningful_locations_aggregate`. Subscribers with both labels count, in
    parts that add up to one over all pairs of their clusters. An area is empty where a centre lies in none.
    """

    query_kind: Literal["meaningful_locations_between_label_od_matrix"] = "meaningful_locations_between_label_od_matrix"
    label_a: Annotated[Label, Field(description="The label at the origin: one of labels, or unknown.")]
    label_b: Annotated[Label, Field(description="The label at the destination: one of labels, or unknown.")]

    revision: ClassVar[int] = 2
    columns: ClassVar = BETWEEN
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "meaningful_locations_between_label_od_matrix",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "label_a": "evening",
        "label_b": "day",
        **EXAMPLE,
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a pair of places: label_from, label_to, place_from, place_to, value, subscribers."""
        rows = clusters(cdr, self, self.windows)
        # Labels do not overlap: a cluster has only one of them.
        sides = dict.fromkeys((self.label_a, self.label_b))
        has = [(self.labels.matches(label, rows.hour, rows.weekday), n) for n, label in enumerate(sides)]
        rows = rows.mutate(side=ibis.cases(*has))
        pairs = between(cdr, placed(cdr, self, rows.filter(rows.side.notnull())), 0, len(sides) - 1)
        return pairs.mutate(label_from=ibis.literal(self.label_a), label_to=ibis.literal(self.label_b))
