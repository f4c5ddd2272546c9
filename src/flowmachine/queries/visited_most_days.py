"""Where each subscriber was seen on most days."""

import datetime as dt
from typing import ClassVar, Literal

import ibis
import ibis.expr.types as ir

from flowmachine.building.activity import BITS, days_since, together
from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Role, Sampled, Window


class VisitedMostDays(Window, InUnit, OfEvents, AtHours, Sampled):
    """Where each subscriber was seen on most days.

    Days are local days; a subscriber may be seen at several places on one. Of places of equally many days, the one of
    most events; of equals, the one with the later event, then the one whose code sorts last. Subscribers without an
    event at a known place are absent.
    """

    query_kind: Literal["visited_most_days"] = "visited_most_days"

    role: ClassVar[Role] = "ReferenceLocation"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "visited_most_days",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "aggregation_unit": "admin3",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        visits = cdr.visited(self, "day", "events", "last")
        if self.end_date - self.start_date < dt.timedelta(days=BITS):
            day = ibis.literal(1).cast("int64") << days_since(visits, self.start_date).cast("int32")
            places = visits.group_by("subscriber", "place").agg(
                days=together(day), events=visits.events.sum(), last=visits["last"].max()
            )
            places = places.mutate(days=cdr.dialect.set_bits(places.days))
        else:
            # A place with several cells has several visits a day.
            days = visits.group_by("subscriber", "place", "day").agg(
                events=visits.events.sum(), last=visits["last"].max()
            )
            places = days.group_by("subscriber", "place").agg(
                days=days.count(), events=days.events.sum(), last=days["last"].max()
            )
        return cdr.best(places, ["subscriber"], ["days", "events", "last", "place"])
