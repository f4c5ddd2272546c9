"""Stretches of local time as days, and as conditions on events."""

import datetime as dt
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

Window = tuple[dt.datetime, dt.datetime]
"""A half-open stretch of local time."""

Span = tuple[dt.date, dt.date]
"""Days from the first to the day after the last."""


def span(window: Window) -> Span:
    """The days that a window touches."""
    start, stop = window
    return start.date(), (stop - dt.timedelta(microseconds=1)).date() + dt.timedelta(days=1)


def are_whole_days(windows: Iterable[Window]) -> bool:
    """Whether windows begin and end with a day."""
    return all(moment.time() == dt.time() for window in windows for moment in window)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same days in as few spans as there can be."""
    joined: list[Span] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return tuple(joined)


def instant(local: dt.datetime, timezone: str) -> dt.datetime:
    """The instant of a local time."""
    return local.replace(tzinfo=ZoneInfo(timezone)).astimezone(dt.UTC)


def within(events: ir.Table, window: Window, timezone: str) -> ir.BooleanValue:
    """Whether the `datetime` of events lies in a window."""
    start, stop = (ibis.literal(instant(moment, timezone), "timestamp('UTC')") for moment in window)
    return (events.datetime >= start) & (events.datetime < stop)


def within_hours(minute: ir.IntegerValue, start_hour: int, end_hour: int) -> ir.BooleanValue:
    """Whether a minute of the day lies in certain hours."""
    after, before = minute >= start_hour * 60, minute < end_hour * 60
    # Hours that wrap midnight are two slices of one calendar day, so they are joined by OR.
    return after & before if start_hour < end_hour else after | before
