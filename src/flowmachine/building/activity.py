"""In which of several periods subscribers were active."""

import datetime as dt

import ibis
import ibis.expr.types as ir

from flowmachine.building.cdr import Cdr
from flowmachine.building.protocols import OverPeriods

DAY = 24 * 60
"""Minutes of a day on the clock."""
BITS = 62
"""The most periods that one integer holds, one bit per period; grouping on it is three times faster."""


@ibis.udf.agg.builtin(name="bit_or")
def together(bits: int) -> int:  # type: ignore[empty-body]
    """The bits that are set in any of several integers."""


def active(cdr: Cdr, query: OverPeriods) -> ir.Table:
    """The periods in which each subscriber had an event: subscriber, periods; those without one are absent.

    `periods` is a key to group by, which `period_starts` makes readable: the
    bits of an integer, or the numbers of the periods in order if there are more of them than bits.
    """
    events = _periods(cdr, query)
    if query.total_periods <= BITS:
        bit = ibis.literal(1).cast("int64") << events.period
        return events.group_by("subscriber").agg(periods=together(bit))
    events = events.distinct()
    by_subscriber = events.group_by("subscriber").agg(periods=events.period.collect())
    return by_subscriber.mutate(periods=by_subscriber.periods.sort())


def number_of_periods(cdr: Cdr, query: OverPeriods) -> ir.Table:
    """In how many periods each subscriber had an event: subscriber, value; those without one are absent."""
    if query.total_periods <= BITS:
        by_subscriber = active(cdr, query)
        return by_subscriber.select("subscriber", value=cdr.dialect.set_bits(by_subscriber.periods))
    events = _periods(cdr, query).distinct()
    return events.group_by("subscriber").agg(value=events.count())


def period_starts(periods: ir.Column, query: OverPeriods) -> ir.ArrayValue:
    """The starts of the periods of a key of `active`, in order, in local time; missing where the key is missing."""
    ((start, _),) = query.windows
    minutes = query.minutes
    if query.total_periods <= BITS:
        every = ibis.range(0, query.total_periods)
        numbers = every.filter(lambda n: (periods >> n.cast("int32")) & 1 == 1)
    else:
        numbers = periods
    starts = numbers.map(lambda n: ibis.timestamp(start) + (n.cast("int64") * minutes).as_interval("m"))
    return periods.isnull().ifelse(ibis.null(starts.type()), starts)


def _periods(cdr: Cdr, query: OverPeriods) -> ir.Table:
    """The number of the period of each event, counted from 0: subscriber, period; events in no period are left out.

    A subscriber has a row for each event, or for each visit where days are all that counts.
    """
    ((start, stop),) = query.windows
    first = dt.datetime.combine(start, dt.time())
    # Whole days are read and cut by local time: both occurrences of a repeated hour belong to its period.
    until = dt.datetime.combine(stop - dt.timedelta(minutes=1), dt.time()) + dt.timedelta(days=1)
    if start == first and query.minutes % DAY == 0:
        seen, length = cdr.visits(query, "day", windows=[(first, until)]), query.minutes // DAY
        number = days_since(seen, first)
    else:
        seen, length = cdr.events(query, "day", "minute", windows=[(first, until)]), query.minutes
        seen = seen.mutate(
            since=days_since(seen, first) * DAY + seen.minute - (start - first) // dt.timedelta(minutes=1)
        )
        if (start, stop) != (first, until):
            seen = seen.filter(seen.since >= 0, seen.since < query.total_periods * query.minutes)
        number = seen.since
    return seen.select("subscriber", period=(number // length if length > 1 else number).cast("int32"))


def days_since(rows: ir.Table, first: dt.datetime) -> ir.IntegerValue:
    """How many days after another a row's day is."""
    return rows.day.delta(ibis.date(first.date()), unit="day")
