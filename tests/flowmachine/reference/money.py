"""How much mobile money moved."""

import datetime as dt
from collections import Counter, defaultdict
from zoneinfo import ZoneInfo

from tests.flowmachine.reference.events import answer, behind, definition, instant, places_of


def sides(query, world):
    """The parties' rows that a query looks at, with the day and place of each."""
    zone = ZoneInfo(world.timezone)
    start, stop = query.start_date, query.end_date + dt.timedelta(days=1)
    for event in world.events:
        if event.event_type != "transactions" or event.values.get(query.metric) is None:
            continue
        if not start.replace(tzinfo=zone) <= instant(event, world) < stop.replace(tzinfo=zone):
            continue
        version = event.values.get("cell_version")
        if version is None:
            places = places_of(event, world, query.aggregation_unit, query.mapping)
        else:
            named = [c for c in world.cells if c.id == event.cell and c.version == version]
            placed = [c.place(query.aggregation_unit, query.mapping) for c in named]
            places = [place for place in placed if place is not None]
        for place in places:
            yield event, (event.local.date(), *place)


@definition
def dfs_metric_total_amount(query, world):
    total = Counter()
    for event, key in sides(query, world):
        total[key] += event.values[query.metric]
    return [(*key, float(value)) for key, value in total.items()]


@behind("dfs_metric_total_amount")
def parties(query, world):
    who = defaultdict(set)
    for event, key in sides(query, world):
        who[key].add(event.subscriber)
    return who


def contributions(query, world):
    """What each person contributes to each row, the greatest first, without signs."""
    parts = defaultdict(Counter)
    if query.kind == "joined_spatial_aggregate":
        metric = dict(answer(query.metric, world))
        for subscriber, *place in answer(query.locations, world):
            if query.method == "sum" and subscriber in metric:
                parts[tuple(place)][subscriber] += metric[subscriber]
    else:
        for event, key in sides(query, world):
            parts[key][event.subscriber] += event.values[query.metric]
    return {key: sorted(map(abs, found.values()), reverse=True) for key, found in parts.items()}
