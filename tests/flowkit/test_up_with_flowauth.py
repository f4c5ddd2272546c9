"""`flowkit up` with FlowAuth: who administers it, what it knows of the deployment, and what tokens it ends."""

import datetime as dt
import hashlib
import re
import stat
import time

import httpx
import pytest
import sqlalchemy as sa
from tests.flowkit.living_deployment import free_ports, refused

from flowauth.errors import Refused
from flowauth.services import people
from flowauth.tables import AuditRecord, Server
from flowkit.deployment import Deployment, flowauth
from flowkit.services import register

pytestmark = pytest.mark.takes_long("starts a whole deployment with FlowAuth")

SECRETS = ["FLOWAUTH_FERNET_KEY", "SECRET_KEY", "FLOWAUTH_ADMIN_PASSWORD"]
"""What FlowAuth alone needs."""
OWN = "crumpet-Tundra-49-violin"


@pytest.fixture(scope="module")
def up(copy_of_model, start_up):
    """A deployment that is up, whose FlowAPI asks FlowAuth every second."""
    return start_up(copy_of_model(), FLOWAPI_REFRESH_SECONDS="1")


@pytest.fixture(scope="module")
def first(up):
    """The first administrator's password, as it lies in the deployment."""
    file = up.place.path / "secrets" / "FLOWAUTH_ADMIN_PASSWORD"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return file.read_text().strip()


@pytest.fixture(scope="module")
def password(up, first):
    """The password that the first administrator has chosen, as they must before anything else."""
    admin = signed_in(up, "admin", first)
    refused = admin.get("/admin/servers")
    assert (refused.status_code, refused.json()["require_password_change"]) == (403, True)
    assert admin.patch("/user/password", json={"password": first, "newPassword": OWN}).status_code == 200
    return OWN


def signed_in(up, username, password):
    """A script in which somebody is signed in."""
    browser = httpx.Client(base_url=up.auth_url, trust_env=False, timeout=60)
    answer = browser.post("/signin", json={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    browser.headers["X-CSRF-Token"] = browser.cookies["X-CSRF"]
    return browser


def dates(up, token):
    """What the API answers to a token: the status, and the code of a refusal."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{up.url}/api/0/available_dates", headers=headers, trust_env=False, timeout=60)
    return answer.status_code, answer.json().get("code")


def until(what, seconds=60):
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_deployment_is_known_to_its_flowauth(up, first, password):
    """The first administrator finds the deployment's own API as a server, with the roles of flowkit.toml."""
    admin = signed_in(up, "admin", password)
    (server,) = admin.get("/admin/servers").json()
    assert (server["name"], server["document_url"]) == ("nepal.test", up.url)
    roles = {role["name"]: role["scopes"] for role in admin.get("/roles/").json()}
    assert set(roles) == {"viewer", "runner", "analyst"}
    assert all(roles.values())
    for secret in (first, password):
        assert secret not in up.said
        assert all(secret not in text for text in up.place.texts().values())


def test_the_scopes_are_those_of_the_document(up, password):
    """What FlowAuth is told of the API before it runs is what its document says once it does."""
    admin = signed_in(up, "admin", password)
    (server,) = admin.get("/admin/servers").json()
    scopes = {scope["name"] for scope in admin.get(f"/admin/servers/{server['id']}/scopes").json()}
    document = httpx.get(f"{up.url}/api/0/spec/openapi.json", trust_env=False).json()
    assert scopes == set(document["components"]["securitySchemes"]["token"]["x-security-scopes"])


def test_the_first_start_has_no_error_in_its_logs(up):
    """FlowAPI has FlowAuth's keys and revocation list from its first moment on, and no log tells of an error."""
    told = httpx.get(f"{up.url}/api/0/health", trust_env=False).json()["tokens"]
    assert told["key_set"]["problem"] is None
    assert told["revocations"]["problem"] is None
    assert told["revocations"]["issued"] is not None
    assert set(up.place.texts()) >= {up.place.path / "logs" / f"{name}.log" for name in ("flowapi", "flowauth")}
    private = [up.place.path / "catalogue.db", up.place.path / "flowauth.db", *up.place.texts()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}
    for file, text in up.place.texts().items():
        assert not re.search("error|not taken|Traceback", text, re.IGNORECASE), f"{file.name}: {text}"


def test_a_token_of_flowauth_counts_until_it_is_revoked(up):
    """An analyst who was added on the machine makes a token, asks the API with it, and revokes it."""
    secret = "crumpet-Tundra-49-violin"
    options = ("--role", "nepal.test:analyst", "--password-file", "-")
    up.place.done("auth", "users", "add", "ann", *options, text=secret + "\n")
    ann = signed_in(up, "ann", secret)
    (server,) = ann.get("/tokens/servers").json()
    sent = {"name": "mine", "roles": [{"name": "analyst"}], "lifetime_minutes": 60}
    made = ann.post(f"/tokens/tokens/{server['id']}", json=sent).json()
    assert dates(up, made["token"]) == (200, None)
    assert ann.post(f"/tokens/tokens/{made['id']}/revoke").status_code == 200
    until(lambda: dates(up, made["token"]) == (401, "token_revoked"))


def test_a_token_of_the_command_line_keeps_working(up):
    """`flowkit token` is believed beside FlowAuth's, also after another key has begun to sign, and can be revoked."""
    first = up.place.token("bob")
    assert dates(up, first) == (200, None)
    up.place.done("auth", "keys", "announce", "--hours", "0")
    second = up.place.token("bob")
    until(lambda: dates(up, second) == (200, None))
    assert dates(up, first) == (200, None)
    numbers = re.findall(r"^(\S+) +- +nepal\.test +bob", up.place.done("auth", "tokens", "list"), re.MULTILINE)
    assert len(numbers) == 2
    up.place.done("auth", "tokens", "revoke", *numbers)
    until(lambda: dates(up, first) == dates(up, second) == (401, "token_revoked"))


@pytest.fixture
def of_before(copy_of_model):
    """A deployment that was made before there was FlowAuth."""
    place = copy_of_model()
    for name in SECRETS:
        (place.path / "secrets" / name).unlink()
    return place


def kept(place):
    """What each of FlowAuth's secrets of a deployment holds; all of them are for the owner's eyes alone."""
    files = [place.path / "secrets" / name for name in SECRETS]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    return [file.read_text() for file in files]


def test_a_deployment_of_before_is_given_flowauth_once(of_before, start_up):
    """`flowkit up` makes the secrets that are missing, says so in one line, and leaves them alone ever after.

    The address that FlowAuth knows the API by follows the port that the settings give it.
    """
    assert "start it with `flowkit up`" in refused(of_before.flowkit("auth", "users", "list"))
    up = start_up(of_before)
    made, *_ = up.said.splitlines()
    assert made == f"Made what FlowAuth needs, in {of_before.path / 'secrets'}: {', '.join(SECRETS)}."
    secrets = kept(of_before)
    signed_in(up, "admin", secrets[SECRETS.index("FLOWAUTH_ADMIN_PASSWORD")].strip())
    assert up.stop() == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{up.auth_url}/health", trust_env=False, timeout=5)

    stopped = dt.datetime.now(dt.UTC)
    (port,) = free_ports(1)
    of_before.set(flowapi_port=port)
    up.start()
    assert "Made what" not in up.said
    assert kept(of_before) == secrets
    listed = of_before.done("auth", "servers", "list").splitlines()
    assert len(listed) == 2
    assert f"http://127.0.0.1:{port}" in listed[1]
    with flowauth.database(Deployment.open(of_before.path)) as database, database.read() as session:
        assert session.scalars(sa.select(Server.document_problem)).all() == [None]
        assert session.scalars(sa.select(Server.document_read)).one() > stopped
        change = sa.select(AuditRecord.actor).where(AuditRecord.action == "server.change")
        assert session.scalars(change).all() == ["flowkit up"]
    assert "✓ The API answers, and FlowAuth" in of_before.done("doctor")
    assert up.stop() == 0


def test_an_address_of_another_machine_stays(copy_of_model):
    """FlowAuth goes on following the API where an administrator said, whatever ports the deployment has."""
    deployment = Deployment.open(copy_of_model().path)

    def followed():
        with flowauth.database(deployment) as database, database.read() as session:
            return session.scalars(sa.select(Server.document_url)).all()

    register(deployment)
    assert followed() == ["http://127.0.0.1:9090"]
    for told, then in (
        ("https://flowapi.example.org", "https://flowapi.example.org"),
        ("http://127.0.0.1:8000/behind/a/proxy", "http://127.0.0.1:8000/behind/a/proxy"),
        (None, None),
        ("http://localhost:8000", "http://127.0.0.1:9090"),
    ):
        with flowauth.database(deployment) as database, database.write() as session:
            session.scalars(sa.select(Server)).one().document_url = told
        register(deployment)
        assert followed() == [then]


def test_a_lost_key_is_not_replaced(copy_of_model):
    """Where FlowAuth's database was written with a key that is gone, `flowkit up` asks for that one and makes none."""
    place = copy_of_model()
    place.done("auth", "users", "list")
    key = place.path / "secrets" / "FLOWAUTH_FERNET_KEY"
    key.unlink()
    said = refused(place.flowkit("up"))
    assert "FLOWAUTH_FERNET_KEY is missing: put it back" in said
    assert not key.exists()


def test_the_first_password_may_be_thrown_away(copy_of_model):
    """Once there is an administrator, nothing needs the first password any more, and no other is made in its place."""
    place = copy_of_model()
    place.done("auth", "users", "list")
    with flowauth.database(Deployment.open(place.path)) as database, database.read() as session:
        assert people.named(session, "admin").password_expires == people.UNTIL_CHANGED
    (place.path / "secrets" / "FLOWAUTH_ADMIN_PASSWORD").unlink()
    assert flowauth.add_secrets(Deployment.open(place.path)) == []
    assert "admin" in place.done("auth", "users", "list")


def test_a_password_that_the_operator_gives_stays(copy_of_model, monkeypatch):
    """The password that lies in the deployment is to be changed first; one that the machine's settings give is not."""
    deployment = Deployment.open(copy_of_model().path)
    name = "FLOWAUTH_ADMIN_PASSWORD"
    assert flowauth.environment(deployment)[f"{name}_GENERATED"] == "true"
    monkeypatch.setenv(name, OWN)
    told = flowauth.environment(deployment)
    assert told[name] == OWN
    assert f"{name}_GENERATED" not in told


def test_passwords_are_judged_alike_everywhere(copy_of_model):
    """A password of the list that flowkit.toml names is refused by the command line as on the pages."""
    secret = "crumpet-Tundra-49-violin"
    place = copy_of_model()
    breached = place.path / "breached.txt"
    breached.write_text(hashlib.sha1(secret.encode()).hexdigest().upper() + ":12\n")
    place.set(flowauth_breached_passwords=f'"{breached}"')
    said = refused(place.flowkit("auth", "users", "add", "ann", "--password-file", "-", text=secret + "\n"))
    assert "known from breaches" in said
    with (
        flowauth.database(Deployment.open(place.path)) as database,
        database.write() as session,
        pytest.raises(Refused, match="known from breaches"),
    ):
        people.create(session, "tests", "ann", secret)
