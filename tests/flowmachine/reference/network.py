"""How many cells were in use at each place, and what clients are tested with."""

import datetime as dt
from collections import defaultdict
from zoneinfo import ZoneInfo

from tests.flowmachine.reference.events import behind, definition, instant, located
from tests.flowmachine.reference.metrics import STATISTICS


def begun(event, unit, world):
    """The instant at which the local second, hour, day, ... of an event began."""
    moment, zone = instant(event, world), ZoneInfo(world.timezone)
    wall = moment.astimezone(zone)
    since = {
        "second": wall.microsecond,
        "minute": wall.microsecond + wall.second * 1_000_000,
        "hour": wall.microsecond + (wall.minute * 60 + wall.second) * 1_000_000,
    }
    if unit in since:
        begun = moment - dt.timedelta(microseconds=since[unit])
        # Where clocks are changed by part of an hour, that hour begins with the new clock, minute by minute back.
        while begun.astimezone(zone).utcoffset() != wall.utcoffset():
            begun += dt.timedelta(minutes=1)
        return begun
    first = {
        "day": wall.date(),
        "month": wall.date().replace(day=1),
        "year": dt.date(wall.year, 1, 1),
        "century": dt.date((wall.year - 1) // 100 * 100 + 1, 1, 1),
    }
    return dt.datetime.combine(first[unit], dt.time(), zone).astimezone(dt.UTC)


@definition
def total_network_objects(query, world):
    cells = defaultdict(set)
    for event, place in located(query, world):
        cells[place, begun(event, query.total_by, world)].add(event.cell)
    return [(*place, len(found), moment) for (place, moment), found in cells.items()]


@behind("total_network_objects")
def at_the_cells(query, world):
    who = defaultdict(set)
    for event, place in located(query, world):
        who[(*place, begun(event, query.total_by, world))].add(event.subscriber)
    return who


@definition
def aggregate_network_objects(query, world):
    total = query.total_network_objects
    cells = defaultdict(set)
    for event, place in located(total, world):
        longer = begun(event, query.aggregate_by, world)
        cells[place, longer, begun(event, total.total_by, world)].add(event.cell)
    numbers = defaultdict(list)
    for (place, longer, _), found in cells.items():
        numbers[place, longer].append(len(found))
    return [(*place, STATISTICS[query.statistic](found), moment) for (place, moment), found in numbers.items()]


@behind("aggregate_network_objects")
def at_the_cells_for_longer(query, world):
    who = defaultdict(set)
    for event, place in located(query.total_network_objects, world):
        who[(*place, begun(event, query.aggregate_by, world))].add(event.subscriber)
    return who


@definition
def dummy_query(query, world):
    return [(query.dummy_param,)]
