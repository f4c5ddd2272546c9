"""Where each subscriber was on a day."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import ibis
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

    `query` is any of the daily locations; they differ in their date alone. `day` is left out where there is but one.
    """
    by = ["subscriber", "day"] if len(windows) > 1 else ["subscriber"]
    if query.method == "last":
        seen = cdr.visited(query, "day", "last", windows=windows)
        return cdr.latest(seen.rename(datetime="last"), by, windows)
    return most_common(cdr, cdr.visited(query, "day", "events", "last", windows=windows), by)


def places_of(cdr: Cdr, locations: Sequence[Any]) -> ir.Table:
    """Where each subscriber was, by each of several locations: subscriber, day, place.

    A row for each subscriber and location, with the day that it is of, if it is of one. Daily locations of whole days
    that differ in their date alone are one scan, however many they are; of those that are stored, no event is read. A
    date named again counts again, as rows that are stored would; it and all others are rows of their own.
    """
    alike: dict[tuple[tuple[str, Any], ...], dict[dt.datetime, Any]] = {}
    alone: list[Any] = []
    for location in locations:
        whole = isinstance(location, DailyLocation) and location.sampling is None and location.date.time() == dt.time()
        if whole and location.id not in cdr.stored_parts:
            days = alike.setdefault(tuple((name, value) for name, value in location if name != "date"), {})
            if location.date not in days:
                days[location.date] = location
                continue
        alone.append(location)
    alone += [location for days in alike.values() if len(days) == 1 for location in days.values()]
    tables = []
    for days in alike.values():
        if len(days) > 1:
            template, *_ = days.values()
            placed = place_a_day(cdr, template, [window for day in days.values() for window in day.windows])
            tables.append(placed.select("subscriber", "day", "place"))
    for location in alone:
        placed = cdr.rows(location)
        day = ibis.date(location.date.date()) if isinstance(location, DailyLocation) else ibis.null("date")
        tables.append(placed.select("subscriber", day=day, place=placed.place))
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def most_common(cdr: Cdr, visits: ir.Table, by: Sequence[str]) -> ir.Table:
    """The place of most events of each `by`; of equals, the later event's, then the code that sorts last."""
    places = visits.group_by([*by, "place"]).agg(events=visits.events.sum(), last=visits["last"].max())
    return cdr.best(places, by, ["events", "last", "place"])
