"""Which share of the interactions at each location stays there."""

from collections.abc import Mapping
from typing import ClassVar, Literal

import ibis
import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, Directed, InUnit, L, Window


class LocationIntroversion(Window, InUnit, Directed, AtHours):
    """Which share of the calls and texts at each location have their other party at the same location, from 0 to 1.

    An interaction is two events of the same `id`, one outgoing and one incoming; it is looked at from the location of
    each of them, or with a `direction` of that one alone. Interactions whose other party is not among the events that
    are looked at, or at no known place, do not count. The definition is FlowKit's: ids are matched across days and
    event types, and events that share one with several of the other direction count with each.
    """

    query_kind: Literal["location_introversion"] = "location_introversion"

    columns: ClassVar = {"location": L, "value": "float64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "location_introversion",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin3",
        "direction": "both",
    }

    @property
    def needs(self) -> Mapping[str, str]:
        """A direction, even if the query names none: without it the other party is unknown."""
        return {**super().needs, "outgoing": "Leave {types} out of event_types: they have one party, not two."}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value, subscribers."""
        # The other half of an incoming event is an outgoing one; `direction` decides below which half counts.
        halves = cdr.located(self.model_copy(update={"direction": "both"}), "id", "outgoing")
        # Outgoing halves are joined with incoming ones: half as many rows on each side as in a self-join of all halves.
        outgoing, incoming = halves.filter(halves.outgoing), halves.filter(~halves.outgoing)
        met = outgoing.select("id", subscriber_from=outgoing.subscriber, place_from=outgoing.place).join(
            incoming.select("id", subscriber_to=incoming.subscriber, place_to=incoming.place), "id"
        )
        sides = {"out": ["from"], "in": ["to"], "both": ["from", "to"]}[self.direction]
        if len(sides) > 1:
            met = cdr.once(met)
        stayed = (met.place_from == met.place_to).cast("int32")
        ends = [
            met.select(subscriber=met[f"subscriber_{side}"], place=met[f"place_{side}"], stayed=stayed)
            for side in sides
        ]
        each = ibis.union(*ends) if len(ends) > 1 else ends[0]
        each = each.group_by("subscriber", "place").agg(halves=each.count(), stayed=each.stayed.sum())
        return each.group_by("place").agg(value=each.stayed.sum() / each.halves.sum(), subscribers=each.count())
