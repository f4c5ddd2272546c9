"""Blocks of parameters that many kinds share."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from flowdb.tables import EVENTS
from flowmachine.query import Query, Unit
from flowmachine.sampling import RandomSample

if TYPE_CHECKING:
    from flowmachine.query import SubscriberQuery

EventType = Literal["calls", "sms", "mds", "topups"]
TWO_PARTY: tuple[EventType, ...] = ("calls", "sms")
"""The event types that are counted where none are named: those with a counterpart, as in FlowKit."""


def _moment(value: Any) -> dt.datetime:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a date: write it as 2016-01-31, or 2016-01-31T08:30:00.") from None
    elif isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise ValueError(f"{value!r} is not a date: write it as text, 2016-01-31.")
    if value.tzinfo is not None:
        raise ValueError("Leave the UTC offset out: dates are days of the deployment's time zone.")
    return value.replace(microsecond=0)


def _written(moment: dt.datetime) -> str:
    return str(moment.date()) if moment.time() == dt.time() else moment.isoformat()


Moment = Annotated[
    dt.datetime,
    BeforeValidator(_moment),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2016-01-01"]}),
]
"""A date, or a date and time, of the deployment's time zone."""


class Window(Query):
    """From when to when."""

    start_date: Annotated[Moment, Field(description="The first day.")]
    end_date: Annotated[Moment, Field(description="The day after the last day.")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start_date >= self.end_date:
            raise ValueError(
                f"start_date ({_written(self.start_date)}) must be before end_date ({_written(self.end_date)}), "
                "which is the day after the last day."
            )
        return self

    @property
    def windows(self) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
        """The half-open stretches of local time that are looked at."""
        return ((self.start_date, self.end_date),)


class Hours(BaseModel):
    """Hours of the day, from the start of one to the start of another; 20 to 4 wraps midnight within each day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start_hour: Annotated[int, Field(ge=0, le=24, description="The first hour.")]
    end_hour: Annotated[int, Field(ge=0, le=24, description="The hour after the last hour; 24 is midnight.")]

    @model_validator(mode="after")
    def _hold_some(self) -> Self:
        if self.start_hour == self.end_hour:
            raise ValueError("start_hour and end_hour are equal, which holds no hour; leave hours out for all day.")
        return self


def _distinct(event_types: tuple[EventType, ...] | None) -> tuple[EventType, ...] | None:
    return tuple(sorted(set(event_types))) if event_types else event_types


def _subset(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"No query {value!r} is known here: name the id of one that was run, or nest its spec.")
    return value


def _or_an_id(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(1, {"type": "string"})


class OfEvents(Query):
    """Which events are looked at."""

    event_types: Annotated[
        Annotated[tuple[EventType, ...], Field(min_length=1)] | None,
        AfterValidator(_distinct),
        Field(description="The event types to look at; left out: those with two parties, calls and sms."),
    ] = None
    subscriber_subset: Annotated[
        "SubscriberQuery | None",
        BeforeValidator(_subset),
        Field(
            description="Look at these subscribers alone: a nested subscriber-level query, or the id of one.",
            json_schema_extra=_or_an_id,
        ),
    ] = None

    @property
    def types(self) -> tuple[EventType, ...]:
        """The event types to look at."""
        return self.event_types or TWO_PARTY


class AtHours(Query):
    """Which hours of the day are looked at."""

    hours: Annotated[Hours | None, Field(description="Look at these hours of each day alone; left out: all day.")] = (
        None
    )


class Sampled(Query):
    """Which sample of the subscribers is taken."""

    sampling: Annotated[
        RandomSample | None,
        Field(description="Keep a random sample of the subscribers alone; left out: everyone."),
    ] = None


class Directed(OfEvents):
    """Which side of an interaction is looked at."""

    direction: Annotated[
        Literal["in", "out", "both"], Field(description="Incoming events, outgoing ones, or both.")
    ] = "both"

    @model_validator(mode="after")
    def _has_direction(self) -> Self:
        lack = [t for t in self.types if self.direction != "both" and "outgoing" not in EVENTS[t]]
        if lack:
            raise ValueError(f"direction must be both: {' and '.join(lack)} have no direction.")
        return self


def _none_offered(value: Any) -> Any:
    if value is not None:
        raise ValueError("This deployment offers no such table; leave it out.")
    return value


_NoTable = Annotated[None, BeforeValidator(_none_offered), WithJsonSchema({"type": "null"})]


class InUnit(Query):
    """Which level locations are told by."""

    aggregation_unit: Annotated[Unit, Field(description="The level to tell locations by.")]
    mapping_table: Annotated[_NoTable, Field(description="A table of cells and units; none is offered.")] = None
    geom_table: Annotated[_NoTable, Field(description="A table of positions; none is offered.")] = None
    geom_table_join_column: Annotated[_NoTable, Field(description="A column of geom_table; none is offered.")] = None


Statistic = Literal["count", "sum", "avg", "max", "min", "median", "stddev", "variance", "mode"]
"""How the values of many subscribers become one."""
