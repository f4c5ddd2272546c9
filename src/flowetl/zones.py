"""Local time and UTC in SQL, as the tz database has them.

A local time that occurs twice, when clocks go back, is the first of the two; one that never occurs, when they go
forward, is taken as much later as the clocks jump. Python's zoneinfo decides the same with fold=0.
"""

import datetime as dt
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
"""No delivered event is older."""

_SECOND = 1_000_000


@cache
def changes(timezone: str, until: dt.date) -> tuple[tuple[int, int], ...]:
    """The offsets of a zone: (first instant, offset), in seconds since 1970 and seconds, oldest first."""
    zone = ZoneInfo(timezone)

    def offset(second: int) -> int:
        return int(dt.datetime.fromtimestamp(second, zone).utcoffset().total_seconds())  # pyright: ignore[reportOptionalMemberAccess]

    start = int(EARLIEST.timestamp()) - 86400
    stop = int(dt.datetime(until.year, until.month, until.day, tzinfo=dt.UTC).timestamp()) + 3 * 86400
    found = [(start, offset(start))]
    for second in range(start, stop, 86400):
        low, high = second, second + 86400
        if offset(low) == offset(high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
        found.append((high, offset(high)))
    return tuple(found)


def offset_at_instant(timezone: str, until: dt.date, micros: str) -> str:
    """The SQL expression of the offset, in microseconds, at an instant in microseconds since 1970."""
    steps = [(second, offset) for second, offset in changes(timezone, until)]
    return _stepwise(steps, micros)


def offset_at_local(timezone: str, until: dt.date, micros: str) -> str:
    """The SQL expression of the offset, in microseconds, at a local time in microseconds since 1970's local start."""
    known = changes(timezone, until)
    steps = [(known[0][0], known[0][1])]
    for (_, before), (second, after) in pairwise(known):
        # Up to the later of the two wall times the old offset holds: twice-told times are the first,
        # skipped ones move forward.
        steps.append((second + max(before, after), after))
    return _stepwise(steps, micros)


def _stepwise(steps: list[tuple[int, int]], micros: str) -> str:
    first = steps[0][1] * _SECOND
    later = "".join(
        f" WHEN {micros} >= {since * _SECOND} THEN {offset * _SECOND}" for since, offset in reversed(steps[1:])
    )
    return f"(CASE{later} ELSE {first} END)" if later else f"({first})"
