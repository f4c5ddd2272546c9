"""In how many periods each subscriber was active."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.building.activity import number_of_periods
from flowmachine.kind import AtHours, Cdr, OfEvents, Periods, Role


class TotalActivePeriods(Periods, OfEvents, AtHours):
    """In how many of several periods each subscriber had an event, wherever it was; those without one are absent.

    Periods are of local wall-clock time: on a day with a repeated hour, an hour's period holds both.
    """

    query_kind: Literal["total_active_periods"] = "total_active_periods"

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "int64"}
    counts: ClassVar = None
    example: ClassVar = {"query_kind": "total_active_periods", "start_date": "2016-01-01", "total_periods": 7}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        return number_of_periods(cdr, self)
