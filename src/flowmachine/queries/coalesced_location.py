"""Where each subscriber is by one account, or else by another."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Role, Sampled, require_one_unit
from flowmachine.queries.majority_location import MajorityLocation, majority_of

if TYPE_CHECKING:
    from flowmachine.kind import WeightedLocationQueries

Threshold = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""From how many on."""


def coalesced_of(*dates: str, unit: str = "admin3") -> dict[str, Any]:
    """The spec of where subscribers are on most of some days, or else on most of those on which they are seen."""
    fallback = majority_of(*dates, unit=unit)
    return {
        "query_kind": "coalesced_location",
        "preferred_location": {**fallback, "minimum_total_weight": len(dates), "include_unlocatable": True},
        "fallback_location": fallback,
        "subscriber_location_weights": fallback["subscriber_location_weights"],
        "weight_threshold": 1,
    }


class CoalescedLocation(Sampled):
    """Where each subscriber is by a preferred account, or else by a fallback that has enough weight.

    A fallback location counts where the subscriber's weight there is `weight_threshold` or more. A subscriber for whom
    neither account gives a location has an empty one if the preferred account has a row of them, and is absent
    otherwise. FlowKit's definition.
    """

    query_kind: Literal["coalesced_location"] = "coalesced_location"
    preferred_location: Annotated[MajorityLocation, Field(description="The account that is preferred.")]
    fallback_location: Annotated[
        MajorityLocation, Field(description="The account to take where the preferred one gives no location.")
    ]
    subscriber_location_weights: Annotated[
        "WeightedLocationQueries",
        Field(description="How often each subscriber is at each location, to judge the fallback by."),
    ]
    weight_threshold: Annotated[
        Threshold, Field(description="The least weight of a fallback location; one with less is not taken.")
    ]

    role: ClassVar[Role] = "ReferenceLocation"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = coalesced_of("2016-01-01", "2016-01-02", "2016-01-03")

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit(
            "preferred_location, fallback_location and subscriber_location_weights",
            sorted(str(child.unit) for child in self.children()),
        )
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        fallback = self._heavy_enough(cdr)
        fallback = fallback.select(other=fallback.subscriber, instead=fallback.place)
        preferred = cdr.rows(self.preferred_location)
        both = preferred.outer_join(fallback, preferred.subscriber == fallback.other)
        both = both.mutate(
            subscriber=ibis.coalesce(both.subscriber, both.other), place=ibis.coalesce(both.place, both.instead)
        )
        return both.select("subscriber", "place")

    def _heavy_enough(self, cdr: Cdr) -> ir.Table:
        """The fallback locations that have enough weight: subscriber, place."""
        fallback, threshold = self.fallback_location, self.weight_threshold
        if fallback.subscriber_location_weights == self.subscriber_location_weights and fallback.sampling is None:
            # Usually both use the same weights, and the majority location already has its own.
            weighed = fallback.weighed(cdr)
            return weighed.filter(weighed.weight >= threshold, weighed.place.notnull())
        weights = cdr.rows(self.subscriber_location_weights)
        return cdr.rows(fallback).semi_join(weights.filter(weights.value >= threshold), ["subscriber", "place"])
