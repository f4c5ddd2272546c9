"""What FlowAuth's tests share: a database, the application, people, a server with roles, and a clock that is moved."""

import datetime as dt
import json
import shutil

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from fastapi.testclient import TestClient

from flowauth import keys, people, roles, servers, sign_in
from flowauth.database import Database
from flowauth.limits import Limits
from flowauth.settings import Settings
from flowauth.tables import AuditRecord, Base, User, UtcTime
from flowkit_jwt_generator.keys import generate_keypair

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


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty database, made once."""
    path = tmp_path_factory.mktemp("flowauth") / "empty.db"
    database = Database(f"sqlite:///{path}")
    # The last connection that closes moves everything from the write-ahead log into the file.
    database.close()
    return path


@pytest.fixture
def settings(tmp_path, migrated, signing_pem) -> Settings:
    """The settings of a FlowAuth on loopback with a database of its own."""
    path = tmp_path / "flowauth.db"
    shutil.copy(migrated, path)
    return Settings(
        private_jwt_signing_key=signing_pem,
        flowauth_fernet_key=Fernet.generate_key().decode(),
        secret_key="a secret of tests that is long enough",
        db_uri=f"sqlite:///{path}",
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
            wanted = roles.Wanted(name, numbers, members, Limits(latest, minutes), **more)
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
        browser.cookies.set(sign_in.COOKIE, cookie)
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
                moments = [column for column in table.columns if isinstance(column.type, UtcTime)]
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
