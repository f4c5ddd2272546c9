"""Where each subscriber was."""

from collections import Counter, defaultdict

from tests.flowmachine.reference.events import answer, definition, instant, located


@definition
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


@definition
def most_frequent_location(query, world):
    seen = defaultdict(list)
    for event, place in located(query, world):
        seen[event.subscriber].append((instant(event, world), place))
    return [(subscriber, *most_common(visits)) for subscriber, visits in seen.items()]


@definition
def modal_location(query, world):
    days = defaultdict(list)
    for location in query.locations:
        for subscriber, *place in answer(location, world):
            days[subscriber].append((location.date.date(), tuple(place)))
    rows = []
    for subscriber, visits in days.items():
        counts, latest = Counter(), {}
        for day, place in visits:
            counts[place] += 1
            latest[place] = max(day, latest.get(place, day))
        rows.append((subscriber, *max(counts, key=lambda place: (counts[place], latest[place], place))))
    return rows


@definition
def unique_locations(query, world):
    return sorted({(event.subscriber, *place) for event, place in located(query, world)})


@definition
def location_visits(query, world):
    counts = Counter(tuple(row) for location in query.locations for row in answer(location, world))
    return [(*row, n) for row, n in counts.items()]
