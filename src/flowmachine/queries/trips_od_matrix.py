"""How many subscribers travelled from each location to each other."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Window


class TripsODMatrix(Window, InUnit, OfEvents, AtHours):
    """How many subscribers were seen at one location and, later, at another.

    A subscriber counts once for a pair if the first event at the one came before the last event at the other.
    """

    query_kind: Literal["trips_od_matrix"] = "trips_od_matrix"

    columns: ClassVar = {"location_from": L, "location_to": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "trips_od_matrix",
        "start_date": "2016-01-01",
        "end_date": "2016-01-03",
        "aggregation_unit": "admin1",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a pair of places: place_from, place_to, value."""
        seen = cdr.visited(self, "first", "last")
        stays = seen.group_by("subscriber", "place").agg(first=seen["first"].min(), last=seen["last"].max())
        begun = stays.select("subscriber", place_from=stays.place, first=stays["first"])
        ended = stays.select("subscriber", place_to=stays.place, last=stays["last"])
        pairs = begun.join(
            ended,
            [
                begun.subscriber == ended.subscriber,
                begun.place_from != ended.place_to,
                begun["first"] < ended["last"],
            ],
        )
        return pairs.group_by("place_from", "place_to").agg(value=pairs.count())
