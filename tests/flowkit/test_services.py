"""The services of a deployment as processes: what happens to the others if one ends, and to logs that grow."""

import os
import subprocess
import sys
import time

import pytest
from tests.flowkit.living_deployment import free_ports

from flowkit import service_logs, services
from flowkit.services import Service, Watch

WRITER = "import os\nfor number in range(60000): os.write(1, b'line %06d ' % number + b'.' * 40 + b'\\n')"


def test_a_log_that_is_cut_loses_no_line(tmp_path, monkeypatch):
    """A log that grows too long goes on in an empty file; every line of the service is there, whole and in order."""
    monkeypatch.setattr(service_logs, "KEPT", 100)
    log = tmp_path / "writer.log"
    with service_logs.open_log(log) as file:
        process = subprocess.Popen([sys.executable, "-c", WRITER], stdout=file, start_new_session=True)
    cuts = 0
    while process.poll() is None:
        cuts += service_logs.rotate(log, process.pid, most_bytes=100_000)
    assert cuts >= 3
    former = [log.with_name(f"writer.log.{number}") for number in range(cuts, 0, -1)]
    lines = b"".join(file.read_bytes() for file in [*former, log]).decode().splitlines()
    assert [int(line.split()[1]) for line in lines] == list(range(60_000))
    assert {file.stat().st_mode & 0o777 for file in [*former, log]} == {0o600}
    assert not list(tmp_path.glob("*.new"))


def test_as_many_logs_are_kept(tmp_path):
    """Of a log that is cut again and again the newest files are kept, as many as are said."""
    log = tmp_path / "sleeper.log"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        for number in range(service_logs.KEPT + 3):
            log.write_text(f"{number}\n")
            assert service_logs.rotate(log, process.pid, most_bytes=1)
        assert not service_logs.rotate(log, process.pid, most_bytes=1)
    finally:
        process.communicate(b"\n")
    kept = sorted(file for file in tmp_path.iterdir() if file != log)
    assert [file.read_text() for file in kept] == [f"{service_logs.KEPT + 2 - n}\n" for n in range(service_logs.KEPT)]


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """A service that lives and one that ends at once, watched by a keeper with little patience."""
    # On a busy machine five starts take longer than the two seconds that their pauses do.
    monkeypatch.setattr(services, "_QUICK", 6.0)
    notes = []
    monkeypatch.setattr(services, "note", notes.append)
    (port,) = free_ports(1)
    live = Service("Lively", ("http.server", str(port), "--bind", "127.0.0.1"), os.environ, tmp_path / "live.log")
    dead = Service("Weary", ("this",), os.environ, tmp_path / "dead.log")
    watch = Watch([live, dead], None, Service("Cleaning", ("this",), os.environ, tmp_path / "cleaning.log"))
    for service in watch.services:
        service.start()
    watch.keep()
    yield live, dead, notes
    watch.stop()


def test_a_service_that_ends_again_and_again_ends_no_other(watched):
    """A service that dies five times within the time is said to do so, left alone, and later started again."""
    live, dead, notes = watched
    first = live.process.pid
    end = time.monotonic() + 60
    while len(dead.starts) < services._MOST_STARTS + 1 or not notes:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert live.running
    assert live.process.pid == first
    assert notes[0].startswith("Weary ends again and again (the last line of its log is: Namespaces")
    assert "the others go on" in notes[0]
    assert dead.starts[services._MOST_STARTS] - dead.starts[0] >= 6.0
