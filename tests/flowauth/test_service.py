"""FlowAuth as a process: how it starts, what it says when it cannot, what it logs, and how it stops."""

import contextlib
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet
from tests.flowauth.conftest import PASSWORD

from flowauth.database import Database
from flowauth.services import people

COMMAND = [sys.executable, "-m", "flowauth"]
OURS = ("FLOW", "DB_URI", "SECRET_KEY", "PRIVATE_JWT", "DEMO_MODE", "RESET_", "TWO_FACTOR")


@pytest.fixture
def environment(tmp_path, signing_pem):
    """The environment of a FlowAuth on a free port, with a first administrator."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {
        **kept,
        "PRIVATE_JWT_SIGNING_KEY": signing_pem,
        "FLOWAUTH_FERNET_KEY": Fernet.generate_key().decode(),
        "SECRET_KEY": "a secret of tests that is long enough",
        "DB_URI": f"sqlite:///{tmp_path / 'flowauth.db'}",
        "FLOWAUTH_ADMIN_USERNAME": "ada",
        "FLOWAUTH_ADMIN_PASSWORD": PASSWORD,
        "FLOWAUTH_PORT": "0",
        "FLOWAUTH_LOG_LEVEL": "info",
    }


class Running:
    """A FlowAuth that runs."""

    def __init__(self, environment, log):
        self.log = log
        with log.open("ab") as written:
            self.process = subprocess.Popen(COMMAND, env=environment, stdout=written, stderr=written)
        until = time.monotonic() + 60
        while "listens on" not in self.said:
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.1)
        self.url = self.said.split("listens on ")[-1].split()[0]
        while True:
            try:
                httpx.get(f"{self.url}/health", trust_env=False, timeout=30)
                return
            except httpx.TransportError:
                assert time.monotonic() < until, self.said
                time.sleep(0.1)

    @property
    def said(self):
        return self.log.read_text()

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def start(environment, tmp_path):
    """Start a FlowAuth, which is stopped at the end."""
    started = []

    def begin(**changes):
        started.append(Running({**environment, **changes}, tmp_path / f"log-{len(started)}"))
        return started[-1]

    yield begin
    for each in started:
        each.stop()


@contextlib.contextmanager
def signed_in(up):
    """A script in which the administrator is signed in."""
    with httpx.Client(base_url=up.url, trust_env=False, timeout=60) as script:
        script.post("/signin", json={"username": "ada", "password": PASSWORD}).raise_for_status()
        script.headers["X-CSRF-Token"] = script.cookies["X-CSRF"]
        yield script


def refused(environment, **changes):
    """The sentences with which FlowAuth does not start."""
    done = subprocess.run(
        COMMAND, env={**environment, **changes}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().endswith(".")
    return done.stderr


def test_it_serves_logs_and_stops(start):
    """It serves its first administrator, writes a line of JSON a request without secrets, and stops when it is told."""
    up = start()
    asked = {"username": "ada", "password": PASSWORD}
    answer = httpx.post(f"{up.url}/signin", json=asked, trust_env=False, timeout=30)
    assert answer.json()["is_admin"] is True
    httpx.get(f"{up.url}/manage/users?find=somebody", trust_env=False, timeout=30)
    assert up.stop() == 0
    lines = [json.loads(line) for line in up.said.splitlines() if line.startswith("{")]
    (signed,) = [line for line in lines if line.get("route") == "/signin"]
    assert (signed["method"], signed["status"], signed["event"]) == ("POST", 200, "request")
    cookie = answer.cookies["flowauth_session"]
    for secret in (PASSWORD, cookie, "somebody", "a secret of tests"):
        assert secret not in up.said


@pytest.mark.takes_long("starts the service twice")
def test_a_second_start_changes_nobody(start, environment):
    """A start with another first administrator and password makes and changes nobody where there is one."""
    start().stop()
    up = start(FLOWAUTH_ADMIN_USERNAME="eve", FLOWAUTH_ADMIN_PASSWORD="glacier-Mango-77-trombone")
    for name, password, status in (("ada", PASSWORD, 200), ("eve", "glacier-Mango-77-trombone", 401)):
        asked = {"username": name, "password": password}
        answer = httpx.post(f"{up.url}/signin", json=asked, trust_env=False, timeout=30)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"FLOWAUTH_FERNET_KEY": ""}, "FLOWAUTH_FERNET_KEY is not set"),
        ({"FLOWAUTH_FERNET_KEY": "short"}, "flowkit auth fernet-key"),
        ({"PRIVATE_JWT_SIGNING_KEY": "no key"}, "PRIVATE_JWT_SIGNING_KEY: Failed to load key"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY: "),
        ({"FLOWAUTH_PORT": "http"}, "FLOWAUTH_PORT: "),
        ({"FLOWAUTH_HOST": "nowhere.invalid"}, "FLOWAUTH_HOST: there is no address 'nowhere.invalid'"),
        ({"FLOWAUTH_ADMIN_PASSWORD": "password"}, "FLOWAUTH_ADMIN_PASSWORD: "),
        ({"DB_URI": "nonsense"}, "DB_URI is not a database URI"),
        ({"DB_URI": "sqlite:////nowhere/at/all.db"}, "DB_URI"),
        ({"DEMO_MODE": "1"}, "DEMO_MODE is set"),
        ({"RESET_FLOWAUTH_DB": "true"}, "nothing has been touched"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(environment, changes, told):
    """Whatever keeps it from starting is told by the setting's name, and no secret is repeated."""
    said = refused(environment, **changes)
    assert told in said
    assert "no key" not in said


def test_a_port_that_is_taken_is_told(environment):
    """A port on which another listens is told with the setting that chooses it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = refused(environment, FLOWAUTH_PORT=str(taken.getsockname()[1]))
    assert "set FLOWAUTH_PORT to a free one" in said


@pytest.mark.takes_long("starts FlowAuth several times")
def test_a_database_of_another_fernet_key_is_told(start, environment):
    """A Fernet key that the database was not written with is told at the start, and not by the first token."""
    start().stop()
    said = refused(environment, FLOWAUTH_FERNET_KEY=Fernet.generate_key().decode())
    assert "FLOWAUTH_FERNET_KEY is not the key" in said


def test_a_full_disk_is_told_and_loses_nothing(start):
    """While nothing can be written, people read so in a sentence; afterwards all goes on, and the audit log holds."""
    up = start()
    number, kind = up.process.pid, resource.RLIMIT_FSIZE
    with signed_in(up) as script:
        before = resource.prlimit(number, kind, (0, resource.RLIM_INFINITY))
        answers = [
            script.post("/admin/users", json={"username": "bea", "password": "glacier-Mango-77-trombone"}),
            httpx.post(f"{up.url}/signin", json={"username": "ada", "password": PASSWORD}, trust_env=False, timeout=60),
        ]
        resource.prlimit(number, kind, before)
        for answer in answers:
            assert answer.status_code == 503
            assert "nothing was changed" in answer.json()["message"]
        assert [user["name"] for user in script.get("/admin/users").json()] == ["ada"]
        answer = script.post("/admin/users", json={"username": "bea", "password": "glacier-Mango-77-trombone"})
        assert answer.status_code == 200, answer.text
        assert script.get("/admin/audit/verify").json()["holds"] is True
    assert "Traceback" not in up.said


@pytest.mark.takes_long("starts FlowAuth several times")
def test_a_kill_loses_nothing_that_was_answered(start):
    """Killed while administrators add people, it has everybody who was answered for, and the audit log holds."""
    up, added = start(), []
    enough = threading.Event()

    def add(writer):
        with contextlib.suppress(httpx.TransportError), signed_in(up) as script:
            for number in range(200):
                name = f"user_{writer}_{number}"
                answer = script.post("/admin/users", json={"username": name, "password": f"glacier-Mango-{name}"})
                assert answer.status_code == 200, answer.text
                added.append(name)
                if len(added) >= 12:
                    enough.set()

    writers = [threading.Thread(target=add, args=(writer,)) for writer in range(3)]
    for writer in writers:
        writer.start()
    assert enough.wait(60)
    up.stop(signal.SIGKILL)
    for writer in writers:
        writer.join(60)
    with signed_in(start()) as script:
        assert {user["name"] for user in script.get("/admin/users").json()} >= {"ada", *added}
        assert script.get("/admin/audit/verify").json()["holds"] is True


def test_its_file_is_its_owners_alone(migrated, store):
    """The database, which holds hashes of passwords, is made for its owner alone; others lose what they had of it."""
    path = Path(store.removeprefix("sqlite:///"))
    assert stat.S_IMODE(migrated.stat().st_mode) == 0o600
    path.chmod(0o644)
    database = Database(store)
    with database.write() as session:
        people.create(session, "tests", "ann", None)
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) & 0o007 for each in path.parent.glob("flowauth.db*")}
    database.close()
    assert len(modes) > 1
    assert set(modes.values()) == {0}
