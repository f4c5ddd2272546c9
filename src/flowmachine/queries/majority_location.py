"""Where each subscriber is more often than everywhere else together."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, L, Role, Sampled

if TYPE_CHECKING:
    from flowmachine.kind import WeightedLocationQueries


def majority_of(*dates: str, unit: str = "admin3") -> dict[str, Any]:
    """The spec of the majority location of some days."""
    days = [
        {"query_kind": "daily_location", "date": date, "aggregation_unit": unit, "method": "last"} for date in dates
    ]
    visits = {"query_kind": "location_visits", "locations": days}
    return {"query_kind": "majority_location", "subscriber_location_weights": visits}


class MajorityLocation(Sampled):
    """Where each subscriber is more often than everywhere else together.

    The place that has more than half of the subscriber's total weight, so there is never more than one. A subscriber
    whose places have half of it or less each is absent, or has an empty location with `include_unlocatable`. Where a
    subscriber's total is below `minimum_total_weight`, that stands for it. FlowKit's definition.
    """

    query_kind: Literal["majority_location"] = "majority_location"
    subscriber_location_weights: Annotated[
        "WeightedLocationQueries", Field(description="How often each subscriber is at each location.")
    ]
    minimum_total_weight: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="The least total weight: a location must have more than half of it, however little else is "
            "known of the subscriber.",
        ),
    ] = 0.0
    include_unlocatable: Annotated[
        bool, Field(description="Give subscribers without a majority location a row with an empty one.")
    ] = False

    role: ClassVar[Role] = "ReferenceLocation"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = majority_of("2016-01-01", "2016-01-02", "2016-01-03")

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        return self.weighed(cdr).select("subscriber", "place")

    def weighed(self, cdr: Cdr) -> ir.Table:
        """The same rows with the location's weight, `weight`, before any sampling."""
        each = cdr.view(f"heaviest_{self.subscriber_location_weights.id}", lambda: self._heaviest(cdr))
        majority = (2 * each.weight > each.total) & (
            2 * each.weight > ibis.literal(self.minimum_total_weight, "float64")
        )
        if self.include_unlocatable:
            return each.mutate(place=ibis.ifelse(majority, each.place, ibis.null()))
        return each.filter(majority)

    def _heaviest(self, cdr: Cdr) -> ir.Table:
        """The place of the greatest weight of each subscriber, the weight, and the total of all."""
        weights = cdr.rows(self.subscriber_location_weights)
        # More than half is more than any other: only the greatest weight matters, and ties do not.
        return weights.group_by("subscriber").agg(
            place=weights.place.argmax(weights.value), weight=weights.value.max(), total=weights.value.sum()
        )
