"""Blocks of parameters that many kinds share."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

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

from flowdb.tables import EVENTS, is_column_name, is_table_name, mapping_key
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


MOST_PERIODS = 100_000
"""The most periods that one question is asked of."""
LONGEST = dt.timedelta(days=36_525)
"""The longest time that periods may span together: a hundred years."""
LATEST = 9899
"""The year before which periods begin, so that the calendar does not end before they do."""


class Periods(Query):
    """Consecutive periods of equal length, in local wall-clock time."""

    start_date: Annotated[Moment, Field(description="When the first period begins, to the minute.")]
    total_periods: Annotated[int, Field(ge=1, le=MOST_PERIODS, description="How many periods there are.")]
    period_length: Annotated[int, Field(ge=1, description="How many units long a period is.")] = 1
    period_unit: Annotated[
        Literal["days", "hours", "minutes"], Field(description="What period_length is counted in.")
    ] = "days"

    @model_validator(mode="after")
    def _can_be_told(self) -> Self:
        if self.start_date.second:
            raise ValueError(f"start_date ({_written(self.start_date)}) must be a whole minute.")
        units = self.total_periods * self.period_length
        if units > LONGEST // dt.timedelta(**{self.period_unit: 1}) or self.start_date.year >= LATEST:
            raise ValueError(
                f"{units:,} {self.period_unit} from {_written(self.start_date)} reach too far: "
                f"periods may span a hundred years, and begin before the year {LATEST}."
            )
        return self

    @property
    def minutes(self) -> int:
        """How many minutes long a period is."""
        return dt.timedelta(**{self.period_unit: self.period_length}) // dt.timedelta(minutes=1)

    @property
    def windows(self) -> tuple[tuple[dt.datetime, dt.datetime], ...]:
        """The half-open stretch of local time that the periods are of."""
        return ((self.start_date, self.start_date + self.total_periods * dt.timedelta(minutes=self.minutes)),)


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


class OfSubset(Query):
    """Which subscribers are looked at."""

    subscriber_subset: Annotated[
        "SubscriberQuery | None",
        BeforeValidator(_subset),
        Field(
            description="Look at these subscribers alone: a nested subscriber-level query, or the id of one.",
            json_schema_extra=_or_an_id,
        ),
    ] = None


class OfTypes(Query):
    """Which types of events are looked at."""

    event_types: Annotated[
        Annotated[tuple[EventType, ...], Field(min_length=1)] | None,
        AfterValidator(_distinct),
        Field(description="The event types to look at; left out: those with two parties, calls and sms."),
    ] = None

    @property
    def types(self) -> tuple[EventType, ...]:
        """The event types to look at."""
        return self.event_types or TWO_PARTY

    @property
    def needs(self) -> Mapping[str, str]:
        """The columns that not every event type has, and what to tell whoever asks of `{types}` without one."""
        return {}

    @model_validator(mode="after")
    def _have_what_is_needed(self) -> Self:
        for column, sentence in self.needs.items():
            lack = [t for t in self.types if column not in EVENTS[t]]
            if lack:
                raise ValueError(sentence.format(types=" and ".join(lack)))
        return self


class OfEvents(OfSubset, OfTypes):
    """Which events are looked at."""


class OfTopups(OfSubset):
    """Recharges are looked at."""

    @property
    def types(self) -> tuple[EventType, ...]:
        """The one event type to look at."""
        return ("topups",)


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

    @property
    def needs(self) -> Mapping[str, str]:
        """A direction, where one is asked for."""
        asked = {"outgoing": "direction must be both: {types} have no direction."} if self.direction != "both" else {}
        return {**super().needs, **asked}


class Contacts(OfEvents):
    """Events with another party are looked at."""

    @property
    def needs(self) -> Mapping[str, str]:
        """A counterpart."""
        asked = {"msisdn_counterpart": "Leave {types} out of event_types: they have no counterpart."}
        return {**super().needs, **asked}


def _table_name(value: str) -> str:
    if not is_table_name(value):
        raise ValueError(f"It is {value!r}. Tables are named as schema.table, such as geography.cells_by_hand.")
    return value


def _column_name(value: str) -> str:
    if not is_column_name(value):
        raise ValueError(f"It is {value!r}, which cannot name a column.")
    return value


_TableName = Annotated[str, AfterValidator(_table_name)]
_ColumnName = Annotated[str, AfterValidator(_column_name)]


class ByUnit(Query):
    """Which level locations are told by; cells are where they stand."""

    anywhere: ClassVar[bool] = False
    """True of a kind that takes any unit, whether the store has it or not, as it looks at no place."""

    aggregation_unit: Annotated[Unit, Field(description="The level to tell locations by.")]

    @property
    def mapping(self) -> str | None:
        """How cells are placed, as `cell_units.mapping` has it; None for by their own position."""
        return None


class InUnit(ByUnit):
    """Which level locations are told by, and which table says where cells are."""

    mapping_table: Annotated[
        _TableName | None,
        Field(
            description="A table of the deployment's that says which unit each cell belongs to; left out: the one that "
            "it stands in. Cells that are not in the table are left out."
        ),
    ] = None
    geom_table: Annotated[
        _TableName | None,
        Field(
            description="With lon-lat, a table of the deployment's that says where cells stand; left out: where the "
            "network's own table says. Other units do not look at it."
        ),
    ] = None
    geom_table_join_column: Annotated[
        _ColumnName | None,
        Field(
            description="The column of geom_table that names cells, or that is also a column of mapping_table; left "
            "out: id."
        ),
    ] = None

    @property
    def mapping(self) -> str | None:
        """How cells are placed, as `cell_units.mapping` has it; None for by their own position."""
        if self.aggregation_unit != "lon-lat":
            return self.mapping_table
        return mapping_key(self.mapping_table, self.geom_table, self.geom_table_join_column)


def require_one_unit(what: str, units: Iterable[str | None]) -> None:
    """Raise ValueError where nested queries tell locations by different units."""
    found = list(dict.fromkeys(map(str, units)))
    if len(found) > 1:
        raise ValueError(f"{what} must be in one unit, not in {' and '.join(found)}.")


Statistic = Literal["count", "sum", "avg", "max", "min", "median", "stddev", "variance", "mode"]
"""How the values of many subscribers become one."""
