"""A value of each subscriber, and what becomes of such values."""

import datetime as dt
import math
import statistics
from bisect import bisect_right
from collections import Counter, defaultdict
from fractions import Fraction
from itertools import accumulate, pairwise
from zoneinfo import ZoneInfo

from pyproj import Geod
from tests.flowmachine.reference.events import answer, behind, definition, events, instant, located

GEOD = Geod(ellps="WGS84")


@definition
def event_count(query, world):
    return list(Counter(event.subscriber for event in events(query, world)).items())


@definition
def subscriber_degree(query, world):
    others = defaultdict(set)
    for event in events(query, world):
        if event.counterpart not in (None, event.subscriber):
            others[event.subscriber].add(event.counterpart)
    return [(subscriber, len(found)) for subscriber, found in others.items()]


@definition
def pareto_interactions(query, world):
    contacts = defaultdict(Counter)
    for event in events(query, world):
        contacts[event.subscriber][event.counterpart] += 1
    rows = []
    for subscriber, counts in contacts.items():
        target = math.ceil(Fraction(str(query.proportion)) * counts.total())
        reached = list(accumulate(sorted(counts.values(), reverse=True)))
        rows.append((subscriber, (1 + sum(n < target for n in reached)) / len(counts)))
    return rows


@definition
def nocturnal_events(query, world):
    night = defaultdict(list)
    start, stop = query.night_hours.start_hour, query.night_hours.end_hour
    hours = [h for h in range(24) if (start <= h < stop if start < stop else h >= start or h < stop)]
    for event in events(query, world):
        night[event.subscriber].append(event.local.hour in hours)
    return [(subscriber, 100 * sum(found) / len(found)) for subscriber, found in night.items()]


@definition
def topup_amount(query, world):
    amounts = defaultdict(list)
    for event in events(query, world):
        if event.values.get("recharge_amount") is not None:
            amounts[event.subscriber].append(event.values["recharge_amount"])
    return told(amounts, query.statistic)


@definition
def topup_balance(query, world):
    """Every second of the window has a balance; that of a subscriber is told by stretches."""
    recharges = defaultdict(list)
    for event in events(query, world):
        before, after = (event.values.get(f"{side}_event_balance") for side in ("pre", "post"))
        if None not in (before, after):
            recharges[event.subscriber].append((instant(event, world), before, after))
    zone = ZoneInfo(world.timezone)
    start, stop = (moment.replace(tzinfo=zone).astimezone(dt.UTC) for moment in (query.start_date, query.end_date))
    rows = {}
    for subscriber, found in recharges.items():
        found.sort()
        moments, befores, afters = zip(*found, strict=True)
        edges = [start, *moments, stop]
        balances = [befores[0], *((a + b) / 2 for a, b in zip(afters, befores[1:], strict=False)), afters[-1]]
        seconds = [int((b - a).total_seconds()) for a, b in pairwise(edges)]
        rows[subscriber] = balance(query.statistic, befores, afters, balances, seconds)
    return [(subscriber, value) for subscriber, value in rows.items() if value is not None]


def balance(statistic, befores, afters, balances, seconds):
    match statistic:
        case "count":
            return len(befores)
        case "max":
            return max(*befores, *afters)
        case "min":
            return min(*befores, *afters)
        case "sum":
            return sum(b * s for b, s in zip(balances, seconds, strict=True))
        case "mode":
            held = Counter()
            for b, s in zip(balances, seconds, strict=True):
                held[b] += s
            return min(held, key=lambda b: (-held[b], b))
        case "median":
            ordered = sorted(zip(balances, seconds, strict=True))
            at = list(accumulate(s for _, s in ordered))
            return statistics.fmean(ordered[bisect_right(at, n)][0] for n in ((at[-1] - 1) // 2, at[-1] // 2))
    mean = sum(b * s for b, s in zip(balances, seconds, strict=True)) / sum(seconds)
    variance = sum(s * (b - mean) ** 2 for b, s in zip(balances, seconds, strict=True)) / (sum(seconds) - 1)
    return {"avg": mean, "variance": variance, "stddev": math.sqrt(variance)}[statistic]


@definition
def handset(query, world):
    models = {row["id"]: row.get(query.characteristic) for row in world.tacs}
    used = defaultdict(list)
    for event in events(query, world):
        if event.values.get("tac") is not None:
            used[event.subscriber].append((instant(event, world), event.values["tac"]))
    rows = []
    for subscriber, found in used.items():
        if query.method == "last":
            value = models.get(max(found)[1])
        else:
            values = [models[tac] for _, tac in found if models.get(tac) is not None]
            value = min(statistics.multimode(values), default=None)
        if value is not None:
            rows.append((subscriber, value))
    return rows


@definition
def displacement(query, world):
    homes = {subscriber: place for subscriber, *place in answer(query.reference_location, world)}
    distances = defaultdict(list)
    for event, place in located(query, world, unit="lon-lat"):
        if event.subscriber in homes:
            home = homes[event.subscriber]
            km = 0.0 if None in home else GEOD.inv(*home, *place)[2] / 1000
            distances[event.subscriber].append(round(km, 6) if query.statistic == "mode" else km)
    return told(distances, query.statistic)


def told(values, statistic):
    """The statistic of each subscriber's values, of those who have it."""
    rows = [(subscriber, STATISTICS[statistic](found)) for subscriber, found in values.items()]
    return [(subscriber, value) for subscriber, value in rows if value is not None]


@definition
def radius_of_gyration(query, world):
    points = defaultdict(list)
    for event, place in located(query, world, unit="lon-lat"):
        points[event.subscriber].append(place)
    rows = []
    for subscriber, visited in points.items():
        lon = mean_lon([p[0] for p in visited])
        lat = sum(p[1] for p in visited) / len(visited)
        squares = [(GEOD.inv(lon, lat, *p)[2] / 1000) ** 2 for p in visited]
        rows.append((subscriber, math.sqrt(sum(squares) / len(squares))))
    return rows


def mean_lon(lons):
    """The mean of longitudes, each taken on the side of the globe that is nearer to the first."""
    first = lons[0]
    apart = [(lon - first + 180) % 360 - 180 for lon in lons]
    return (first + sum(apart) / len(apart) + 180) % 360 - 180


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


@definition
def joined_spatial_aggregate(query, world):
    metric = dict(answer(query.metric, world))
    values = {place: [metric[subscriber] for subscriber in who] for place, who in with_the_metric(query, world).items()}
    if query.method != "distr":
        return [(*place, STATISTICS[query.method](found)) for place, found in values.items()]
    return [
        (*place, "value", key, n / len(found)) for place, found in values.items() for key, n in Counter(found).items()
    ]


def with_the_metric(query, world):
    metric = dict(answer(query.metric, world))
    who = defaultdict(set)
    for subscriber, *place in answer(query.locations, world):
        if subscriber in metric and None not in place:
            who[tuple(place)].add(subscriber)
    return who


@behind("joined_spatial_aggregate")
def behind_joined(query, world):
    who = with_the_metric(query, world)
    if query.method != "distr":
        return who
    metric = dict(answer(query.metric, world))
    shares = defaultdict(set)
    for place, found in who.items():
        for subscriber in found:
            shares[(*place, "value", metric[subscriber])].add(subscriber)
    return shares


@definition
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
