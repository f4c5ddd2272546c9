"""What the spec functions make, and that they are called as they have always been."""

import importlib
import inspect
import json
from datetime import date, datetime
from pathlib import Path

import pytest

import flowclient
from flowclient import aggregates, query_specs

HERE = Path(__file__).parent
SIGNATURES = json.loads((HERE / "signatures_1_34.json").read_text())
# Where ours differs on purpose: polls back off unless an interval is given.
CHANGED_DEFAULTS = {"poll_interval": "None"}
# 1.34 shows another function's parameters for these, and takes those of their spec functions.
SHOWN_WRONGLY = {"calendar_activity", "localised_calendar_activity"}

WEEK = {"start_date": "2016-01-01", "end_date": "2016-01-08"}
UNIT = {"mapping_table": None, "geom_table": None, "geom_table_join_column": None}
EVENTS = {"event_types": None, "subscriber_subset": None, "hours": None}


def owner_of(name):
    """Return the module, or the class, that a key of the table of signatures names."""
    module, _, last = name.rpartition(".")
    return getattr(flowclient, last) if module == "flowclient" and last[0].isupper() else importlib.import_module(name)


@pytest.mark.parametrize(
    ("owner", "function"), [(owner, function) for owner, functions in SIGNATURES.items() for function in functions]
)
def test_functions_are_called_as_in_flowclient_1_34(owner, function):
    """Each function takes what it took in 1.34, in that order, by keyword, with the same defaults."""
    ours = inspect.signature(getattr(owner_of(owner), function)).parameters
    theirs = SIGNATURES[owner][function]
    if function in SHOWN_WRONGLY:
        theirs = {"connection": None, **SIGNATURES[owner][f"{function}_spec"]}
    assert [name for name in ours if name in theirs] == list(theirs)
    spec = SIGNATURES["flowclient.aggregates"].get(f"{function}_spec", {}) if "aggregates" in owner else {}
    for name, default in theirs.items():
        # 1.34's aggregate functions hide their defaults, which are those of their spec functions.
        expected = CHANGED_DEFAULTS.get(name, spec.get(name, default))
        assert (
            ours[name].default is inspect.Parameter.empty if expected is None else repr(ours[name].default) == expected
        )
    for name, parameter in ours.items():
        if name not in theirs and name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            assert parameter.default is not inspect.Parameter.empty, f"{name} is new and required"
    if owner_of(owner).__class__ is not type:
        assert {p.kind for p in ours.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_both_faces_have_the_same_functions():
    """Every client function has an asynchronous twin with the same parameters."""
    client, async_client = (importlib.import_module(f"flowclient.{name}") for name in ("client", "async_client"))
    functions = {n: f for n, f in vars(client).items() if inspect.isfunction(f) and f.__module__ == client.__name__}
    assert len(functions) > 18
    for name, function in functions.items():
        twin = getattr(async_client, "connect_async" if name == "connect" else name)
        assert inspect.iscoroutinefunction(twin)
        ours, theirs = inspect.signature(function).parameters, inspect.signature(twin).parameters
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]
        assert twin.__doc__ == function.__doc__


def test_a_star_import_brings_everything():
    """Specs, aggregates and client functions are top level, and __all__ lists them."""
    for module in (query_specs, aggregates):
        assert set(module.__all__) <= set(flowclient.__all__)
        for name in module.__all__:
            assert getattr(flowclient, name) is getattr(module, name)
    for name in SIGNATURES["flowclient.client"]:
        if name not in {"get_geojson_result_by_query_id", "wait_for_query_to_be_ready", "get_json_dataframe"} | {
            "get_result_location_from_id_when_ready"
        }:
            assert name in flowclient.__all__
    assert len(set(flowclient.__all__)) == len(flowclient.__all__)


def test_help_says_what_a_query_is():
    """Each generated function's help has a sentence, every parameter's meaning and the result."""
    for name in [*query_specs.__all__, *aggregates.__all__]:
        function = getattr(flowclient, name)
        text = inspect.getdoc(function)
        assert text.partition("\n")[0].endswith(".")
        for parameter in inspect.signature(function).parameters:
            assert f"\n{parameter} : " in text
        assert "\nReturns\n" in text


def test_a_daily_location():
    """A daily location holds every parameter, null where nothing is given, as servers expect it."""
    made = flowclient.daily_location_spec(date="2016-01-01", aggregation_unit="admin3", method="last")
    expected = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin3", "method": "last"}
    assert made == expected | UNIT | EVENTS


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (None, None),
        ((22, 5), {"start_hour": 22, "end_hour": 5}),
        ([0, 12], {"start_hour": 0, "end_hour": 12}),
        ({"start_hour": 1, "end_hour": 2}, {"start_hour": 1, "end_hour": 2}),
    ],
)
def test_hours_are_a_pair(given, sent):
    """Hours are given as a pair and sent as start_hour and end_hour."""
    assert flowclient.radius_of_gyration_spec(**WEEK, hours=given)["hours"] == sent


@pytest.mark.parametrize("wrong", [(1,), (1, 2, 3), "12"])
def test_hours_that_are_no_pair_are_refused(wrong):
    """Hours that are not two values are refused in a sentence that names them."""
    with pytest.raises(ValueError, match=r"hours: .* is not a pair"):
        flowclient.event_count_spec(**WEEK, hours=wrong)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"bins": 5}, {"bins": {"n_bins": 5}}),
        ({"bins": [1, 2.5, 3]}, {"bins": {"bin_list": [1, 2.5, 3]}}),
        ({"bins": (1, 2)}, {"bins": {"bin_list": [1, 2]}}),
        ({"bins": 5, "range": None}, {"bins": {"n_bins": 5}}),
        ({"bins": 5, "range": (0, 9)}, {"bins": {"n_bins": 5}, "range": {"lower_bound": 0, "upper_bound": 9}}),
    ],
)
def test_histogram_bins_and_range(given, sent):
    """Bins are a number or edges, the range is a pair, and is left out when it is not given."""
    made = flowclient.histogram_aggregate_spec(metric={"query_kind": "x"}, **given)
    assert made == {"query_kind": "histogram_aggregate", "metric": {"query_kind": "x"}, **sent}


@pytest.mark.parametrize(("given", "sent"), [("day", "day"), ("hour", "hour"), ("minute", "min"), ("min", "min")])
def test_the_count_interval_has_the_servers_name(given, sent):
    """An interval is sent as interval, and a minute by the name that the server knows."""
    made = flowclient.location_event_counts_spec(**WEEK, aggregation_unit="admin3", count_interval=given)
    assert made["interval"] == sent
    assert "count_interval" not in made


@pytest.mark.parametrize("start", [date(2016, 1, 1), datetime(2016, 1, 1), "2016-01-01"])  # noqa: DTZ001
def test_dates_may_be_objects(start):
    """Dates may be given as date objects, and are sent as ISO text."""
    made = flowclient.unique_locations_spec(start_date=start, end_date=date(2016, 1, 8), aggregation_unit="admin3")
    assert made["start_date"].startswith("2016-01-01")
    assert made["end_date"] == "2016-01-08"
    json.dumps(made)


def test_a_modal_location_from_dates_is_made_of_its_days():
    """A modal location from dates has one daily location a day, the end date not included."""
    options = {"aggregation_unit": "admin3", "method": "last", "hours": (22, 5)}
    for end in ("2016-01-03", "2016-01-03T00:00:00", date(2016, 1, 3)):
        made = flowclient.modal_location_from_dates_spec(start_date="2016-01-01", end_date=end, **options)
        days = [flowclient.daily_location_spec(date=day, **options) for day in ("2016-01-01", "2016-01-02")]
        assert made == flowclient.modal_location_spec(locations=days)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("2016-01-03", "2016-01-03", "No day lies between"),
        ("2016-01-03", "2016-01-01", "No day lies between"),
        ("yesterday", "2016-01-03", "start_date: 'yesterday' is not a date"),
        ("2016-01-01", "2016-02-30", "end_date: '2016-02-30' is not a date"),
    ],
)
def test_a_range_without_days_is_refused(start, end, message):
    """A range that is empty, reversed or no range is refused, not sent as a question about nothing."""
    with pytest.raises(ValueError, match=message):
        flowclient.modal_location_from_dates_spec(
            start_date=start, end_date=end, aggregation_unit="admin3", method="last"
        )


def test_the_old_defaults_stay():
    """Defaults that only the client has are filled in: the mean for a joined aggregate."""
    made = flowclient.joined_spatial_aggregate_spec(locations={"a": 1}, metric={"b": 2})
    assert made == {
        "query_kind": "joined_spatial_aggregate",
        "locations": {"a": 1},
        "metric": {"b": 2},
        "method": "avg",
    }
    assert flowclient.flows_spec(from_location={}, to_location={})["join_type"] == "inner"
    assert flowclient.event_count_spec(**WEEK)["direction"] == "both"


def test_parameters_go_by_the_servers_names():
    """What flowclient calls otherwise than the server is sent by the server's name."""
    night = flowclient.nocturnal_events_spec(**WEEK, hours=(22, 4))
    assert night["night_hours"] == {"start_hour": 22, "end_hour": 4}
    assert "hours" not in night
    seen, home = {"query_kind": "unique_locations"}, {"query_kind": "modal_location"}
    places = {"unique_locations": seen, "reference_locations": home}
    assert flowclient.unmoving_counts_spec(unique_locations=seen)["locations"] == seen
    unmoving = flowclient.unmoving_at_reference_location_counts_spec(**places)
    assert unmoving == {
        "query_kind": "unmoving_at_reference_location_counts",
        "locations": seen,
        "reference_locations": home,
    }
    active = flowclient.active_at_reference_location_counts_spec(**places)
    assert active == {"query_kind": "active_at_reference_location_counts", **places}
    calendar = flowclient.localised_calendar_activity_spec(start_date="2016-01-01", total_periods=3, locations=home)
    assert calendar["reference_location"] == home
    assert "locations" not in calendar


def test_kinds_that_the_published_client_lacks_have_functions():
    """Kinds that only servers had can be asked too: visitors, mobile money, the dummy query, most days."""
    money = flowclient.dfs_metric_total_amount_spec(**WEEK, metric="amount", aggregation_unit="admin2")
    assert money == {"query_kind": "dfs_metric_total_amount", **WEEK, "metric": "amount", "aggregation_unit": "admin2"}
    assert flowclient.dummy_query_spec(dummy_param="x", aggregation_unit="admin1")["dummy_delay"] == 0
    assert flowclient.visited_most_days_spec(**WEEK, aggregation_unit="admin3")["query_kind"] == "visited_most_days"
    inner = {"active_at_reference_location_counts": {"a": 1}, "unique_subscriber_counts": {"b": 2}}
    assert flowclient.unique_visitor_counts_spec(**inner) == {"query_kind": "unique_visitor_counts", **inner}


def test_a_random_sample_is_a_copy_with_a_sampling():
    """A random sample asks what another spec asks, with its sampling, and leaves that spec as it was."""
    query = flowclient.radius_of_gyration_spec(**WEEK)
    before = dict(query)
    made = flowclient.random_sample_spec(query=query, seed=0.5, size=10)
    assert query == before
    assert made == query | {
        "sampling": {
            "seed": 0.5,
            "sampling_method": "random_ids",
            "size": 10,
            "fraction": None,
            "estimate_count": True,
        }
    }


@pytest.mark.parametrize("measures", [{}, {"size": 10, "fraction": 0.5}])
def test_a_random_sample_has_one_measure(measures):
    """A sample without a size and a fraction, or with both, is refused before it is sent."""
    with pytest.raises(ValueError, match="either size"):
        flowclient.random_sample_spec(query={"query_kind": "x"}, seed=0.5, **measures)


def test_a_query_function_asks_what_its_spec_says(make_token):
    """Each aggregate's query has the parameters of its spec function for the same call."""
    connection = flowclient.connect(url="https://127.0.0.1:1", token=make_token(sub="A"))
    sample = {"bins": 5, "count_interval": "day", "aggregation_unit": "admin3", "total_periods": 7, **WEEK}
    assert len(aggregates.__all__) > 50
    for name in aggregates.__all__:
        if not name.endswith("_spec"):
            make_spec = getattr(aggregates, f"{name}_spec")
            parameters = inspect.signature(make_spec).parameters.values()
            needed = {p.name: sample.get(p.name, {"query_kind": "x"}) for p in parameters if p.default is p.empty}
            query = getattr(aggregates, name)(connection=connection, **needed)
            assert query.parameters == make_spec(**needed)
            assert query.parameters["query_kind"] == name
