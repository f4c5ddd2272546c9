"""How many subscribers were seen at one location and, at their next event, at another."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Window


class ConsecutiveTripsODMatrix(Window, InUnit, OfEvents, AtHours):
    """How many subscribers were seen at one location and, at their next event, at another or the same.

    A subscriber counts once for a pair, however often its events follow each other. Events are in the order of time;
    those at the same time, in the order of their places' codes. Events at no known place are passed over.
    """

    query_kind: Literal["consecutive_trips_od_matrix"] = "consecutive_trips_od_matrix"

    columns: ClassVar = {"location_from": L, "location_to": L, "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "consecutive_trips_od_matrix",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin1",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a pair of places: place_from, place_to, value."""
        seen = cdr.located(self, "datetime")
        followed = seen.select(
            "subscriber",
            place_from=seen.place,
            place_to=seen.place.lead().over(group_by="subscriber", order_by=["datetime", "place"]),
        )
        # Distinct pairs first: most events follow another at the same place.
        trips = followed.filter(followed.place_to.notnull()).distinct()
        return trips.group_by("place_from", "place_to").agg(value=trips.count())
