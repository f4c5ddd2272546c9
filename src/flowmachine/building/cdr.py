"""Events, visits and nested queries as Ibis expressions: what kinds are written in.

A `Cdr` builds one plan. It needs a dialect and a time zone, never a connection.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir

from flowdb.tables import MOST_PLACES
from flowmachine.building import places
from flowmachine.building.contributions import summed_up
from flowmachine.building.protocols import (
    AnyQuery,
    HasDirection,
    HasHours,
    HasSampling,
    HasSubset,
    Hours,
    OverEvents,
    OverPlaces,
)
from flowmachine.building.sampling import sampled
from flowmachine.building.schemas import stored_types
from flowmachine.building.tables import Dialect, Tables
from flowmachine.building.windows import Span, Window, are_whole_days, instant, merged, span, within, within_hours

COUNTED = ("location_id", "day", "events", "first", "last")
"""The columns of visits, beside the subscriber."""

_LONGEST_PACKED = dt.timedelta(days=400)
"""Microseconds of a longer window and the number of a place no longer fit 63 bits together."""


@dataclass
class Cdr:
    """Builds the expression of one query, and records what it reads."""

    tables: Tables
    question: AnyQuery | None = None
    """The whole query, whose parts may share what they look up."""
    stored_parts: frozenset[str] = frozenset()
    """Ids of the nested queries whose rows are stored and need not be computed."""
    reads: list[tuple[AnyQuery, tuple[str, ...], tuple[Span, ...]]] = field(default_factory=list)
    """Which leaf query reads which event types on which days."""
    views: dict[str, ir.Table] = field(default_factory=dict)
    """What the expression reads by name: rows of nested queries, each after those that it reads itself."""

    @property
    def dialect(self) -> Dialect:
        """The parts of plans that are specific to the engine."""
        return self.tables.dialect

    @property
    def timezone(self) -> str:
        """The time zone of the deployment's days."""
        return self.tables.timezone

    def events(self, query: OverEvents, *columns: str, windows: Sequence[Window] | None = None) -> ir.Table:
        """The events that a query looks at, with `subscriber` and `columns`.

        The query's hours, direction and subset of subscribers apply, if it has such; its windows are its own unless
        given.
        """
        windows = list(windows if windows is not None else query.windows)
        spans = merged(map(span, windows))
        self.reads.append((query, query.types, tuple(map(span, windows))))
        whole = are_whole_days(windows)
        direction, hours = _direction(query), _hours(query)
        needed = dict.fromkeys(
            ["msisdn", *columns]
            + (["datetime"] if not whole else [])
            + (["minute"] if hours else [])
            + (["outgoing"] if direction != "both" else [])
        )
        by_type = [self.tables.events(t, spans).select(*needed) for t in query.types]
        events = ibis.union(*by_type) if len(by_type) > 1 else by_type[0]
        kept = []
        if not whole:
            kept.append(ibis.or_(*(within(events, window, self.timezone) for window in windows)))
        if hours:
            kept.append(within_hours(events.minute, hours.start_hour, hours.end_hour))
        if direction != "both":
            kept.append(events.outgoing if direction == "out" else ~events.outgoing)
        events = events.filter(*kept) if kept else events
        events = events.select(subscriber=events.msisdn, **{c: events[c] for c in columns if c != "msisdn"})
        return self._of_subset(events, query)

    def visits(self, query: OverEvents, *columns: str, windows: Sequence[Window] | None = None) -> ir.Table:
        """The events that a query looks at, counted: `subscriber` and, of COUNTED, `columns`, or all.

        A row stands for one or more events of a subscriber, day and cell (`location_id`, null if it is not known):
        `events`, and the instants of the `first` and the `last`. There may be several rows of the same. Settled visits
        are read if they suffice: for whole days, and with a direction if no instant is needed.
        """
        columns = columns or COUNTED
        windows = list(windows if windows is not None else query.windows)
        direction = _direction(query)
        timed = "first" in columns or "last" in columns
        settled = are_whole_days(windows) and _hours(query) is None and (direction == "both" or not timed)
        if not settled:
            needed = [c for c in columns if c in ("location_id", "day")] + (["datetime"] if timed else [])
            events = self.events(query, *needed, windows=windows)
            one: dict[str, ir.Value] = {"events": ibis.literal(1, "int32")}
            one |= {"first": events.datetime, "last": events.datetime} if timed else {}
            return events.select("subscriber", **{c: one[c] if c in one else events[c] for c in columns})
        self.reads.append((query, query.types, tuple(map(span, windows))))
        spans = merged(map(span, windows))
        # An incoming or outgoing event is one of a visit's `incoming` or `outgoing`.
        events = {"both": "events", "out": "outgoing", "in": "incoming"}[direction]
        by_type = []
        for event_type in query.types:
            visits = self.tables.visits(event_type, spans)
            visits = visits.filter(visits[events] > 0) if direction != "both" else visits
            selected = {c: visits[events if c == "events" else c] for c in columns}
            by_type.append(visits.select(subscriber=visits.msisdn, **selected))
        return self._of_subset(ibis.union(*by_type) if len(by_type) > 1 else by_type[0], query)

    def _of_subset(self, rows: ir.Table, query: OverEvents) -> ir.Table:
        if not isinstance(query, HasSubset) or query.subscriber_subset is None:
            return rows
        # A semi-join: a subscriber who is many times in the subset counts once.
        subset = self.rows(query.subscriber_subset).select("subscriber").distinct()
        return rows.semi_join(subset, "subscriber")

    def located(self, query: OverPlaces, *columns: str, windows: Sequence[Window] | None = None) -> ir.Table:
        """The events that a query looks at, with `place`; events at no known place are left out."""
        events = self.events(query, *dict.fromkeys(["location_id", "day", *columns]), windows=windows)
        placed = self.placed(events, query, windows)
        return placed.select("subscriber", *dict.fromkeys(columns), "place")

    def visited(self, query: OverPlaces, *columns: str, windows: Sequence[Window] | None = None) -> ir.Table:
        """The events that a query looks at, counted: subscriber, day, place, events, first, last.

        Each row is one or more events of a subscriber at a cell on a day, with their number and the instants of the
        first and the last: a subscriber, day and place may have several rows. Events at no known place are left out.
        A question that needs no single event reads these: they are far fewer, most often read and not counted.
        `columns` names those that are needed of day, events, first and last, if that is not all; with a direction,
        settled visits have no `first` or `last`.
        """
        columns = columns or tuple(c for c in COUNTED if c != "location_id")
        visits = self.visits(query, *dict.fromkeys(["location_id", "day", *columns]), windows=windows)
        placed = self.placed(visits, query, windows)
        return placed.select("subscriber", "place", *columns)

    def visited_points(self, query: OverEvents) -> ir.Table:
        """How many events each subscriber had at each position of cells: subscriber, place, events; lon-lat places."""
        visits = self.visits(query, "location_id", "day", "events")
        cells = places.cells_in(self.tables, "lon-lat")
        placed = places.at_cells(visits, cells, query.windows, "place")
        return placed.group_by("subscriber", "place").agg(events=placed.events.sum().cast("int64"))

    def placed(self, rows: ir.Table, query: OverPlaces, windows: Sequence[Window] | None = None) -> ir.Table:
        """Rows with `location_id` and `day`, all of `windows`, with `place` added; rows at no known place go.

        The windows are the query's unless given.
        """
        cells = places.cells_in(self.tables, query.aggregation_unit, query.mapping)
        return places.at_cells(rows, cells, query.windows if windows is None else windows, "place")

    def rows(self, query: AnyQuery) -> ir.Table:
        """The rows of a nested query: stored ones if there are, else computed here, once a plan."""
        if query.id in self.stored_parts:
            return self.tables.stored(query.id, stored_types(query, self.dialect))
        return self.view(f"{query.kind}_{query.id}", lambda: self.computed(query))

    def view(self, name: str, rows: Callable[[], ir.Table]) -> ir.Table:
        """Rows by a name: built once a plan, however often they are read, and rendered by themselves.

        Rendering an expression takes longer than its size suggests, so a large one is rendered in pieces.
        """
        if name not in self.views:
            self.views[name] = rows()
        return ibis.table(self.views[name].schema(), name=name)

    def once(self, rows: ir.Table) -> ir.Table:
        """Rows that an expression uses more than once, named, so that an engine computes them once."""
        return self.view(f"once_{len(self.views)}", lambda: rows)

    def computed(self, query: AnyQuery) -> ir.Table:
        """The rows of a query, before release."""
        rows = self.contributed(query)
        return rows if query.summary is None else summed_up(rows, query.summary)

    def contributed(self, query: AnyQuery) -> ir.Table:
        """The rows that release looks at: the query's expression, and the sample of it if the query has one."""
        rows = query.expression(self)
        sampling = query.sampling if isinstance(query, HasSampling) else None
        # An aggregate's rows are not of subscribers: it samples those itself.
        return sampled(rows, sampling) if sampling is not None and query.role != "Aggregate" else rows

    def latest(self, rows: ir.Table, by: Sequence[str], windows: Sequence[Window]) -> ir.Table:
        """The place of the latest event of each `by`; of equal times, the place whose code sorts last."""
        first, last = min(w[0] for w in windows), max(w[1] for w in windows)
        if last - first > _LONGEST_PACKED:
            return self.dialect.best(rows, by, ["datetime", "place"], "place")
        # Time and place in one integer: the greatest is the latest, on every engine and without a window.
        start = int(instant(first, self.timezone).timestamp()) * 1_000_000
        packed = (self.dialect.microseconds(rows.datetime) - start) * MOST_PLACES + rows.place.cast("int64")
        latest = rows.group_by(list(by)).agg(packed=packed.max())
        return latest.select(*by, place=(latest.packed % MOST_PLACES).cast("int32"))

    def best(self, rows: ir.Table, by: Sequence[str], order: Sequence[str], keep: str = "place") -> ir.Table:
        """For each `by`, the `keep` of the row whose `order` is greatest."""
        return self.dialect.best(rows, by, order, keep)


def _direction(query: OverEvents) -> str:
    return query.direction if isinstance(query, HasDirection) else "both"


def _hours(query: OverEvents) -> Hours | None:
    return query.hours if isinstance(query, HasHours) else None
