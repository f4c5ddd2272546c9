"""Who was seen where they belong, who moved and who stayed, and who was in touch with whom."""

from collections import Counter, defaultdict
from itertools import pairwise

from tests.flowmachine.reference.events import answer, behind, definition, instant, located


@definition
def unique_location_counts(query, world):
    seen = {(event.subscriber, place) for event, place in located(query, world)}
    return list(Counter(subscriber for subscriber, _ in seen).items())


def visited(locations, world):
    """Everywhere each subscriber was seen."""
    seen = defaultdict(set)
    for subscriber, *place in answer(locations, world):
        seen[subscriber].add(tuple(place))
    return seen


@behind("active_at_reference_location_counts")
def active_residents(query, world):
    seen, who = visited(query.unique_locations, world), defaultdict(set)
    for subscriber, *home in answer(query.reference_locations, world):
        who[tuple(home)] |= {subscriber} if tuple(home) in seen[subscriber] else set()
    return who


@definition
def active_at_reference_location_counts(query, world):
    return [(*place, len(who)) for place, who in active_residents(query, world).items()]


def by_place(query, world):
    return {tuple(place): n for *place, n in answer(query, world)}


@definition
def unique_visitor_counts(query, world):
    residents = by_place(query.active_at_reference_location_counts, world)
    everyone = by_place(query.unique_subscriber_counts, world)
    return [(*place, everyone[place] - n if place in everyone else None) for place, n in residents.items()]


@behind("unique_visitor_counts")
def fewest_of_three(query, world):
    """As many as stand behind the least of the residents, all, and their difference."""
    residents = by_place(query.active_at_reference_location_counts, world)
    everyone = by_place(query.unique_subscriber_counts, world)
    found = {}
    for place, n in residents.items():
        seen = everyone.get(place, 0)
        found[place] = range(min(n, seen, seen - n))
    return found


@behind("unmoving_counts")
def unmoving(query, world):
    who = defaultdict(set)
    for subscriber, places in visited(query.locations, world).items():
        if len(places) == 1:
            who[min(places)].add(subscriber)
    return who


@definition
def unmoving_counts(query, world):
    return [(*place, len(who)) for place, who in unmoving(query, world).items()]


@behind("unmoving_at_reference_location_counts")
def unmoving_residents(query, world):
    seen, who = visited(query.locations, world), defaultdict(set)
    for subscriber, *home in answer(query.reference_locations, world):
        if seen[subscriber] == {tuple(home)}:
            who[tuple(home)].add(subscriber)
    return who


@definition
def unmoving_at_reference_location_counts(query, world):
    return [(*place, len(who)) for place, who in unmoving_residents(query, world).items()]


@behind("consecutive_trips_od_matrix")
def followers(query, world):
    seen, who = defaultdict(list), defaultdict(set)
    for event, place in located(query, world):
        seen[event.subscriber].append((instant(event, world), place))
    for subscriber, visits in seen.items():
        for (_, a), (_, b) in pairwise(sorted(visits)):
            who[(*a, *b)].add(subscriber)
    return who


@definition
def consecutive_trips_od_matrix(query, world):
    return [(*pair, len(who)) for pair, who in followers(query, world).items()]


def interactions(query, world):
    """Each event with each other half of it: the event, its place, and the place of the other."""
    halves = located(query.model_copy(update={"direction": "both"}), world)
    for event, place in halves:
        if query.direction != "both" and event.outgoing is not (query.direction == "out"):
            continue
        for other, elsewhere in halves:
            same = event.id is not None and event.id == other.id
            if same and {event.outgoing, other.outgoing} == {True, False}:
                yield event, place, elsewhere


@definition
def location_introversion(query, world):
    stayed = defaultdict(list)
    for _, place, elsewhere in interactions(query, world):
        stayed[place].append(place == elsewhere)
    return [(*place, sum(found) / len(found)) for place, found in stayed.items()]


@behind("location_introversion")
def in_touch(query, world):
    who = defaultdict(set)
    for event, place, _ in interactions(query, world):
        who[place].add(event.subscriber)
    return who
