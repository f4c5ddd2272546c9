"""Date stencils: the days that a workflow needs, as a pattern around a reference date."""

import datetime as dt
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

Edge = dt.date | int
Interval = tuple[dt.date, dt.date]

FURTHEST = 36500
"""The most days from the reference date that a stencil may reach: a century."""


def days_of(ranges: Iterable[Interval]) -> list[dt.date]:
    """Give every day of pairs (first day, day after the last), in order, each once."""
    return sorted({start + dt.timedelta(days=n) for start, end in ranges for n in range((end - start).days)})


class Days(Sequence[dt.date]):
    """Available days, in order, each once; built once for many dates."""

    def __init__(self, days: Iterable[dt.date] = ()) -> None:
        self._days = sorted(set(days))

    def __len__(self) -> int:
        return len(self._days)

    @overload
    def __getitem__(self, index: int) -> dt.date: ...
    @overload
    def __getitem__(self, index: slice) -> list[dt.date]: ...
    def __getitem__(self, index: int | slice) -> dt.date | list[dt.date]:
        return self._days[index]

    def __iter__(self) -> Iterator[dt.date]:
        return iter(self._days)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, dt.date) and self.have(day, day + dt.timedelta(days=1))

    def have(self, start: dt.date, end: dt.date) -> bool:
        """Whether every day from `start` to the one before `end` is available."""
        return bisect_left(self._days, end) - bisect_left(self._days, start) == (end - start).days


def missing_of(ranges: Sequence[Interval], available: Iterable[dt.date]) -> list[dt.date]:
    """Give the days of pairs (first day, day after the last) that are not available, in order."""
    present = available if isinstance(available, Days) else Days(available)
    lacking = [pair for pair in ranges if not present.have(*pair)]
    return sorted(set(days_of(lacking)).difference(present)) if lacking else []


class InvalidDateIntervalError(ValueError):
    """An interval of a date stencil ends before, or on, the day on which it starts."""


def _edge(value: Any) -> Edge:
    # bool is an int and datetime a date for Python; neither is meant by anyone who writes a stencil.
    if isinstance(value, (bool, dt.datetime)) or not isinstance(value, (int, dt.date)):
        raise TypeError(
            f"{value!r} is neither a date (2016-01-01) nor a whole number of days from the reference date (-1)"
        )
    if isinstance(value, int) and abs(value) > FURTHEST:
        raise ValueError(f"{value} days from the reference date is more than a century away")
    return value


def _interval(element: Any) -> tuple[Edge, Edge]:
    if isinstance(element, Sequence) and not isinstance(element, (str, bytes)):
        if len(element) != 2:
            raise ValueError(
                f"an interval is a pair [first day, day after the last], but {len(element)} values are given"
            )
        start, end = _edge(element[0]), _edge(element[1])
        if type(start) is type(end) and end <= start:  # pyright: ignore[reportOperatorIssue]
            raise InvalidDateIntervalError(
                f"the interval [{start}, {end}] is empty: its end, which is not part of it, must come after its start"
            )
        return start, end
    day = _edge(element)
    return day, day + 1 if isinstance(day, int) else day + dt.timedelta(days=1)


def _day(edge: Edge, reference_date: dt.date) -> dt.date:
    return reference_date + dt.timedelta(days=edge) if isinstance(edge, int) else edge


class DateStencil:
    """A pattern of days relative to a reference date.

    Each element of `elements` is a date, a whole number of days from the reference date, or a pair
    [first day, day after the last] of these. Raises TypeError for anything else, ValueError for a pair
    that is not one, and InvalidDateIntervalError for a pair of two dates or two offsets that is empty.
    """

    def __init__(self, elements: Sequence[Any]) -> None:
        if isinstance(elements, (str, bytes)) or not isinstance(elements, Sequence):
            raise TypeError(
                f"a date stencil is a list of dates, offsets and pairs of these, such as [[-2, 0], 0], not {elements!r}"
            )
        self._intervals = tuple(_interval(element) for element in elements)

    def date_ranges(self, reference_date: dt.date) -> list[Interval]:
        """Give the pairs (first day, day after the last) for a reference date, in the stencil's order.

        Raises InvalidDateIntervalError where a date mixed with an offset makes an empty interval.
        """
        if isinstance(reference_date, dt.datetime) or not isinstance(reference_date, dt.date):
            raise TypeError(f"the reference date {reference_date!r} is not a date")
        ranges = [(_day(start, reference_date), _day(end, reference_date)) for start, end in self._intervals]
        for start, end in ranges:
            if end <= start:
                raise InvalidDateIntervalError(
                    f"for reference date {reference_date} the interval [{start}, {end}] is empty"
                )
        return ranges

    def days(self, reference_date: dt.date) -> set[dt.date]:
        """Give every day that must be available for a reference date."""
        return {
            start + dt.timedelta(days=n)
            for start, end in self.date_ranges(reference_date)
            for n in range((end - start).days)
        }

    def missing(self, reference_date: dt.date, available: Iterable[dt.date]) -> list[dt.date]:
        """Give the days of the stencil that are not available, in order."""
        return missing_of(self.date_ranges(reference_date), available)

    def is_available(self, reference_date: dt.date, available: Iterable[dt.date]) -> bool:
        """Whether every day of the stencil is available; an interval that is empty for the date is not."""
        try:
            return not self.missing(reference_date, available)
        except InvalidDateIntervalError:
            return False

    def __eq__(self, other: object) -> bool:
        return self._intervals == other._intervals if isinstance(other, DateStencil) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._intervals)

    def __repr__(self) -> str:
        return f"DateStencil({[list(interval) for interval in self._intervals]!r})"
