"""What every definition starts from: the events that a query looks at, where they were, and the registry."""

import datetime as dt
import hashlib
import json
import math
from zoneinfo import ZoneInfo

KINDS = {}
"""The definition of each kind: a function of a query and a world that gives its rows."""
PEOPLE = {}
"""Who is behind each row of an aggregate: a function of a query and a world that gives sets, by the row's key."""


def definition(function):
    """Enter a function as the definition of the kind of its name."""
    KINDS[function.__name__] = function
    return function


def behind(kind):
    """Enter a function as what tells who is behind each row of a kind, by the row without its value."""

    def enter(function):
        PEOPLE[kind] = function
        return function

    return enter


def answer(query, world):
    """The rows of a query, sorted by all but their value; what is missing comes last."""
    keys = [i for i, name in enumerate(query.result_columns) if name != "value"]
    found = sampled(KINDS[query.kind](query, world), query)
    return sorted(found, key=lambda row: [(row[i] is None, "" if row[i] is None else row[i]) for i in keys])


def people(query, world):
    """How many different subscribers stand behind each row, by the row without its value."""
    return {key: len(found) for key, found in PEOPLE[query.kind](query, world).items()}


def sampled(rows, query):
    """The rows of the subscribers that a query's sample holds; an aggregate samples by itself."""
    sampling = getattr(query, "sampling", None)
    if sampling is None or query.role == "Aggregate":
        return rows
    chosen = sample({row[0] for row in rows}, sampling)
    return [row for row in rows if row[0] in chosen]


def sample(subscribers, sampling):
    """The subscribers of a sample: those whose digest with method and seed is least."""
    salt = json.dumps([sampling.sampling_method, sampling.seed])
    draw = {s: hashlib.md5(f"{salt}{s}".encode()).hexdigest()[:13] for s in subscribers}
    if sampling.fraction is not None and sampling.sampling_method != "random_ids":
        return {s for s in subscribers if int(draw[s], 16) < int(sampling.fraction * 16**13)}
    most = sampling.size or math.floor(len(subscribers) * sampling.fraction)
    return set(sorted(subscribers, key=lambda s: (draw[s], s))[:most])


def instant(event, world):
    return event.local.replace(tzinfo=ZoneInfo(world.timezone)).astimezone(dt.UTC)


def windows(query):
    if query.kind == "daily_location":
        return [(query.date, query.date + dt.timedelta(days=1))]
    if hasattr(query, "total_periods"):
        # Periods are cut by the clock on the wall, which may tell an hour twice: here is all that may be in one.
        span = query.total_periods * dt.timedelta(**{query.period_unit: query.period_length})
        return [(query.start_date - dt.timedelta(days=1), query.start_date + span + dt.timedelta(days=1))]
    return [(query.start_date, query.end_date)]


def events(query, world):
    """The events that a query looks at."""
    kept = []
    subset = None
    if query.subscriber_subset is not None:
        subset = {row[0] for row in answer(query.subscriber_subset, world)}
    hours = getattr(query, "hours", None)
    direction = getattr(query, "direction", "both")
    topups = query.kind in ("topup_amount", "topup_balance")
    types = ("topups",) if topups else query.event_types or ("calls", "sms")
    for event in world.events:
        if event.event_type not in types:
            continue
        moment = instant(event, world)
        zone = ZoneInfo(world.timezone)
        if not any(a.replace(tzinfo=zone) <= moment < b.replace(tzinfo=zone) for a, b in windows(query)):
            continue
        if hours is not None:
            hour = event.local.hour
            if hours.start_hour < hours.end_hour:
                if not hours.start_hour <= hour < hours.end_hour:
                    continue
            elif not (hour >= hours.start_hour or hour < hours.end_hour):
                continue
        if direction != "both" and event.outgoing is not (direction == "out"):
            continue
        if subset is not None and event.subscriber not in subset:
            continue
        kept.append(event)
    return kept


def places_of(event, world, unit, mapping=None):
    """The place of an event's cell on its day; none where the cell is unknown, out of service or in no unit."""
    found = [
        cell.place(unit, mapping)
        for cell in world.cells
        if cell.id == event.cell and cell.first_day <= event.local.date() <= cell.last_day
    ]
    return [place for place in found if place is not None]


def located(query, world, unit=None):
    return [
        (event, place)
        for event in events(query, world)
        for place in places_of(event, world, unit or query.aggregation_unit, None if unit else query.mapping)
    ]
