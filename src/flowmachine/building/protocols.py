"""What building a plan needs to know of a query, as protocols: plans are built without importing any query.

The blocks of `flowmachine.questions` fit these protocols. What may be absent is looked for with `isinstance`.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import ibis.expr.types as ir

from flowmachine.building.contributions import Summary
from flowmachine.building.windows import Window
from flowmachine.questions.roles import Role
from flowmachine.questions.sampling import RandomSample

if TYPE_CHECKING:
    from flowmachine.building.cdr import Cdr


class AnyQuery(Protocol):
    """A query of any kind."""

    kind: ClassVar[str]
    """The name of its kind."""
    role: ClassVar[Role]
    """Where its kind may stand."""

    @property
    def id(self) -> str:
        """The identity of the question."""
        ...

    @property
    def result_columns(self) -> Mapping[str, str]:
        """The result's columns and types."""
        ...

    @property
    def part_columns(self) -> Mapping[str, str]:
        """The columns and types of its rows before places become codes."""
        ...

    @property
    def unit(self) -> str | None:
        """The level that its locations are of."""
        ...

    @property
    def summary(self) -> Summary | None:
        """How the rows of its expression, one a person, become its rows; None if they are its rows."""
        ...

    def children(self) -> "Iterator[AnyQuery]":
        """The queries that it is directly made of."""
        ...

    def walk(self) -> "Iterator[AnyQuery]":
        """This query and all that it is made of."""
        ...

    def expression(self, cdr: "Cdr", /) -> ir.Table:
        """Its rows."""
        ...


class OverWindows(Protocol):
    """A query that looks at stretches of local time."""

    @property
    def windows(self) -> tuple[Window, ...]:
        """The stretches."""
        ...


class OverEvents(AnyQuery, OverWindows, Protocol):
    """A query that looks at events of some types in some stretches of time."""

    @property
    def types(self) -> tuple[str, ...]:
        """The event types."""
        ...


class OverPeriods(OverEvents, Protocol):
    """A query that looks at events in consecutive periods."""

    @property
    def total_periods(self) -> int:
        """How many periods there are."""
        ...

    @property
    def minutes(self) -> int:
        """How many minutes long a period is."""
        ...


class InPlaces(Protocol):
    """A query that has a unit of locations, and perhaps a table that says where cells are."""

    @property
    def aggregation_unit(self) -> str:
        """The level of its locations."""
        ...

    @property
    def mapping(self) -> str | None:
        """How cells are placed, as `cell_units.mapping` names it; None for by their own position."""
        ...


class OverPlaces(OverEvents, InPlaces, Protocol):
    """A query that looks at events at places."""


class Hours(Protocol):
    """Hours of the day; those that wrap midnight are two slices of each day."""

    @property
    def start_hour(self) -> int:
        """The first hour."""
        ...

    @property
    def end_hour(self) -> int:
        """The hour after the last hour."""
        ...


@runtime_checkable
class HasHours(Protocol):
    """A query that may look at some hours of each day alone."""

    @property
    def hours(self) -> Hours | None:
        """The hours; None for all day."""
        ...


@runtime_checkable
class HasDirection(Protocol):
    """A query that may look at incoming or outgoing events alone."""

    @property
    def direction(self) -> str:
        """`in`, `out` or `both`."""
        ...


@runtime_checkable
class HasSubset(Protocol):
    """A query that may look at some subscribers alone."""

    @property
    def subscriber_subset(self) -> AnyQuery | None:
        """The query whose subscribers are looked at; None for all subscribers."""
        ...


@runtime_checkable
class HasSampling(Protocol):
    """A query that may be of a random sample of its subscribers."""

    @property
    def sampling(self) -> RandomSample | None:
        """The sample; None for all subscribers."""
        ...
