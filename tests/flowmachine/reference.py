"""Every query kind once more, in loops and dicts: slow, plain, and readable as its definition.

Each function takes a query (a `flowmachine` object, read for its parameters alone) and a `World`, and gives the rows
that the kind means, unreleased; `people` gives how many subscribers stand behind each row.
"""

import datetime as dt
import math
import statistics
from collections import Counter, defaultdict
from itertools import pairwise
from zoneinfo import ZoneInfo

from pyproj import Geod

GEOD = Geod(ellps="WGS84")


def answer(query, world):
    """The rows of a query, sorted by all but their value; what is missing comes last."""
    keys = [i for i, name in enumerate(query.result_columns) if name != "value"]
    found = KINDS[query.kind](query, world)
    return sorted(found, key=lambda row: [(row[i] is None, "" if row[i] is None else row[i]) for i in keys])


def instant(event, world):
    return event.local.replace(tzinfo=ZoneInfo(world.timezone)).astimezone(dt.UTC)


def windows(query):
    if query.kind == "daily_location":
        return [(query.date, query.date + dt.timedelta(days=1))]
    return [(query.start_date, query.end_date)]


def events(query, world):
    """The events that a query looks at."""
    kept = []
    subset = None
    if query.subscriber_subset is not None:
        subset = {row[0] for row in answer(query.subscriber_subset, world)}
    hours = getattr(query, "hours", None)
    direction = getattr(query, "direction", "both")
    for event in world.events:
        if event.event_type not in (query.event_types or ("calls", "sms")):
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


def places_of(event, world, unit):
    """The place of an event's cell on its day; none where the cell is unknown, out of service or in no unit."""
    found = []
    for cell in world.cells:
        if cell.id == event.cell and cell.first_day <= event.local.date() <= cell.last_day:
            if unit == "lon-lat":
                found.append((cell.lon, cell.lat))
            elif unit in cell.pcods:
                found.append((cell.pcods[unit],))
    return found


def located(query, world, unit=None):
    return [
        (event, place)
        for event in events(query, world)
        for place in places_of(event, world, unit or query.aggregation_unit)
    ]


def daily_location(query, world):
    seen = defaultdict(list)
    for event, place in located(query, world):
        seen[event.subscriber].append((instant(event, world), place))
    if query.method == "last":
        return [(subscriber, *max(visits)[1]) for subscriber, visits in seen.items()]
    return [(subscriber, *most_common(visits)) for subscriber, visits in seen.items()]


def most_common(visits):
    """The place of most visits; of equals the latest, then the greatest code."""
    counts, latest = Counter(), {}
    for moment, place in visits:
        counts[place] += 1
        latest[place] = max(moment, latest.get(place, moment))
    return max(counts, key=lambda place: (counts[place], latest[place], place))


def most_frequent_location(query, world):
    seen = defaultdict(list)
    for event, place in located(query, world):
        seen[event.subscriber].append((instant(event, world), place))
    return [(subscriber, *most_common(visits)) for subscriber, visits in seen.items()]


def modal_location(query, world):
    days = defaultdict(list)
    for location in query.locations:
        for subscriber, *place in daily_location(location, world):
            days[subscriber].append((location.date.date(), tuple(place)))
    rows = []
    for subscriber, visits in days.items():
        counts, latest = Counter(), {}
        for day, place in visits:
            counts[place] += 1
            latest[place] = max(day, latest.get(place, day))
        rows.append((subscriber, *max(counts, key=lambda place: (counts[place], latest[place], place))))
    return rows


def unique_locations(query, world):
    return sorted({(event.subscriber, *place) for event, place in located(query, world)})


def unique_subscriber_counts(query, world):
    people = defaultdict(set)
    for event, place in located(query, world):
        people[place].add(event.subscriber)
    return [(*place, len(who)) for place, who in people.items()]


def spatial_aggregate(query, world):
    counts = Counter(tuple(place) for _, *place in answer(query.locations, world))
    return [(*place, n) for place, n in counts.items()]


def moves(query, world):
    before, after = defaultdict(list), defaultdict(list)
    for subscriber, *place in answer(query.from_location, world):
        before[subscriber].append(tuple(place))
    for subscriber, *place in answer(query.to_location, world):
        after[subscriber].append(tuple(place))
    nowhere = (None, None) if query.unit == "lon-lat" else (None,)
    join = query.join_type
    found = []
    for subscriber in before.keys() | after.keys():
        if subscriber not in before and not join.startswith(("right", "full")):
            continue
        if subscriber not in after and not join.startswith(("left", "full")):
            continue
        for a in before.get(subscriber, [nowhere]):
            for b in after.get(subscriber, [nowhere]):
                found.append((subscriber, a, b))
    return found


def flows(query, world):
    counts = Counter((a, b) for _, a, b in moves(query, world))
    return [(*a, *b, n) for (a, b), n in counts.items()]


def inflows(query, world):
    counts = Counter(b for _, _, b in moves(query, world))
    return [(*b, n) for b, n in counts.items()]


def outflows(query, world):
    counts = Counter(a for _, a, _ in moves(query, world))
    return [(*a, n) for a, n in counts.items()]


def location_event_counts(query, world):
    counts = Counter()
    for event, place in located(query, world):
        counts[(*place, *bucket(query, event))] += 1
    return [(*key, n) for key, n in counts.items()]


def bucket(query, event):
    told = (str(event.local.date()), event.local.hour, event.local.minute)
    return told[: {"day": 1, "hour": 2, "min": 3}[query.interval]]


def event_count(query, world):
    return list(Counter(event.subscriber for event in events(query, world)).items())


def radius_of_gyration(query, world):
    points = defaultdict(list)
    for event, place in located(query, world, unit="lon-lat"):
        points[event.subscriber].append(place)
    rows = []
    for subscriber, visited in points.items():
        lon = sum(p[0] for p in visited) / len(visited)
        lat = sum(p[1] for p in visited) / len(visited)
        squares = [(GEOD.inv(lon, lat, *p)[2] / 1000) ** 2 for p in visited]
        rows.append((subscriber, math.sqrt(sum(squares) / len(squares))))
    return rows


STATISTICS = {
    "count": len,
    "sum": sum,
    "avg": statistics.fmean,
    "max": max,
    "min": min,
    "median": statistics.median,
    "stddev": lambda values: statistics.stdev(values) if len(values) > 1 else None,
    "variance": lambda values: statistics.variance(values) if len(values) > 1 else None,
    "mode": lambda values: min(statistics.multimode(values)),
}


def joined_spatial_aggregate(query, world):
    metric = dict(answer(query.metric, world))
    values = defaultdict(list)
    for subscriber, *place in answer(query.locations, world):
        if subscriber in metric:
            values[tuple(place)].append(metric[subscriber])
    return [(*place, STATISTICS[query.method](found)) for place, found in values.items()]


def histogram_aggregate(query, world):
    values = [value for _, value in answer(query.metric, world)]
    if query.bins.bin_list:
        edges = list(query.bins.bin_list)
    else:
        if not values and query.range is None:
            return []
        low = query.range.lower_bound if query.range else min(values)
        high = query.range.upper_bound if query.range else max(values)
        width = (high - low) / query.bins.n_bins
        edges = [low + i * width for i in range(query.bins.n_bins)] + [high]
    rows = []
    for i, (low, high) in enumerate(pairwise(edges)):
        last = i == len(edges) - 2
        rows.append((sum(low <= v < high or (last and v == high) for v in values), low, high))
    return rows


def trips_od_matrix(query, world):
    first, last = {}, {}
    for event, place in located(query, world):
        key, moment = (event.subscriber, place), instant(event, world)
        first[key] = min(moment, first.get(key, moment))
        last[key] = max(moment, last.get(key, moment))
    counts = Counter(
        (a, b)
        for subscriber, a in first
        for other, b in last
        if subscriber == other and a != b and first[subscriber, a] < last[subscriber, b]
    )
    return [(*a, *b, n) for (a, b), n in counts.items()]


def people(query, world):
    """How many different subscribers stand behind each row, by the row without its value."""
    who = defaultdict(set)
    match query.kind:
        case "unique_subscriber_counts":
            for event, place in located(query, world):
                who[place].add(event.subscriber)
        case "location_event_counts":
            for event, place in located(query, world):
                who[(*place, *bucket(query, event))].add(event.subscriber)
        case "spatial_aggregate":
            for subscriber, *place in answer(query.locations, world):
                who[tuple(place)].add(subscriber)
        case "flows":
            for subscriber, a, b in moves(query, world):
                who[(*a, *b)].add(subscriber)
        case "inflows":
            for subscriber, _, b in moves(query, world):
                who[b].add(subscriber)
        case "outflows":
            for subscriber, a, _ in moves(query, world):
                who[a].add(subscriber)
        case "joined_spatial_aggregate":
            metric = dict(answer(query.metric, world))
            for subscriber, *place in answer(query.locations, world):
                if subscriber in metric:
                    who[tuple(place)].add(subscriber)
        case "trips_od_matrix":
            first, last = {}, {}
            for event, place in located(query, world):
                key, moment = (event.subscriber, place), instant(event, world)
                first[key] = min(moment, first.get(key, moment))
                last[key] = max(moment, last.get(key, moment))
            for subscriber, a in first:
                for other, b in last:
                    if subscriber == other and a != b and first[subscriber, a] < last[subscriber, b]:
                        who[(*a, *b)].add(subscriber)
    return {key: len(found) for key, found in who.items()}


KINDS = {
    name: globals()[name]
    for name in (
        "daily_location",
        "most_frequent_location",
        "modal_location",
        "unique_locations",
        "unique_subscriber_counts",
        "spatial_aggregate",
        "flows",
        "inflows",
        "outflows",
        "location_event_counts",
        "event_count",
        "radius_of_gyration",
        "joined_spatial_aggregate",
        "histogram_aggregate",
        "trips_od_matrix",
    )
}
