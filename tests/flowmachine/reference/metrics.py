"""A value of each subscriber, and what becomes of such values."""

import math
import statistics
from collections import Counter, defaultdict
from itertools import pairwise

from pyproj import Geod
from tests.flowmachine.reference.events import answer, behind, definition, events, located

GEOD = Geod(ellps="WGS84")


@definition
def event_count(query, world):
    return list(Counter(event.subscriber for event in events(query, world)).items())


@definition
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


@definition
def joined_spatial_aggregate(query, world):
    metric = dict(answer(query.metric, world))
    values = defaultdict(list)
    for subscriber, *place in answer(query.locations, world):
        if subscriber in metric:
            values[tuple(place)].append(metric[subscriber])
    return [(*place, STATISTICS[query.method](found)) for place, found in values.items()]


@behind("joined_spatial_aggregate")
def with_the_metric(query, world):
    metric = dict(answer(query.metric, world))
    who = defaultdict(set)
    for subscriber, *place in answer(query.locations, world):
        if subscriber in metric:
            who[tuple(place)].add(subscriber)
    return who


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
