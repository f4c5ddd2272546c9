"""What FlowAuth's tests share: a database, the application, people, a server with roles, and a clock that is moved.

The database is SQLite's. A module whose tests are to hold on PostgreSQL too says `STORES = BOTH`; a test in it to which
the engine is all the same says `@on_sqlite`.
"""

import datetime as dt
import functools
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient

import flowauth.settings
from flowauth import access
from flowauth.database import Database
from flowauth.services import keys, people, roles, servers, sign_in
from flowauth.services.limits import Limits
from flowauth.settings import Settings
from flowauth.tables import AuditRecord, Base, User
from flowkit_base.databases import Moment
from flowkit_jwt_generator.keys import generate_keypair

BOTH = ("sqlite", "postgres")
on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For tests that take long, and ask the database nothing that others do not."""
PASSWORD = "crumpet-Tundra-49-violin"
SCOPES = (
    "run",
    "get_result",
    "get_available_dates",
    "admin3:geography:geography",
    "admin3:unique_subscriber_counts:unique_subscriber_counts",
    "admin3:flows:flows",
    "admin3:flows:daily_location",
    "admin3:flows:modal_location",
    "admin2:flows:flows",
    "admin2:flows:daily_location",
    "nonspatial:calendar_activity:calendar_activity",
)


def document(audience="TEST_SERVER", scopes=SCOPES) -> bytes:
    """The document of an API, as far as FlowAuth reads it."""
    token = {"type": "http", "x-audience": audience, "x-security-scopes": list(scopes)}
    return json.dumps({"openapi": "3.0.1", "components": {"securitySchemes": {"token": token}}}).encode()


@pytest.fixture(scope="session")
def signing_pem() -> str:
    """A private signing key."""
    return generate_keypair()[0].decode()


def pytest_generate_tests(metafunc):
    """Run the tests of a module on each of its STORES."""
    chosen = [mark for mark in metafunc.definition.iter_markers("parametrize") if mark.args[0] == "store"]
    stores = getattr(metafunc.module, "STORES", ())
    if stores and not chosen and "store" in metafunc.fixturenames:
        marks = {"postgres": pytest.mark.postgres}
        stores = [pytest.param(store, marks=marks.get(store, ())) for store in stores]
        metafunc.parametrize("store", stores, indirect=True)


def pytest_collection_modifyitems(items):
    """Fail where SQLAlchemy warns of what it will not do."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.filterwarnings("error::sqlalchemy.exc.SAWarning"))


@pytest.fixture(scope="session", autouse=True)
def keys_are_checked_once():
    """Reading a private key takes a quarter of a second, for its primes are checked; a run of tests has one key."""
    once = functools.cache(keys.load_private_key)
    with pytest.MonkeyPatch.context() as patch:
        for module in (keys, flowauth.settings):
            patch.setattr(module, "load_private_key", once)
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty database, made once."""
    path = tmp_path_factory.mktemp("flowauth") / "empty.db"
    database = Database(f"sqlite:///{path}")
    # The last connection that closes moves everything from the write-ahead log into the file.
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres):
    """The URI of an empty database on PostgreSQL, made once."""
    with postgres.database() as url:
        Database(url).close()
        yield url


def empty_again(url):
    """Empty a database on PostgreSQL, whoever still uses it; numbers start again."""
    import psycopg

    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    tables = "; ".join(f'DELETE FROM "{table.name}"' for table in reversed(Base.metadata.sorted_tables))
    with psycopg.connect(url) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}")
        connection.execute(tables)
        connection.execute("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'")


@pytest.fixture
def store(request, tmp_path):
    """The URI of an empty database of the test's own, on the engine that the test asks for."""
    if getattr(request, "param", "sqlite") == "postgres":
        url = request.getfixturevalue("migrated_postgres")
        yield url
        # A twentieth of the time that PostgreSQL takes to make a copy of an empty database and to drop it.
        empty_again(url)
        return
    path = tmp_path / "flowauth.db"
    shutil.copy(request.getfixturevalue("migrated"), path)
    yield f"sqlite:///{path}"


@pytest.fixture
def settings(store, signing_pem) -> Settings:
    """The settings of a FlowAuth on loopback with a database of its own."""
    return Settings(
        private_jwt_signing_key=signing_pem,
        flowauth_fernet_key=Fernet.generate_key().decode(),
        secret_key="a secret of tests that is long enough",
        db_uri=store,
    )


@pytest.fixture
def app(settings):
    """The application."""
    from flowauth.app import create_app

    app = create_app(settings)
    yield app
    app.state.database.close()


@pytest.fixture
def database(settings):
    """The database of the application."""
    database = Database(settings.db_uri)
    yield database
    database.close()


@pytest.fixture
def vault(settings, database) -> keys.Vault:
    """What is encrypted at rest, with a signing key admitted."""
    vault = keys.Vault(settings.flowauth_fernet_key.get_secret_value())
    with database.write() as session:
        keys.admit(session, vault, settings.private_jwt_signing_key.get_secret_value())
    return vault


@pytest.fixture
def client(app) -> TestClient:
    """A browser in which nobody is signed in, and which follows no redirect by itself."""
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


@pytest.fixture
def administrator(database) -> User:
    """The administrator `ada`."""
    with database.write() as session:
        return people.create(session, "tests", "ada", PASSWORD, is_admin=True)


@pytest.fixture
def analyst(database) -> User:
    """The analyst `ann`, who holds no role."""
    with database.write() as session:
        return people.create(session, "tests", "ann", PASSWORD)


@pytest.fixture
def server(database):
    """A server with a handful of scopes, whose tokens live a week."""
    with database.write() as session:
        read = servers.read_document(document())
        return servers.create(session, "tests", read, Limits(None, 7 * 24 * 60))


@pytest.fixture
def make_role(database, server):
    """Make a role on the server: `make_role("viewer", ["run"], [ann])`."""

    def make(name, scopes=SCOPES, users=(), *, minutes=24 * 60, latest=None, **more):
        with database.write() as session:
            there = servers.find(session, server.id)
            numbers = frozenset(scope.id for scope in there.scopes if scope.name in scopes)
            members = frozenset(user.id for user in users)
            wanted = roles.Definition(name, numbers, members, Limits(latest, minutes), **more)
            return roles.create(session, "tests", there, wanted)

    return make


@pytest.fixture
def signed_in_as(app):
    """Give a browser in which a person is signed in by their password: `signed_in_as(ann)`."""

    def sign(user) -> TestClient:
        settings = app.state.settings
        with app.state.database.write() as session:
            cookie, _ = sign_in.begin(session, settings, user.username, PASSWORD, "127.0.0.1")
        browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
        browser.cookies.set(access.COOKIE, cookie)
        browser.headers["X-CSRF-Token"] = sign_in.csrf_token(settings, cookie)
        return browser

    return sign


@pytest.fixture
def clock(database):
    """Let time pass: `clock(minutes=21)` makes everything that is stored, but the audit log, that much older."""

    def passes(**time) -> None:
        gone = dt.timedelta(**time)
        with database.engine.begin() as connection:
            for table in Base.metadata.sorted_tables:
                moments = [column for column in table.columns if isinstance(column.type, Moment)]
                if not moments or table is AuditRecord.__table__:
                    continue
                own = list(table.primary_key.columns)
                for row in connection.execute(sa.select(*own, *moments)).all():
                    told = row._mapping
                    moved = {m: told[m] - gone for m in moments if told[m] is not None}
                    if moved:
                        here = sa.and_(*(column == told[column] for column in own))
                        connection.execute(sa.update(table).where(here).values(moved))

    return passes


@pytest.fixture(scope="module")
def issuer():
    """The address of a provider."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [sys.executable, str(Path(__file__).with_name("openid_provider.py")), str(port)]
    process = subprocess.Popen(program)
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/keys", timeout=1)
                break
            except httpx.HTTPError:
                assert process.poll() is None
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)
