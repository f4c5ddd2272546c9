"""Where each subscriber was on a day."""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building.windows import merged
from flowmachine.kind import AtHours, Cdr, InUnit, L, Moment, OfEvents, Role, Sampled

Method = Literal["last", "most-common"]
Alike = tuple[tuple[str, Any], ...]
"""The parameters of a daily location, except its date."""


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
        """The 24 hours that are read."""
        return ((self.date, self.date + dt.timedelta(days=1)),)

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, place."""
        return place_a_day(cdr, self, self.windows).select("subscriber", "place")


def place_a_day(cdr: Cdr, query: Any, windows: Sequence[tuple[dt.datetime, dt.datetime]]) -> ir.Table:
    """Where each subscriber was on each of several days, in one scan: subscriber, day, place.

    `query` is any of the daily locations; they differ only in their dates. `day` is left out if there is only one.
    """
    by = ["subscriber", "day"] if len(windows) > 1 else ["subscriber"]
    if query.method == "last":
        seen = cdr.visited(query, "day", "last", windows=windows)
        return cdr.latest(seen.rename(datetime="last"), by, windows)
    return most_common(cdr, cdr.visited(query, "day", "events", "last", windows=windows), by)


def places_of(cdr: Cdr, locations: Sequence[Any]) -> ir.Table:
    """Where each subscriber was, by each of several locations: subscriber, day, place.

    One row for each subscriber and location, with the location's day if it has one. Daily locations of whole days that
    differ only in their dates are computed in one scan, however many they are; for stored ones, no event is read. A
    repeated date counts again, as stored rows would; repeated dates and all other locations are computed separately.
    """
    alike: dict[Alike, dict[dt.date, Any]] = {}
    alone: list[Any] = []
    for location in locations:
        if _joins_others(cdr, location):
            days = alike.setdefault(_but_date(location), {})
            if location.date.date() not in days:
                days[location.date.date()] = location
                continue
        alone.append(location)
    alone += [location for days in alike.values() if len(days) == 1 for location in days.values()]
    tables = [_many_days(cdr, name, days) for name, days in alike.items() if len(days) > 1]
    for location in alone:
        placed = cdr.rows(location)
        day = ibis.date(location.date.date()) if isinstance(location, DailyLocation) else ibis.null("date")
        tables.append(placed.select("subscriber", day=day, place=placed.place))
    return ibis.union(*tables) if len(tables) > 1 else tables[0]


def _many_days(cdr: Cdr, alike: Alike, days: Mapping[dt.date, Any]) -> ir.Table:
    """The places of daily locations that differ only in their dates: subscriber, day, place.

    If another part of the query reads some of the same days, one scan of all these days serves both.
    """
    scanned = next((shared for shared in _shared_days(cdr).get(alike, []) if shared >= days.keys()), set(days))
    template, *_ = days.values()
    midnights = [dt.datetime.combine(day, dt.time()) for day in sorted(scanned)]
    windows = [(midnight, midnight + dt.timedelta(days=1)) for midnight in midnights]
    digest = hashlib.md5(f"{alike} {sorted(scanned)}".encode(), usedforsecurity=False).hexdigest()
    placed = cdr.view(
        f"places_{digest}", lambda: place_a_day(cdr, template, windows).select("subscriber", "day", "place")
    )
    if len(scanned) == len(days):
        return placed
    spans = merged((day, day + dt.timedelta(days=1)) for day in days)
    return placed.filter(ibis.or_(*((placed.day >= first) & (placed.day < stop) for first, stop in spans)))


def _shared_days(cdr: Cdr) -> dict[Alike, list[set[dt.date]]]:
    """The days that lists of daily locations in the whole query name, in disjoint sets."""
    sets: dict[Alike, list[set[dt.date]]] = {}
    for query in cdr.question.walk() if cdr.question is not None else ():
        named: dict[Alike, set[dt.date]] = {}
        child: Any
        for child in query.children():
            if _joins_others(cdr, child):
                named.setdefault(_but_date(child), set()).add(child.date.date())
        for alike, days in named.items():
            if len(days) > 1:
                touched = [other for other in sets.get(alike, []) if not other.isdisjoint(days)]
                apart = [other for other in sets.get(alike, []) if other.isdisjoint(days)]
                sets[alike] = [*apart, days.union(*touched)]
    return sets


def _joins_others(cdr: Cdr, location: Any) -> bool:
    """Whether a location is a daily location of a whole day that has to be computed from events."""
    whole = isinstance(location, DailyLocation) and location.sampling is None and location.date.time() == dt.time()
    return whole and location.id not in cdr.stored_parts


def _but_date(location: Any) -> Alike:
    return tuple((name, value) for name, value in location if name != "date")


def most_common(cdr: Cdr, visits: ir.Table, by: Sequence[str]) -> ir.Table:
    """The place with most events for each `by`; ties go to the later event, then to the code that sorts last."""
    places = visits.group_by([*by, "place"]).agg(events=visits.events.sum(), last=visits["last"].max())
    return cdr.best(places, by, ["events", "last", "place"])
