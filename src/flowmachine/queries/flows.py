"""How many subscribers went from each location to each other."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, L, Query, require_one_unit

JoinType = Literal["inner", "full outer", "left", "right", "left outer", "right outer"]

if TYPE_CHECKING:
    from flowmachine.kind import InputToFlows


class Between(Query):
    """From where to where."""

    from_location: Annotated["InputToFlows", Field(description="Where each subscriber was before.")]
    to_location: Annotated["InputToFlows", Field(description="Where each subscriber was after, in the same unit.")]
    join_type: Annotated[
        JoinType,
        Field(
            description="Which subscribers count: those with both locations (inner), with a location before (left), "
            "after (right), or either (full outer); a location that is missing is empty."
        ),
    ] = "inner"

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit("from_location and to_location", [self.from_location.unit, self.to_location.unit])
        return self


EXAMPLE: dict[str, Any] = {
    "from_location": {
        "query_kind": "daily_location",
        "date": "2016-01-01",
        "aggregation_unit": "admin1",
        "method": "last",
    },
    "to_location": {
        "query_kind": "daily_location",
        "date": "2016-01-07",
        "aggregation_unit": "admin1",
        "method": "last",
    },
    "join_type": "inner",
}


class Flows(Between):
    """How many subscribers went from each location to each other, those who stayed included.

    With unique locations on a side, a subscriber counts once for each pair.
    """

    query_kind: Literal["flows"] = "flows"

    columns: ClassVar = {"location_from": L, "location_to": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {"query_kind": "flows", **EXAMPLE}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a pair of places: place_from, place_to, value."""
        moves = moved(cdr, self)
        return moves.group_by("place_from", "place_to").agg(value=moves.count())


def moved(cdr: Cdr, query: Between) -> ir.Table:
    """Each subscriber's moves: subscriber, place_from, place_to."""
    before = cdr.rows(query.from_location)
    before = before.select(subscriber=before.subscriber, place_from=before.place)
    after = cdr.rows(query.to_location)
    after = after.select(other=after.subscriber, place_to=after.place)
    how = {"inner": "inner", "full outer": "outer", "left": "left", "right": "right"}[
        query.join_type.removesuffix(" outer") if query.join_type != "full outer" else query.join_type
    ]
    joined = before.join(after, before.subscriber == after.other, how=how)
    # Ibis cannot join the result of a join by a column which that join computes; a mutation ends the join.
    joined = joined.mutate(subscriber=ibis.coalesce(joined.subscriber, joined.other))
    return joined.select("subscriber", "place_from", "place_to")


def marginal(cdr: Cdr, query: Between, side: str) -> ir.Table:
    """Moves summed over one side: place, value, and how many subscribers made them."""
    moves = moved(cdr, query)
    moves = moves.select("subscriber", place=moves[f"place_{side}"])
    # Only with unique locations can a subscriber move more than once, so that moves and movers differ.
    many = any(location.role == "Locations" for location in (query.from_location, query.to_location))
    movers = moves.subscriber.nunique() if many else moves.count()
    return moves.group_by("place").agg(value=moves.count(), subscribers=movers)
