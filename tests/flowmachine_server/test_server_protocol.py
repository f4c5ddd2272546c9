"""What travels between FlowAPI and the server."""

import concurrent.futures
import json
import re

import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flowmachine_server.living_server import Wire, people

ACTIONS = {
    "ping",
    "get_available_queries",
    "get_query_schemas",
    "get_catalogue",
    "get_server_status",
    "run_query",
    "get_aggregation_unit",
    "poll_query",
    "get_query_kind",
    "get_query_params",
    "get_result",
    "get_geography",
    "get_available_dates",
    "get_day_versions",
    "list_qa_checks",
    "get_qa_checks",
    "cancel_query",
    "list_queries",
}
UNKNOWN = "0" * 32


def test_ping_is_answered(wire):
    """A server that is up says pong."""
    assert wire.ask("ping") == {"status": "success", "msg": "pong", "payload": {}}


def test_an_unknown_action_is_told_what_there_is(wire):
    """Whoever misspells an action reads the names of all."""
    reply = wire.ask("pong")
    assert reply["status"] == "error"
    assert "'pong'" in reply["msg"]
    assert set(reply["msg"].rstrip(".").replace(",", "").split()) >= ACTIONS


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ([], "not an object"),
        ({"action": "ping"}, "needs request_id"),
        ({"request_id": "r"}, "needs action"),
        ({"action": 3, "request_id": "r"}, "needs action"),
        ({"action": "ping", "request_id": "r", "params": []}, "params must be an object"),
        ({"action": "ping", "request_id": "r", "more": 1}, "no key 'more'"),
        ({"action": "ping", "request_id": "r", "params": {"x": 1}}, "takes none"),
        ({"action": "poll_query", "request_id": "r"}, "needs query_id"),
        ({"action": "poll_query", "request_id": "r", "params": {"query_id": 3}}, "must be text"),
        ({"action": "get_result", "request_id": "r", "params": {"query_id": "x", "batch": "0"}}, "must be a number"),
        ({"action": "run_query", "request_id": "r", "params": {}}, "query_kind: It is missing"),
    ],
)
def test_a_wrong_request_is_answered_in_a_sentence(wire, request_, told):
    """Whatever is wrong with a request, its sender reads what, and the socket stays of use."""
    reply = wire.send(request_)
    assert reply["status"] == "error"
    assert told in reply["msg"]
    assert wire.ask("ping")["msg"] == "pong"


def test_params_may_be_left_out(wire):
    """An envelope without params is one with none."""
    assert wire.send({"action": "ping", "request_id": "r"})["msg"] == "pong"


def test_wrong_frames_are_ignored_and_the_next_request_is_answered(shared_server):
    """A message that is not identity, delimiter and JSON gets no answer and does no harm."""
    dealer = zmq.Context.instance().socket(zmq.DEALER)
    dealer.linger, dealer.rcvtimeo = 0, 10_000
    dealer.connect(f"tcp://127.0.0.1:{shared_server.port}")
    question = json.dumps({"action": "ping", "request_id": "r"}).encode()
    try:
        for frames in ([b"x"], [b"", question, b"more"], [b"delimiter", question]):
            dealer.send_multipart(frames)
        dealer.send_multipart([b"", question])
        assert json.loads(dealer.recv_multipart()[1])["msg"] == "pong"
        assert not dealer.poll(300)
    finally:
        dealer.close()


@pytest.mark.parametrize("action", ["poll_query", "get_query_kind", "get_query_params", "get_result", "cancel_query"])
@pytest.mark.parametrize("query_id", [UNKNOWN, "", "../../etc/passwd", "'; DROP TABLE queries; --"])
def test_an_unknown_id_is_awol(wire, action, query_id):
    """Asking for a query that nobody ran says awol, whatever the id looks like."""
    reply = wire.ask(action, {"query_id": query_id})
    assert reply["status"] == "error"
    assert reply["payload"] == {"query_id": query_id, "query_state": "awol"}


def test_two_hundred_questions_at_once_are_all_answered(shared_server):
    """Many clients that ask at the same moment each get their own answer."""

    def ask(number):
        client = Wire(shared_server.port)
        try:
            return number, client.ask("poll_query", {"query_id": f"{number:032}"})["payload"]["query_id"]
        finally:
            client.close()

    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        assert all(int(told) == number for number, told in pool.map(ask, range(200)))


def test_the_schemas_and_the_catalogue_go_over_the_wire(wire):
    """FlowAPI reads what may be asked, and documentation what it means."""
    schemas = wire.ask("get_query_schemas")["payload"]["query_schemas"]
    kinds = wire.ask("get_available_queries")["payload"]["available_queries"]
    assert set(schemas["FlowmachineQuerySchema"]["discriminator"]["mapping"]) == set(kinds)
    told = {kind["kind"]: kind for kind in wire.ask("get_catalogue")["payload"]["catalogue"]["kinds"]}
    assert {name for name, kind in told.items() if kind["top_level"]} == set(kinds)
    assert "spatial_aggregate" in kinds
    assert "daily_location" not in kinds


def test_questions_are_logged_without_the_data(shared_server, wire):
    """The log says what was asked, by whose request and how it went, in JSON lines."""
    query_id = wire.run(people("2016-01-04"))
    wire.wait(query_id)
    wire.rows(query_id)
    run = shared_server.ran(query_id)[0]
    mine = [line for line in shared_server.log if line.get("query_id") == query_id]
    assert run["logger"] == "flowmachine.query_run_log"
    assert (run["kind"], run["state"], run["rows"]) == ("spatial_aggregate", "completed", 3)
    assert run["seconds"] > 0
    assert {line["action"] for line in mine if line["event"] == "answer"} >= {"run_query", "poll_query", "get_result"}
    assert all(line["request_id"] for line in mine)


def test_half_a_character_is_refused_in_a_sentence(wire):
    """A lone surrogate, in a spec, as the id of a subset or as an id, is told as what it is."""
    for action, params in (
        ("run_query", people() | {"subscriber_subset": "\ud800"}),
        ("get_aggregation_unit", {"query_kind": "\udfff"}),
        ("poll_query", {"query_id": "\ud800"}),
        ("get_qa_checks", {"cdr_type": "\ud800", "start_date": "", "end_date": "", "check_type": ""}),
    ):
        reply = wire.ask(action, params)
        assert reply["status"] == "error"
        assert "half of a character" in reply["msg"]
        assert reply["payload"]["validation_error_messages"]


def test_a_query_of_too_many_queries_is_refused(wire):
    """Thousands of days in one query are refused with the bound, before they are planned."""
    day = {"query_kind": "daily_location", "date": "2016-01-01", "aggregation_unit": "admin3", "method": "last"}
    modal = {"query_kind": "modal_location", "locations": [day] * 4500}
    for action in ("run_query", "get_aggregation_unit"):
        reply = wire.ask(action, {"query_kind": "spatial_aggregate", "locations": modal})
        assert "made of 4,502 queries, and 1,000 are allowed" in reply["msg"]
    reply = wire.ask("run_query", {"query_kind": "dummy_query", "dummy_param": "x" * 1_000_001})
    assert "1,000,000 are allowed" in reply["msg"]


def test_an_unknown_kind_is_told_what_is_perhaps_meant(wire):
    """A kind that is misspelt is a wrong query, with the kind that is perhaps meant."""
    reply = wire.ask("get_aggregation_unit", {"query_kind": "spatial_agregate"})
    assert "spatial_aggregate" in reply["payload"]["validation_error_messages"]["query_kind"][0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = ["query_id", "batch", "format", "aggregation_unit", "query_kind", "locations", "date", "start_date", "end_date"]
NAMES += ["cdr_type", "check_type", "subscriber_subset", "sampling", "bins", "metric", "labels", "method"]
KINDS = ["spatial_aggregate", "flows", "histogram_aggregate", "unique_subscriber_counts", "dummy_query", "geography"]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(data=st.data())
def test_whatever_is_asked_is_answered_in_our_sentences(wire, data):
    """No action, whatever its parameters, is answered by an error of the program or of a library."""
    action = data.draw(st.sampled_from(sorted(ACTIONS - {"get_query_schemas", "get_catalogue"})))
    params = data.draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4))
    if action in ("run_query", "get_aggregation_unit") and data.draw(st.booleans()):
        params["query_kind"] = data.draw(st.sampled_from(KINDS))

    reply = wire.ask(action, params)

    assert reply["status"] == "success" or re.search(r"[.!?]\)?$", reply["msg"]), reply
    for word in ("could not answer", "Traceback", "Error(", "Exception", "errors.pydantic.dev"):
        assert word not in reply["msg"]
