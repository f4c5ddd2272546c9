"""What holds of every kind whatever the data are: changed questions and deliveries change answers as they should."""

import csv
import dataclasses
import datetime as dt
import random
from collections import Counter, defaultdict

import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from tests.flowmachine.random_examples import afresh
from tests.flowmachine.test_kinds_on_engines import same
from tests.flowmachine.worlds import DAYS, START, UNITS, days, questions, worlds

from flowdb.lake import Lake
from flowdb.records import Catalogue
from flowdb.tables import EVENTS
from flowetl import ingest
from flowmachine.questions.events import OfEvents
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds
from flowmachine.session import connect
from flowmachine.testing import Event, rows

pytestmark = pytest.mark.takes_long("asks many questions about random worlds, each twice or more")

ALL = sorted(kinds())
OF_PEOPLE = [kind for kind in ALL if kinds()[kind].role != "Aggregate"]
EACH = 8
"""How many worlds are asked."""
FEW = 3
"""Where every kind is asked, a world is many questions."""
HALVES = {"mds": 1, "topups": 0}
"""Two groups of subscribers, those with odd and those with even numbers, by the event type that they alone have."""
NOT_ADDITIVE = {
    "total_network_objects": "counts cells, which two groups may share",
    "aggregate_network_objects": "counts cells, which two groups may share",
    "location_introversion": "looks at both parties, who may be of different groups",
    "unique_visitor_counts": "tells of places that are somebody's reference location, which may be those of one group",
    "geography": "tells of nobody",
    "dummy_query": "tells of nobody",
    "dfs_metric_total_amount": "has no events to take a subset of",
}


def drawn(kind_names, **options):
    return st.tuples(*(questions(kind, **options) for kind in kind_names))


def changed(spec, change):
    """A spec with all that is nested in it, each changed."""
    if isinstance(spec, dict):
        return change({name: changed(value, change) for name, value in spec.items()})
    return [changed(value, change) for value in spec] if isinstance(spec, list) else spec


def window(spec, start, stop):
    """A spec asked of another window."""
    return {
        **spec,
        "start_date": str(START + dt.timedelta(days=start)),
        "end_date": str(START + dt.timedelta(days=stop)),
    }


def table(session, spec):
    """The values of a question, by what stands before them."""
    return {row[:-1]: row[-1] for row in rows(session.run(parse(spec)))}


def total(*tables):
    """Tables added up."""
    sums = Counter()
    for found in tables:
        sums.update(found)
    return dict(sums)


def assert_same_rows(ours, theirs, spec):
    """Rows are equal, numbers nearly."""
    assert len(ours) == len(theirs), (spec, ours, theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert len(a) == len(b)
        assert all(same(x, y) for x, y in zip(a, b, strict=True)), (spec, ours, theirs)


def test_the_order_of_events_in_the_store_changes_nothing(ask_duckdb):
    """Events of the same subscriber and time that lie in another order give the same answers, for every kind."""
    told = Counter()

    @afresh(FEW, 1, worlds(), drawn(ALL), st.integers(0, 2**32))
    def hold(world, asked, chance):
        shuffled = random.Random(chance).sample(world.events, len(world.events))
        before, after = ask_duckdb(world), ask_duckdb(dataclasses.replace(world, events=shuffled))
        for query in asked:
            found = rows(before.run(query))
            told[query.kind] += len(found)
            assert_same_rows(found, rows(after.run(query)), query.spec)
        before.close()
        after.close()

    hold()

    assert sum(told.values()) > 100


@pytest.fixture(scope="module")
def delivered(tmp_path_factory):
    """Gives a session on events that were delivered as files, so many a day, in an order of chance."""

    def deliver(world, files_a_day, chance):
        home = tmp_path_factory.mktemp("delivered")
        # A world's own lake has what is no event; days of events are those of the delivery.
        others = [event for event in world.events if event.event_type not in EVENTS]
        lake = dataclasses.replace(world, events=others, timezone="UTC").lake(home / "lake")
        catalogue = Catalogue.open(f"sqlite:///{home / 'catalogue.db'}")
        parcels = defaultdict(list)
        events = [event for event in world.events if event.event_type in EVENTS]
        for event in chance.sample(events, len(events)):
            parcels[event.event_type, event.local.date(), chance.randrange(files_a_day)].append(event)
        files = defaultdict(list)
        for (event_type, day, n), events in sorted(parcels.items()):
            file = home / f"{event_type}_{day}_{n}.csv"
            write_delivery(file, event_type, events)
            files[event_type].append(file)
        for event_type, parts in files.items():
            ingest(lake, catalogue, event_type, chance.sample(parts, len(parts)), key=bytes(32))
        catalogue.close()
        # Loading settles anew where cells lie, by boundaries; a world tells it outright.
        told = dataclasses.replace(world, events=[]).lake(home / "told").snapshot().reference
        for name, tables in told.items():
            lake.replace_reference(name, pq.read_table([str(file) for file in tables.files]))
        return connect(Lake.open(lake.path).path, threads=2)

    return deliver


def write_delivery(file, event_type, events):
    party = {"calls", "sms"} & {event_type}
    further = sorted({name for event in events for name in event.values})
    columns = [
        "msisdn",
        "datetime",
        "location_id",
        *(["id", "outgoing", "msisdn_counterpart"] if party else []),
        *further,
    ]
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore")
        writer.writeheader()
        for event in events:
            writer.writerow(
                {
                    "msisdn": event.subscriber,
                    "datetime": event.local.isoformat(sep=" ") + "+00",
                    "location_id": event.cell,
                    "id": event.id,
                    "outgoing": event.outgoing,
                    "msisdn_counterpart": event.counterpart,
                    **event.values,
                }
            )


def test_a_permuted_delivery_changes_nothing(delivered):
    """The same events in other files and in another order give the same answers, for every kind."""
    told = Counter()

    @afresh(FEW, 2, worlds(), drawn(ALL))
    def hold(world, asked):
        one, other = delivered(world, 1, random.Random(3)), delivered(world, 3, random.Random(4))
        for query in asked:
            found = rows(one.run(query))
            told[query.kind] += len(found)
            assert_same_rows(found, rows(other.run(query)), query.spec)
        one.close()
        other.close()

    hold()

    assert sum(told.values()) > 40


def test_flows_sum_to_their_inflows_and_outflows(ask_duckdb):
    """What came to a place from all others is its inflow, and what left it its outflow."""
    told = Counter()

    @afresh(EACH, 3, worlds(), drawn(["flows"] * 3))
    def hold(world, asked):
        session = ask_duckdb(world)
        for query in asked:
            ends = 2 if query.unit == "lon-lat" else 1
            flows = table(session, query.spec)
            told["flows"] += len(flows)
            for kind, side in {"outflows": slice(0, ends), "inflows": slice(ends, None)}.items():
                sums = total(*({pair[side]: n} for pair, n in flows.items()))
                assert table(session, {**query.spec, "query_kind": kind}) == sums
        session.close()

    hold()

    assert told["flows"] > 10


@pytest.mark.parametrize("kind", sorted({"flows", "labelled_flows"} & set(ALL)))
def test_from_and_to_swapped_transpose(kind, ask_duckdb):
    """Flows back are the flows there with their ends swapped, and a left join then is a right join."""
    mirrored = {"left": "right", "right": "left", "left outer": "right outer", "right outer": "left outer"}
    told = Counter()

    @afresh(EACH, 4, worlds(), drawn([kind] * 3))
    def hold(world, asked):
        session = ask_duckdb(world)
        for query in asked:
            there = query.spec
            join = mirrored.get(there["join_type"], there["join_type"])
            back = {
                **there,
                "from_location": there["to_location"],
                "to_location": there["from_location"],
                "join_type": join,
            }
            ends = 2 if query.unit == "lon-lat" else 1
            found = table(session, there)
            told["rows"] += len(found)
            told["moved"] += sum(key[:ends] != key[ends : 2 * ends] for key in found)
            swapped = {(*key[ends : 2 * ends], *key[:ends], *key[2 * ends :]): n for key, n in found.items()}
            assert table(session, back) == swapped, there
        session.close()

    hold()

    assert told["rows"] > 10
    assert told["moved"] > 5


def halved(world):
    """The world with each subscriber in one of two groups: who has data sessions, and who has top-ups."""
    kept = [e for e in world.events if HALVES.get(e.event_type, e.subscriber % 2) == e.subscriber % 2]
    marks = [
        Event("mds" if n % 2 else "topups", n, dt.datetime.combine(START, dt.time(12)), None, values={"tac": None})
        for n in sorted({e.subscriber for e in world.events})
    ]
    return dataclasses.replace(world, events=[*kept, *marks])


def of_half(spec, event_type):
    """A question about those who have events of a type alone; of everyone, where no type is named."""
    member = {
        "query_kind": "event_count",
        "start_date": str(START),
        "end_date": str(START + dt.timedelta(days=DAYS)),
        "event_types": [event_type],
    }

    def change(part):
        cls = kinds().get(part.get("query_kind"))
        changed = {name: value for name, value in part.items() if name != "sampling"}
        if cls is not None and "subscriber_subset" in cls.model_fields:
            changed["subscriber_subset"] = member if event_type else None
        return changed

    return changed(spec, change)


def adds_up(query):
    """Whether the rows of two groups of people are those of both, added."""
    if query.kind == "joined_spatial_aggregate":
        return query.method in ("count", "sum")
    if query.kind == "histogram_aggregate":
        return bool(query.bins.bin_list) or query.range is not None
    return query.kind not in NOT_ADDITIVE and bool(list(leaves(query)))


def leaves(query):
    return (part for part in query.walk() if "subscriber_subset" in type(part).model_fields)


def test_disjoint_subsets_add_up(ask_duckdb):
    """Counts of two groups of subscribers add up to those of all, and their single rows are all the rows."""
    told = Counter()

    @afresh(FEW, 5, worlds(), drawn(ALL))
    def hold(world, asked):
        session = ask_duckdb(halved(world))
        for query in asked:
            if not adds_up(query):
                continue
            whole, *parts = (of_half(query.spec, half) for half in (None, *HALVES))
            everyone, *groups = (rows(session.run(parse(spec))) for spec in (whole, *parts))
            told[query.kind] += all(groups)
            if query.role != "Aggregate":
                assert sorted(map(repr, everyone)) == sorted(map(repr, [row for group in groups for row in group])), (
                    whole
                )
                continue
            at = list(query.result_columns).index("value")
            sums = total(*({(*row[:at], *row[at + 1 :]): row[at]} for group in groups for row in group))
            found = [((*row[:at], *row[at + 1 :]), row[at]) for row in everyone]
            assert_same_rows(sorted(found, key=repr), sorted(sums.items(), key=repr), whole)
        session.close()

    hold()

    assert sum(told.values()) > 30
    assert {"unique_subscriber_counts", "flows", "unique_locations"} <= set(+told)


def test_windows_add_up(ask_duckdb):
    """Events of one stretch of days and of the next add up to those of both."""
    told = Counter()

    @afresh(EACH, 6, worlds(), drawn(["event_count", "location_event_counts"] * 3), st.integers(1, DAYS - 1))
    def hold(world, asked, cut):
        session = ask_duckdb(world)
        for query in asked:
            spec = of_half(query.spec, None)
            first, second, both = (table(session, window(spec, *w)) for w in [(0, cut), (cut, DAYS), (0, DAYS)])
            told[query.kind] += bool(first and second)
            assert total(first, second) == both, spec
        session.close()

    hold()

    assert min(told["event_count"], told["location_event_counts"]) > 3


def test_a_longer_window_loses_nobody(ask_duckdb):
    """Where somebody was seen or went in a few days, they were seen or went in more days too, and no more than that."""
    told = Counter()
    counted = ["unique_subscriber_counts", "trips_od_matrix", "consecutive_trips_od_matrix", "unique_location_counts"]

    @afresh(EACH, 7, worlds(), drawn(counted), st.integers(1, DAYS - 1))
    def hold(world, asked, cut):
        session = ask_duckdb(world)
        for query in asked:
            spec = of_half(query.spec, None)
            first, second, both = (table(session, window(spec, *w)) for w in [(0, cut), (cut, DAYS), (0, DAYS)])
            told[query.kind] += bool(first and second)
            assert all(both.get(key, 0) >= n for found in (first, second) for key, n in found.items()), spec
            if query.kind in ("unique_subscriber_counts", "unique_location_counts"):
                assert all(n <= first.get(key, 0) + second.get(key, 0) for key, n in both.items()), spec
        session.close()

    hold()

    assert all(told[kind] for kind in counted)


def test_presence_and_movement_agree_with_each_other(ask_duckdb):
    """Of one window, whoever is counted as moving, staying or visiting was seen where they are counted."""
    told = Counter()

    @afresh(25, 8, worlds(), st.sampled_from(UNITS), days, st.sampled_from(["last", "most-common"]))
    def hold(world, unit, day, method):
        session = ask_duckdb(world)
        whole = window({"aggregation_unit": unit}, 0, DAYS)
        places = {"query_kind": "unique_locations", **whole}
        home = {"query_kind": "daily_location", "date": str(day), "aggregation_unit": unit, "method": method}
        residents = {"unique_locations": places, "reference_locations": home}
        seen = table(session, {"query_kind": "unique_subscriber_counts", **whole})
        each = table(session, {"query_kind": "unique_location_counts", **whole})
        pairs = table(session, {"query_kind": "flows", "from_location": places, "to_location": places})
        trips = table(session, {"query_kind": "trips_od_matrix", **whole})
        next_trips = table(session, {"query_kind": "consecutive_trips_od_matrix", **whole})
        still = table(session, {"query_kind": "unmoving_counts", "locations": places})
        at_home = table(session, {"query_kind": "spatial_aggregate", "locations": home})
        active_query = {"query_kind": "active_at_reference_location_counts", **residents}
        active = table(session, active_query)
        still_query = {"query_kind": "unmoving_at_reference_location_counts", "locations": places}
        still_there = table(session, {**still_query, "reference_locations": home})
        everyone = {"query_kind": "unique_subscriber_counts", **whole}
        visitors = table(
            session,
            {
                "query_kind": "unique_visitor_counts",
                "active_at_reference_location_counts": active_query,
                "unique_subscriber_counts": everyone,
            },
        )
        session.close()

        assert sum(each.values()) == sum(seen.values())
        assert all(n <= pairs[pair] for found in (trips, next_trips) for pair, n in found.items())
        ends = 2 if unit == "lon-lat" else 1
        assert all(pair[:ends] != pair[ends:] for pair in trips)
        assert sum(n == 1 for n in each.values()) == sum(still.values())
        assert all(n <= seen[place] for place, n in still.items())
        # The reference is one of the same days: whoever has one was seen there.
        assert active == at_home
        assert all(n <= min(still[place], active[place]) for place, n in still_there.items())
        assert visitors == {place: seen[place] - n for place, n in active.items()}
        told.update({"trips": len(trips), "next": len(next_trips), "still": len(still), "there": len(still_there)})
        told["visitors"] += sum(n > 0 for n in visitors.values())

    hold()

    assert min(told[what] for what in ("trips", "next", "still", "there", "visitors")) > 5


def test_direction_divides_interactions(ask_duckdb):
    """Outgoing and incoming halves are as many, and the introversion of both is between that of each."""
    told = Counter()

    @afresh(20, 9, worlds(), st.sampled_from(UNITS))
    def hold(world, unit):
        session = ask_duckdb(world)
        spec = window({"query_kind": "location_introversion", "aggregation_unit": unit}, 0, DAYS)
        both, out, into = (table(session, {**spec, "direction": d}) for d in ("both", "out", "in"))
        session.close()
        assert set(both) == set(out) | set(into)
        for place, share in both.items():
            sides = [found[place] for found in (out, into) if place in found]
            assert min(sides) - 1e-9 <= share <= max(sides) + 1e-9
            assert 0 <= share <= 1
            told["between"] += 0 < share < 1
        # Interactions that stay at a place are as many from either end; where none leave it, both ends tell so.
        assert {place for place, share in out.items() if share} == {place for place, share in into.items() if share}

    hold()

    assert told["between"] > 2


def test_every_kind_with_subsets_is_tested_or_excused():
    """Whoever adds a kind that does not add up says why, and an excuse of a kind that is gone is no excuse."""
    subsets = [k for k in ALL if any(leaves(parse(kinds()[k].example)))]
    assert set(OF_PEOPLE) <= set(subsets)
    assert all(isinstance(reason, str) and reason for reason in NOT_ADDITIVE.values())
    assert any(issubclass(kinds()[k], OfEvents) for k in subsets)
