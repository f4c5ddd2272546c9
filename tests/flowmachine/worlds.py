"""Random small worlds and random questions about them."""

import datetime as dt
import types
import typing
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from flowmachine.building.localtime import TimeUnit
from flowmachine.building.statistic import STATISTICS
from flowmachine.labels import WEEKDAYS
from flowmachine.queries.joined_spatial_aggregate import OF_CATEGORIES
from flowmachine.questions.clusters import OfClusters
from flowmachine.questions.events import Contacts
from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds
from flowmachine.questions.slots import slot_members
from flowmachine.testing import Cell, Event, World

START = dt.date(2007, 3, 23)
DAYS = 5  # In the night of 2007-03-25 clocks are changed in all of ZONES but two.
UNITS = ["admin1", "admin3", "lon-lat", "cell", "site", "health_zone"]
BY_HAND = "geography.by_hand"
EVERY = {BY_HAND: {"admin1": ("S",), "admin3": ("S1",), "health_zone": ("W",)}}
"""What a table of the deployment's own says of a cell that no event names, so that every world offers it."""
ZONES = [
    "UTC",
    "Asia/Kathmandu",
    "Europe/Paris",  # an hour forward, at 02:00
    "Asia/Beirut",  # an hour forward, at midnight
    "Australia/Sydney",  # an hour back, at 03:00
    "Australia/Lord_Howe",  # half an hour back, at 02:00
]

TIME_UNITS = typing.get_args(TimeUnit)
SAMPLES = [
    {"sampling_method": "random_ids", "size": 3, "seed": 0.5},
    {"sampling_method": "random_ids", "fraction": 0.5, "seed": -1},
    {"sampling_method": "bernoulli", "fraction": 0.5, "seed": 7},
    {"sampling_method": "system", "size": 2, "seed": 2016},
]

days = st.integers(0, DAYS - 1).map(lambda n: START + dt.timedelta(days=n))
# Few different times make ties, and midnight and the hours around it come up.
times = st.one_of(
    st.sampled_from([dt.time(0), dt.time(0, 1), dt.time(8), dt.time(8, 30), dt.time(20), dt.time(23, 59, 59)]),
    st.times(max_value=dt.time(23, 59, 59)),
    # Around the changes of the clocks.
    st.sampled_from([dt.time(1, 15), dt.time(1, 45), dt.time(2, 0), dt.time(2, 15), dt.time(2, 45)]),
)


@st.composite
def moments(draw, zone):
    """A local time of a zone: of one that comes twice, the first or the second; of one that is skipped, a later one."""
    wall = dt.datetime.combine(draw(days), draw(times), ZoneInfo(zone)).replace(fold=draw(st.integers(0, 1)))
    return wall.astimezone(dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


# Few amounts make ties; some are not told.
amounts = st.sampled_from([None, 0.0, 5.0, 10.0, 10.0, 20.5, 300.25])
recharges = st.fixed_dictionaries(
    dict.fromkeys(("recharge_amount", "pre_event_balance", "post_event_balance"), amounts)
)
payments = st.fixed_dictionaries(
    {
        "amount": st.sampled_from([0.0, 5.0, 10.0, 20.5, -5.0, 300.25]),
        **dict.fromkeys(("discount", "fee", "commission"), amounts),
        "cell_version": st.sampled_from([None, None, 0, 1, 7]),
        "type": st.sampled_from([None, "transfer", "cash in"]),
    }
)
TACS = [
    {"id": 1, "brand": "Zebra", "model": "Z1", "hnd_type": "Smart", "software_os_name": "Grass"},
    {"id": 2, "brand": "Ant", "model": "A1", "hnd_type": "Smart", "software_os_vendor": "Ant"},
    {"id": 3, "brand": "Zebra", "model": "Z2", "hnd_type": "Feature", "software_os_name": "Bush"},
    {"id": 4, "brand": "Été", "hnd_type": "Basic"},
]


# Where centres of clusters lie: slanting borders, a hole, several parts, an overlap, and borders through cells.
BOUNDARIES = {
    "admin1": {
        "N": "POLYGON ((79 26, 80.3 26.2, 84.25 26, 83 28, 84.25 29, 81 31, 79 30, 79 26))",
        "S": "MULTIPOLYGON (((85 26, 89 26, 89 28, 85 28, 85 26)), ((84 29, 89 29, 86 31, 84 31, 84 29)))",
        "É": "POLYGON ((84 26, 89 26, 88.5 31, 84 29.5, 84 26))",
    },
    "admin3": {
        "N1": "POLYGON ((79 26, 81 26, 81 31, 79 31, 79 26), (79.9 26.4, 80.2 26.4, 80.2 26.9, 79.9 26.9, 79.9 26.4))",
        "N4": "POLYGON ((80 27, 80.5 26.5, 84.25 27, 84.25 30, 80 27))",
        "S2": "POLYGON ((86 26, 88 26, 90 30, 86 30, 86 26))",
    },
}
POSITIVE, OTHERS = [[[0.1, -2], [2, -2], [2, 2], [0.1, 2], [0.1, -2]]], [[[-2, -2], [0, -2], [-2, 2], [-2, -2]]]
LABELS = [
    {"day": {"type": "Polygon", "coordinates": POSITIVE}},
    {
        "day": {"type": "Polygon", "coordinates": [*POSITIVE, [[0.4, -0.5], [0.6, -0.5], [0.6, 0.5], [0.4, -0.5]]]},
        "rest": {"type": "MultiPolygon", "coordinates": [OTHERS, [[[-0.5, 0.5], [0, 0.5], [0, 1], [-0.5, 0.5]]]]},
    },
]


@st.composite
def cells(draw):
    found = []
    # Some networks lie on both sides of the meridian of 180 degrees.
    east = draw(st.sampled_from([0.0, 0.0, 0.0, 95.8]))
    lons = [(lon + east + 180) % 360 - 180 for lon in (80.0, 80.5, 84.25, 88.0)]
    lats = st.sampled_from([26.5, 27.0, 30.0])
    sites = {site: (draw(st.sampled_from(lons)), draw(lats)) for site in ("s", "t")}
    for name in draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=6)):
        # Cells that share a site stay there, and stand where it does.
        site = draw(st.sampled_from([None, None, "s", "t"]))
        moves = site is None and draw(st.booleans())
        split = draw(days)
        spans = [(dt.date(1, 1, 1), split), (split + dt.timedelta(days=1), dt.date(9999, 12, 31))]
        for version, (first, last) in enumerate(spans if moves else [(dt.date(1, 1, 1), dt.date(9999, 12, 31))]):
            region = draw(st.sampled_from(["N", "S", "É"]))
            pcods = {"admin1": region, "admin3": region + draw(st.sampled_from("123"))}
            pcods["health_zone"] = draw(st.sampled_from("WE"))
            by_hand = EVERY[BY_HAND] | {"health_zone": (draw(st.sampled_from("WE")),)}
            lon, lat = sites[site] if site else (draw(st.sampled_from(lons)), draw(lats))
            found.append(
                Cell(
                    name,
                    version,
                    lon=lon,
                    lat=lat,
                    site=site,
                    # A cell may lie outside every unit.
                    pcods=draw(st.sampled_from([pcods, pcods, pcods, {}])),
                    first_day=first,
                    last_day=last,
                    mapped={BY_HAND: by_hand if draw(st.booleans()) else {}},
                )
            )
    found.append(Cell("z", site="z", pcods={unit: code for unit, (code,) in EVERY[BY_HAND].items()}, mapped=EVERY))
    return found


@st.composite
def worlds(draw, max_events=60):
    zone = draw(st.sampled_from(ZONES))
    found = []
    for _ in range(draw(st.integers(0, max_events))):
        event_type = draw(st.sampled_from(["calls", "calls", "sms", "mds", "topups"]))
        two_party = event_type in ("calls", "sms")
        told = recharges if event_type == "topups" else st.just({})
        found.append(
            Event(
                event_type,
                draw(st.integers(1, 6)),
                draw(moments(zone)),
                draw(st.sampled_from([*"abcdef", "unknown", None])),
                counterpart=draw(st.sampled_from([*range(1, 7), None])) if two_party else None,
                outgoing=draw(st.sampled_from([True, False, True, False, None])) if two_party else None,
                # Few ids, so that parties find each other, some of them more than once.
                id=draw(st.sampled_from([None, 1, 1, 2, 3, 4, 5])) if two_party else None,
                values={"tac": draw(st.sampled_from([None, 1, 1, 2, 3, 4, 9])), **draw(told)},
            )
        )
    every_day = tuple(("calls", START + dt.timedelta(days=n)) for n in range(DAYS))
    every_day += tuple(("topups", START + dt.timedelta(days=n)) for n in range(DAYS))
    every_day += tuple(("transactions", START + dt.timedelta(days=n)) for n in range(DAYS))
    for _ in range(draw(st.integers(0, max_events // 4))):
        found.append(
            Event(
                "transactions",
                draw(st.integers(1, 6)),
                draw(moments(zone)),
                draw(st.sampled_from([*"abcdef", "unknown", None])),
                outgoing=draw(st.booleans()),
                id=draw(st.integers(1, 5)),
                values=draw(payments),
            )
        )
    return World(found, draw(cells()), zone, every_day, tacs=TACS, boundaries=BOUNDARIES)


@st.composite
def windows(draw):
    a, b = draw(st.tuples(days, days))
    first, last = min(a, b), max(a, b) + dt.timedelta(days=1)
    if draw(st.integers(0, 4)) == 0:
        return f"{first}T06:30:00", f"{last}T00:00:00"
    return str(first), str(last)


@st.composite
def daily_visits(draw, unit):
    """Where subscribers are on a few days: of few days, so that questions with many of these have some in common."""
    dates = draw(st.lists(days, min_size=1, max_size=4))
    locations = [
        {"query_kind": "daily_location", "date": str(d), "aggregation_unit": unit, "method": "last"} for d in dates
    ]
    return {"query_kind": "location_visits", "locations": locations}


@st.composite
def questions(draw, kind, unit=None, depth=0):  # noqa: PLR0915 - a case a parameter
    """A random query of a kind, with every parameter that the kind has."""
    cls = kinds()[kind]
    unit = unit or draw(st.sampled_from(UNITS))
    spec = {"query_kind": kind}
    start, stop = draw(windows())
    for name, info in cls.model_fields.items():
        slot = str(info.annotation)
        match name:
            case "query_kind" | "geom_table" | "geom_table_join_column":
                continue
            case "mapping_table":
                by_hand = unit in EVERY[BY_HAND] and not issubclass(cls, OfClusters)
                spec[name] = draw(st.sampled_from([None, None, BY_HAND])) if by_hand else None
            case "start_date":
                spec[name] = start
            case "end_date":
                spec[name] = stop
            case "date":
                spec[name] = str(draw(days))
            case "aggregation_unit" if issubclass(cls, OfClusters):
                spec[name] = unit if unit in BOUNDARIES else "admin1"
            case "start_date_a" | "start_date_b":
                spec[name], spec[name.replace("start", "end")] = draw(windows())
            case "end_date_a" | "end_date_b":
                continue
            case "labels" if issubclass(cls, OfClusters):
                spec[name] = draw(st.sampled_from(LABELS))
            case "label" | "label_a" | "label_b":
                spec[name] = draw(st.sampled_from([*spec["labels"], "unknown"]))
            case "tower_hour_of_day_scores":
                spec[name] = draw(st.lists(st.sampled_from([-1, -0.5, 0, 0.1, 0.1, 0.5, 1]), min_size=24, max_size=24))
            case "tower_day_of_week_scores":
                scores = draw(st.lists(st.sampled_from([-1, -0.5, 0, 0.5, 1]), min_size=7, max_size=7))
                spec[name] = dict(zip(WEEKDAYS, scores, strict=True))
            case "tower_cluster_radius":
                spec[name] = draw(st.sampled_from([0, 1, 60, 120, 450, 1000]))
            case "tower_cluster_call_threshold":
                spec[name] = draw(st.sampled_from([0, 0, 1, 2, 3]))
            case "aggregation_unit":
                # Amounts are given for areas only.
                spec[name] = "admin1" if kind == "dfs_metric_total_amount" and unit == "lon-lat" else unit
            case "event_types" if issubclass(cls, Contacts) or kind == "location_introversion":
                spec[name] = draw(st.sampled_from([None, ["calls"], ["calls", "sms"]]))
            case "event_types":
                some = st.lists(st.sampled_from(["calls", "sms", "mds", "topups"]), min_size=1, unique=True)
                spec[name] = draw(st.one_of(st.none(), some.map(lambda found: [*found, "calls"])))
            case "hours":
                hours = st.tuples(st.integers(0, 23), st.integers(0, 24)).filter(lambda pair: pair[0] != pair[1])
                spec[name] = draw(
                    st.one_of(
                        st.none(), hours.map(lambda pair: dict(zip(["start_hour", "end_hour"], pair, strict=True)))
                    )
                )
            case "direction":
                only_two_party = not set(spec.get("event_types") or []) & {"mds", "topups"}
                spec[name] = draw(st.sampled_from(["in", "out", "both"])) if only_two_party else "both"
            case "subscriber_subset":
                if depth == 0 and draw(st.integers(0, 3)) == 0:
                    member = draw(st.sampled_from(slot_members("SubscriberQuery")))
                    spec[name] = draw(questions(member, depth=depth + 2))
            case "locations" if kind == "modal_location":
                method, alike = draw(st.sampled_from(["last", "most-common"])), draw(st.booleans())
                dates = draw(st.lists(days, min_size=1, max_size=4))
                spec[name] = [
                    {"query_kind": "daily_location", "date": str(d), "aggregation_unit": unit, "method": method}
                    if alike
                    else draw(questions("daily_location", unit, depth + 1))
                    for d in dates
                ]
            case "bins":
                edges = st.lists(st.integers(0, 30), min_size=2, max_size=6, unique=True).map(sorted)
                spec[name] = draw(
                    st.one_of(
                        st.integers(1, 6).map(lambda n: {"n_bins": n}), edges.map(lambda found: {"bin_list": found})
                    )
                )
            case "range":
                spec[name] = draw(st.sampled_from([None, {"lower_bound": 0, "upper_bound": 12}]))
            case "sampling":
                spec[name] = draw(st.sampled_from([None, None, None, *SAMPLES]))
            case "night_hours":
                hours = st.tuples(st.integers(0, 23), st.integers(0, 24)).filter(lambda pair: pair[0] != pair[1])
                spec[name] = dict(zip(["start_hour", "end_hour"], draw(hours), strict=True))
            case "method" if kind == "joined_spatial_aggregate":
                of_categories = spec["metric"].role == "CategoricalMetric"
                spec[name] = draw(st.sampled_from(OF_CATEGORIES if of_categories else [*STATISTICS, "mode"]))
            case "reference_location" if kind == "displacement":
                member = draw(st.sampled_from(_kinds_in(info.annotation)))
                spec[name] = draw(questions(member, "lon-lat", depth + 1))
            case "aggregate_by":
                total_by = spec["total_network_objects"].total_by
                spec[name] = draw(st.sampled_from(TIME_UNITS[TIME_UNITS.index(total_by) :]))
            case "dummy_param":
                spec[name] = draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
            case "dummy_delay":
                spec[name] = 0
            case "proportion":
                spec[name] = draw(st.sampled_from([0.2, 0.5, 0.8, 0.99]))
            case "total_periods" | "period_length" | "stay_length_threshold" | "weight_threshold":
                spec[name] = draw(st.integers(1, 4))
            case "minimum_total_weight":
                spec[name] = draw(st.sampled_from([0.0, 1.0, 2.5, 4.0]))
            case "include_unlocatable":
                spec[name] = draw(st.booleans())
            case "subscriber_location_weights" if kind == "coalesced_location" or depth:
                spec[name] = draw(daily_visits(unit))
            case "locations" if isinstance(info.annotation, types.GenericAlias):
                members = _kinds_in(typing.get_args(info.annotation)[0])
                kinds_of = st.lists(st.sampled_from(members), min_size=1, max_size=3)
                spec[name] = [draw(questions(member, unit, depth + 1)) for member in draw(kinds_of)]
            case _ if members := _kinds_in(info.annotation):
                spec[name] = draw(questions(draw(st.sampled_from(members)), unit, depth + 1))
            case _ if "Literal" in slot:
                spec[name] = draw(st.sampled_from(list(info.annotation.__args__)))
            case _:
                raise NotImplementedError(f"Say in worlds.questions how {kind}.{name} is drawn.")
    return parse(spec)


def _kinds_in(annotation):
    """The kinds that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Query):
        return [annotation.kind]
    return [kind for option in typing.get_args(annotation) for kind in _kinds_in(option)]
