import json
import re
import socket

import httpx
import pytest
from tests.flowapi.conftest import EVERYTHING, error

ERROR_KEYS = {"msg", "status", "code", "request_id"}


def test_a_query_is_run_polled_and_fetched(call, spec):
    """Running answers 202 with where to poll, polling 202 until 303 says where the result is, then it is there."""
    started = call("POST", "/api/0/run", json=spec)
    assert started.status_code == 202
    query_id = started.json()["query_id"]
    assert started.json()["progress"] == {"eligible": 2, "queued": 0, "running": 1}
    assert started.headers["Location"] == f"/api/0/poll/{query_id}"
    first = call("GET", started.headers["Location"])
    assert first.status_code == 202
    assert first.json() == {
        "status": "executing",
        "msg": "",
        "progress": {"eligible": 1, "queued": 0, "running": 1},
    }
    call("GET", started.headers["Location"])
    ready = call("GET", started.headers["Location"])
    assert ready.status_code == 303
    assert ready.json() == {"status": "completed"}
    assert ready.headers["Location"] == f"/api/0/get/{query_id}"
    result = call("GET", ready.headers["Location"])
    assert result.status_code == 200
    assert result.json() == {
        "query_id": query_id,
        "query_result": [{"pcod": "A", "value": 1.5}, {"pcod": "B", "value": None}],
    }
    assert result.headers["Transfer-Encoding"] == "chunked"
    assert result.headers["Content-Type"] == "application/json"
    assert result.headers["Content-Disposition"] == f"attachment;filename={query_id}.json"


@pytest.mark.parametrize("filetype", ["json", "csv", "geojson", "arrow", "parquet"])
def test_a_result_of_former_days_is_marked(call, fake, spec, filetype):
    """Where old results are given, polling and every format say which days were withdrawn or replaced since."""
    note = "This result is of former data: calls of 2016-01-01 was withdrawn since it was computed."
    query_id = fake.add(spec, note=note)
    ready = call("GET", f"/api/0/poll/{query_id}")
    assert (ready.status_code, ready.json()) == (303, {"status": "completed", "msg": note})
    assert ready.headers["FlowKit-Former-Data"] == note
    result = call("GET", f"/api/0/get/{query_id}.{filetype}")
    assert result.status_code == 200
    assert result.headers["FlowKit-Former-Data"] == note
    fake.queries[query_id].note = ""
    for path in (f"poll/{query_id}", f"get/{query_id}.{filetype}"):
        assert "FlowKit-Former-Data" not in call("GET", f"/api/0/{path}").headers


def test_the_same_query_has_the_same_id(call, spec):
    """Posting a query again is no new query."""
    assert (
        call("POST", "/api/0/run", json=spec).json()["query_id"]
        == (call("POST", "/api/0/run", json=spec).json()["query_id"])
    )


def test_a_doubled_slash_before_the_path_is_accepted(call, flowapi, fake, spec, make_token):
    """A client whose URL ends with a slash calls //api/0/... and is served."""
    query_id = fake.add(spec)
    answer = httpx.get(f"{flowapi.url}//api/0/poll/{query_id}", headers={"Authorization": f"Bearer {make_token()}"})
    assert answer.status_code == 303
    assert answer.headers["Location"] == f"/api/0/get/{query_id}"


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("queued", 202),
        ("executing", 202),
        ("completed", 303),
        ("errored", 500),
        ("cancelled", 500),
        ("known", 404),
        ("withdrawn", 410),
        ("resetting", 404),
    ],
)
def test_polling_tells_each_state(call, fake, spec, state, status):
    """Each state of a query has its status code, and the body names the state."""
    query_id = fake.add(spec, state=state, error="stay")
    answer = call("GET", f"/api/0/poll/{query_id}")
    assert answer.status_code == status
    assert answer.json()["status"] == state
    if status >= 400:
        assert answer.json().keys() >= ERROR_KEYS


def test_a_failed_query_says_why(call, fake, spec):
    """Polling a failed query gives the server's reason."""
    query_id = fake.add(spec, state="errored", error="There is no data on 2016-01-01.")
    assert call("GET", f"/api/0/poll/{query_id}").json()["msg"] == "There is no data on 2016-01-01."


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("queued", 202),
        ("executing", 202),
        ("errored", 403),
        ("known", 404),
        ("withdrawn", 410),
        ("cancelled", 500),
        ("resetting", 500),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".csv"])
def test_a_result_that_is_not_there_has_its_status(call, fake, spec, state, status, suffix):
    """Fetching what is not ready answers 202 with an empty object; what failed or vanished, an error."""
    query_id = fake.add(spec, state=state, error="stay")
    answer = call("GET", f"/api/0/get/{query_id}{suffix}")
    assert answer.status_code == status
    if status == 202:
        assert answer.json() == {}
    else:
        assert answer.json().keys() >= ERROR_KEYS
        assert answer.json()["status"] == state


@pytest.mark.parametrize("path", ["poll/", "get/", "get/{}.csv"])
@pytest.mark.parametrize("query_id", ["0" * 32, "no-id", "A" * 32])
def test_an_unknown_query_is_not_found(call, path, query_id):
    """An id that no query has answers 404, which tells clients to run the query again."""
    url = f"/api/0/{path.format(query_id) if '{}' in path else path + query_id}"
    answer = call("GET", url)
    assert answer.status_code == 404
    assert answer.json().keys() >= ERROR_KEYS


def test_an_unknown_file_type_is_refused(call, fake, spec):
    """A file type that there is not answers 400 and lists those there are."""
    answer = call("GET", f"/api/0/get/{fake.add(spec)}.xlsx")
    assert answer.status_code == 400
    assert "json, csv, geojson, arrow, parquet" in answer.json()["msg"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"query_kind": 3}',
        b'{"query_kind": "flows", "x": NaN}',
        b"\xff\xfe",
        b'{"query_kind": "\\ud800"}',
        b'{"query_kind": "flows", "x": {"\\udfff": 1}}',
        b"[" * 100_000,
        b'{"query_kind": "flows", "x": ' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: f"{len(body)}:{body[:20]!r}",
)
def test_a_body_that_is_no_query_is_refused(call, body):
    """A body that is not a JSON object with a kind, or is nested too deep, answers 400 in one sentence or two."""
    answer = call("POST", "/api/0/run", content=body)
    assert answer.status_code == 400
    assert answer.json()["msg"].startswith("Could not parse query spec. ")
    assert answer.json().keys() >= ERROR_KEYS


def test_a_wrong_parameter_is_named(call, spec):
    """A spec that the server refuses answers 400, names the field, and lists the choices."""
    spec["locations"]["aggregation_unit"] = "admin9"
    answer = call("POST", "/api/0/run", json=spec)
    assert answer.status_code == 400
    assert "Must be one of: admin0, admin1" in answer.json()["msg"]
    assert list(answer.json()["fields"]) == ["locations.aggregation_unit"]


def test_an_unknown_kind_is_answered_with_the_choices(call):
    """A kind that does not exist is a wrong request, not a missing scope, whatever kinds the token may run."""
    answer = call("POST", "/api/0/run", {"r": ["run"]}, json={"query_kind": "unique_subscriber_count"})
    assert answer.status_code == 400
    assert "Must be one of: active_at_reference_location_counts, " in answer.json()["msg"]
    assert list(answer.json()["fields"]) == ["query_kind"]


def test_the_id_of_a_query_of_others_is_answered_as_one_that_does_not_exist(call, fake, spec, monkeypatch):
    """Who may not use a stored query to choose subscribers does not learn by its id whether anybody ran it."""
    stored = fake.add({**spec["locations"], "query_kind": "daily_location"})
    spec["locations"]["subscriber_subset"] = stored
    allowed = {"r": [*EVERYTHING["all"], "nonspatial:subscriber_subset:daily_location"]}
    assert call("POST", "/api/0/run", allowed, json=spec).status_code == 202
    theirs = call("POST", "/api/0/run", json=spec)
    spec["locations"]["subscriber_subset"] = "0" * 32
    nobodys = call("POST", "/api/0/run", json=spec)
    assert theirs.status_code == nobodys.status_code == 400
    answers = [
        {key: value for key, value in answer.json().items() if key != "request_id"} for answer in (theirs, nobodys)
    ]
    assert json.dumps(answers[0]).replace(stored, "0" * 32) == json.dumps(answers[1])
    assert call("POST", "/api/0/run", {"r": ["run"]}, json=spec).status_code == 403


def test_a_result_of_withdrawn_days_is_gone(call, fake, spec, monkeypatch):
    """An id whose days were withdrawn or replaced is answered 410 with the reason, to polling and to fetching."""
    query_id = fake.add(spec)
    gone = error({"query_id": query_id, "query_state": "withdrawn"}, "2016-01-01 was withdrawn: run the query again.")
    monkeypatch.setattr(fake, "do_poll_query", lambda query_id: [gone], raising=False)
    monkeypatch.setattr(fake, "do_get_result", lambda query_id, batch=0, format="rows": [gone], raising=False)  # noqa: A006
    for path in ("poll", "get"):
        answer = call("GET", f"/api/0/{path}/{query_id}")
        assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (
            410,
            "query_withdrawn",
            "withdrawn",
        )
        assert "withdrawn" in answer.json()["msg"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(call, chunked):
    """More than the limit is not read, whether its length is declared or not."""
    body = b'{"query_kind": "' + b"x" * 1_100_000 + b'"}'
    parts = (body[start : start + 65_536] for start in range(0, len(body), 65_536))
    answer = call("POST", "/api/0/run", content=parts if chunked else body)
    assert answer.status_code == 413
    assert "1000000 bytes" in answer.json()["msg"]


def test_a_query_is_cancelled(call, fake, spec):
    """Cancelling tells the new state; cancelling the unknown is not found."""
    query_id = fake.add(spec, state="executing", error="stay")
    answer = call("POST", f"/api/0/cancel/{query_id}")
    assert answer.status_code == 200
    assert answer.json() == {"query_id": query_id, "status": "cancelled"}
    assert call("POST", f"/api/0/cancel/{'0' * 32}").status_code == 404


def test_available_dates_are_listed(call):
    """The days of data come under the key that clients read, and beside them a version of each of these days."""
    answer = call("GET", "/api/0/available_dates")
    assert answer.status_code == 200
    assert answer.json()["available_dates"]["calls"] == ["2016-01-01", "2016-01-02"]
    assert answer.json()["versions"] == {"calls": {"2016-01-01": "a1", "2016-01-02": "a2"}, "sms": {}, "mds": {}}


def test_days_are_listed_where_no_versions_are_known(call, fake, monkeypatch):
    """A FlowMachine server of FlowKit's, which knows no versions of days, still has its days listed."""
    monkeypatch.setattr(fake, "do_get_day_versions", lambda: [b'{"status": "error", "msg": "?", "payload": {}}'])
    answer = call("GET", "/api/0/available_dates")
    assert (answer.status_code, list(answer.json())) == (200, ["available_dates"])


def test_boundaries_are_fetched(call):
    """The geography of a unit is a FeatureCollection; an unknown unit answers 400 with the choices."""
    answer = call("GET", "/api/0/geography/admin3")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/geo+json"
    assert [found["properties"]["pcod"] for found in answer.json()["features"]] == ["A", "B"]
    unknown = call("GET", "/api/0/geography/admin9", {"r": ["get_result", "admin9:geography:geography"]})
    assert unknown.status_code == 400
    assert "Must be one of: admin0" in unknown.json()["msg"]


def test_quality_checks_are_listed_and_fetched(call):
    """Checks are listed, and their outcomes come for a range of days and, as bare text, for one day."""
    assert call("GET", "/api/0/qa/").json() == [{"cdr_type": "calls", "type_of_query_or_check": "count_null_imeis"}]
    path = "/api/0/qa/calls/count_null_imeis"
    several = call("GET", path, params={"start_date": "2016-01-01", "end_date": "2016-01-03"})
    assert several.json() == [
        {"outcome": "1254", "cdr_date": "2016-01-01", "type_of_query_or_check": "count_null_imeis"}
    ]
    one = call("GET", f"{path}/2016-01-01")
    assert one.status_code == 200
    assert one.text == "1254"


@pytest.mark.parametrize(
    ("path", "status", "state"),
    [
        ("calls/count_null_imeis", 400, "bad request"),
        ("calls/count_null_imeis?start_date=2016-01-01", 400, "bad request"),
        ("calls/count_null_imeis?start_date=2016-02-30&end_date=2016-03-01", 400, "bad request"),
        ("calls/count_null_imeis?start_date=20160101&end_date=2016-03-01", 400, "bad request"),
        ("calls/count_null_imeis?start_date=2016-02-01&end_date=2016-01-01", 400, "bad request"),
        ("calls/count_null_imeis/yesterday", 400, "bad request"),
        ("calls/count_null_imeis/2017-01-01", 404, "not found"),
        ("calls/nothing?start_date=2016-01-01&end_date=2016-01-01", 404, "not found"),
    ],
)
def test_a_wrong_quality_request_says_why(call, path, status, state):
    """A missing or wrong day answers 400, an absent outcome 404."""
    answer = call("GET", f"/api/0/qa/{path}")
    assert answer.status_code == status
    assert answer.json()["status"] == state
    assert answer.json()["msg"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/1/run", 404),
        ("GET", "/api/0/run", 405),
        ("DELETE", "/api/0/available_dates", 405),
        ("GET", "/api/0/spec/assets/..%2fcore.py", 404),
    ],
)
def test_a_wrong_path_or_method_is_json_too(call, method, path, status):
    """What is not served answers in the one error shape."""
    answer = call(method, path)
    assert answer.status_code == status
    assert answer.json().keys() >= ERROR_KEYS
    assert answer.headers["X-Request-ID"] == answer.json()["request_id"]


def test_what_is_not_http_is_answered_in_json(flowapi):
    """Bytes that are not HTTP answer 400 with a message, and the connection is closed."""
    host, _, port = flowapi.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["msg"].startswith("The request cannot be read")


def test_the_root_leads_people_on(call):
    """The root says what this is without a token, and each of its links leads somewhere."""
    answer = call("GET", "/", None)
    assert answer.status_code == 200
    links = re.findall(r'href="([^"]+)"', answer.text)
    assert len(links) == 4
    for link in links:
        assert call("GET", f"/{link}", None).status_code == 200
