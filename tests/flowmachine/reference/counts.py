"""How many people, moves or events there were at each place, or from each to each other."""

from collections import Counter, defaultdict

from tests.flowmachine.reference.events import answer, behind, definition, instant, located


@definition
def unique_subscriber_counts(query, world):
    people = defaultdict(set)
    for event, place in located(query, world):
        people[place].add(event.subscriber)
    return [(*place, len(who)) for place, who in people.items()]


@behind("unique_subscriber_counts")
def seen_there(query, world):
    who = defaultdict(set)
    for event, place in located(query, world):
        who[place].add(event.subscriber)
    return who


@definition
def spatial_aggregate(query, world):
    counts = Counter(tuple(place) for _, *place in answer(query.locations, world))
    return [(*place, n) for place, n in counts.items()]


@behind("spatial_aggregate")
def living_there(query, world):
    who = defaultdict(set)
    for subscriber, *place in answer(query.locations, world):
        who[tuple(place)].add(subscriber)
    return who


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


@definition
def flows(query, world):
    counts = Counter((a, b) for _, a, b in moves(query, world))
    return [(*a, *b, n) for (a, b), n in counts.items()]


@behind("flows")
def movers(query, world):
    who = defaultdict(set)
    for subscriber, a, b in moves(query, world):
        who[(*a, *b)].add(subscriber)
    return who


@definition
def inflows(query, world):
    counts = Counter(b for _, _, b in moves(query, world))
    return [(*b, n) for b, n in counts.items()]


@behind("inflows")
def arriving(query, world):
    who = defaultdict(set)
    for subscriber, _, b in moves(query, world):
        who[b].add(subscriber)
    return who


@definition
def outflows(query, world):
    counts = Counter(a for _, a, _ in moves(query, world))
    return [(*a, n) for a, n in counts.items()]


@behind("outflows")
def leaving(query, world):
    who = defaultdict(set)
    for subscriber, a, _ in moves(query, world):
        who[a].add(subscriber)
    return who


@definition
def location_event_counts(query, world):
    counts = Counter()
    for event, place in located(query, world):
        counts[(*place, *bucket(query, event))] += 1
    return [(*key, n) for key, n in counts.items()]


@behind("location_event_counts")
def active_there(query, world):
    who = defaultdict(set)
    for event, place in located(query, world):
        who[(*place, *bucket(query, event))].add(event.subscriber)
    return who


def bucket(query, event):
    told = (str(event.local.date()), event.local.hour, event.local.minute)
    return told[: {"day": 1, "hour": 2, "min": 3}[query.interval]]


@behind("trips_od_matrix")
def travellers(query, world):
    first, last = {}, {}
    for event, place in located(query, world):
        key, moment = (event.subscriber, place), instant(event, world)
        first[key] = min(moment, first.get(key, moment))
        last[key] = max(moment, last.get(key, moment))
    who = defaultdict(set)
    for subscriber, a in first:
        for other, b in last:
            if subscriber == other and a != b and first[subscriber, a] < last[subscriber, b]:
                who[(*a, *b)].add(subscriber)
    return who


@definition
def trips_od_matrix(query, world):
    return [(*pair, len(who)) for pair, who in travellers(query, world).items()]
