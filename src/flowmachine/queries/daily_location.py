"""Where each subscriber was on a day."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.cdr import Cdr
from flowmachine.parameters import AtHours, InUnit, Moment, OfEvents, Sampled
from flowmachine.query import L, Role

Method = Literal["last", "most-common"]


class DailyLocation(InUnit, OfEvents, AtHours, Sampled):
    """Where each subscriber was on a day: at the last event, or at most events.

    `last` is the place of the latest event; of events at the same time, the place whose code sorts last.
    `most-common` is the place of most events; of equals, the one with the later event, then the one whose code sorts
    last. Subscribers without an event at a known place that day are absent.
    """

    query_kind: Literal["daily_location"] = "daily_location"
    date: Annotated[Moment, Field(description="The day; with a time of day, the 24 hours from it.")]
    method: Annotated[Method, Field(description="Take the place of the last event, or of most events.")]

    role: ClassVar[Role] = "DailyLocation"
    columns: ClassVar = {"subscriber": "int64", "location": L}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "daily_location",
        "date": "2016-01-01",
        "aggregation_unit": "admin3",
        "method": "last",
    }

    @property
    def windows(self) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
        """The 24 hours that are looked at."""
        return ((self.date, self.date + dt.timedelta(days=1)),)

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        return place_a_day(cdr, self, self.windows).select("subscriber", "place")


def place_a_day(cdr: Cdr, query: Any, windows: Sequence[tuple[dt.datetime, dt.datetime]]) -> ir.Table:
    """Where each subscriber was on each of several days, in one scan: subscriber, day, place.

    `query` is any of the daily locations; they differ in their date alone.
    """
    by = ["subscriber", "day"] if len(windows) > 1 else ["subscriber"]
    seen = cdr.located(query, *by[1:], "datetime", windows=windows)
    if query.method == "last":
        return cdr.latest(seen, by, windows)
    return most_common(cdr, seen, by)


def most_common(cdr: Cdr, seen: ir.Table, by: Sequence[str]) -> ir.Table:
    """The place of most events of each `by`; of equals, the later event's, then the code that sorts last."""
    visits = seen.group_by([*by, "place"]).agg(events=seen.count(), datetime=seen.datetime.max())
    return cdr.best(visits, by, ["events", "datetime", "place"])
