"""Time zones: offsets from UTC over a span of time, and the bounds of a local day."""

import datetime as dt
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAY = 86_400


def is_zone(name: str) -> bool:
    """Whether the tz database has a zone of this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@cache
def offsets(zone: str, first: int, stop: int) -> tuple[tuple[int, int], ...]:
    """The offsets of a zone in [first, stop], seconds since 1970: (instant from which it holds, seconds), in order."""
    tz = ZoneInfo(zone)

    def offset(second: int) -> int:
        local = dt.datetime.fromtimestamp(second, tz).utcoffset()
        return int(local.total_seconds()) if local is not None else 0

    steps = [(first, offset(first))]
    for begin, end in pairwise([*range(first, stop, _DAY), stop]):
        low, high, before = begin, end, offset(begin)
        if offset(end) == before:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == before else (low, middle)
        steps.append((high, offset(high)))
    return tuple(steps)


def day_bounds(zone: str, day: dt.date) -> tuple[dt.datetime, dt.datetime]:
    """The first instant of a local day and that of the next day, in UTC.

    Where the clocks go forward at midnight, the day begins when they show its first existing time; where they go back
    over midnight, it begins the first time that they show midnight.
    """
    tz = ZoneInfo(zone)
    first, following = (
        dt.datetime.combine(each, dt.time(), tz).astimezone(dt.UTC) for each in (day, day + dt.timedelta(days=1))
    )
    return first, following
