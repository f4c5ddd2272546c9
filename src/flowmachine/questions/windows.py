"""Parameters of time: a window of days, consecutive periods, hours of the day."""

import datetime as dt
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema, model_validator

from flowmachine.questions.query import Query


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
"""The most periods of one question."""
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
    def _in_range(self) -> Self:
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


class AtHours(Query):
    """Which hours of the day are looked at."""

    hours: Annotated[Hours | None, Field(description="Look at these hours of each day alone; left out: all day.")] = (
        None
    )
