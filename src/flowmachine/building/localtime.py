"""Where local seconds, hours, days and years begin, as plain arithmetic, the same on every engine.

The offsets of a zone are looked up while a plan is built: a window has few of them, however long it is, so they become
a few steps in its expression. A local hour that occurs twice, when clocks go back, is two hours. A day begins at its
first instant: at the first of two midnights, or at the jump where clocks jump over midnight.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import Literal
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

TimeUnit = Literal["second", "minute", "hour", "day", "month", "year", "century"]
"""The units of local time, the finest first."""

SECONDS: dict[str, int] = {"second": 1, "minute": 60, "hour": 3600}
"""The units that are stretches of time, in seconds; those from the day on are of the calendar."""

_MICRO = 1_000_000
_EPOCH = dt.date(1970, 1, 1)
_EVER = -(2**62)
"""Before every instant."""

Window = tuple[dt.datetime, dt.datetime]
"""A half-open stretch of local time."""


def stretch(instant: ir.IntegerValue, unit: TimeUnit, zone: str, windows: Sequence[Window]) -> ir.IntegerValue:
    """The beginning of the second, minute or hour that each instant of `windows` lies in; both in µs since 1970.

    The beginning lies in the same stretch, so that the beginning of a beginning is itself.
    """
    size = SECONDS[unit] * _MICRO
    steps = _offsets(zone, windows)
    if all(offset % SECONDS[unit] == 0 for _, offset in steps):
        return instant - instant % size
    local = instant + _stepped(instant, [(second * _MICRO, offset * _MICRO) for second, offset in steps])
    (_, *changes) = [second * _MICRO for second, _ in steps]
    begun = instant - local % size
    # Clocks that are changed by part of an hour end one hour and begin another, which is shorter.
    return ibis.greatest(begun, _stepped(instant, [(0, _EVER), *((change, change) for change in changes)]))


def is_steady(zone: str, windows: Sequence[Window]) -> bool:
    """Whether clocks are never changed during `windows`, so that day and minute of the day tell an instant."""
    return len(_offsets(zone, windows)) == 1


def calendar(day: ir.DateValue, unit: TimeUnit) -> ir.DateValue:
    """The first day of the day, month, year or century that each day lies in; the 21st century began in 2001."""
    match unit:
        case "month":
            return ibis.date(day.year(), day.month(), 1)
        case "year":
            return ibis.date(day.year(), 1, 1)
        case "century":
            return ibis.date((day.year() - 1) // 100 * 100 + 1, 1, 1)
        case _:
            return day


def first_instant(day: ir.DateValue, unit: TimeUnit, zone: str, windows: Sequence[Window]) -> ir.IntegerValue:
    """The first instant of each day, in µs since 1970; the days are those that `calendar` gives of `windows`."""
    days = sorted({_begun(d, unit) for start, stop in windows for d in _days(start.date(), stop.date())})
    steps = [(d, _offset(dt.datetime.combine(d, dt.time()), zone)) for d in days]
    number = day.delta(ibis.date(str(_EPOCH)), unit="day").cast("int64")
    return (number * 86_400 - _stepped(day, [(ibis.date(str(d)), offset) for d, offset in _changes(steps)])) * _MICRO


def _begun(day: dt.date, unit: TimeUnit) -> dt.date:
    match unit:
        case "month":
            return day.replace(day=1)
        case "year":
            return dt.date(day.year, 1, 1)
        case "century":
            return dt.date((day.year - 1) // 100 * 100 + 1, 1, 1)
        case _:
            return day


def _days(first: dt.date, last: dt.date) -> Iterable[dt.date]:
    return (first + dt.timedelta(days=n) for n in range((last - first).days + 1))


def _offset(local: dt.datetime, zone: str) -> int:
    offset = local.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _offsets(zone: str, windows: Sequence[Window]) -> list[tuple[int, int]]:
    """The offsets that a zone has during `windows`: the second since 1970 that each begins at, and its seconds."""
    first = min(_second(start, zone) for start, _ in windows)
    stop = max(_second(stop, zone) for _, stop in windows)

    def offset(second: int) -> int:
        offset_then = dt.datetime.fromtimestamp(second, ZoneInfo(zone)).utcoffset()
        return int(offset_then.total_seconds()) if offset_then is not None else 0

    steps = [(first, offset(first))]
    for begin, end in pairwise([*range(first, stop, 86_400), stop]):
        before, (low, high) = offset(begin), (begin, end)
        if offset(end) == before:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        steps.append((high, offset(high)))
    return steps


def _second(local: dt.datetime, zone: str) -> int:
    return int(local.replace(tzinfo=ZoneInfo(zone)).timestamp())


def _changes(steps: Sequence[tuple[dt.date, int]]) -> list[tuple[dt.date, int]]:
    """Of steps, those at which the offset becomes another."""
    return [next(same) for _, same in groupby(steps, key=lambda step: step[1])]


def _stepped(value: ir.Value, steps: Sequence[tuple[ir.Value | int, int]]) -> ir.IntegerValue:
    """The offset of the last step that a value has reached; before the first step, that of the first."""
    (_, first), *later = steps
    if not later:
        return ibis.literal(first, "int64")
    cases = [(value >= since, ibis.literal(offset, "int64")) for since, offset in reversed(later)]
    return ibis.cases(*cases, else_=ibis.literal(first, "int64"))
