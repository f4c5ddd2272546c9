"""Servers for tests: one that many tests share, and ones of their own."""

import signal
from pathlib import Path

import pytest
from tests.flowmachine_server.living_server import ServerProcess, Wire, make_lake

from flowdb.lake import Lake


@pytest.fixture(scope="session")
def lake(tmp_path_factory) -> Lake:
    """The small lake; nobody may change it."""
    return make_lake(tmp_path_factory.mktemp("server") / "lake")


@pytest.fixture(scope="session")
def shared_server(lake, tmp_path_factory):
    """A server over the small lake that many tests share."""
    server = ServerProcess(tmp_path_factory.mktemp("shared"), lake.path).start()
    yield server
    server.stop()


@pytest.fixture
def wire(shared_server):
    """A client of the shared server."""
    client = Wire(shared_server.port)
    yield client
    client.close()


@pytest.fixture
def new_server(tmp_path):
    """Make servers of this test's own, over any lake, with any settings; they are stopped at its end."""
    made = []

    def make(lake_path: Path, directory: str = "server", **settings: object) -> ServerProcess:
        made.append(ServerProcess(tmp_path / directory, lake_path, **settings))
        return made[-1]

    yield make
    for server in made:
        if server.process is not None:
            server.stop(signal.SIGKILL)
