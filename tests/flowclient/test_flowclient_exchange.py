"""The client's core: what is asked, what is made of the answers, and how long is waited; no sockets here."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

import flowclient
from flowclient import exchange
from flowclient.errors import FlowclientConnectionError, FlowclientServerError, FlowclientUnreachableError
from flowclient.exchange import Request, Wait

URL = "https://flowapi.example.org/api/0/"


@pytest.fixture(autouse=True)
def _real_pauses(monkeypatch, _quick_retries):
    monkeypatch.setattr(exchange, "FIRST_RETRY_PAUSE", 0.2)
    monkeypatch.setattr(exchange, "FIRST_POLL_PAUSE", 0.1)
    monkeypatch.setattr(exchange, "LONGEST_POLL_PAUSE", 2.0)


def response(status, body=None, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body, headers=headers, request=httpx.Request("GET", URL + "poll/abc"))


def play(steps, *replies):
    """Return the requests and waits of an exchange that gets these replies, and its value or its error."""
    replies = iter(replies)
    seen = []
    try:
        step = next(steps)
        while True:
            seen.append(step.seconds if isinstance(step, Wait) else f"{step.method} {step.route}")
            reply = None if isinstance(step, Wait) else next(replies)
            step = steps.throw(reply) if isinstance(reply, BaseException) else steps.send(reply)
    except StopIteration as end:
        return seen, end.value
    except Exception as error:
        return seen, error


def test_polls_back_off_from_a_tenth_of_a_second_to_two():
    """Unless an interval is given, pauses between polls start at 0.1 s, grow, and stay at 2 s."""
    waiting = response(202, {"status": "executing", "progress": {}})
    ready = response(303, location="/api/0/get/abc")
    seen, _ = play(exchange.wait_for_query_to_be_ready("abc"), *[waiting] * 12, ready)
    pauses = [step for step in seen if isinstance(step, float)]
    assert pauses[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert pauses == sorted(pauses)
    assert pauses[-3:] == [2.0, 2.0, 2.0]
    assert seen[0] == seen[-1] == "GET poll/abc"


@pytest.mark.parametrize("interval", [0, 0.5, 1])
def test_a_poll_interval_is_kept(interval):
    """A poll interval that is given is the pause between all polls."""
    waiting = response(202, {"status": "executing", "progress": {}})
    ready = response(303, location="/api/0/get/abc")
    seen, _ = play(exchange.wait_for_query_to_be_ready("abc", poll_interval=interval), *[waiting] * 3, ready)
    assert [step for step in seen if not isinstance(step, str)] == [interval] * 3


def test_a_negative_poll_interval_is_refused():
    """A negative poll interval is a ValueError, and nothing is asked."""
    seen, error = play(exchange.wait_for_query_to_be_ready("abc", poll_interval=-1))
    assert seen == []
    assert isinstance(error, ValueError)
    assert "poll_interval" in str(error)


def test_a_failing_get_is_tried_four_times_with_growing_pauses():
    """A GET over a broken network is tried four times in all, with doubled pauses, and then reported."""
    failure = httpx.ConnectError("refused", request=httpx.Request("GET", URL))
    seen, error = play(exchange.get("qa/"), *[failure] * 4)
    assert seen == ["GET qa/", 0.2, "GET qa/", 0.4, "GET qa/", 0.8, "GET qa/"]
    assert isinstance(error, FlowclientUnreachableError)
    assert "refused" in str(error)
    assert error.__suppress_context__, "the HTTP client's own traceback is not shown"


def test_a_query_is_posted_again_after_a_broken_connection():
    """Running a query is safe to repeat, so it is; the id follows from the spec."""
    accepted = response(202, {}, location="/api/0/poll/abc")
    seen, value = play(exchange.run_query({"query_kind": "x"}), httpx.RemoteProtocolError("gone"), accepted)
    assert (seen, value) == (["POST run", 0.2, "POST run"], "abc")


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
        httpx.UnsupportedProtocol("what"),
    ],
)
def test_failures_that_do_not_pass_are_reported_at_once(failure):
    """A timed out read, a bad certificate and a bad protocol are not tried again."""
    seen, error = play(exchange.get("qa/"), failure)
    assert seen == ["GET qa/"]
    assert isinstance(error, FlowclientUnreachableError)


def test_a_bad_certificate_says_what_to_give():
    """A certificate that cannot be verified leads to the parameter ssl_certificate."""
    _, error = play(exchange.get("qa/"), httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"))
    assert "ssl_certificate" in str(error)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_given_the_time_that_it_asks_for(status):
    """503 and 429 wait as long as Retry-After says, in seconds or until a date, for POST too."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30))
    busy = [response(status, {"msg": "busy"}, retry_after="7"), response(status, {"msg": "busy"}, retry_after=soon)]
    seen, value = play(exchange.post("run", {}), *busy, response(202, {}))
    assert value.status_code == 202
    assert seen[1] == 7
    assert 25 < seen[3] <= 30
    past = response(status, retry_after="Wed, 21 Oct 2015 07:28:00 GMT")
    nonsense = response(status, retry_after="soon")
    assert play(exchange.get("qa/"), past, nonsense, response(200))[0] == ["GET qa/", 0.0, "GET qa/", 0.4, "GET qa/"]


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_stays_busy_is_reported(status):
    """A server that is busy four times, or asks for more than a minute, is an error that says for how long."""
    busy = response(status, {"msg": "Too many queries."})
    seen, error = play(exchange.get("qa/"), *[busy] * 4)
    assert len(seen) == 7
    assert isinstance(error, FlowclientServerError)
    seen, error = play(exchange.get("qa/"), response(status, {"msg": "Too many queries."}, retry_after="3600"))
    assert seen == ["GET qa/"]
    assert "Too many queries." in str(error)
    assert "3600 s" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 502])
def test_other_errors_are_not_tried_again(status):
    """An answer that would only come again is reported at once."""
    seen, error = play(exchange.get("qa/"), response(status, {"msg": "no"}))
    assert seen == ["GET qa/"]
    assert error.status_code == status


@pytest.mark.parametrize(
    ("location", "route"),
    [
        ("get/abc", "get/abc"),
        ("/api/0/get/abc", "get/abc"),
        ("/api/12/get/abc", "get/abc"),
        ("/prefix/api/0/get/abc", "get/abc"),
        ("https://flowapi.example.org/api/0/get/abc", "get/abc"),
        ("http://FLOWAPI.example.org:9090/prefix/api/0/get/abc?x=1", "get/abc?x=1"),
        ("//flowapi.example.org/api/0/get/abc", "get/abc"),
        ("get/api/0/abc", "get/api/0/abc"),
    ],
)
def test_a_location_becomes_a_route_below_the_api(location, route):
    """Locations with and without host, path and version lead to the same route of this API."""
    assert exchange.own_route(location, httpx.URL(URL)) == route


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/api/0/get/abc",
        "//evil.example/api/0/get/abc",
        "https://flowapi.example.org@evil.example/api/0/get/abc",
        "https://flowapi.example.org.evil.example/api/0/get/abc",
        "ftp://evil.example/x",
    ],
)
def test_a_location_on_another_host_is_refused(location):
    """However another host is written, a location there is refused by name."""
    with pytest.raises(FlowclientConnectionError, match=r"another host, (flowapi\.example\.org\.)?evil\.example"):
        exchange.own_route(location, httpx.URL(URL))


def test_every_request_stays_below_the_connections_url(make_token):
    """Whatever route is asked for, the HTTP request goes to the connection's own URL, with the token."""
    sent = []

    def handle(request):
        sent.append(request)
        return httpx.Response(200, json={"available_dates": {}})

    token = make_token(sub="A")
    connection = flowclient.connect(url="https://flowapi.example.org:8443", token=token)
    connection.session = httpx.Client(
        transport=httpx.MockTransport(handle),
        base_url=connection.session.base_url,
        headers=connection.session.headers,
    )
    flowclient.get_available_dates(connection=connection)
    connection.get_url(route="https://flowapi.example.org/api/0/poll/x")
    assert [str(r.url) for r in sent] == [
        "https://flowapi.example.org:8443/api/0/available_dates",
        "https://flowapi.example.org:8443/api/0/poll/x",
    ]
    assert {r.headers["authorization"] for r in sent} == {f"Bearer {token}"}


def test_requests_are_plain_data():
    """Making an exchange asks nothing; its first step is the request as data."""
    steps = exchange.get_qa_check_outcomes("calls", "count", datetime(2016, 1, 1).date(), "2016-01-02")  # noqa: DTZ001
    assert next(steps) == Request(
        "GET",
        "qa/calls/count",
        params={"start_date": "2016-01-01", "end_date": "2016-01-02"},
        accept=frozenset({200}),
    )
