"""How many subscribers were seen at each location and nowhere else."""

from typing import Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, L, Query
from flowmachine.queries.unique_locations import UniqueLocations


class UnmovingCounts(Query):
    """How many subscribers were seen at each location and nowhere else."""

    query_kind: Literal["unmoving_counts"] = "unmoving_counts"
    locations: Annotated[UniqueLocations, Field(description="Everywhere each subscriber was seen.")]

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "unmoving_counts",
        "locations": {
            "query_kind": "unique_locations",
            "start_date": "2016-01-01",
            "end_date": "2016-01-08",
            "aggregation_unit": "admin3",
        },
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value."""
        still = unmoving(cdr, self.locations)
        return still.group_by("place").agg(value=still.count())


def unmoving(cdr: Cdr, locations: UniqueLocations) -> ir.Table:
    """The subscribers who were seen at exactly one place: subscriber, place."""
    seen = seen_at(cdr, locations)
    span = seen.group_by("subscriber").agg(least=seen.place.min(), place=seen.place.max())
    return span.filter(span.least == span.place).select("subscriber", "place")


def seen_at(cdr: Cdr, locations: UniqueLocations) -> ir.Table:
    """The rows of unique locations, some of them several times: subscriber, place.

    Callers whose result does not depend on repeated rows save the time of deduplication.
    """
    if locations.sampling is not None or locations.id in cdr.stored_parts:
        return cdr.rows(locations)
    return cdr.visited(locations).select("subscriber", "place")
