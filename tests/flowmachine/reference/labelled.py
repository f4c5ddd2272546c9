"""Where subscribers are for the most part, how much they move, and how many of each label are where."""

from collections import Counter, defaultdict
from itertools import groupby

from tests.flowmachine.reference.counts import moves
from tests.flowmachine.reference.events import answer, behind, definition, instant, located


@definition
def visited_most_days(query, world):
    days, events, latest = defaultdict(set), Counter(), {}
    for event, place in located(query, world):
        key, moment = (event.subscriber, place), instant(event, world)
        days[key].add(event.local.date())
        events[key] += 1
        latest[key] = max(moment, latest.get(key, moment))
    best = {}
    for key in days:
        subscriber, place = key
        rank = (len(days[key]), events[key], latest[key], place)
        best[subscriber] = max(rank, best.get(subscriber, rank))
    return [(subscriber, *rank[-1]) for subscriber, rank in best.items()]


@definition
def majority_location(query, world):
    weights = defaultdict(dict)
    for subscriber, *place, weight in answer(query.subscriber_location_weights, world):
        weights[subscriber][tuple(place)] = weight
    rows = []
    for subscriber, at in weights.items():
        total = max(sum(at.values()), query.minimum_total_weight)
        found = [place for place, weight in at.items() if weight > total / 2]
        if found:
            rows.append((subscriber, *found[0]))
        elif query.include_unlocatable:
            rows.append((subscriber, *nowhere(query)))
    return rows


@definition
def coalesced_location(query, world):
    weights = {tuple(row): weight for *row, weight in answer(query.subscriber_location_weights, world)}
    preferred = located_people(query.preferred_location, world)
    fallback = {
        subscriber: place
        for subscriber, place in located_people(query.fallback_location, world).items()
        if weights.get((subscriber, *place), -1) >= query.weight_threshold
    }
    rows = []
    for subscriber in preferred.keys() | fallback.keys():
        place = preferred.get(subscriber, nowhere(query))
        if place == nowhere(query):
            place = fallback.get(subscriber, nowhere(query))
        rows.append((subscriber, *place))
    return rows


@definition
def mobility_classification(query, world):
    periods = [located_people(location, world) for location in query.locations]
    return [(subscriber, mobility(query, periods, subscriber)) for subscriber in periods[-1]]


def mobility(query, periods, subscriber):
    lost = nowhere(query.locations[0])
    if periods[-1][subscriber] == lost:
        return "unlocated"
    if any(subscriber not in period for period in periods):
        return "irregular"
    places = [period[subscriber] for period in periods]
    if lost in places:
        return "not_always_locatable"
    longest = max(len(list(stay)) for _, stay in groupby(places))
    return "mobile" if longest < query.stay_length_threshold else "stable"


@behind("labelled_spatial_aggregate")
def labelled_residents(query, world):
    labels = dict(answer(query.labels, world))
    who = defaultdict(set)
    for subscriber, place in located_people(query.locations, world).items():
        who[(*place, labels.get(subscriber))].add(subscriber)
    return who


@definition
def labelled_spatial_aggregate(query, world):
    return [(*key, len(who)) for key, who in labelled_residents(query, world).items()]


@behind("labelled_flows")
def labelled_movers(query, world):
    labels = dict(answer(query.labels, world))
    who = defaultdict(set)
    for subscriber, a, b in moves(query, world):
        who[(*a, *b, labels.get(subscriber))].add(subscriber)
    return who


@definition
def labelled_flows(query, world):
    return [(*key, len(who)) for key, who in labelled_movers(query, world).items()]


def located_people(query, world):
    """The place of each subscriber, which may be missing."""
    return {subscriber: tuple(place) for subscriber, *place in answer(query, world)}


def nowhere(query):
    """A place that is missing."""
    return (None, None) if query.unit == "lon-lat" else (None,)
