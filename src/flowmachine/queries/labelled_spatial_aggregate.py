"""How many subscribers of each label are at each location."""

from typing import Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, L, Query
from flowmachine.queries.coalesced_location import CoalescedLocation, coalesced_of
from flowmachine.queries.mobility_classification import DAYS_APART, MobilityClassification, mobility_of


class LabelledSpatialAggregate(Query):
    """How many subscribers of each label have each location as theirs.

    Subscribers without a label stand under an empty one. Where a label at a location stands for too few people,
    nothing of the location is published; nor are people without a location, whatever their number.
    """

    query_kind: Literal["labelled_spatial_aggregate"] = "labelled_spatial_aggregate"
    locations: Annotated[CoalescedLocation, Field(description="Where each subscriber is.")]
    labels: Annotated[MobilityClassification, Field(description="A label for each subscriber.")]

    columns: ClassVar = {"location": L, "value_label": "string", "value": "int64"}
    counts: ClassVar = "value"
    suppressed_together: ClassVar = ("place",)
    example: ClassVar = {
        "query_kind": "labelled_spatial_aggregate",
        "locations": coalesced_of(*DAYS_APART[-1], unit="admin1"),
        "labels": mobility_of(*DAYS_APART, unit="admin1"),
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place and label: place, value_label, value."""
        located = labelled(cdr, cdr.rows(self.locations), self.labels)
        return located.group_by("place", "value_label").agg(value=located.count())


def labelled(cdr: Cdr, rows: ir.Table, labels: Query) -> ir.Table:
    """Rows of subscribers with `value_label` added, empty for those without a label."""
    label_rows = cdr.rows(labels)
    return rows.left_join(label_rows.select("subscriber", value_label=label_rows.value), "subscriber").drop(
        "subscriber_right"
    )
