"""Questions asked of a server, and their answers."""

import concurrent.futures
import datetime as dt
import itertools
import json

import pytest
from tests.flowmachine_server.living_server import (
    DAYS,
    FIRST,
    Wire,
    daily,
    make_lake,
    moves,
    people,
    store_day,
    usual_day,
)

import flowmachine

HEX = set("0123456789abcdef")


def features(rows):
    """The features of GeoJSON rows."""
    return [json.loads(row["feature"]) for row in rows]


def test_a_query_runs_and_its_rows_come_back(wire):
    """Sixty subscribers, forty in A and twenty in C."""
    query_id = wire.run(people())
    assert len(query_id) == 32
    assert set(query_id) <= HEX
    ended = wire.wait(query_id)
    assert ended == {
        "query_id": query_id,
        "query_kind": "spatial_aggregate",
        "query_state": "completed",
        "progress": {"eligible": 0, "queued": 0, "running": 0},
        "error": "",
    }
    reply = wire.ask("get_result", {"query_id": query_id})
    assert reply["payload"] == {
        "query_id": query_id,
        "query_state": "completed",
        "batch": 0,
        "batches": 1,
        "rows": 2,
    }
    assert reply["arrow"].to_pylist() == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]


@pytest.mark.parametrize("kind", [k for k, cls in flowmachine.kinds().items() if cls.role == "Aggregate"])
def test_every_kind_answers_its_example_as_the_library_does(wire, lake, kind):
    """What a server publishes is what the library releases."""
    cls = flowmachine.kinds()[kind]
    # The examples ask for the first week, of which this lake holds four days.
    spec = json.loads(json.dumps(cls.example).replace("2016-01-08", "2016-01-05").replace("2016-01-07", "2016-01-04"))
    session = flowmachine.connect(lake.path)
    expected = session.run(spec, release=True)
    session.close()
    query_id = wire.run(spec)
    assert wire.wait(query_id)["query_state"] == "completed"
    reply = wire.ask("get_result", {"query_id": query_id})
    assert reply["arrow"].schema.types == expected.schema.types
    assert reply["arrow"].to_pylist() == expected.to_pylist()
    assert wire.ask("get_query_kind", {"query_id": query_id})["payload"]["query_kind"] == kind
    params = wire.ask("get_query_params", {"query_id": query_id})["payload"]
    assert flowmachine.parse(params["query_params"]) == flowmachine.parse(spec)
    assert params["query_kinds"][0] == kind


def test_rows_that_stand_for_too_few_are_withheld(wire):
    """Thirty subscribers wrote texts on the first day: ten more than twenty of them from A, so C has none to tell."""
    spec = {
        "query_kind": "unique_subscriber_counts",
        "start_date": "2016-01-01",
        "end_date": "2016-01-02",
        "aggregation_unit": "admin3",
        "event_types": ["sms"],
    }
    assert wire.result(spec) == [{"pcod": "A", "value": 30}]
    subset = spec | {"subscriber_subset": daily("2016-01-03")}
    assert wire.result(subset | {"hours": {"start_hour": 12, "end_hour": 13}}) == [{"pcod": "A", "value": 30}]
    # The ten texts of 12 o'clock are outside these hours; nobody is left.
    assert wire.result(subset | {"hours": {"start_hour": 13, "end_hour": 14}}) == []


def test_an_empty_result_is_one_empty_batch(wire):
    """A result without rows still tells its columns."""
    query_id = wire.run(people("2016-01-01") | {"locations": daily() | {"hours": {"start_hour": 3, "end_hour": 4}}})
    wire.wait(query_id)
    for form in ("rows", "geo"):
        reply = wire.ask("get_result", {"query_id": query_id, "format": form})
        assert (reply["payload"]["batches"], reply["payload"]["rows"], reply["arrow"].num_rows) == (1, 0, 0)
    assert wire.ask("get_result", {"query_id": query_id})["arrow"].column_names == ["pcod", "value"]


def test_a_batch_that_is_not_there_is_refused(wire):
    """Whoever asks for a batch too many reads how many there are."""
    query_id = wire.run(people())
    wire.wait(query_id)
    for batch in (1, -1):
        reply = wire.ask("get_result", {"query_id": query_id, "batch": batch})
        assert reply["status"] == "error"
        assert "0 to 0" in reply["msg"]
    assert "rows, geo" in wire.ask("get_result", {"query_id": query_id, "format": "csv"})["msg"]


def test_the_same_question_has_the_same_id_however_it_is_written(wire):
    """Order of keys, defaults written out and spellings of dates make no other question; other dates do."""
    first = wire.run(people())
    again = wire.run(
        {
            "locations": {
                "method": "last",
                "aggregation_unit": "admin3",
                "event_types": None,
                "date": "2016-01-01T00:00:00",
                "query_kind": "daily_location",
            },
            "query_kind": "spatial_aggregate",
        }
    )
    assert first == again
    assert wire.run(people("2016-01-02")) != first


def test_a_wrong_spec_is_told_where_it_is_wrong(wire):
    """Messages name the path in the spec and what is allowed there."""
    spec = {
        "query_kind": "spatial_aggregate",
        "locations": {
            "query_kind": "modal_location",
            "locations": [daily(), daily("2016-13-01"), daily(unit="Admin 9")],
        },
    }
    for action in ("run_query", "get_aggregation_unit"):
        reply = wire.ask(action, spec)
        assert reply["status"] == "error"
        assert reply["payload"]["params"] == spec
        messages = reply["payload"]["validation_error_messages"]
        assert "2016-13-01" in messages["locations.locations[1].date"][0]
        assert "Must be one of: admin0, admin1" in messages["locations.locations[2].aggregation_unit"][0]
        assert "locations.locations[1].date: " in reply["msg"]


def test_single_subscribers_cannot_be_asked_for(wire):
    """A subscriber-level query is refused by name at the top, and its id is of no use where it is a part."""
    for kind in ("daily_location", "radius_of_gyration"):
        reply = wire.ask("run_query", flowmachine.kinds()[kind].example)
        assert reply["status"] == "error"
        assert f"{kind} is about single subscribers" in reply["payload"]["validation_error_messages"]["query_kind"][0]
    wire.result(people())
    parts = [q for q in wire.ask("list_queries")["payload"]["queries"] if q["query_kind"] == "daily_location"]
    assert parts
    for part in parts:
        for action in ("get_result", "poll_query", "get_query_params", "get_query_kind"):
            assert wire.ask(action, {"query_id": part["query_id"]})["payload"]["query_state"] == "awol"


def test_a_subset_may_be_named_by_its_id(wire):
    """The id of a stored subscriber-level query stands for its spec; another id is no subset."""
    flows = wire.run(moves())
    wire.wait(flows)
    queries = wire.ask("list_queries")["payload"]["queries"]
    subset = next(q["query_id"] for q in queries if q["query_kind"] == "daily_location")
    spec = {
        "query_kind": "unique_subscriber_counts",
        "start_date": "2016-01-01",
        "end_date": "2016-01-02",
        "aggregation_unit": "admin3",
    }
    told = wire.ask("get_aggregation_unit", spec | {"subscriber_subset": subset})["payload"]
    hidden = told.pop("without_ids")
    assert f"No query '{subset}' is known" in hidden["validation_error_messages"]["subscriber_subset"][0]
    assert (hidden["query_kinds"], hidden["subset_kinds"]) == (["unique_subscriber_counts"], [])
    assert told == {
        "aggregation_unit": "admin3",
        "query_kinds": ["unique_subscriber_counts"],
        "subset_kinds": ["daily_location"],
    }
    assert wire.result(spec | {"subscriber_subset": subset}) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]
    for wrong in ("0" * 32, flows):
        reply = wire.ask("run_query", spec | {"subscriber_subset": wrong})
        assert wrong in reply["payload"]["validation_error_messages"]["subscriber_subset"][0]


def test_the_unit_and_kinds_of_a_spec_are_told(wire):
    """FlowAPI learns what to ask permission for, at any depth, without anything being run."""
    spec = {
        "query_kind": "histogram_aggregate",
        "metric": {
            "query_kind": "event_count",
            "start_date": "2016-01-01",
            "end_date": "2016-01-02",
            "subscriber_subset": {"query_kind": "modal_location", "locations": [daily()]},
        },
        "bins": {"n_bins": 2},
    }
    assert wire.ask("get_aggregation_unit", spec)["payload"] == {
        "aggregation_unit": None,
        "query_kinds": ["histogram_aggregate", "event_count"],
        "subset_kinds": ["modal_location", "daily_location"],
    }
    assert wire.ask("get_aggregation_unit", moves(unit="admin1"))["payload"]["aggregation_unit"] == "admin1"


def test_days_without_data_are_told(wire):
    """A window in which nothing lies is refused with the days that there are."""
    reply = wire.ask("run_query", people("2017-01-01"))
    assert reply["status"] == "error"
    assert "there is data from 2016-01-01 to 2016-01-04" in reply["payload"]["exception"]
    assert reply["msg"] == reply["payload"]["exception"]


def test_a_level_that_is_not_loaded_is_told(wire):
    """A unit that the kinds know but this deployment has not loaded names those that are."""
    reply = wire.ask("run_query", people(unit="admin2"))
    assert reply["status"] == "error"
    assert "Must be one of: admin1, admin3, cell, lon-lat." in reply["msg"]
    assert list(reply["payload"]["validation_error_messages"]) == ["locations.aggregation_unit"]


def test_a_spec_that_is_nested_without_end_is_refused(wire):
    """A spec within a spec within a spec is refused in a sentence, and the server lives on."""
    for depth in (60, 5000):
        spec = daily()
        for _ in range(depth):
            spec = daily() | {"subscriber_subset": spec}
        reply = wire.send(
            (
                '{"action": "run_query", "request_id": "r", "params": {"query_kind": "spatial_aggregate", "locations": '
                + '{"subscriber_subset": ' * depth
                + "1"
                + "}" * depth
                + "}}"
            ).encode()
        )
        assert reply["status"] == "error"
        assert "nested too deeply" in reply["msg"] or "not JSON" in reply["msg"]


def test_the_stored_days_are_told(wire):
    """Every event type that has data is listed with its days, in order."""
    days = [str(FIRST + dt.timedelta(days=n)) for n in range(DAYS)]
    assert wire.ask("get_available_dates")["payload"] == {"calls": days, "sms": days[:1]}
    versions = wire.ask("get_day_versions")["payload"]
    assert {event_type: list(held) for event_type, held in versions.items()} == {"calls": days, "sms": days[:1]}
    assert len({version for held in versions.values() for version in held.values()}) == len(days) + 1


def test_quality_checks_are_told(wire):
    """Checks that loading left are listed, and read for days from the first to the last included."""
    listed = wire.ask("list_qa_checks")["payload"]["available_qa_checks"]
    assert {"cdr_type": "calls", "type_of_query_or_check": "count_added_rows.calls"} in listed
    asked = {"cdr_type": "calls", "start_date": "2016-01-02", "end_date": "2016-01-03"}
    checks = wire.ask("get_qa_checks", asked | {"check_type": "count_added_rows.calls"})["payload"]["qa_checks"]
    assert checks == [
        {"outcome": "120", "cdr_date": day, "type_of_query_or_check": "count_added_rows.calls"}
        for day in ("2016-01-02", "2016-01-03")
    ]
    assert wire.ask("get_qa_checks", asked | {"check_type": "no_such"})["payload"] == {"qa_checks": []}
    assert "start_date" in wire.ask("get_qa_checks", asked | {"check_type": "x", "start_date": "1st"})["msg"]


def test_features_carry_the_rows_and_the_boundaries(wire):
    """A feature a row: the unit's boundary, and as properties its code, value and centre."""
    made = features(wire.result(people(), "geo"))
    assert [f["id"] for f in made] == [1, 2]
    assert made[0]["properties"] == {
        "pcod": "A",
        "value": 40,
        "centroid": {"type": "Point", "coordinates": [80.5, 26.5]},
    }
    assert made[0]["geometry"]["type"] == "MultiPolygon"
    assert sorted(made[0]["geometry"]["coordinates"][0][0])[0] == [80.0, 26.0]


def test_flows_are_features_of_locations(wire):
    """Where people came from and went to stands at each location, by the code of the other."""
    made = features(wire.result(moves(), "geo"))
    told = {f["properties"]["pcod"]: (f["properties"]["inflows"], f["properties"]["outflows"]) for f in made}
    assert told == {"A": ({"A": 20}, {"A": 20, "B": 20}), "B": ({"A": 20}, {}), "C": ({"C": 20}, {"C": 20})}


def test_points_are_features_too(wire):
    """In the unit lon-lat features are points, and flows name the other by both coordinates."""
    made = features(wire.result(people(unit="lon-lat"), "geo"))
    assert made[0]["geometry"] == {"type": "Point", "coordinates": [80.5, 26.25]}
    assert (made[0]["properties"]["lon"], made[0]["properties"]["lat"]) == (80.5, 26.25)
    flows = features(wire.result(moves(unit="lon-lat"), "geo"))
    assert flows[1]["properties"]["inflows"] == {"80.5,26.25": 20}


def test_a_kind_without_places_has_no_geojson(wire):
    """A histogram's rows are nowhere; asking for its geometry is an error, asking for its rows is not."""
    spec = {
        "query_kind": "histogram_aggregate",
        "metric": {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-02"},
        "bins": {"bin_list": [0, 2.5, 4]},
    }
    query_id = wire.run(spec)
    wire.wait(query_id)
    reply = wire.ask("get_result", {"query_id": query_id, "format": "geo"})
    assert reply["status"] == "error"
    assert reply["payload"] == {"query_id": query_id, "query_state": "errored"}
    assert [row["value"] for row in wire.rows(query_id)] == [30, 30]


def test_boundaries_are_told(wire):
    """A level's boundaries come as features in WGS84 with code, name and centre; another level is told of."""
    reply = wire.ask("get_geography", {"aggregation_unit": "admin3"})
    assert reply["payload"] == {"query_state": "completed", "batch": 0, "batches": 1}
    made = features(reply["arrow"].to_pylist())
    assert [f["properties"]["pcod"] for f in made] == ["A", "B", "C", "D"]
    assert made[3]["properties"]["name"] == 'Unit "D"'
    assert made[3]["properties"]["centroid"] == {"type": "Point", "coordinates": [83.5, 26.5]}
    points = features(wire.ask("get_geography", {"aggregation_unit": "lon-lat"})["arrow"].to_pylist())
    assert points[0]["properties"]["lon"] == points[0]["geometry"]["coordinates"][0] == 80.5
    wrong = wire.ask("get_geography", {"aggregation_unit": "admin2"})
    assert wrong["status"] == "error"
    assert wrong["payload"] == {"aggregation_unit": ["Must be one of: admin1, admin3, cell, lon-lat."]}


@pytest.mark.takes_long("asks a server many questions")
def test_thirty_questions_of_ten_clients_are_all_answered(shared_server, lake):
    """Each of ten clients gets the right rows for its three questions, whatever the others ask."""
    specs = [
        moves(*pair) | {"join_type": join}
        for pair in itertools.permutations([str(FIRST + dt.timedelta(days=n)) for n in range(DAYS)], 2)
        for join in ("inner", "left", "full outer")
    ][:30]

    def three(number):
        client = Wire(shared_server.port)
        try:
            ids = [client.run(spec) for spec in specs[number::10]]
            return [client.rows(query_id) for query_id in ids if client.wait(query_id)["query_state"] == "completed"]
        finally:
            client.close()

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        told = list(pool.map(three, range(10)))
    session = flowmachine.connect(lake.path)
    for number, results in enumerate(told):
        assert results == [session.run(spec, release=True).to_pylist() for spec in specs[number::10]]
    session.close()


def test_a_question_that_many_ask_at_once_runs_once(shared_server, wire):
    """Ten clients that ask the same get one id, and one worker computes it once."""
    spec = {
        "query_kind": "joined_spatial_aggregate",
        "locations": daily("2016-01-02"),
        "metric": {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-04"},
        "method": "max",
    }

    def ask(_):
        client = Wire(shared_server.port)
        try:
            return client.run(spec)
        finally:
            client.close()

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        ids = set(pool.map(ask, range(10)))
    assert len(ids) == 1
    (query_id,) = ids
    assert wire.wait(query_id)["query_state"] == "completed"
    assert wire.run(spec) == query_id
    assert wire.rows(query_id) == [{"pcod": "A", "value": 7.0}, {"pcod": "C", "value": 6.0}]
    assert len(shared_server.ran(query_id)) == 1


def test_the_server_tells_how_it_is(wire):
    """Version, zone and how much there is to do."""
    wire.result(people())
    told = wire.ask("get_server_status")["payload"]
    assert told["timezone"] == "Asia/Kathmandu"
    assert told["workers"] == 2
    assert told["completed"] >= 1
    assert set(told) == {"version", "timezone", "queued", "executing", "completed", "errored", "workers"}


def test_a_corrected_day_makes_a_new_question_and_leaves_the_others(tmp_path, new_server):
    """After a day was corrected the same spec has another id and the new numbers; other days keep their ids."""

    lake = make_lake(tmp_path / "lake")
    server = new_server(lake.path).start()
    client = Wire(server.port)
    first, second = client.run(people()), client.run(people("2016-01-02"))
    client.wait(first)
    versions = client.ask("get_day_versions")["payload"]
    # The first thirty wrote texts in A at noon, after these calls.
    store_day(lake, FIRST, [(s, 10, "d") for s in range(50)])
    corrected = client.run(people())
    assert corrected != first
    client.wait(corrected)
    assert client.rows(corrected) == [{"pcod": "A", "value": 30}, {"pcod": "D", "value": 20}]
    assert client.ask("get_result", {"query_id": first})["payload"]["query_state"] == "withdrawn"
    assert client.run(people("2016-01-02")) == second
    since = client.ask("get_day_versions")["payload"]
    assert [(t, d) for t, days in since.items() for d in days if days[d] != versions[t][d]] == [("calls", str(FIRST))]
    store_day(lake, FIRST + dt.timedelta(days=4), usual_day(3))
    assert client.ask("get_available_dates")["payload"]["calls"][-1] == "2016-01-05"
    client.close()
