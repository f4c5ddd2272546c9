"""Local time and UTC in SQL, as the tz database has them.

A local time that occurs twice, when clocks go back, is the first of the two; one that never occurs, when they go
forward, is taken as much later as the clocks jump. Python's zoneinfo decides the same with fold=0.
"""

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise

from flowkit_base.zones import offsets

EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)
"""No delivered event is older."""

_SECOND = 1_000_000
_DAY = 86_400


def _changes(timezone: str, until: dt.date) -> tuple[tuple[int, int], ...]:
    """The offsets that a zone has in delivered data: (instant from which it holds, seconds), oldest first."""
    stop = dt.datetime(until.year, until.month, until.day, tzinfo=dt.UTC)
    return offsets(timezone, int(EARLIEST.timestamp()) - _DAY, int(stop.timestamp()) + 3 * _DAY)


def offset_at_instant(timezone: str, until: dt.date, micros: str) -> str:
    """The SQL expression of the offset, in microseconds, at an instant in microseconds since 1970."""
    return _stepwise(_changes(timezone, until), micros)


def offset_at_local(timezone: str, until: dt.date, micros: str) -> str:
    """The SQL expression of the offset, in microseconds, at a local time in microseconds since 1970's local start."""
    known = _changes(timezone, until)
    steps = [(known[0][0], known[0][1])]
    for (_, before), (second, after) in pairwise(known):
        # Up to the later of the two wall times the old offset holds: times that occur twice are the first,
        # skipped ones move forward.
        steps.append((second + max(before, after), after))
    return _stepwise(steps, micros)


def _stepwise(steps: Sequence[tuple[int, int]], micros: str) -> str:
    first = steps[0][1] * _SECOND
    later = "".join(
        f" WHEN {micros} >= {since * _SECOND} THEN {offset * _SECOND}" for since, offset in reversed(steps[1:])
    )
    return f"(CASE{later} ELSE {first} END)" if later else f"({first})"
