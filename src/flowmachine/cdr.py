"""Events and places as Ibis expressions: what kinds are written in.

A `Cdr` builds one plan. It needs a dialect and a time zone, never a connection: the tables are unbound, and the plan
lists what each stands for, so that an engine can bind them when it runs.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

from flowdb.tables import MOST_PLACES, POINTS
from flowmachine.query import Query, location_columns
from flowmachine.sampling import sampled

Span = tuple[dt.date, dt.date]
"""Days from the first to the day after the last."""

COUNTED = ("location_id", "day", "events", "first", "last")
"""What is told of visits, beside the subscriber."""

_LONGEST_PACKED = dt.timedelta(days=400)
"""Microseconds of a longer window and the number of a place no longer fit 63 bits together."""


@dataclass(frozen=True)
class EventDays:
    """A table of the events of one type on certain days."""

    event_type: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class VisitDays:
    """A table of the visits that the events of one type on certain days make."""

    event_type: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Reference:
    """A reference table of FlowDB."""

    name: str


@dataclass(frozen=True)
class Stored:
    """A query's rows, stored."""

    query: Query


Source = EventDays | VisitDays | Reference | Stored


class Dialect(Protocol):
    """What differs between engines when a plan is built."""

    name: str
    subscriber: str
    """The type of subscribers, as Ibis names it."""

    def events(self, cdr: "Cdr", event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """Events of the days of `spans`, with msisdn, day, minute and datetime among their columns."""
        ...

    def visits(self, cdr: "Cdr", event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """The events of the days of `spans`, counted in rows of flowdb's table VISITS.

        A row stands for one or more events of a subscriber, day and cell; some rows may be of the same.
        """
        ...

    def reference(self, cdr: "Cdr", name: str) -> ir.Table:
        """A reference table; boundaries are asked for by level."""
        ...

    def boundaries(self, cdr: "Cdr", unit: str) -> ir.Table:
        """The boundaries of a level: pcod, name, geom, longitude, latitude."""
        ...

    def stored(self, cdr: "Cdr", query: Query, schema: Mapping[str, str]) -> ir.Table:
        """The stored rows of a query."""
        ...

    def microseconds(self, instant: ir.TimestampValue) -> ir.IntegerValue:
        """Microseconds since 1970."""
        ...

    def instant(self, microseconds: ir.IntegerValue) -> ir.TimestampValue:
        """The instant so many microseconds after the beginning of 1970."""
        ...

    def set_bits(self, bits: ir.IntegerValue) -> ir.IntegerValue:
        """How many bits of an integer are set."""
        ...

    def best(self, rows: ir.Table, by: Sequence[str], order: Sequence[str], keep: str) -> ir.Table:
        """For each `by`, the `keep` of the row whose `order` is greatest."""
        ...

    def clusters(self, sites: ir.Table, by: Sequence[str], radius: float) -> ir.Table:
        """The sites of each `by`, a subscriber, drawn together to clusters, by Hartigan's leader algorithm.

        `sites` has `by`, site, days, lon, lat, hour and weekday. A subscriber's sites come in turn, most days
        first, then by their number; each joins the first of the clusters so far whose centre, the mean position of
        its sites weighted by days, is nearer than `radius` in m, or founds one. Gives `by`, lon and lat of the
        centre, and sums over the sites: days, hour, weekday, and `sites`, their number.
        """
        ...


@dataclass
class Cdr:
    """Builds the expression of one query, and remembers what its tables stand for."""

    dialect: Dialect
    timezone: str
    question: Query | None = None
    """The whole query, whose parts may share what they look up."""
    smallest: int | None = None
    """The fewest people that a published row stands for; None where rows are not published."""
    stored_parts: frozenset[str] = frozenset()
    """Ids of the nested queries whose rows are stored and need not be computed."""
    sources: dict[str, Source] = field(default_factory=dict)
    """What each unbound table stands for, by its name."""
    reads: list[tuple[Query, tuple[str, ...], tuple[Span, ...]]] = field(default_factory=list)
    """Which leaf query reads which event types on which days."""
    views: dict[str, ir.Table] = field(default_factory=dict)
    """What the expression reads by name: rows of nested queries, each after those that it reads itself."""

    def events(
        self, query: Any, *columns: str, windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None
    ) -> ir.Table:
        """The events that a query looks at, with `subscriber` and the columns asked for.

        `query` carries the blocks OfEvents and, where it has them, AtHours and Directed; its windows are its own
        unless given.
        """
        windows = list(windows if windows is not None else query.windows)
        spans = merged([_span(w) for w in windows])
        self.reads.append((query, query.types, tuple(_span(w) for w in windows)))
        whole = _whole(windows)
        direction = getattr(query, "direction", "both")
        hours = getattr(query, "hours", None)
        needed = dict.fromkeys(
            ["msisdn", *columns]
            + (["datetime"] if not whole else [])
            + (["minute"] if hours else [])
            + (["outgoing"] if direction != "both" else [])
        )
        tables = [self.dialect.events(self, t, spans).select(*needed) for t in query.types]
        events = ibis.union(*tables) if len(tables) > 1 else tables[0]
        kept = []
        if not whole:
            kept.append(ibis.or_(*(self._within(events, start, stop) for start, stop in windows)))
        if hours:
            kept.append(_within_hours(events.minute, hours.start_hour * 60, hours.end_hour * 60))
        if direction != "both":
            kept.append(events.outgoing if direction == "out" else ~events.outgoing)
        events = events.filter(*kept) if kept else events
        events = events.select(subscriber=events.msisdn, **{c: events[c] for c in columns if c != "msisdn"})
        return self._of_subset(events, query)

    def visits(
        self, query: Any, *columns: str, windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None
    ) -> ir.Table:
        """The events that a query looks at, counted: `subscriber` and, of COUNTED, the columns asked for, or all.

        A row stands for one or more events of a subscriber, day and cell (`location_id`, null where it is not known):
        `events`, and the instants of the `first` and the `last`. There may be several rows of the same. Settled visits
        are read where they tell what is asked: of whole days, and with a direction where no instant is asked for.
        """
        columns = columns or COUNTED
        windows = list(windows if windows is not None else query.windows)
        direction = getattr(query, "direction", "both")
        timed = "first" in columns or "last" in columns
        settled = _whole(windows) and getattr(query, "hours", None) is None and (direction == "both" or not timed)
        if not settled:
            needed = [c for c in columns if c in ("location_id", "day")] + (["datetime"] if timed else [])
            events = self.events(query, *needed, windows=windows)
            one: dict[str, Any] = {"events": ibis.literal(1, "int32")}
            one |= {"first": events.datetime, "last": events.datetime} if timed else {}
            return events.select("subscriber", **{c: one[c] if c in one else events[c] for c in columns})
        self.reads.append((query, query.types, tuple(_span(w) for w in windows)))
        spans = merged([_span(w) for w in windows])
        # An incoming or outgoing event is one of a visit's `incoming` or `outgoing`.
        events = {"both": "events", "out": "outgoing", "in": "incoming"}[direction]
        tables = []
        for event_type in query.types:
            visits = self.dialect.visits(self, event_type, spans)
            visits = visits.filter(visits[events] > 0) if direction != "both" else visits
            told = {c: visits[events if c == "events" else c] for c in columns}
            tables.append(visits.select(subscriber=visits.msisdn, **told))
        return self._of_subset(ibis.union(*tables) if len(tables) > 1 else tables[0], query)

    def _of_subset(self, rows: ir.Table, query: Any) -> ir.Table:
        if (of := getattr(query, "subscriber_subset", None)) is None:
            return rows
        # A semi-join: a subscriber who is many times in the subset counts once.
        subset = self.rows(of).select("subscriber").distinct()
        return rows.semi_join(subset, "subscriber")

    def located(self, query: Any, *columns: str, unit: str | None = None, **options: Any) -> ir.Table:
        """The events that a query looks at, with `place`; events at no known place are left out."""
        events = self.events(query, *dict.fromkeys(["location_id", "day", *columns]), **options)
        placed = self.placed(events, query, options.get("windows"), unit=unit)
        return placed.select("subscriber", *dict.fromkeys(columns), "place")

    def placed(
        self,
        rows: ir.Table,
        query: Any,
        windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None,
        *,
        unit: str | None = None,
    ) -> ir.Table:
        """Rows with `location_id` and `day`, all of `windows`, with `place` added; rows at no known place go.

        `query` carries the block InUnit, and its unit and mapping say what a place is; or `unit` does, and cells are
        where they stand. The windows are the query's unless given.
        """
        looked_at = query.windows if windows is None else windows
        return self.at_cells(rows, self.cells(query, unit=unit), looked_at, "place")

    def at_cells(
        self, rows: ir.Table, cells: ir.Table, windows: Sequence[tuple[dt.datetime, dt.datetime]], *columns: str
    ) -> ir.Table:
        """Rows with `location_id` and `day`, all of `windows`, with columns of the cell's version of that day."""
        first, stop = min(a for a, _ in map(_span, windows)), max(b for _, b in map(_span, windows))
        if stop - first == dt.timedelta(days=1):
            # On one day a cell has one version: no event need be compared with its dates.
            there = cells.filter(cells.first_day <= first, cells.last_day >= first)
            return rows.join(there.select("location_id", *columns), "location_id")
        # Of a cell's versions in many years, the few of these days; most often there is one.
        there = cells.filter(cells.first_day < stop, cells.last_day >= first)
        return rows.join(
            there.select("location_id", *columns, "first_day", "last_day"),
            [
                rows.location_id == there.location_id,
                rows.day >= there.first_day,
                rows.day <= there.last_day,
            ],
        )

    def cells(self, query: Any, *, unit: str | None = None) -> ir.Table:
        """The place of each version of a cell, as a query's unit and mapping have it, or in `unit` as it stands."""
        mapping = None if unit else query.mapping
        cells = self.dialect.reference(self, "cell_units")
        by = cells.mapping.isnull() if mapping is None else cells.mapping == mapping
        return cells.filter(cells.unit == (unit or query.aggregation_unit), by)

    def visited(
        self,
        query: Any,
        *columns: str,
        unit: str | None = None,
        windows: Sequence[tuple[dt.datetime, dt.datetime]] | None = None,
    ) -> ir.Table:
        """The events that a query looks at, counted: subscriber, day, place, events, first, last.

        Each row is one or more events of a subscriber at a cell on a day, with their number and the instants of the
        first and the last: a subscriber, day and place may have several rows. Events at no known place are left out.
        What a question needs no single event for is asked of these: they are far fewer, most often read and not
        counted. `columns` names those that are needed of day, events, first and last, where that is not all; with a
        direction, settled visits tell no `first` or `last`.
        """
        columns = columns or tuple(c for c in COUNTED if c != "location_id")
        visits = self.visits(query, *dict.fromkeys(["location_id", "day", *columns]), windows=windows)
        placed = self.placed(visits, query, windows, unit=unit)
        return placed.select("subscriber", "place", *columns)

    def rows(self, query: Query) -> ir.Table:
        """The rows of a nested query: stored ones where there are, else computed here, once a plan."""
        if query.id in self.stored_parts:
            return self.dialect.stored(self, query, stored_types(query, self.dialect))
        return self.view(f"{query.kind}_{query.id}", lambda: self.computed(query))

    def view(self, name: str, rows: Callable[[], ir.Table]) -> ir.Table:
        """Rows by a name: built once a plan, however often they are asked for, and rendered by themselves.

        Rendering an expression takes longer than its size says, so a large one is rendered in pieces.
        """
        if name not in self.views:
            self.views[name] = rows()
        return ibis.table(self.views[name].schema(), name=name)

    def computed(self, query: Query) -> ir.Table:
        """The rows of a query: its expression, and of that the sample that it asks for."""
        rows = query.expression(self)
        sampling = getattr(query, "sampling", None)
        # An aggregate's rows are not of subscribers: it samples those itself.
        return sampled(rows, sampling) if sampling is not None and query.role != "Aggregate" else rows

    def latest(self, seen: ir.Table, by: Sequence[str], windows: Sequence[tuple[dt.datetime, dt.datetime]]) -> ir.Table:
        """The place of the latest event of each `by`; of equal times, the place whose code sorts last."""
        first, last = min(w[0] for w in windows), max(w[1] for w in windows)
        if last - first > _LONGEST_PACKED:
            return self.dialect.best(seen, by, ["datetime", "place"], "place")
        # Time and place in one integer: the greatest is the latest, on every engine and without a window.
        start = int(self._instant(first).timestamp()) * 1_000_000
        packed = (self.dialect.microseconds(seen.datetime) - start) * MOST_PLACES + seen.place.cast("int64")
        latest = seen.group_by(list(by)).agg(packed=packed.max())
        return latest.select(*by, place=(latest.packed % MOST_PLACES).cast("int32"))

    def best(self, rows: ir.Table, by: Sequence[str], order: Sequence[str], keep: str = "place") -> ir.Table:
        """For each `by`, the `keep` of the row whose `order` is greatest."""
        return self.dialect.best(rows, by, order, keep)

    def points(self, seen: ir.Table) -> ir.Table:
        """Rows with `place` of the unit lon-lat, with `lon` and `lat` added."""
        places = self.dialect.reference(self, "places")
        points = places.filter(places.unit == "lon-lat").select("place", "lon", "lat")
        return seen.join(points, "place")

    def once(self, rows: ir.Table) -> ir.Table:
        """Rows that an expression uses more than once, named, so that an engine computes them once."""
        return self.view(f"once_{len(self.views)}", lambda: rows)

    def coded(self, rows: ir.Table, unit: str | None, suffixes: Iterable[str]) -> ir.Table:
        """Rows with the location columns of a unit in place of `place`; a missing place gives missing codes."""
        places = self.dialect.reference(self, "places")
        places = places.filter(places.unit == (unit or ""))
        for suffix in suffixes:
            told = location_columns(unit, suffix)
            codes = places.select(
                **{f"place{suffix}": places.place},
                **{name: places[name.removesuffix(suffix) if unit == "lon-lat" else "pcod"] for name in told},
            )
            rows = rows.left_join(codes, f"place{suffix}").drop(f"place{suffix}_right")
        return rows

    def boundaries(self, query: Any) -> ir.Table:
        """The boundaries of the places of a query's unit: place, geom (WKB); points have none beside their position."""
        unit = query.aggregation_unit
        if unit in POINTS:
            return self.cells(query).select("place", geom=ibis.null("binary")).distinct()
        places = self.dialect.reference(self, "places")
        level = self.dialect.boundaries(self, unit).select("pcod", "geom")
        return places.filter(places.unit == unit).join(level, "pcod").select("place", "geom")

    def _instant(self, local: dt.datetime) -> dt.datetime:
        return local.replace(tzinfo=ZoneInfo(self.timezone)).astimezone(dt.UTC)

    def _within(self, events: ir.Table, start: dt.datetime, stop: dt.datetime) -> ir.BooleanValue:
        bounds = [ibis.literal(self._instant(w), "timestamp('UTC')") for w in (start, stop)]
        return (events.datetime >= bounds[0]) & (events.datetime < bounds[1])


def part_schema(query: Query) -> dict[str, str]:
    """Columns and types of a nested query's rows before places become codes."""
    schema, told = {}, query.result_columns
    for name, kind in query.columns.items():
        if kind == "location":
            schema[f"place{name.removeprefix('location')}"] = "int32"
        elif name in told:
            schema[name] = kind
    return schema


def stored_types(query: Query, dialect: Dialect) -> dict[str, str]:
    """Columns of a nested query's rows and their types, as an engine stores them."""
    own = {"subscriber": dialect.subscriber}
    return {name: own.get(name) or IBIS.get(kind, kind) for name, kind in part_schema(query).items()}


IBIS = {"timestamp": "timestamp('UTC')", "periods": "array<timestamp>"}
"""The types that Ibis has another name for: an instant is one in UTC; periods are told by local times."""


def _within_hours(minute: ir.IntegerValue, start: int, stop: int) -> ir.BooleanValue:
    # Hours that wrap midnight are two slices of one calendar day, so they are joined by OR.
    return (minute >= start) & (minute < stop) if start < stop else (minute >= start) | (minute < stop)


def _whole(windows: Iterable[tuple[dt.datetime, dt.datetime]]) -> bool:
    """Whether windows begin and end with a day."""
    return all(moment.time() == dt.time() for window in windows for moment in window)


def _span(window: tuple[dt.datetime, dt.datetime]) -> Span:
    start, stop = window
    return start.date(), (stop - dt.timedelta(microseconds=1)).date() + dt.timedelta(days=1)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same days in as few spans as there can be."""
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return tuple(found)
