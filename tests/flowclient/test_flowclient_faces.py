"""Both faces of the client against a real HTTP server on loopback."""

import asyncio
import logging
import signal
import threading
import time

import pytest

import flowclient
from flowclient.errors import (
    FlowclientAccessError,
    FlowclientConnectionError,
    FlowclientNotFoundError,
    FlowclientRequestError,
    FlowclientServerError,
    FlowclientTimeoutError,
    FlowclientUnreachableError,
)

SPEC = {"query_kind": "spatial_aggregate", "locations": {"query_kind": "daily_location"}}
FEATURES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": 1,
            "geometry": {"type": "Point", "coordinates": [84.1, 28.2]},
            "properties": {"pcod": "A", "value": 16},
        }
    ],
}


def test_run_query_posts_the_spec_and_returns_the_id(face, api, connection):
    """Running a query posts its spec as JSON with the token and gives the id from the Location."""
    api.has_query("abc")
    assert face.ask(face.client.run_query(connection=connection, query_spec=SPEC)) == "abc"
    (asked,) = api.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/api/0/run", SPEC)
    assert asked.headers["Authorization"] == f"Bearer {connection.token}"


@pytest.mark.parametrize("status", [200, 202, 303])
def test_get_passes_welcome_statuses(face, api, connection, answer, status):
    """GET hands on responses with 200, 202 and 303, without following the last."""
    api.on("GET", "/api/0/somewhere?a=1", answer(status, {"x": 1}, {"Location": "/api/0/else"}))
    response = face.ask(connection.get_url(route="somewhere", params={"a": 1}))
    assert response.status_code == status
    assert api.paths() == ["GET /api/0/somewhere?a=1"]


@pytest.mark.parametrize("status", [200, 303])
def test_post_takes_only_accepted(face, api, connection, answer, status):
    """POST hands on 202 only: any other success is an error."""
    api.on("POST", "/api/0/run", answer(202, {}), answer(status, {"msg": "odd"}))
    assert face.ask(connection.post_json(route="run", data={})).status_code == 202
    with pytest.raises(FlowclientConnectionError, match="odd") as caught:
        face.ask(connection.post_json(route="run", data={}))
    assert caught.value.status_code == status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FlowclientRequestError),
        (401, FlowclientAccessError),
        (403, FlowclientAccessError),
        (404, FlowclientNotFoundError),
        (422, FlowclientAccessError),
        (500, FlowclientServerError),
        (429, FlowclientServerError),
        (503, FlowclientServerError),
    ],
)
@pytest.mark.parametrize(
    "body",
    [{"msg": "Because of this.", "status": "errored", "request_id": "r1"}, {"status": "x"}, b"", b"<html>", [1]],
    ids=["msg", "no msg", "empty", "html", "list"],
)
def test_an_error_answer_becomes_an_exception(face, api, connection, answer, capsys, status, kind, body):
    """Every error status raises its kind of FlowclientConnectionError, with the server's sentence if it gives one."""
    for method, ask in (
        ("GET", lambda: connection.get_url(route="x")),
        ("POST", lambda: connection.post_json(route="x", data={})),
    ):
        api.on(method, "/api/0/x", answer(status, body))
        with pytest.raises(kind) as caught:
            face.ask(ask())
        error = caught.value
        assert isinstance(error, FlowclientConnectionError)
        assert isinstance(error, FileNotFoundError) == (status == 404)
        assert error.status_code == status
        if isinstance(body, dict) and "msg" in body:
            assert error.msg == "Because of this."
            assert str(error).startswith("Because of this.")
            assert error.request_id == "r1"
        else:
            assert f"{api.url}/api/0/x" in str(error)
    assert capsys.readouterr().out == ""


def test_a_refused_scope_is_named(face, api, connection, answer):
    """A 403 that lists missing scopes carries them, and says them."""
    scopes = ["admin3:flows:flows"]
    api.on("POST", "/api/0/run", answer(403, {"msg": "User claims verification failed.", "missing_scopes": scopes}))
    with pytest.raises(FlowclientAccessError, match=r"User claims verification failed.*admin3:flows:flows") as caught:
        face.ask(face.client.run_query(connection=connection, query_spec=SPEC))
    assert caught.value.missing_scopes == scopes


def test_what_is_wrong_with_a_spec_is_told(face, api, connection, answer):
    """A 400 carries the payload and the fields that the server complains about."""
    body = {"msg": "Bad spec.", "payload": {"date": ["Missing."]}, "fields": {"date": ["Missing."]}}
    api.on("POST", "/api/0/run", answer(400, body))
    with pytest.raises(FlowclientRequestError, match=r"Bad spec.*HTTP 400.*Missing") as caught:
        face.ask(face.client.run_query(connection=connection, query_spec=SPEC))
    assert caught.value.payload == body["payload"]
    assert caught.value.fields == body["fields"]


@pytest.mark.parametrize("location", [None, "/"])
def test_an_accepted_query_without_an_id_is_an_error(face, api, connection, answer, location):
    """A 202 for run that does not say the query's id is an error, not an empty id."""
    api.on("POST", "/api/0/run", answer(202, {}, {"Location": location} if location else {}))
    with pytest.raises(FlowclientConnectionError, match="did not say its id"):
        face.ask(face.client.run_query(connection=connection, query_spec=SPEC))


def test_status_of_a_query(face, api, connection, answer):
    """A status is the server's word on 202, completed on 303, not_running on 404, an error otherwise."""
    waiting = {"status": "queued", "progress": {"eligible": 1, "queued": 1, "running": 0}}
    api.on(
        "GET",
        "/api/0/poll/abc",
        answer(202, waiting),
        answer(303, {}, {"Location": "/api/0/get/abc"}),
        answer(404, b"gone"),
        answer(202, {"progress": {}}),
        answer(500, {"status": "errored", "msg": "It failed."}),
    )
    statuses = [face.ask(face.client.get_status(connection=connection, query_id="abc")) for _ in range(3)]
    assert statuses == ["queued", "completed", "not_running"]
    with pytest.raises(FlowclientConnectionError, match="no 'status'"):
        face.ask(face.client.get_status(connection=connection, query_id="abc"))
    with pytest.raises(FlowclientServerError, match="It failed") as caught:
        face.ask(face.client.get_status(connection=connection, query_id="abc"))
    assert caught.value.status == "errored"


def test_query_is_ready(face, api, connection):
    """A query is ready once the poll answers 303, and the response comes along."""
    api.has_query("abc", polls=1)
    answers = [face.ask(face.client.query_is_ready(connection=connection, query_id="abc")) for _ in range(2)]
    assert [(ready, response.status_code) for ready, response in answers] == [(False, 202), (True, 303)]


def test_polling_stops_exactly_when_ready(face, api, connection):
    """Waiting polls until the query is ready and not once more."""
    api.has_query("abc", polls=3)
    response = face.ask(face.client.wait_for_query_to_be_ready(connection=connection, query_id="abc"))
    assert response.status_code == 303
    assert api.paths() == ["GET /api/0/poll/abc"] * 4


def test_the_place_of_a_result_is_a_route(face, api, connection, answer):
    """The place of a result comes without the API's prefix, also if the server sends its whole URL."""
    api.has_query("abc")
    locate = face.client.get_result_location_from_id_when_ready
    assert face.ask(locate(connection=connection, query_id="abc")) == "get/abc"
    api.on("GET", "/api/0/poll/abc", answer(303, {}, {"Location": f"{api.url}/api/0/get/abc"}))
    assert face.ask(locate(connection=connection, query_id="abc")) == "get/abc"
    api.on("GET", "/api/0/poll/abc", answer(303, {}))
    with pytest.raises(FlowclientConnectionError, match="not where its result is"):
        face.ask(locate(connection=connection, query_id="abc"))


def test_a_result_is_a_data_frame(face, api, connection):
    """get_result runs, waits and returns the rows, columns in the server's order."""
    api.has_query("abc", polls=2, rows=[{"pcod": "B", "value": 20, "a": None}, {"pcod": "A", "value": 16, "a": 1.5}])
    frame = face.ask(face.client.get_result(connection=connection, query_spec=SPEC))
    assert list(frame.columns) == ["pcod", "value", "a"]
    assert frame["value"].tolist() == [20, 16]
    assert api.paths() == ["POST /api/0/run", *["GET /api/0/poll/abc"] * 3, "GET /api/0/get/abc"]


def test_an_empty_result_is_an_empty_frame(face, api, connection):
    """A result without rows is a DataFrame without rows."""
    api.has_query("abc", rows=[])
    assert face.ask(face.client.get_result_by_query_id(connection=connection, query_id="abc")).empty


def test_a_result_as_geojson(face, api, connection, answer):
    """The GeoJSON of a result is fetched from its route with .geojson, by spec, by id and by format."""
    api.has_query("abc")
    api.on("GET", "/api/0/get/abc.geojson", answer(200, FEATURES))
    client = face.client
    assert face.ask(client.get_geojson_result(connection=connection, query_spec=SPEC)) == FEATURES
    assert face.ask(client.get_geojson_result_by_query_id(connection=connection, query_id="abc")) == FEATURES
    assert face.ask(client.get_result(connection=connection, query_spec=SPEC, format="geojson")) == FEATURES


def test_a_result_as_a_geo_data_frame(face, api, connection, answer):
    """format='geopandas' gives a GeoDataFrame in EPSG:4326, also of a result or a geography without features."""
    api.has_query("abc")
    api.on("GET", "/api/0/get/abc.geojson", answer(200, FEATURES))
    frame = face.ask(face.client.get_result(connection=connection, query_spec=SPEC, format="geopandas"))
    assert (frame.crs, frame["pcod"].tolist(), frame.geometry.x.tolist()) == ("EPSG:4326", ["A"], [84.1])
    api.on("GET", "/api/0/geography/admin3", answer(200, {"type": "FeatureCollection", "features": []}))
    empty = face.ask(face.client.get_geography(connection=connection, aggregation_unit="admin3", format="geopandas"))
    assert (len(empty), empty.crs) == (0, "EPSG:4326")


def test_a_wrong_format_is_refused_before_anything_is_asked(face, api, connection, tmp_path):
    """An unknown format is a ValueError that names the formats, and nothing is sent."""
    query = connection.make_api_query(SPEC)
    for wrong in (
        lambda: query.get_result(format="excel"),
        lambda: face.client.get_result(connection=connection, query_spec=SPEC, format="excel"),
        lambda: face.client.get_geography(connection=connection, aggregation_unit="admin3", format="csv"),
        lambda: query.download(tmp_path / "result.xlsx"),
        lambda: query.download(tmp_path / "result", "xlsx"),
    ):
        with pytest.raises(ValueError, match=r"Invalid format: .*Expected one of"):
            face.ask(wrong())
    assert api.asked == []


def test_a_result_that_is_not_whole_is_an_error(face, api, connection, answer):
    """A body that breaks off, or is no JSON, is a sentence with the URL and never a short result."""
    api.has_query("abc")
    api.on("GET", "/api/0/get/abc", answer(200, {"query_result": []}, fault="truncate"))
    with pytest.raises(FlowclientUnreachableError, match=f"{api.url}/api/0/get/abc"):
        face.ask(face.client.get_result(connection=connection, query_spec=SPEC))
    for body, message in [(b'{"query_result": [', "not whole JSON"), ([], "not a JSON object"), ({}, "query_result")]:
        api.on("GET", "/api/0/get/abc", answer(200, body))
        with pytest.raises(FlowclientConnectionError, match=message):
            face.ask(face.client.get_json_dataframe(connection=connection, location="get/abc"))


def test_a_result_that_is_not_ready_is_an_error(face, api, connection, answer):
    """Reading a result that the server answers with 202 is an error."""
    api.on("GET", "/api/0/get/abc", answer(202, {}))
    with pytest.raises(FlowclientConnectionError) as caught:
        face.ask(face.client.get_json_dataframe(connection=connection, location="get/abc"))
    assert caught.value.status_code == 202


def test_geography(face, api, connection, answer):
    """Geography is the unit's FeatureCollection; an error says the server's reason."""
    api.on("GET", "/api/0/geography/admin3", answer(200, FEATURES))
    assert face.ask(face.client.get_geography(connection=connection, aggregation_unit="admin3")) == FEATURES
    api.on("GET", "/api/0/geography/admin9", answer(400, {"msg": "Must be one of: admin3"}))
    with pytest.raises(FlowclientRequestError, match="Must be one of: admin3"):
        face.ask(face.client.get_geography(connection=connection, aggregation_unit="admin9"))


def test_available_dates(face, api, connection, answer):
    """Available dates come by event type, and are filtered by event type in the client."""
    dates = {"calls": ["2016-01-01"], "sms": [], "mds": ["2016-01-02"]}
    api.on("GET", "/api/0/available_dates", answer(200, {"available_dates": dates}))
    ask = face.client.get_available_dates
    assert face.ask(ask(connection=connection)) == dates
    assert face.ask(ask(connection=connection, event_types=["calls", "topups"])) == {"calls": ["2016-01-01"]}
    api.on("GET", "/api/0/available_dates", answer(500, {"msg": "No catalogue."}))
    with pytest.raises(FlowclientServerError, match="No catalogue"):
        face.ask(ask(connection=connection))


def test_versions_of_days(face, api, connection, answer):
    """Versions of days come by event type; a server that does not tell them leaves nothing to compare."""
    versions = {"calls": {"2016-01-01": "a"}, "sms": {"2016-01-01": "b"}}
    api.on("GET", "/api/0/available_dates", answer(200, {"available_dates": {}, "versions": versions}))
    ask = face.client.get_day_versions
    assert face.ask(ask(connection=connection)) == versions
    assert face.ask(ask(connection=connection, event_types=["sms", "mds"])) == {"sms": {"2016-01-01": "b"}}
    api.on("GET", "/api/0/available_dates", answer(200, {"available_dates": {}}))
    assert face.ask(ask(connection=connection)) == {}


def test_quality_checks(face, api, connection, answer, caplog):
    """Quality checks are listed and read, as records and as frames, also while INFO is logged."""
    caplog.set_level(logging.INFO)
    checks = [
        {"cdr_type": "calls", "type_of_query_or_check": "count_added_rows"},
        {"cdr_type": "sms", "type_of_query_or_check": "count_added_rows"},
    ]
    outcomes = [{"outcome": "1", "cdr_date": "2016-01-01", "type_of_query_or_check": "count_added_rows"}]
    api.on("GET", "/api/0/qa/", answer(200, checks))
    api.on("GET", "/api/0/qa/calls/count_added_rows/2016-01-01", answer(200, b"1254"))
    days = "start_date=2016-01-01&end_date=2016-01-02"
    api.on("GET", f"/api/0/qa/calls/count_added_rows?{days}", answer(200, outcomes))
    client, one = face.client, {"connection": connection, "event_type": "calls", "check_type": "count_added_rows"}
    window = {"start_date": "2016-01-01", "end_date": "2016-01-02"}
    assert face.ask(client.get_available_qa_checks(connection=connection)) == checks
    assert face.ask(client.get_available_qa_checks(connection=connection, event_types=["sms"])) == checks[1:]
    assert len(face.ask(client.get_available_qa_checks_df(connection=connection))) == 2
    assert face.ask(client.get_qa_check_outcome(**one, event_date="2016-01-01")) == "1254"
    assert face.ask(client.get_qa_check_outcomes(**one, **window)) == outcomes
    assert face.ask(client.get_qa_check_outcomes_df(**one, **window))["outcome"].tolist() == ["1"]
    assert not [path for path in api.paths() if "//" in path]


def test_a_query_runs_itself(face, api, connection):
    """A query that was not run is run by get_result, and read again without running it again."""
    api.has_query("abc")
    query = connection.make_api_query(SPEC)
    assert isinstance(query, face.query)
    assert face.ask(query.status) == "not_running"
    assert face.ask(query.get_result())["value"].tolist() == [16]
    assert face.ask(query.status) == "completed"
    face.ask(query.get_result())
    assert query.query_id == "abc"
    assert api.paths().count("POST /api/0/run") == 1


@pytest.mark.parametrize("where", ["poll", "get"])
def test_a_forgotten_result_is_computed_again(face, api, connection, answer, where):
    """A result that the server has evicted (404) is run again, once."""
    api.has_query("abc")
    query = connection.make_api_query(SPEC)
    face.ask(query.run())
    path = f"/api/0/{where}/abc"
    api.on("GET", path, answer(404, {"msg": "forgotten"}), *api.answers["GET", path])
    assert face.ask(query.get_result())["value"].tolist() == [16]
    assert api.paths().count("POST /api/0/run") == 2
    api.on("GET", path, answer(404, {"msg": "forgotten"}))
    with pytest.raises(FileNotFoundError, match="forgotten"):
        face.ask(query.get_result())
    assert api.paths().count("POST /api/0/run") == 3


def test_a_query_that_was_not_run_cannot_be_waited_for(face, api, connection):
    """Waiting for, or cancelling, a query that was not run is a FileNotFoundError and asks nothing."""
    query = connection.make_api_query(SPEC)
    for method in (query.wait_until_ready, query.cancel):
        with pytest.raises(FileNotFoundError, match="not running"):
            face.ask(method())
    api.has_query("abc", polls=1)
    face.ask(query.run())
    face.ask(query.wait_until_ready(poll_interval=0))
    assert api.paths().count("GET /api/0/poll/abc") == 2


def test_a_query_keeps_its_connection_and_a_copy_of_its_spec(face, api, connection):
    """The connection of a query cannot be replaced, and later changes of the dict do not reach the query."""
    spec = dict(SPEC)
    query = connection.make_api_query(spec)
    spec["query_kind"] = "other"
    assert query.parameters == SPEC
    assert "spatial_aggregate" in repr(query)
    assert connection.token not in repr(query)
    with pytest.raises(AttributeError):
        query.connection = None


def test_an_aggregate_function_makes_a_query_of_its_connection(face, connection):
    """A function such as flows() takes either kind of connection and gives the query that belongs to it."""
    query = flowclient.flows(connection=connection, from_location={"a": 1}, to_location={"b": 2})
    assert type(query) is face.query
    assert query.parameters == flowclient.flows_spec(from_location={"a": 1}, to_location={"b": 2})


def test_a_download_is_whole_or_absent(face, api, connection, answer, tmp_path):
    """to_csv and download write the server's bytes to the file; a broken answer leaves no file behind."""
    api.has_query("abc")
    api.on("GET", "/api/0/get/abc.csv", answer(200, b"pcod,value\r\nA,16\r\n"))
    api.on("GET", "/api/0/get/abc.parquet", answer(200, b"PAR1", fault="truncate"))
    query = connection.make_api_query(SPEC)
    path = face.ask(query.to_csv(tmp_path / "out.csv"))
    assert (path, path.read_bytes()) == (tmp_path / "out.csv", b"pcod,value\r\nA,16\r\n")
    other = face.ask(face.client.download_result(connection=connection, query_spec=SPEC, path=str(tmp_path / "b.csv")))
    assert other.read_bytes() == path.read_bytes()
    with pytest.raises(FlowclientUnreachableError):
        face.ask(query.download(tmp_path / "out.parquet"))
    api.on("GET", "/api/0/get/abc.arrow", answer(403, {"msg": "No."}))
    with pytest.raises(FlowclientAccessError, match=r"No\."):
        face.ask(query.download(tmp_path / "out.arrow"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.csv", "out.csv"]


def test_cancelling(face, api, connection, answer):
    """Cancelling posts to the query's cancel route and returns its state."""
    api.has_query("abc")
    api.on("POST", "/api/0/cancel/abc", answer(200, {"query_id": "abc", "status": "cancelled"}))
    query = connection.make_api_query(SPEC)
    face.ask(query.run())
    assert face.ask(query.cancel()) == "cancelled"
    assert face.ask(face.client.cancel_query(connection=connection, query_id="abc")) == "cancelled"
    with pytest.raises(FlowclientNotFoundError):
        face.ask(face.client.cancel_query(connection=connection, query_id="unknown"))


def test_a_new_token_is_used_from_then_on(face, api, connection, make_token):
    """update_token changes the header and the user; a bad token changes nothing."""
    new = make_token(sub="OTHER")
    api.has_query("abc")
    connection.update_token(new)
    with pytest.raises(FlowclientConnectionError):
        connection.update_token("rubbish")
    face.ask(face.client.run_query(connection=connection, query_spec=SPEC))
    assert api.asked[-1].headers["Authorization"] == f"Bearer {new}"
    assert (connection.user, connection.token) == ("OTHER", new)


@pytest.mark.parametrize("fault", [{"fault": "drop"}, {"status": 503, "body": {"msg": "busy"}}, {"status": 429}])
def test_passing_failures_are_ridden_out(face, api, connection, answer, fault):
    """A dropped connection, and 503 and 429 with Retry-After, are tried again at each step of a query."""
    api.has_query("abc")
    headers = {"Retry-After": "0"} if "status" in fault else {}
    for key, answers in api.answers.items():
        api.on(*key, answer(headers=headers, **fault), *answers)
    assert face.ask(face.client.get_result(connection=connection, query_spec=SPEC))["value"].tolist() == [16]
    assert len(api.asked) == 6


def test_a_post_that_may_have_been_done_is_not_repeated(face, api, connection, answer):
    """post_json is not sent a second time after a dropped connection."""
    api.on("POST", "/api/0/thing", answer(fault="drop"))
    with pytest.raises(FlowclientUnreachableError):
        face.ask(connection.post_json(route="thing", data={}))
    assert len(api.asked) == 1


def test_a_server_that_is_down_is_named(face, make_token):
    """When nothing listens, the error names the URL."""
    connection = face.connect(url="http://127.0.0.1:1", token=make_token(sub="A"))
    with pytest.raises(FlowclientUnreachableError, match=r"Unable to connect to FlowKit API at http://127.0.0.1:1/"):
        face.ask(face.client.get_available_dates(connection=connection))


def test_a_silent_server_is_given_up(face, api, make_token, answer):
    """An answer that does not come within the connection's timeout is an error, not an endless wait."""
    release = threading.Event()

    class Slow(type(answer())):
        @property
        def headers(self):
            release.wait(5)
            return {}

        @headers.setter
        def headers(self, _):
            pass

    api.on("GET", "/api/0/available_dates", Slow(200, {}))
    connection = face.connect(url=api.url, token=make_token(sub="A"), timeout=0.1)
    started = time.monotonic()
    try:
        with pytest.raises(FlowclientUnreachableError, match="longer timeout"):
            face.ask(face.client.get_available_dates(connection=connection))
    finally:
        release.set()
    assert time.monotonic() - started < 3
    assert len(api.asked) == 1


def test_a_query_that_takes_too_long_is_left_running(face, api, connection):
    """With a timeout, waiting ends with the query's id in the message and the query is not cancelled."""
    api.has_query("abc", polls=10_000)
    with pytest.raises(FlowclientTimeoutError, match=r"abc.*still running") as caught:
        face.ask(face.client.get_result(connection=connection, query_spec=SPEC, timeout=0.1))
    assert isinstance(caught.value, TimeoutError)
    assert not [path for path in api.paths() if "cancel" in path]


@pytest.mark.parametrize("where", ["http://elsewhere.example/api/0/get/abc", "//elsewhere.example/api/0/get/abc"])
def test_the_token_stays_with_its_host(face, api, connection, answer, where):
    """A result said to be on another host is refused with that host's name, by Location and by route."""
    api.has_query("abc")
    api.on("GET", "/api/0/poll/abc", answer(303, {}, {"Location": where}))
    with pytest.raises(FlowclientConnectionError, match=r"elsewhere\.example"):
        face.ask(face.client.get_result(connection=connection, query_spec=SPEC))
    with pytest.raises(FlowclientConnectionError, match=r"elsewhere\.example"):
        face.ask(connection.get_url(route=where))


def test_a_redirect_is_not_followed(face, api, serve, connection, answer):
    """A redirect to another server is reported with its target, and the token does not go there."""
    other = serve()
    api.on("GET", "/api/0/available_dates", answer(302, b"", {"Location": f"{other.url}/api/0/available_dates"}))
    with pytest.raises(FlowclientConnectionError, match=f"redirect to {other.url}") as caught:
        face.ask(face.client.get_available_dates(connection=connection))
    assert caught.value.status_code == 302
    assert other.asked == []


def test_an_api_behind_a_path_is_reached(face, api, make_token, answer):
    """An API below a path of its host works, with Locations that leave the path out or have it."""
    connection = face.connect(url=f"{api.url}/flow/", token=make_token(sub="A"))
    for location in ("/api/0/get/abc", "/flow/api/0/get/abc"):
        api.on("GET", "/flow/api/0/poll/abc", answer(303, {}, {"Location": location}))
        api.on("GET", "/flow/api/0/get/abc", answer(200, {"query_result": [{"value": 16}]}))
        frame = face.ask(face.client.get_result_by_query_id(connection=connection, query_id="abc"))
        assert frame["value"].tolist() == [16]


def test_a_query_id_cannot_reach_another_route(face, api, connection):
    """Signs in an id or a unit that mean something in a URL are quoted."""
    assert face.ask(face.client.get_status(connection=connection, query_id="../run?x#y")) == "not_running"
    with pytest.raises(FlowclientNotFoundError):
        face.ask(face.client.get_geography(connection=connection, aggregation_unit="../run"))
    assert api.paths() == ["GET /api/0/poll/..%2Frun%3Fx%23y", "GET /api/0/geography/..%2Frun"]


def test_a_keyboard_interrupt_says_the_query_id(api, make_token, answer):
    """Interrupting a wait raises KeyboardInterrupt with the query's id and leaves the query running."""
    api.has_query("abc", polls=10_000)
    connection = flowclient.connect(url=api.url, token=make_token(sub="A"))
    timer = threading.Timer(0.15, signal.raise_signal, [signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt, match=r"abc.*still running.*query_id='abc'"):
            flowclient.get_result(connection=connection, query_spec=SPEC, disable_progress=True)
    finally:
        timer.cancel()
    assert not [path for path in api.paths() if "cancel" in path]
    api.has_query("abc")
    assert not flowclient.get_result_by_query_id(connection=connection, query_id="abc").empty


async def test_a_cancelled_task_says_the_query_id(api, make_token, caplog):
    """Cancelling a task that waits logs the query's id, and the task counts as cancelled."""
    # Programs may have asked flowclient to say less, as AutoFlow does.
    caplog.set_level(logging.INFO, "flowclient")
    api.has_query("abc", polls=10_000)
    connection = await flowclient.connect_async(url=api.url, token=make_token(sub="A"))
    query = flowclient.spatial_aggregate(connection=connection, locations={})
    task = asyncio.create_task(query.get_result(disable_progress=True))
    while len(api.asked) < 3:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "query_id='abc'" in caplog.text
    await connection.close()


async def test_asynchronous_queries_wait_side_by_side(api, make_token):
    """Several asynchronous queries wait at the same time over one connection."""
    async with await flowclient.connect_async(url=api.url, token=make_token(sub="A")) as connection:
        api.has_query("abc", polls=20)
        queries = [flowclient.spatial_aggregate(connection=connection, locations={}) for _ in range(5)]
        frames = await asyncio.gather(*(query.get_result(disable_progress=True) for query in queries))
    assert [frame["value"].tolist() for frame in frames] == [[16]] * 5


def test_the_progress_bar(face, api, connection, answer, capsys):
    """The bar's total is what was eligible at first, it advances as that falls, and it ends full."""
    api.has_query("abc")
    waiting = [
        answer(202, {"status": "executing", "progress": {"eligible": e, "queued": 0, "running": 1}}) for e in (4, 1)
    ]
    api.on("GET", "/api/0/poll/abc", *waiting, *api.answers["GET", "/api/0/poll/abc"])
    face.ask(face.client.get_result(connection=connection, query_spec=SPEC, disable_progress=False))
    shown = capsys.readouterr().err
    assert "Parts run" in shown
    assert "4/4" in shown


@pytest.mark.parametrize("disable", [True, None])
def test_no_bar_is_shown_where_none_is_wanted(face, api, connection, capsys, disable):
    """No bar is shown with disable_progress=True, nor by default where the output is no terminal."""
    api.has_query("abc", polls=2)
    face.ask(face.client.get_result(connection=connection, query_spec=SPEC, disable_progress=disable))
    assert capsys.readouterr().err == ""


def test_a_ready_query_shows_no_bar(face, api, connection, capsys):
    """A query that is ready at the first poll shows no bar at all."""
    api.has_query("abc")
    face.ask(face.client.get_result(connection=connection, query_spec=SPEC, disable_progress=False))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("progress", [None, {}, {"eligible": None}])
def test_a_poll_without_progress_does_no_harm(face, api, connection, answer, progress):
    """A poll that tells no progress, or not all of it, is waited out like any other."""
    api.has_query("abc")
    ready = api.answers["GET", "/api/0/poll/abc"]
    api.on("GET", "/api/0/poll/abc", answer(202, {"status": "executing", "progress": progress}), *ready)
    frame = face.ask(face.client.get_result(connection=connection, query_spec=SPEC, disable_progress=False))
    assert frame["value"].tolist() == [16]
