"""From what is easy to write in Python to what a query spec holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

QuerySpec: TypeAlias = dict[str, Any]
Date: TypeAlias = date | str
Hours: TypeAlias = tuple[int, int] | Sequence[int] | Mapping[str, int]
Bins: TypeAlias = int | Sequence[float] | Mapping[str, Any]
Bounds: TypeAlias = tuple[float, float] | Sequence[float] | Mapping[str, float]


def day(value: Date | None) -> str | None:
    """Return a date as ISO text; text is left as it is."""
    return value.isoformat() if isinstance(value, date) else value


def hour_range(hours: Hours | None) -> dict[str, int] | None:
    """Return a pair of hours as `{"start_hour": …, "end_hour": …}`."""
    return _named("hours", hours, "start_hour", "end_hour")


def histogram_bins(bins: Bins) -> dict[str, Any]:
    """Return a number of bins as `{"n_bins": …}`, and a list of bin edges as `{"bin_list": […]}`."""
    if isinstance(bins, Mapping):
        return dict(bins)
    return {"n_bins": bins} if isinstance(bins, int) else {"bin_list": list(bins)}


def bounds(range: Bounds | None) -> dict[str, float] | None:  # noqa: A002  # the parameter's public name
    """Return a pair of numbers as `{"lower_bound": …, "upper_bound": …}`."""
    return _named("range", range, "lower_bound", "upper_bound")


def interval_name(interval: str) -> str:
    """Return the server's name of an interval, which calls a minute `min`."""
    return "min" if interval == "minute" else interval


def given(**parameters: Any) -> dict[str, Any]:
    """Return the parameters that are not None: those that a spec leaves out otherwise."""
    return {name: value for name, value in parameters.items() if value is not None}


def days(start_date: Date, end_date: Date) -> Iterator[str]:
    """Return each day from `start_date` up to, not including, `end_date`, as ISO dates.

    Raises `ValueError` for text that is no date, and for a range that holds no day.
    """
    start, end = _moment("start_date", start_date), _moment("end_date", end_date)
    if start >= end:
        raise ValueError(
            f"No day lies between start_date {day(start_date)} and end_date {day(end_date)}: "
            "end_date is the day after the last one, so it must be later than start_date."
        )
    # A day counts when its own start, at start_date's hour, lies before the end.
    number = -((start - end) // timedelta(days=1))
    return ((start + timedelta(days=i)).date().isoformat() for i in range(number))


def _moment(name: str, value: Date) -> datetime:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else value.isoformat())
    except ValueError:
        raise ValueError(f"{name}: {value!r} is not a date; write it like 2016-01-31.") from None
    return moment.replace(tzinfo=None)


def _named(
    parameter: str, pair: Sequence[Any] | Mapping[str, Any] | None, first: str, second: str
) -> dict[str, Any] | None:
    if pair is None:
        return None
    if isinstance(pair, Mapping):
        return dict(pair)
    if isinstance(pair, str) or len(pair) != 2:
        raise ValueError(f"{parameter}: {pair!r} is not a pair; give two values, ({first}, {second}).")
    return {first: pair[0], second: pair[1]}
