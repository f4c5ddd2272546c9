"""The tables that a plan reads: unbound, each with what it stands for, so that an engine can bind them when it runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import ibis.expr.types as ir

from flowmachine.building.windows import Span


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
    """The stored rows of a query."""

    query_id: str


Source = EventDays | VisitDays | Reference | Stored


class Dialect(Protocol):
    """What differs between engines when a plan is built.

    The methods that give a table record in `tables.sources` what it stands for, where the engine binds it later.
    """

    name: str
    subscriber: str
    """The type of subscribers, as Ibis names it."""

    def events(self, tables: "Tables", event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """Events of the days of `spans`, with msisdn, day, minute and datetime among their columns."""
        ...

    def visits(self, tables: "Tables", event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """The events of the days of `spans`, counted in rows of flowdb's table VISITS.

        A row stands for one or more events of a subscriber, day and cell; some rows may be of the same.
        """
        ...

    def reference(self, tables: "Tables", name: str) -> ir.Table:
        """A reference table; boundaries are read by level."""
        ...

    def boundaries(self, tables: "Tables", unit: str) -> ir.Table:
        """The boundaries of a level: pcod, name, geom, longitude, latitude."""
        ...

    def stored(self, tables: "Tables", query_id: str, schema: Mapping[str, str]) -> ir.Table:
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
        """The sites of each `by`, a subscriber, grouped into clusters by Hartigan's leader algorithm.

        `sites` has `by`, site, days, lon, lat, hour and weekday. A subscriber's sites come in turn, most days
        first, then by their number; each joins the first of the clusters so far whose centre, the mean position of
        its sites weighted by days, is nearer than `radius` in m, or founds one. Gives `by`, lon and lat of the
        centre, and sums over the sites: days, hour, weekday, and `sites`, their number.
        """
        ...


@dataclass
class Tables:
    """The tables of one plan, in an engine's dialect."""

    dialect: Dialect
    timezone: str
    sources: dict[str, Source] = field(default_factory=dict)
    """What each unbound table stands for, by its name."""

    def events(self, event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """Events of one type on the days of `spans`."""
        return self.dialect.events(self, event_type, spans)

    def visits(self, event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """Visits of one type on the days of `spans`."""
        return self.dialect.visits(self, event_type, spans)

    def reference(self, name: str) -> ir.Table:
        """A reference table."""
        return self.dialect.reference(self, name)

    def boundaries(self, unit: str) -> ir.Table:
        """The boundaries of a level."""
        return self.dialect.boundaries(self, unit)

    def stored(self, query_id: str, schema: Mapping[str, str]) -> ir.Table:
        """The stored rows of a query."""
        return self.dialect.stored(self, query_id, schema)
