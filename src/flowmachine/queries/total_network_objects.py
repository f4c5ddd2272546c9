"""How many cells were in use at each location in each interval of time."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building import localtime
from flowmachine.building.localtime import SECONDS, TimeUnit
from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Window


class TotalNetworkObjects(Window, InUnit, OfEvents, AtHours):
    """How many cells had an event at each location, each second, minute, hour, day, month or year.

    Stretches of time are local, and `datetime` is the local time, with its offset, at which one begins: a local hour
    that is repeated when clocks go back is two hours, a day begins at its first instant. A stretch without an event is
    absent. A row is published if enough different subscribers stand behind it; the number of cells is then as it is.
    FlowKit's definition; FlowKit publishes every row.
    """

    query_kind: Literal["total_network_objects"] = "total_network_objects"
    total_by: Annotated[
        Literal["second", "minute", "hour", "day", "month", "year"],
        Field(description="Count cells by the second, minute, hour, day, month or year."),
    ] = "day"

    revision: ClassVar[int] = 2
    columns: ClassVar = {"location": L, "value": "int64", "datetime": "timestamp"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "total_network_objects",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "total_by": "hour",
        "aggregation_unit": "admin1",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place and stretch: place, value, datetime, subscribers."""
        counted = cells(cdr, self, {"begun": self.total_by})
        return dated(cdr, self, counted, self.total_by)


def cells(cdr: Cdr, query: TotalNetworkObjects, stretches: Mapping[str, TimeUnit]) -> ir.Table:
    """How many cells had an event: place, a column for each of `stretches`, value.

    None of the stretches is finer than `total_by`. A stretch of an hour or less is given as its start in µs since 1970,
    a longer one as its first local day.
    """
    if query.total_by in SECONDS:
        events = cdr.events(query, "location_id", "day", _clock(cdr, query, query.total_by))
        seen = _by_stretch(cdr, query, events, query.total_by, "location_id", "day")
    else:
        seen = cdr.visits(query, "location_id", "day").select("location_id", "day").distinct()
    placed = cdr.placed(seen, query)
    by = ["place", *stretches]
    placed = placed.mutate(
        **{
            name: localtime.stretch(placed.instant, unit, cdr.timezone, query.windows)
            if unit in SECONDS
            else localtime.calendar(placed.day, unit)
            for name, unit in stretches.items()
        }
    )
    # Up to the day, each cell is one row already.
    each = placed if query.total_by not in ("month", "year") else placed.select(*by, "location_id").distinct()
    return each.group_by(by).agg(value=each.count())


def dated(cdr: Cdr, query: TotalNetworkObjects, counted: ir.Table, unit: TimeUnit) -> ir.Table:
    """Rows by place and stretch `begun`, with its beginning as `datetime`, and `subscribers`."""
    people = _people(cdr, query, unit)
    counted = counted.join(people, ["place", "begun"]).select(*counted.columns, "subscribers")
    if unit in SECONDS:
        return counted.mutate(datetime=cdr.dialect.instant(counted.begun))
    first = localtime.first_instant(counted.begun, unit, cdr.timezone, query.windows)
    return counted.mutate(datetime=cdr.dialect.instant(first))


def _people(cdr: Cdr, query: TotalNetworkObjects, unit: TimeUnit) -> ir.Table:
    """How many different people were present: place, begun, subscribers.

    Computed separately from the cells: cells by hour and people by day are far fewer rows than both together.
    """
    if unit in SECONDS:
        # Placed first: there are fewer distinct places than cells, and the join is cheap.
        events = cdr.located(query, "day", _clock(cdr, query, unit))
        seen = _by_stretch(cdr, query, events, unit, "subscriber", "place")
        each = seen.rename(begun="instant")
    else:
        seen = cdr.placed(cdr.visits(query, "location_id", "day"), query)
        seen = seen.mutate(begun=localtime.calendar(seen.day, unit))
        each = seen.select("subscriber", "place", "begun").distinct()
    return each.group_by("place", "begun").agg(subscribers=each.count())


def _clock(cdr: Cdr, query: TotalNetworkObjects, unit: TimeUnit) -> str:
    """The column that gives an event's stretch: the minute of its day, which is smaller, if that is enough."""
    steady = unit != "second" and localtime.is_steady(cdr.timezone, query.windows)
    return "minute" if steady else "datetime"


def _by_stretch(cdr: Cdr, query: TotalNetworkObjects, events: ir.Table, unit: TimeUnit, *columns: str) -> ir.Table:
    """The distinct columns of events, with the `instant` (µs since 1970) at which the stretch of each begins."""
    if "minute" not in events.columns:
        instant = localtime.stretch(cdr.dialect.microseconds(events.datetime), unit, cdr.timezone, query.windows)
        return events.select(*columns, instant=instant).distinct()
    by = dict.fromkeys([*columns, "day"])
    # Ibis gives the difference a wider type than PostgreSQL does, and would leave out the cast below.
    minute = (events.minute - events.minute % (SECONDS[unit] // 60)).cast("int32")
    seen = events.select(*by, minute=minute).distinct()
    midnight = localtime.first_instant(seen.day, "day", cdr.timezone, query.windows)
    return seen.select(*columns, instant=midnight + seen.minute.cast("int64") * 60_000_000)
