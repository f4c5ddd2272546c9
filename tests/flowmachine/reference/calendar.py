"""In which of several periods subscribers were active."""

import datetime as dt
from collections import defaultdict

from tests.flowmachine.reference.events import answer, behind, definition, events, sample


def periods(query, world):
    """The starts of the periods in which each subscriber had an event, by the clock on the wall, in order."""
    length = dt.timedelta(**{query.period_unit: query.period_length})
    starts = [query.start_date + n * length for n in range(query.total_periods)]
    found = defaultdict(set)
    for event in events(query, world):
        for start in starts:
            if start <= event.local < start + length:
                found[event.subscriber].add(start)
    return {subscriber: tuple(sorted(active)) for subscriber, active in found.items()}


@definition
def total_active_periods(query, world):
    return [(subscriber, len(active)) for subscriber, active in periods(query, world).items()]


def by_calendar(query, world):
    active = periods(query, world)
    kept = active if query.sampling is None else sample(set(active), query.sampling)
    who = defaultdict(set)
    for subscriber in kept:
        who[(active[subscriber],)].add(subscriber)
    return who


@definition
def calendar_activity(query, world):
    return [(*key, len(who)) for key, who in by_calendar(query, world).items()]


behind("calendar_activity")(by_calendar)


def by_place(query, world):
    active = periods(query, world)
    homes = {subscriber: place for subscriber, *place in answer(query.reference_location, world)}
    kept = homes if query.sampling is None else sample(set(homes), query.sampling)
    who = defaultdict(set)
    for subscriber in kept:
        who[(*homes[subscriber], active.get(subscriber))].add(subscriber)
    return who


@definition
def localised_calendar_activity(query, world):
    return [(*key, len(who)) for key, who in by_place(query, world).items()]


behind("localised_calendar_activity")(by_place)
