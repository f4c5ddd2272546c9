"""Clusters of each subscriber's sites, their labels, and where they are: as the definition has it, step by step."""

from collections import Counter, defaultdict
from types import SimpleNamespace

import shapely
from pyproj import Geod
from tests.flowmachine.reference.events import behind, definition, events

GEOD = Geod(ellps="WGS84")
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def sites_of(world):
    """Each cell's site, in the order of sites, and where it stands: within 1 km cells of one name are at one site.

    A cell without a site is a site itself, after one of its name.
    """
    stands, sites = defaultdict(list), {}
    for cell in sorted(world.cells, key=lambda cell: (cell.id, cell.version)):
        name = (cell.site or cell.id, cell.site is None)
        near = [n for n, at in enumerate(stands[name]) if GEOD.inv(cell.lon, cell.lat, *at)[2] <= 1000]
        if not near:
            near = [len(stands[name])]
            stands[name].append((cell.lon, cell.lat))
        sites[cell.id, cell.version] = ((*name, near[0]), stands[name][near[0]])
    return sites


def sited(query, world, window):
    """The events of a window at cells that are known, each with its site and the site's position."""
    told = {**query.spec, "start_date": window[0], "end_date": window[1]}
    asked = SimpleNamespace(**{**told, "kind": query.kind, "subscriber_subset": query.subscriber_subset})
    sites = sites_of(world)
    for event in events(asked, world):
        for cell in world.cells:
            if cell.id == event.cell and cell.first_day <= event.local.date() <= cell.last_day:
                yield event, *sites[cell.id, cell.version]


def clusters_of(query, world, window):
    """The clusters of each subscriber: position, days, and mean scores of hour and weekday."""
    days, scores, positions = defaultdict(set), defaultdict(list), {}
    for event, site, position in sited(query, world, window):
        hour = query.tower_hour_of_day_scores[event.local.hour]
        weekday = getattr(query.tower_day_of_week_scores, WEEKDAYS[event.local.weekday()])
        days[event.subscriber, site].add(event.local.date())
        scores[event.subscriber, site].append((hour, weekday))
        positions[site] = position
    found = defaultdict(list)
    for subscriber, site in sorted(days, key=lambda key: (-len(days[key]), key[1])):
        weight = len(days[subscriber, site])
        lon, lat = positions[site]
        score = [mean(values) for values in zip(*scores[subscriber, site], strict=True)]
        for cluster in found[subscriber]:
            if GEOD.inv(cluster["lon"], cluster["lat"], lon, lat)[2] < query.tower_cluster_radius * 1000:
                whole = cluster["days"] + weight
                apart = (lon - cluster["lon"] + 180) % 360 - 180
                cluster["lon"] = (cluster["lon"] + apart * weight / whole + 180) % 360 - 180
                cluster["lat"] = (cluster["lat"] * cluster["days"] + lat * weight) / whole
                cluster["days"] = whole
                cluster["scores"].append(score)
                break
        else:
            found[subscriber].append({"lon": lon, "lat": lat, "days": weight, "scores": [score]})
    return {
        subscriber: [c for c in made if c["days"] >= query.tower_cluster_call_threshold]
        for subscriber, made in found.items()
    }


def mean(values):
    return sum(values) / len(values)


def label_of(query, cluster):
    point = shapely.Point(*(round(mean(values), 6) for values in zip(*cluster["scores"], strict=True)))
    for name, shape in query.labels.root.items():
        if shapely.geometry.shape(shape.model_dump()).contains(point):
            return name
    return "unknown"


def place_of(query, world, cluster):
    point = shapely.Point(cluster["lon"], cluster["lat"])
    units = world.boundaries.get(query.aggregation_unit, {})
    return min((code for code, shape in units.items() if shapely.from_wkt(shape).contains(point)), default=None)


def labelled(query, world, label, window=None):
    """The places of each subscriber's clusters with a label."""
    window = window or (query.start_date, query.end_date)
    found = {
        subscriber: [place_of(query, world, c) for c in made if label_of(query, c) == label]
        for subscriber, made in clusters_of(query, world, window).items()
    }
    return {subscriber: places for subscriber, places in found.items() if places}


@definition
def meaningful_locations_aggregate(query, world):
    value = Counter()
    for places in labelled(query, world, query.label).values():
        for place in places:
            value[place] += 1 / len(places)
    return [(query.label, place, n) for place, n in value.items()]


@behind("meaningful_locations_aggregate")
def having_one_there(query, world):
    who = defaultdict(set)
    for subscriber, places in labelled(query, world, query.label).items():
        for place in places:
            who[query.label, place].add(subscriber)
    return who


def pairs(query, world):
    """Each pair of a subscriber's places, and the part of the subscriber that it is: subscriber, key, part."""
    if hasattr(query, "label_a"):
        labels = (query.label_a, query.label_b)
        before, after = (labelled(query, world, label) for label in labels)
    else:
        labels = (query.label, query.label)
        windows = (query.start_date_a, query.end_date_a), (query.start_date_b, query.end_date_b)
        before, after = (labelled(query, world, query.label, window) for window in windows)
    for subscriber in before.keys() & after.keys():
        for a in before[subscriber]:
            for b in after[subscriber]:
                yield subscriber, (*labels, a, b), 1 / len(before[subscriber]) / len(after[subscriber])


def matrix(query, world):
    value = Counter()
    for _, key, part in pairs(query, world):
        value[key] += part
    return [(*key, n) for key, n in value.items()]


def having_both(query, world):
    who = defaultdict(set)
    for subscriber, key, _ in pairs(query, world):
        who[key].add(subscriber)
    return who


@definition
def meaningful_locations_between_label_od_matrix(query, world):
    return matrix(query, world)


@definition
def meaningful_locations_between_dates_od_matrix(query, world):
    return matrix(query, world)


behind("meaningful_locations_between_label_od_matrix")(having_both)
behind("meaningful_locations_between_dates_od_matrix")(having_both)
