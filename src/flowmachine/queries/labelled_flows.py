"""How many subscribers of each label went from each location to each other."""

from typing import Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, L
from flowmachine.queries.coalesced_location import CoalescedLocation, coalesced_of
from flowmachine.queries.flows import Between, moved
from flowmachine.queries.labelled_spatial_aggregate import labelled
from flowmachine.queries.mobility_classification import DAYS_APART, MobilityClassification, mobility_of


class LabelledFlows(Between):
    """How many subscribers of each label went from each location to each other, those who stayed included.

    Subscribers without a label stand under an empty one. Where a label of a pair of locations stands for too few
    people, nothing of the pair is published; nor are moves from or to an unknown location, whatever their number.
    """

    query_kind: Literal["labelled_flows"] = "labelled_flows"
    # Queries are frozen, so a field may hold less than its base's.
    from_location: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride]
        CoalescedLocation, Field(description="Where each subscriber was before.")
    ]
    to_location: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride]
        CoalescedLocation, Field(description="Where each subscriber was after, in the same unit.")
    ]
    labels: Annotated[MobilityClassification, Field(description="A label for each subscriber.")]

    columns: ClassVar = {"location_from": L, "location_to": L, "value_label": "string", "value": "int64"}
    counts: ClassVar = "value"
    suppressed_together: ClassVar = ("place_from", "place_to")
    example: ClassVar = {
        "query_kind": "labelled_flows",
        "from_location": coalesced_of(*DAYS_APART[0], unit="admin1"),
        "to_location": coalesced_of(*DAYS_APART[1], unit="admin1"),
        "labels": mobility_of(*DAYS_APART, unit="admin1"),
        "join_type": "inner",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a pair of places and label: place_from, place_to, value_label, value."""
        moves = labelled(cdr, moved(cdr, self), self.labels)
        return moves.group_by("place_from", "place_to", "value_label").agg(value=moves.count())
