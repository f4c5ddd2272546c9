"""A PostgreSQL with PostGIS for the length of a test run, thrown away afterwards.

Every pytest process starts its own (so pytest-xdist's workers do not meet), on loopback, on a free port, with a
random password and without a unix socket. The kernel stops it should the test run be killed.
"""

import importlib.util
import itertools
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.engines.absent import absent

INSTALL = "run tools/install_engines.sh"
UNSAFE_BUT_QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
    "shared_buffers": "128MB",
    "max_locks_per_transaction": "1000",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class NoPostgresError(Exception):
    """Says what this machine lacks to start a PostgreSQL."""


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL: where it is, and the process that is it."""

    port: int
    password: str
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """The URL of one of its databases, by default as its superuser."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """An empty scratch database, or a copy of `template`; yields its URL and drops it at the end."""
        import psycopg

        name = f"scratch_{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        try:
            yield self.url(name)
        finally:
            with psycopg.connect(self.url(), autocommit=True) as connection:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def cluster(settings: Mapping[str, str] | None = None) -> Iterator[Cluster]:
    """A PostgreSQL that lives as long as the block, with further settings of the server.

    Raises NoPostgresError where the machine lacks the parts.
    """
    programs = _programs()
    root = Path(tempfile.mkdtemp(prefix="flowkit-postgres-"))
    try:
        yield from _run(programs, root, UNSAFE_BUT_QUICK | dict(settings or {}))
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _programs() -> Path:
    """The directory of initdb and postgres of a PostgreSQL that has PostGIS."""
    on_path = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -float(p.parent.name))
    found = [p for p in [*([Path(on_path).resolve().parent] if on_path else []), *debian] if (p / "initdb").exists()]
    if not found:
        raise NoPostgresError(f"this machine has no PostgreSQL: {INSTALL}.")
    for programs in found:
        shared = subprocess.run([programs / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
        shared_dir = Path(shared.stdout.strip() or f"/usr/share/postgresql/{programs.parent.name}")
        if (shared_dir / "extension" / "postgis.control").exists():
            return programs
    raise NoPostgresError(f"this machine's PostgreSQL has no PostGIS: {INSTALL}.")


def _run(programs: Path, root: Path, server_settings: Mapping[str, str]) -> Iterator[Cluster]:
    data, password = root / "data", secrets.token_hex(16)
    secret = root / "password"
    secret.write_text(password)
    data.mkdir()
    become = _become_postgres(root, data, secret)
    options = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--encoding=UTF8"]
    made = subprocess.run(
        [*become, programs / "initdb", f"--pgdata={data}", *options, "--locale=C", "--no-sync"],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
    )
    if made.returncode:
        raise NoPostgresError(f"PostgreSQL could not be set up here: {made.stderr.strip().splitlines()[-1:]}")
    settings = [f"--{name}={value}" for name, value in server_settings.items()]
    for _ in range(3):  # Another process may take the free port before PostgreSQL does.
        port = _free_port()
        with (root / "log").open("w") as log:
            server = subprocess.Popen(
                [*become, programs / "postgres", "-D", data, f"--port={port}", *settings],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=root,
                start_new_session=True,  # Ctrl-C is for the tests; they stop the server in order.
            )
        try:
            if _answers(server, port, password):
                yield Cluster(port, password, server.pid)
                return
        finally:
            _stop(server)
    raise NoPostgresError(f"PostgreSQL did not start: {(root / 'log').read_text().strip().splitlines()[-1:]}")


def _become_postgres(root: Path, data: Path, secret: Path) -> list[str]:
    """The words before a command; PostgreSQL refuses to run as root."""
    setpriv = shutil.which("setpriv")
    if os.geteuid():
        return [setpriv, "--pdeathsig=INT"] if setpriv else []
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise NoPostgresError("PostgreSQL does not run as root, and there is no user postgres.") from None
    if not setpriv:
        raise NoPostgresError("PostgreSQL does not run as root, and there is no setpriv to become the user postgres.")
    root.chmod(0o711)
    for path in (data, secret):
        os.chown(path, user.pw_uid, user.pw_gid)
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [setpriv, *identity, "--pdeathsig=INT"]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _answers(server: subprocess.Popen[bytes], port: int, password: str, seconds: float = 30) -> bool:
    import psycopg

    end = time.monotonic() + seconds
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    while time.monotonic() < end and server.poll() is None:
        with suppress(psycopg.OperationalError):
            psycopg.connect(url, connect_timeout=2).close()
            return True
        time.sleep(0.05)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):  # fast, immediate, and the last resort
        if server.poll() is not None:
            return
        server.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL with PostGIS that lives as long as the test run; `postgres.database()` gives scratch databases."""
    if importlib.util.find_spec("psycopg") is None:
        absent("psycopg is not installed: install flowkit[postgres].")
    try:
        running = cluster()
        found = running.__enter__()
    except NoPostgresError as lacking:
        absent(str(lacking))
    try:
        yield found
    finally:
        running.__exit__(None, None, None)


@pytest.fixture
def database(postgres: Cluster) -> Iterator[str]:
    """The URL of an empty scratch database, dropped after the test."""
    with postgres.database() as url:
        yield url
