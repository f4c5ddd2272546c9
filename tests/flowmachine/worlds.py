"""Random small worlds and random questions about them."""

import datetime as dt
import types
import typing

from hypothesis import strategies as st

from flowmachine.query import Query, kinds, parse, slot_members
from flowmachine.testing import Cell, Event, World

START = dt.date(2016, 3, 25)
DAYS = 5  # Across the change to summer time in Europe, on 2016-03-27.
UNITS = ["admin1", "admin3", "lon-lat"]
ZONES = ["UTC", "Europe/Paris", "Asia/Kathmandu", "America/Sao_Paulo"]

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
    st.times(max_value=dt.time(23, 59, 59), min_value=dt.time(3)),
)


@st.composite
def cells(draw):
    found = []
    for name in draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1, max_size=6)):
        moves = draw(st.booleans())
        split = draw(days)
        spans = [(dt.date(1, 1, 1), split), (split + dt.timedelta(days=1), dt.date(9999, 12, 31))]
        for version, (first, last) in enumerate(spans if moves else [(dt.date(1, 1, 1), dt.date(9999, 12, 31))]):
            region = draw(st.sampled_from(["N", "S", "É"]))
            pcods = {"admin1": region, "admin3": region + draw(st.sampled_from("123"))}
            found.append(
                Cell(
                    name,
                    version,
                    lon=draw(st.sampled_from([80.0, 80.5, 84.25, 88.0])),
                    lat=draw(st.sampled_from([26.5, 27.0, 30.0])),
                    # A cell may lie outside every unit.
                    pcods=draw(st.sampled_from([pcods, pcods, pcods, {}])),
                    first_day=first,
                    last_day=last,
                )
            )
    return found


@st.composite
def worlds(draw, max_events=60):
    zone = draw(st.sampled_from(ZONES))
    found = []
    for _ in range(draw(st.integers(0, max_events))):
        event_type = draw(st.sampled_from(["calls", "calls", "sms", "mds", "topups"]))
        two_party = event_type in ("calls", "sms")
        found.append(
            Event(
                event_type,
                draw(st.integers(1, 6)),
                dt.datetime.combine(draw(days), draw(times)),
                draw(st.sampled_from([*"abcdef", "unknown", None])),
                counterpart=draw(st.integers(1, 6)) if two_party else None,
                outgoing=draw(st.booleans()) if two_party else None,
            )
        )
    every_day = tuple(("calls", START + dt.timedelta(days=n)) for n in range(DAYS))
    return World(found, draw(cells()), zone, every_day)


@st.composite
def windows(draw):
    a, b = draw(st.tuples(days, days))
    first, last = min(a, b), max(a, b) + dt.timedelta(days=1)
    if draw(st.integers(0, 4)) == 0:
        return f"{first}T06:30:00", f"{last}T00:00:00"
    return str(first), str(last)


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
            case "query_kind" | "mapping_table" | "geom_table" | "geom_table_join_column":
                continue
            case "start_date":
                spec[name] = start
            case "end_date":
                spec[name] = stop
            case "date":
                spec[name] = str(draw(days))
            case "aggregation_unit":
                spec[name] = unit
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
            case "proportion":
                spec[name] = draw(st.sampled_from([0.2, 0.5, 0.8, 0.99]))
            case "total_periods" | "period_length" | "stay_length_threshold" | "weight_threshold":
                spec[name] = draw(st.integers(1, 4))
            case "minimum_total_weight":
                spec[name] = draw(st.sampled_from([0.0, 1.0, 2.5, 4.0]))
            case "include_unlocatable":
                spec[name] = draw(st.booleans())
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
