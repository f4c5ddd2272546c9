"""`flowkit auth …`: what an administrator does on the machine itself."""

import getpass
import json

import jwt
import pytest
import sqlalchemy as sa
from tests.flowauth.conftest import PASSWORD, document
from typer.testing import CliRunner

from flowauth import access, console
from flowauth.errors import Refused
from flowauth.services import passwords, people, sign_in
from flowauth.tables import AuditRecord, Token
from flowkit_jwt_generator.keys import load_public_keys


@pytest.fixture
def auth(settings, monkeypatch):
    """Run a command and give what it says; a refusal is raised."""
    for name in ("PRIVATE_JWT_SIGNING_KEY", "FLOWAUTH_FERNET_KEY", "SECRET_KEY"):
        monkeypatch.setenv(name, getattr(settings, name.lower()).get_secret_value())
    monkeypatch.setenv("DB_URI", settings.db_uri)

    def run(*arguments, text=None):
        done = CliRunner().invoke(console.app, [str(each) for each in arguments], input=text)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


@pytest.fixture
def file(tmp_path):
    """A server's document in a file."""
    path = tmp_path / "openapi.json"
    path.write_bytes(document())
    return path


@pytest.fixture
def filled(auth, file):
    """A FlowAuth with an administrator, a server and a role that an analyst holds."""
    auth("users", "add", "ada", "--administrator", "--password-file", "-", text=PASSWORD + "\n")
    auth("users", "add", "ann", "--password-file", "-", text=PASSWORD + "\n")
    auth("servers", "add", file, "--longest-life-days", "7")
    auth("roles", "add", "TEST_SERVER", "viewer", "--scope", "get_*", "--scope", "admin3:flows:*", "--member", "ann")
    return auth


def issue(app, person):
    """Make a token through the JSON API."""
    with app.state.database.write() as session:
        cookie, _ = sign_in.begin(session, app.state.settings, person, PASSWORD, "127.0.0.1")
    from fastapi.testclient import TestClient

    browser = TestClient(app, base_url="http://localhost")
    browser.cookies.set(access.COOKIE, cookie)
    browser.headers["X-CSRF-Token"] = sign_in.csrf_token(app.state.settings, cookie)
    answer = browser.post("/tokens/tokens/1", json={"name": "mine", "roles": [{"name": "viewer"}]})
    assert answer.status_code == 200, answer.text
    return jwt.decode(answer.json()["token"], options={"verify_signature": False})


def test_a_first_password_is_made_on_the_machine(auth, database):
    """It is printed once, good as passwords must be, and to be changed; it is not both made and given."""
    made = [
        auth("users", *command, "ben", "--generate").split()[-1]
        for command in (("add",), ("change", "--administrator"))
    ]
    assert len(set(made)) == 2
    assert all(passwords.weakness(each, "ben") is None for each in made)
    with database.read() as session:
        ben = people.named(session, "ben")
        assert ben.password_expires is not None
        assert [passwords.fits(each, ben.password) for each in made] == [False, True]
    with pytest.raises(Refused, match="not both"):
        auth("users", "add", "eve", "--generate", "--password-file", "-", text=PASSWORD + "\n")


def test_an_administrator_fills_a_flowauth_on_the_machine(filled):
    """People, servers and roles are added by commands, listed, and the log names the command line and its user."""
    listed = filled("users", "list")
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["ada", "yes", "off"],
        ["ann", "off", "TEST_SERVER:viewer"],
    ]
    assert filled("servers", "list").splitlines()[1].split()[:5] == ["TEST_SERVER", "11", "1", "7", "d"]
    assert filled("roles", "list").splitlines()[1].split()[:4] == ["TEST_SERVER", "viewer", "5", "1"]
    assert f"command line ({getpass.getuser()})" in filled("audit", "show")
    told = [json.loads(line) for line in filled("audit", "show", "--json", "--last", "1").splitlines()]
    assert told[0]["action"] == "role.create"
    assert PASSWORD not in filled("audit", "show", "--json")
    assert "holds" in filled("audit", "verify")


def test_a_password_is_no_argument(filled):
    """No command takes a password among its arguments, where every user of the machine could read it."""
    for group in ("users", "servers", "roles", "tokens", "keys"):
        for line in filled(group, "--help").splitlines():
            assert "--password " not in line or "Ask" in line
    with pytest.raises(Refused, match="no terminal"):
        filled("users", "add", "eve")
    with pytest.raises(Refused, match="breaches"):
        filled("users", "add", "eve", "--password-file", "-", text="password\n")


def test_a_person_is_changed_and_removed(filled, app):
    """A role that is taken ends its tokens; a person is removed where that is said, but for the last administrator."""
    issue(app, "ann")
    filled("users", "change", "ann", "--take", "TEST_SERVER:viewer", "--require-two-factor")
    assert "required" in filled("users", "list")
    assert "revoked" in filled("tokens", "list", "--ended")
    with pytest.raises(Refused, match="--yes"):
        filled("users", "remove", "ann")
    assert "removed" in filled("users", "remove", "ann", "--yes")
    with pytest.raises(Refused, match="only administrator"):
        filled("users", "remove", "ada", "--yes")
    with pytest.raises(Refused, match="not set two-factor up"):
        filled("users", "reset-two-factor", "ada")
    with pytest.raises(Refused, match="no user 'eve'"):
        filled("users", "change", "eve", "--administrator")


def test_a_servers_new_document_tells_what_is_lost(filled, file):
    """A document that takes scopes away says which roles lose them, and is taken over only where that is said."""
    file.write_bytes(document(scopes=["run", "get_result", "newly"]))
    with pytest.raises(Refused, match="--yes"):
        filled("servers", "update", "TEST_SERVER", file)
    said = filled("servers", "update", "TEST_SERVER", file, "--yes")
    assert "The role 'viewer' loses 4 of its scopes." in said
    assert "1 new scopes" in said
    assert "2027-01-31 18:00 UTC" not in filled("servers", "list")
    filled("servers", "update", "TEST_SERVER", "--latest-expiry", "2027-01-31T18:00Z")
    assert "2027-01-31 18:00 UTC" in filled("servers", "list")
    with pytest.raises(Refused, match="time zone"):
        filled("servers", "update", "TEST_SERVER", "--latest-expiry", "2027-01-31T18:00")
    for days in ("nan", "inf", "-1", "1e300"):
        with pytest.raises(Refused, match="longest life"):
            filled("servers", "update", "TEST_SERVER", f"--longest-life-days={days}")


def test_a_role_is_changed_and_removed(filled):
    """A role gets other scopes and holders; a pattern that fits nothing is told."""
    with pytest.raises(Refused, match="no scope 'fly'"):
        filled("roles", "change", "TEST_SERVER", "viewer", "--scope", "fly")
    filled("roles", "change", "TEST_SERVER", "viewer", "--scope", "run", "--take", "ann", "--name", "walker")
    assert filled("roles", "list").splitlines()[1].split()[:4] == ["TEST_SERVER", "walker", "1", "0"]
    filled("roles", "remove", "TEST_SERVER", "walker", "--yes")
    filled("servers", "remove", "TEST_SERVER", "--yes")
    assert len(filled("servers", "list").splitlines()) == 1


def test_a_token_is_revoked_and_the_list_carried(filled, app, tmp_path, settings):
    """A token that is listed is revoked, and stands in the signed list that is carried to a FlowAPI."""
    claims = issue(app, "ann")
    assert claims["jti"] in filled("tokens", "list", "--user", "ann", "--server", "TEST_SERVER")
    with pytest.raises(Refused, match="no token"):
        filled("tokens", "revoke", "none")
    filled("tokens", "revoke", claims["jti"], "--because", "lost laptop")
    assert len(filled("tokens", "list").splitlines()) == 1
    path = tmp_path / "revocations.jwt"
    filled("revocations", "export", "TEST_SERVER", path)
    (key,) = load_public_keys(filled("keys", "export"))
    told = jwt.decode(path.read_text().strip(), key, algorithms=["RS256"], audience="TEST_SERVER")
    assert told["revoked"] == {claims["jti"]: claims["exp"]}
    with app.state.database.read() as session:
        assert session.scalar(sa.select(Token.revoked_because)) == "lost laptop"


def test_keys_follow_each_other(filled, tmp_path):
    """A key is announced, exported in both forms, signs at once where that is said, and the old one is withdrawn."""
    first = filled("keys", "list").splitlines()[1].split()[0]
    filled("keys", "announce", "--hours", "2")
    path = tmp_path / "keys.json"
    filled("keys", "export", "--form", "jwks", "--to", path)
    assert len(json.loads(path.read_text())["keys"]) == 2
    with pytest.raises(Refused, match="only key that can sign"):
        filled("keys", "withdraw", first, "--yes")
    filled("keys", "announce", "--hours", "0")
    filled("keys", "withdraw", first, "--yes")
    states = {line.split()[0]: line.split()[-1] for line in filled("keys", "list").splitlines()[1:]}
    assert states[first] == "withdrawn"
    assert sorted(states.values()) == ["announced", "signs", "withdrawn"]


def test_a_changed_log_is_told(filled, app):
    """A record that was changed in the database is named by audit verify."""
    with app.state.database.write() as session:
        session.execute(sa.update(AuditRecord).where(AuditRecord.id == 2).values(actor="nobody"))
    with pytest.raises(Refused, match="record 2"):
        filled("audit", "verify")


def test_what_is_not_set_is_told(auth, monkeypatch):
    """A command without its settings says which are missing, each in a sentence."""
    monkeypatch.delenv("FLOWAUTH_FERNET_KEY")
    with pytest.raises(Refused, match="FLOWAUTH_FERNET_KEY is not set"):
        auth("users", "list")
    assert len(auth("fernet-key").strip()) == 44
