"""Starting, stopping and dying."""

import random
import signal
import socket
import time

import pytest
import zmq
from tests.flowmachine_server.living_server import DAYS, FIRST, Wire, daily, free_port, moves, people

import flowmachine
from flowmachine.server.__main__ import main

pytestmark = pytest.mark.takes_long("starts servers, and kills them")

KILLS = 6


@pytest.fixture
def starting(monkeypatch, tmp_path, lake, capsys):
    """Start a server in this process that is expected to give up: what it says."""

    def start(**settings):
        import os

        for name in list(os.environ):
            if name.startswith(("FLOW", "CACHE_", "DB_CONN")):
                monkeypatch.delenv(name)
        usual = {
            "FLOWDB_STORE": lake.path,
            "FLOWMACHINE_PORT": free_port(),
            "FLOWMACHINE_CACHE_DIR": tmp_path / "cache",
            "FLOWMACHINE_CATALOGUE": f"sqlite:///{tmp_path / 'catalogue.db'}",
        }
        for name, value in (usual | settings).items():
            if value is not None:
                monkeypatch.setenv(name, str(value))
        monkeypatch.setattr("sys.argv", ["flowmachine"])
        mask = os.umask(0o022)
        try:
            with pytest.raises(SystemExit) as stopped:
                main()
        finally:
            os.umask(mask)
        told = capsys.readouterr()
        assert stopped.value.code == 1
        assert "Traceback" not in told.err
        assert len(told.err.strip().splitlines()) == 1, told.err
        return told.err

    return start


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"FLOWDB_STORE": None}, "FLOWDB_STORE is not set ("),
        ({"FLOWDB_STORE": "/nowhere"}, "/nowhere is not a lake"),
        ({"FLOWMACHINE_SMALLEST": 5}, "FLOWMACHINE_SMALLEST: "),
        ({"FLOWMACHINE_PORT": "http"}, "FLOWMACHINE_PORT: "),
        ({"FLOWMACHINE_ENGINE": "oracle"}, "FLOWMACHINE_ENGINE: "),
        ({"FLOWMACHINE_ENGINE": "postgres"}, "postgres reads a postgresql:// URL"),
        ({"FLOWMACHINE_MEMORY": "much"}, "FLOWMACHINE_MEMORY: "),
        ({"FLOWMACHINE_HOST": "192.0.2.1"}, "FLOWMACHINE_HOST"),
        ({"FLOWMACHINE_CATALOGUE": "catalogue"}, "FLOWMACHINE_CATALOGUE is not a database URI"),
        ({"FLOWMACHINE_CURVE_SECRET_KEY": "short"}, "FLOWMACHINE_CURVE_SECRET_KEY: "),
    ],
)
def test_wrong_settings_are_one_sentence(starting, settings, told):
    """A server that cannot start says in one line which setting is wrong, and exits with 1."""
    assert told in starting(**settings)


def test_a_taken_port_is_told(starting):
    """Two servers cannot listen on one port; the second says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} of 127.0.0.1 is in use" in starting(FLOWMACHINE_PORT=port)


def test_a_second_server_on_one_cache_is_refused(starting, shared_server):
    """Two servers cannot share a cache; the second says so and the first goes on."""
    told = starting(FLOWMACHINE_CACHE_DIR=shared_server.environment["FLOWMACHINE_CACHE_DIR"])
    assert "Another FlowMachine server uses the cache" in told
    client = Wire(shared_server.port)
    assert client.ask("ping")["msg"] == "pong"
    client.close()


def different_specs():
    """Ever new questions."""
    days = [str(FIRST.replace(day=FIRST.day + n)) for n in range(DAYS)]
    for hour in range(20):
        for before in days:
            for after in days:
                hours = {"start_hour": hour, "end_hour": 24}
                yield {
                    "query_kind": "flows",
                    "from_location": daily(before) | {"hours": hours},
                    "to_location": daily(after),
                }


def test_a_killed_server_loses_nothing(new_server, lake):
    """Killed at random moments while it works, a server ends every question with the right rows, unasked again."""
    server, specs, chance = new_server(lake.path), different_specs(), random.Random(7)
    asked = {}
    for _ in range(KILLS):
        server.start()
        client = Wire(server.port)
        for spec in [next(specs) for _ in range(8)]:
            asked[client.run(spec)] = spec
        client.close()
        time.sleep(chance.uniform(0, 0.6))
        server.stop(signal.SIGKILL)
    server.start()
    client = Wire(server.port)
    session = flowmachine.connect(lake.path)
    # What ran at two of the kills is put aside, and runs when it is asked for again.
    for query_id in [i for i in asked if client.wait(i)["query_state"] == "errored"]:
        assert "died 2 times" in client.wait(query_id)["error"]
        assert client.run(asked[query_id]) == query_id
    ended = {query_id: client.wait(query_id)["query_state"] for query_id in asked}
    assert set(ended.values()) == {"completed"}
    for query_id, spec in asked.items():
        assert client.rows(query_id) == session.run(spec, release=True).to_pylist()
        assert client.run(spec) == query_id
    session.close()
    status = client.ask("get_server_status")["payload"]
    assert (status["queued"], status["executing"], status["errored"]) == (0, 0, 0)
    client.close()
    cache = server.directory / "cache"
    assert not list(cache.glob("*/*.part"))
    results = {f.stem for f in (cache / "results").iterdir()}
    assert results == set(asked)


def test_a_stopped_server_starts_where_it_was(new_server, lake):
    """Told to stop, a server exits with 0; at the next start it serves what was stored and runs what was not."""
    server = new_server(lake.path, DB_CONNECTION_POOL_SIZE=1).start()
    client = Wire(server.port)
    done = client.run(people())
    client.wait(done)
    waiting = [client.run(moves("2016-01-02", f"2016-01-0{n}", unit)) for n in (3, 4) for unit in ("admin1", "lon-lat")]
    client.close()
    assert server.stop() == 0
    assert server.log[-1]["event"] == "stopped"
    server.start()
    client = Wire(server.port)
    assert client.rows(done) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]
    assert {client.wait(query_id)["query_state"] for query_id in waiting} == {"completed"}
    assert len(server.ran(done)) == 1, "what was stored is not computed again"
    client.close()


def test_an_encrypted_socket_admits_its_clients_only(new_server, lake):
    """With CURVE keys, a listed client is answered, and neither an unlisted one nor one without a key."""
    server_public, server_secret = zmq.curve_keypair()
    listed, unlisted = zmq.curve_keypair(), zmq.curve_keypair()
    server = new_server(
        lake.path,
        FLOWMACHINE_CURVE_SECRET_KEY=server_secret.decode(),
        FLOWMACHINE_CURVE_CLIENT_KEYS=listed[0].decode(),
    ).start(wait=False)

    def ping(keys, milliseconds):
        dealer = zmq.Context.instance().socket(zmq.DEALER)
        dealer.linger = 0
        if keys is not None:
            dealer.curve_publickey, dealer.curve_secretkey = keys
            dealer.curve_serverkey = server_public
        dealer.connect(f"tcp://127.0.0.1:{server.port}")
        try:
            dealer.send_multipart([b"", b'{"action": "ping", "request_id": "r"}'])
            return bool(dealer.poll(milliseconds)) and b"pong" in dealer.recv_multipart()[1]
        finally:
            dealer.close()

    assert ping(listed, 30_000), server.errors
    assert not ping(unlisted, 500)
    assert not ping(None, 500)
    assert ping(listed, 5_000)
