"""How many subscribers were active in exactly which periods."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.building.activity import active, period_starts
from flowmachine.building.sampling import sampled
from flowmachine.kind import AtHours, Cdr, OfEvents, Periods, Sampled


class CalendarActivity(Periods, OfEvents, AtHours, Sampled):
    """How many subscribers were active in exactly which periods.

    A row tells the starts of periods in order, in local time, and how many subscribers had an event, wherever it was,
    in each of these and in no other. Those without one are in no row. A sample is one of subscribers.
    """

    query_kind: Literal["calendar_activity"] = "calendar_activity"

    columns: ClassVar = {"grp": "periods", "value": "int64"}
    counts: ClassVar = "value"
    example: ClassVar = {
        "query_kind": "calendar_activity",
        "start_date": "2016-01-01",
        "total_periods": 3,
        "event_types": ["sms"],
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a set of periods: grp, value."""
        people = active(cdr, self)
        if self.sampling is not None:
            people = sampled(people, self.sampling)
        counted = people.group_by("periods").agg(value=people.count())
        return counted.select(grp=period_starts(counted.periods, self), value=counted.value)
