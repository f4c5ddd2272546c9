"""How many subscribers were seen at each location who do not have it as their reference location."""

from typing import Annotated, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Query, require_one_unit
from flowmachine.queries.active_at_reference_location_counts import EXAMPLE, ActiveAtReferenceLocationCounts
from flowmachine.queries.unique_subscriber_counts import UniqueSubscriberCounts


class UniqueVisitorCounts(Query):
    """How many subscribers were seen at each location beside those who have it as their reference location.

    It is the difference of two counts, of all who were seen and of the residents who were, and tells of visitors where
    both look at the same events. Locations that are nobody's reference location are absent; one where nobody was seen
    has no value. A row is published where both counts may be, and their difference stands for enough people too.
    """

    query_kind: Literal["unique_visitor_counts"] = "unique_visitor_counts"
    active_at_reference_location_counts: Annotated[
        ActiveAtReferenceLocationCounts, Field(description="The residents who were seen at each location.")
    ]
    unique_subscriber_counts: Annotated[
        UniqueSubscriberCounts, Field(description="All who were seen at each location, in the same unit.")
    ]

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "unique_visitor_counts",
        "active_at_reference_location_counts": EXAMPLE,
        "unique_subscriber_counts": {**EXAMPLE["unique_locations"], "query_kind": "unique_subscriber_counts"},
    }

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit(
            "active_at_reference_location_counts and unique_subscriber_counts",
            [self.active_at_reference_location_counts.unit, self.unique_subscriber_counts.unit],
        )
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value, subscribers."""
        active = cdr.rows(self.active_at_reference_location_counts)
        everyone = cdr.rows(self.unique_subscriber_counts)
        active = active.select("place", active=active.value)
        joined = active.left_join(everyone.select("place", everyone=everyone.value), "place")
        value = joined.everyone - joined.active
        # The smaller of the two parts decides what may be published: the total is never smaller than either.
        return joined.select("place", value=value, subscribers=ibis.least(joined.active, ibis.coalesce(value, 0)))
