"""How many subscribers of each location were active in exactly which periods."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building.activity import active, period_starts
from flowmachine.building.sampling import sampled
from flowmachine.kind import AtHours, Cdr, L, OfEvents, Periods, Sampled

if TYPE_CHECKING:
    from flowmachine.kind import ReferenceLocation


class LocalisedCalendarActivity(Periods, OfEvents, AtHours, Sampled):
    """How many subscribers of each location were active in exactly which periods.

    A row tells a location, the starts of periods in order, in local time, and how many of those who have the location
    as theirs had an event, wherever it was, in each of these periods and in no other; those without one have an empty
    label. A sample is one of the subscribers who have a location. A location of which one row stands for too few
    people is suppressed as a whole.
    """

    query_kind: Literal["localised_calendar_activity"] = "localised_calendar_activity"
    reference_location: Annotated["ReferenceLocation", Field(description="Where each subscriber is.")]

    columns: ClassVar = {"location": L, "value_label": "periods", "value": "int64"}
    counts: ClassVar = "value"
    suppressed_together: ClassVar = ("place",)
    example: ClassVar = {
        "query_kind": "localised_calendar_activity",
        "start_date": "2016-01-01",
        "total_periods": 2,
        "event_types": ["sms"],
        "reference_location": {
            "query_kind": "daily_location",
            "date": "2016-01-01",
            "aggregation_unit": "admin1",
            "method": "last",
        },
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place and set of periods: place, value_label, value."""
        residents = cdr.rows(self.reference_location).select("subscriber", "place")
        if self.sampling is not None:
            residents = sampled(residents, self.sampling)
        people = residents.left_join(active(cdr, self), "subscriber").drop("subscriber_right")
        counted = people.group_by("place", "periods").agg(value=people.count())
        return counted.select("place", value_label=period_starts(counted.periods, self), value=counted.value)
