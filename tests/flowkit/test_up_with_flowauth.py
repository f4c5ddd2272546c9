"""`flowkit up` with FlowAuth: who administers it, what it knows of the deployment, and what tokens it ends."""

import re
import stat
import time

import httpx
import pytest


@pytest.fixture(scope="module")
def up(copy_of_model, start_up):
    """A deployment that is up, whose FlowAPI asks FlowAuth every second."""
    return start_up(copy_of_model(), FLOWAPI_REFRESH_SECONDS="1")


@pytest.fixture(scope="module")
def password(up):
    """The first administrator's password, as it lies in the deployment."""
    file = up.place.path / "secrets" / "FLOWAUTH_ADMIN_PASSWORD"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return file.read_text().strip()


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


def test_the_deployment_is_known_to_its_flowauth(up, password):
    """The first administrator finds the deployment's own API as a server, with the roles of flowkit.toml."""
    admin = signed_in(up, "admin", password)
    (server,) = admin.get("/admin/servers").json()
    assert (server["name"], server["document_url"]) == ("nepal.test", up.url)
    roles = {role["name"]: role["scopes"] for role in admin.get("/roles/").json()}
    assert set(roles) == {"viewer", "runner", "analyst"}
    assert all(roles.values())
    assert password not in up.said
    assert all(password not in text for text in up.place.texts().values())


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


def test_flowauth_stops_with_the_others(copy_of_model, start_up):
    """FlowAuth's port is free again when the deployment has stopped; a second start registers nothing twice."""
    up = start_up(copy_of_model())
    assert up.stop() == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{up.auth_url}/health", trust_env=False, timeout=5)
    up.start()
    assert len(up.place.done("auth", "servers", "list").splitlines()) == 2
    assert "✓ The API answers, and FlowAuth" in up.place.done("doctor")
