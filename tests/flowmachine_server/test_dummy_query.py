"""The dummy query, by which clients test how they wait."""

import time

import pytest
from tests.flowmachine_server.living_server import Wire, people

from flowdb.lake import Lake


def dummy(param: str, delay: int = 0, unit: str = "admin3") -> dict:
    """The spec of a dummy query."""
    return {"query_kind": "dummy_query", "dummy_param": param, "dummy_delay": delay, "aggregation_unit": unit}


def state(wire: Wire, query_id: str) -> str:
    """The state of a question."""
    return wire.ask("poll_query", {"query_id": query_id})["payload"]["query_state"]


def test_a_dummy_query_gives_back_what_it_was_asked_with(wire):
    """It runs, completes, and its result is one row that tells its parameter; asked again, it is the same question."""
    query_id = wire.run(dummy("hello"))

    assert wire.wait(query_id)["query_state"] == "completed"
    assert wire.rows(query_id) == [{"dummy_param": "hello"}]
    assert wire.run(dummy("hello")) == query_id
    assert wire.run(dummy("other")) != query_id


def test_a_dummy_query_needs_no_data(new_server, tmp_path):
    """It is answered over a lake that nothing was ever loaded into, in any unit."""
    server = new_server(Lake.create(tmp_path / "lake", "UTC").path).start()
    wire = Wire(server.port)

    assert wire.result(dummy("nothing", unit="lon-lat")) == [{"dummy_param": "nothing"}]
    wire.close()


def test_the_delay_is_a_workers_and_not_the_servers(new_server, lake):
    """While a dummy query takes its time it is executing, and the server and its other workers go on."""
    server = new_server(lake.path, DB_CONNECTION_POOL_SIZE=2).start()
    wire = Wire(server.port)
    began = time.monotonic()
    slow = wire.run(dummy("slow", delay=3))
    assert time.monotonic() - began < 1.5

    assert wire.result(people()) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]
    assert state(wire, slow) == "executing"
    assert wire.wait(slow)["query_state"] == "completed"
    assert time.monotonic() - began >= 3
    wire.close()


def test_a_dummy_query_can_be_cancelled_while_it_waits(new_server, lake):
    """A cancellation ends the delay at once, and the worker is free for the next question."""
    server = new_server(lake.path, DB_CONNECTION_POOL_SIZE=1).start()
    wire = Wire(server.port)
    slow = wire.run(dummy("for ever", delay=600))
    until = time.monotonic() + 10
    while state(wire, slow) != "executing" and time.monotonic() < until:
        time.sleep(0.02)

    assert wire.ask("cancel_query", {"query_id": slow})["payload"]["query_state"] == "cancelled"

    assert wire.result(people())[0] == {"pcod": "A", "value": 40}
    assert state(wire, slow) == "cancelled"
    wire.close()


@pytest.mark.takes_long("waits until a server has stopped")
def test_a_server_stops_while_a_dummy_query_waits(new_server, lake):
    """SIGTERM does not wait for the delay; the next start takes the question up again."""
    server = new_server(lake.path).start()
    wire = Wire(server.port)
    slow = wire.run(dummy("interrupted", delay=2))
    began = time.monotonic()
    server.process.terminate()

    assert server.process.wait(20) == 0
    assert time.monotonic() - began < 10
    wire.close()
    server.start()
    wire = Wire(server.port)
    assert wire.wait(slow)["query_state"] == "completed"
    wire.close()
