"""The JSON API of FlowAuth: FlowKit's routes, and its own."""

import datetime as dt
import json
import re
from email.utils import parsedate_to_datetime

import jwt
import pyotp
import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as bounded
from tests.flowauth.conftest import BOTH, PASSWORD, SCOPES, document, on_sqlite

from flowauth import access
from flowauth.services import people, servers
from flowauth.services.limits import Limits
from flowauth.tables import Role

STORES = BOTH
SECOND = "glacier-Mango-77-trombone"
FLOWKIT_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@pytest.fixture
def admin(signed_in_as, administrator):
    """A script in which the administrator is signed in."""
    return reading_the_cookie(signed_in_as(administrator))


@pytest.fixture
def ann(signed_in_as, analyst, make_role):
    """A script in which the analyst is signed in, who holds the role `viewer`."""
    make_role("viewer", ["get_result", "run"], [analyst])
    return reading_the_cookie(signed_in_as(analyst))


def reading_the_cookie(browser):
    """A script whose next write carries the CSRF cookie as the answer before has set it."""

    def read(answer):
        if token := answer.cookies.get("X-CSRF"):
            browser.headers["X-CSRF-Token"] = token

    browser.event_hooks = {"response": [read]}
    return browser


def good(answer, status=200):
    assert answer.status_code == status, answer.text
    return answer.json()


def refusal(answer, status, field=None):
    """The sentence of a refusal, whose form is FlowKit's."""
    told = good(answer, status)
    assert told["code"] == status
    assert told.get("bad_field") == field
    assert told["message"].endswith(".")
    return told["message"]


def script(app) -> TestClient:
    return reading_the_cookie(TestClient(app, base_url="http://localhost", follow_redirects=False))


def enter(browser, username, password=PASSWORD, **more):
    return browser.post("/signin", json={"username": username, "password": password, **more})


def set_up(browser):
    """Set two-factor up; the secret and the backup codes."""
    told = good(browser.post("/user/enable_two_factor"))
    sent = {
        "two_factor_code": pyotp.TOTP(told["secret"]).now(),
        "secret": told["secret"],
        "backup_codes_signature": told["backup_codes_signature"],
    }
    assert good(browser.post("/user/confirm_two_factor", json=sent)) == {"two_factor_enabled": True}
    return told["secret"], told["backup_codes"]


def test_a_script_signs_in_and_out(app, administrator):
    """A script signs in, learns what it is signed in as, writes with the CSRF cookie's value, and signs out."""
    browser = script(app)
    flags = {"logged_in": True, "is_admin": True, "require_two_factor_setup": False}
    assert good(enter(browser, "ada")) == flags
    assert good(browser.get("/is_signed_in")) == flags
    assert good(browser.get("/signout")) == {"logged_in": False}
    refusal(browser.get("/is_signed_in"), 401)


def test_who_is_not_there_and_a_wrong_password_are_told_alike(app, analyst):
    """A name that does not exist is refused in the words of a wrong password."""
    wrong, unknown = enter(script(app), "ann", "wrong"), enter(script(app), "nobody", "wrong")
    assert refusal(wrong, 401, "password") == refusal(unknown, 401, "password")


@on_sqlite
def test_a_write_without_the_csrf_token_is_refused(admin):
    """A write that does not carry the value of the CSRF cookie is answered 401, as FlowKit does."""
    del admin.headers["X-CSRF-Token"]
    refusal(admin.post("/admin/users", json={"username": "eve", "password": SECOND}), 401)


@on_sqlite
def test_signing_in_takes_json_alone(app, analyst):
    """A form of another page cannot sign a browser in: what is not sent as JSON is refused."""
    sent = json.dumps({"username": "ann", "password": PASSWORD})
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = script(app).post("/signin", content=sent, headers={"Content-Type": kind})
        assert answer.status_code == 400
        assert "set-cookie" not in answer.headers


def test_two_factor_by_script(app, analyst, clock):
    """Two-factor is set up, asked for with need_two_factor, given once, its backup codes renewed, and switched off."""
    browser = script(app)
    enter(browser, "ann")
    assert good(browser.get("/user/two_factor_active")) == {"two_factor_enabled": False}
    refusal(browser.get("/user/generate_two_factor_backups"), 400)
    began = dt.datetime.now(dt.UTC)
    secret, backups = set_up(browser)
    assert len(backups) == 16
    assert good(browser.get("/user/two_factor_active")) == {"two_factor_enabled": True}
    assert good(browser.get("/user/two_factor_required")) == {"require_two_factor": False}

    other = script(app)
    asked = enter(other, "ann")
    assert asked.json()["need_two_factor"] is True
    assert refusal(asked, 400, "two_factor_code")
    assert "flowauth_session" not in other.cookies
    refusal(enter(other, "ann", two_factor_code="wrong"), 401, "two_factor_code")
    used = pyotp.TOTP(secret).at(began)
    refusal(enter(other, "ann", two_factor_code=used), 401, "two_factor_code")
    assert good(enter(other, "ann", two_factor_code=backups[0]))["logged_in"]
    refusal(enter(script(app), "ann", two_factor_code=backups[0]), 401, "two_factor_code")

    told = good(other.get("/user/generate_two_factor_backups"))
    sent = {"backup_codes_signature": told["backup_codes_signature"]}
    assert refusal(other.post("/user/generate_two_factor_backups", json=sent), 400, "password")
    good(other.post("/user/generate_two_factor_backups", json=sent | {"password": PASSWORD}))
    refusal(enter(script(app), "ann", two_factor_code=backups[1]), 401, "two_factor_code")
    new = told["backup_codes"]
    refusal(
        other.post("/user/disable_two_factor", json={"password": "wrong", "two_factor_code": new[0]}), 400, "password"
    )
    gone = other.post("/user/disable_two_factor", json={"password": PASSWORD, "two_factor_code": new[0]})
    assert good(gone) == {"two_factor_enabled": False}


def test_two_factor_that_is_required_comes_first(app, database, analyst, administrator, make_role):
    """Somebody who must set two-factor up can do nothing else before, whatever their script asks for."""
    with database.write() as session:
        people.change(session, "tests", people.find(session, analyst.id), require_two_factor=True)
    browser = script(app)
    assert good(enter(browser, "ann"))["require_two_factor_setup"] is True
    refused = browser.get("/tokens/servers")
    assert refused.json()["require_two_factor_setup"] is True
    refusal(refused, 403)
    set_up(browser)
    assert good(browser.get("/tokens/servers")) == []


def test_a_password_is_changed_by_the_present_one(app, analyst):
    """A new password needs the present one and must be good; other places are signed out."""
    here, there = script(app), script(app)
    enter(here, "ann"), enter(there, "ann")
    refusal(here.patch("/user/password", json={"password": "wrong", "newPassword": SECOND}), 400, "password")
    refusal(here.patch("/user/password", json={"password": PASSWORD, "newPassword": "12345678"}), 400, "newPassword")
    assert good(here.patch("/user/password", json={"password": PASSWORD, "newPassword": SECOND})) == {}
    assert good(here.get("/is_signed_in"))["logged_in"]
    refusal(there.get("/is_signed_in"), 401)
    assert good(enter(there, "ann", SECOND))["logged_in"]


def test_the_password_given_again_gives_another_cookie(app, administrator):
    """Whenever a script gives its password again it gets another cookie; copies of the one before are worth nothing.

    So it is where the rest of what it sent is refused; a wrong password changes nothing.
    """
    browser = script(app)
    enter(browser, "ada")
    held = browser.cookies[access.COOKIE]
    for name, status in (("eve", 200), ("a b", 400), ("max", 200)):
        copied = script(app)
        copied.cookies.set(access.COOKIE, held)
        sent = {"username": name, "password": SECOND, "is_admin": True}
        refusal(browser.post("/admin/users", json=sent | {"your_password": "wrong"}), 400, "your_password")
        assert browser.cookies[access.COOKIE] == held
        assert good(copied.get("/is_signed_in"))["logged_in"]
        good(browser.post("/admin/users", json=sent | {"your_password": PASSWORD}), status)
        refusal(copied.get("/is_signed_in"), 401)
        assert browser.cookies[access.COOKIE] != held
        held = browser.cookies[access.COOKIE]


def test_a_token_by_script(ann, server):
    """A token is made for one's roles, told once, listed without itself, renewed and revoked."""
    assert good(ann.get("/tokens/servers")) == [{"id": server.id, "server_name": "TEST_SERVER"}]
    told = good(ann.get(f"/tokens/servers/{server.id}"))
    assert told["allowed_claims"] == ["get_result", "run"]
    assert parsedate_to_datetime(told["latest_expiry"]) > dt.datetime.now(dt.UTC)
    (role,) = good(ann.get(f"/user/roles/server/{server.id}"))
    assert (role["name"], role["scope_names"]) == ("viewer", ["get_result", "run"])

    sent = {"name": "mine", "roles": [{"name": "viewer"}], "lifetime_minutes": 30}
    made = good(ann.post(f"/tokens/tokens/{server.id}", json=sent))
    claims = jwt.decode(made["token"], options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == ("ann", "TEST_SERVER")
    assert 1795 <= claims["exp"] - claims["iat"] <= 1800
    (listed,) = good(ann.get(f"/tokens/tokens/{server.id}"))
    assert listed["token"] is None
    assert listed["roles"] == [{"name": "viewer"}]
    assert listed["username"] == "ann"
    assert parsedate_to_datetime(listed["expires"]).timestamp() == claims["exp"]
    assert made["token"] not in json.dumps(listed)

    renewed = good(ann.post(f"/tokens/tokens/{made['id']}/renew", json={"lifetime_minutes": 60}))
    assert renewed["id"] != made["id"]
    assert [each["name"] for each in good(ann.get(f"/tokens/tokens/{server.id}"))] == ["mine", "mine"]
    good(ann.post(f"/tokens/tokens/{made['id']}/revoke"))
    ended = {each["id"]: each["revoked"] for each in good(ann.get(f"/tokens/tokens/{server.id}"))}
    assert ended[made["id"]]
    assert ended[renewed["id"]] is None


@pytest.mark.parametrize("minutes", [0, -1, 1.5, "60", True, 24 * 60 + 1, 10**12])
def test_a_life_that_cannot_be_is_refused(ann, server, minutes):
    """A life that is no positive whole number of minutes, or more than the role allows, makes no token."""
    sent = {"name": "mine", "roles": [{"name": "viewer"}], "lifetime_minutes": minutes}
    refusal(ann.post(f"/tokens/tokens/{server.id}", json=sent), 400, "lifetime_minutes")
    assert good(ann.get(f"/tokens/tokens/{server.id}")) == []


def test_roles_that_are_not_mine_make_no_token(ann, database, server, make_role, administrator):
    """A role that others hold, or that I hold by the same name on another server, is answered 401 by its name."""
    make_role("runner", ["run"], [administrator])
    with database.write() as session:
        servers.create(session, "tests", servers.read_document(document("OTHER")), Limits(None, 60))
    for number, name in ((server.id, "runner"), (server.id + 1, "viewer"), (server.id, "none")):
        answer = ann.post(f"/tokens/tokens/{number}", json={"name": "mine", "roles": [{"name": name}]})
        assert f"'{name}'" in refusal(answer, 401, "roles")


def test_a_renewal_needs_all_its_roles(ann, server, analyst, admin):
    """A token whose role was taken from me is not renewed, and the answer names the role."""
    made = good(ann.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": [{"name": "viewer"}]}))
    good(admin.patch(f"/admin/users/{analyst.id}", json={"roles": []}))
    assert "'viewer'" in refusal(ann.post(f"/tokens/tokens/{made['id']}/renew"), 401, "roles")


def test_a_renewal_misses_a_role_that_was_deleted(ann, admin, database, server, make_role, analyst):
    """A token of two roles, one of which is no more, is not renewed with the other alone."""
    runner = make_role("runner", ["run"], [analyst])
    both = [{"name": "viewer"}, {"name": "runner"}]
    made = good(ann.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": both}))
    good(admin.delete(f"/roles/{runner.id}"))
    assert "'runner'" in refusal(ann.post(f"/tokens/tokens/{made['id']}/renew"), 401, "roles")


def test_a_renewal_that_is_shorter_says_so(ann, database, server):
    """A token that follows another and lives shorter because of a limit says whose limit it is."""
    made = good(ann.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": [{"name": "viewer"}]}))
    assert made["warning"] is None
    with database.write() as session:
        session.get(Role, 1).latest_token_expiry = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    assert "role 'viewer'" in good(ann.post(f"/tokens/tokens/{made['id']}/renew"))["warning"]


def test_tokens_of_others_do_not_exist(ann, admin, database, server, analyst):
    """A token of somebody else is answered as one that is not there."""
    made = good(ann.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": [{"name": "viewer"}]}))
    for what in ("renew", "revoke"):
        assert refusal(admin.post(f"/tokens/tokens/{made['id']}/{what}"), 404) == refusal(
            admin.post(f"/tokens/tokens/999/{what}"), 404
        )
    good(admin.post(f"/admin/tokens/{made['id']}/revoke"))
    (ended,) = good(admin.get("/admin/revocations"))
    assert (ended["id"], ended["revoked_because"]) == (made["id"], "an administrator ended it")
    assert good(admin.get("/admin/tokens?live=true")) == []


def test_users_by_script(app, admin, make_role, database):
    """An administrator adds, lists, changes and removes a person; a name that is taken is told in FlowKit's way."""
    role = make_role("viewer", ["run"])
    sent = {"username": "eve", "password": SECOND, "roles": [role.id]}
    eve = good(admin.post("/admin/users", json=sent))
    told = {"name": "eve", "is_admin": False, "has_two_factor": False, "require_two_factor": False}
    assert eve == {**told, "id": eve["id"], "roles": [role.id]}
    again = good(admin.post("/admin/users", json=sent), 400)
    assert (again["status"], again["statusText"], again["bad_field"]) == (400, "Name already exists", "username")
    refusal(admin.post("/admin/users", json={"username": "joe", "password": "password"}), 400, "password")
    refusal(admin.post("/admin/users", json={"username": "a b", "password": SECOND}), 400, "username")
    assert {each["name"] for each in good(admin.get("/admin/users"))} == {"ada", "eve"}
    changed = good(admin.patch(f"/admin/users/{eve['id']}", json={"require_two_factor": True, "roles": []}))
    assert (changed["require_two_factor"], changed["roles"]) == (True, [])
    assert good(admin.get(f"/admin/users/{eve['id']}")) == changed
    assert good(admin.delete(f"/admin/users/{eve['id']}")) == {"deleted": True, "tokens_ended": 0}
    refusal(admin.get(f"/admin/users/{eve['id']}"), 404)


def test_an_administrator_is_made_by_ones_own_password(admin, analyst):
    """Making an administrator asks for the password of who does it, as a stolen session must not do it."""
    sent = {"username": "max", "password": SECOND, "is_admin": True}
    refusal(admin.post("/admin/users", json=sent), 400, "your_password")
    refusal(admin.patch(f"/admin/users/{analyst.id}", json={"is_admin": True}), 400, "your_password")
    refusal(admin.post("/admin/users", json=sent | {"your_password": "wrong"}), 400, "your_password")
    assert good(admin.post("/admin/users", json=sent | {"your_password": PASSWORD}))["is_admin"]


def test_the_last_administrator_stays(admin, administrator):
    """The only administrator can neither be removed nor made an ordinary user."""
    refusal(admin.delete(f"/admin/users/{administrator.id}"), 400, "is_admin")
    refusal(admin.patch(f"/admin/users/{administrator.id}", json={"is_admin": False}), 400, "is_admin")


def test_a_lost_phone(app, admin, analyst):
    """An administrator takes somebody's second factor away with has_two_factor false, and cannot give one."""
    browser = script(app)
    enter(browser, "ann")
    set_up(browser)
    assert good(admin.get(f"/admin/users/{analyst.id}"))["has_two_factor"] is True
    assert good(admin.patch(f"/admin/users/{analyst.id}", json={"has_two_factor": False}))["has_two_factor"] is False
    refusal(admin.patch(f"/admin/users/{analyst.id}", json={"has_two_factor": True}), 400, "has_two_factor")
    assert good(enter(script(app), "ann"))["logged_in"]


def test_servers_by_script(admin):
    """A server is added as FlowKit's page does it, its scopes replaced, and roles lose what is gone."""
    limits = {"latest_token_expiry": "2099-12-31T00:00:00.000000Z", "longest_token_life_minutes": 2880}
    made = good(admin.post("/admin/servers", json={"name": "NEW", **limits}))
    number = made["id"]
    assert {name: made[name] for name in limits} == limits
    told = good(admin.get(f"/admin/servers/{number}/time_limits"))
    assert told == {"latest_token_expiry": "Thu, 31 Dec 2099 00:00:00 GMT", "longest_token_life_minutes": 2880}
    there = good(admin.post(f"/admin/servers/{number}/scopes", json={"run": True, "get_result": False}))
    assert {each["name"]: each["enabled"] for each in there} == {"run": True, "get_result": False}
    role = {"name": "runner", "server_id": number, "scopes": [each["id"] for each in there], "users": []}
    role = good(admin.post("/roles/", json=role))
    (short,) = good(admin.get(f"/admin/servers/{number}/roles"))
    assert (short["id"], short["latest_token_expiry"]) == (role["id"], "2099-12-31T00:00:00.000000Z")
    good(admin.post(f"/admin/servers/{number}/scopes", json={"run": True}))
    assert [each["name"] for each in good(admin.get(f"/roles/{role['id']}/scopes"))] == ["run"]
    again = good(admin.post("/admin/servers", json={"name": "NEW", **limits}), 400)
    assert again["statusText"] == "Name already exists"
    changed = good(admin.patch(f"/admin/servers/{number}", json={"longest_token_life_minutes": 3000}))
    assert (changed["longest_token_life_minutes"], changed["latest_token_expiry"]) == (
        3000,
        made["latest_token_expiry"],
    )
    assert good(admin.delete(f"/admin/servers/{number}"))["deleted"]


def test_a_server_by_its_document(admin):
    """A server is added by its document; what a new one would change is looked at before it is taken over."""
    sent = {"document": json.loads(document("NEW")), "longest_token_life_minutes": 60}
    number = good(admin.post("/admin/servers", json=sent))["id"]
    assert len(good(admin.get(f"/admin/servers/{number}/scopes"))) == len(SCOPES)
    path, new = f"/admin/servers/{number}/document", json.loads(document("NEW", [*SCOPES[1:], "newly"]))
    told = good(admin.post(path, json={"document": new, "only_look": True}))
    assert told == {"added": ["newly"], "gone": ["run"], "roles": {}, "taken": False}
    assert len(good(admin.post(path, json={"document": new}))["added"]) == 1
    refusal(admin.post(path, json={"document": json.loads(document("OTHER"))}), 400, "document")
    refusal(admin.post(path, json={"document": {"openapi": "3.0.1"}}), 400, "document")


@on_sqlite
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/admin/servers/1", {"id": 7}),
        ("/admin/servers/1", {"document_read": "2027-01-31T00:00:00.000000Z"}),
        ("/admin/users/1", {"created": "2027-01-31T00:00:00.000000Z"}),
        ("/admin/users/1", {"provider_subject": "eve"}),
        ("/user/password", {"password": PASSWORD, "newPassword": SECOND, "is_admin": True}),
    ],
)
def test_nothing_is_set_by_being_named(admin, server, path, sent):
    """A field that a route does not offer is refused by its name, and changes nothing."""
    assert "there is no such field" in refusal(admin.patch(path, json=sent), 400, list(sent)[-1])


def test_roles_by_script(admin, analyst, server, database):
    """A role is made, told with FlowKit's keys, changed in part and removed; its server's limits bind it."""
    scopes = {each["name"]: each["id"] for each in good(admin.get(f"/admin/servers/{server.id}/scopes"))}
    sent = {
        "name": "runner",
        "server_id": server.id,
        "scopes": [scopes["run"]],
        "users": [analyst.id],
        "latest_token_expiry": "2099-12-31T00:00:00.000000Z",
        "longest_token_life_minutes": 2880,
    }
    role = good(admin.post("/roles/", json=sent))
    assert role == {
        "id": role["id"],
        "name": "runner",
        "server": server.id,
        "scopes": [scopes["run"]],
        "users": [analyst.id],
        "latest_token_expiry": "2099-12-31T00:00:00.000000Z",
        "longest_token_life_minutes": 2880,
        "require_two_factor": False,
    }
    assert good(admin.get("/roles/")) == [role]
    assert good(admin.post("/roles/", json=sent), 400)["statusText"] == "Name already exists"
    long = admin.patch(f"/roles/{role['id']}", json={"longest_token_life_minutes": 10**6})
    refusal(long, 400, "longest_token_life_minutes")
    changed = good(admin.patch(f"/roles/{role['id']}", json={"name": "walker"}))
    assert changed == role | {"name": "walker"}
    assert good(admin.get(f"/roles/{role['id']}/members")) == [{"id": analyst.id, "name": "ann"}]
    assert [each["id"] for each in good(admin.get(f"/roles/user/{analyst.id}"))] == [role["id"]]
    assert [each["id"] for each in good(admin.get(f"/roles/server/{server.id}/user/{analyst.id}"))] == [role["id"]]
    good(admin.delete(f"/roles/{role['id']}"))
    assert good(admin.get("/roles/")) == []


@on_sqlite
@pytest.mark.parametrize("moment", ["2027-01-31", "2027-01-31T00:00:00", "tomorrow", 7, "0001-01-01T00:00:00+14:00"])
def test_a_moment_without_a_zone_is_refused(admin, server, moment):
    """A moment that is none, or says no time zone, is refused with the form that is wanted."""
    answer = admin.patch(f"/admin/servers/{server.id}", json={"latest_token_expiry": moment})
    assert "2027-01-31T00:00:00.000000Z" in refusal(answer, 400, "latest_token_expiry")


def test_keys_by_script(admin, vault):
    """A key is announced, published, signs from its moment on, and withdrawn by one's own password."""
    (first,) = good(admin.get("/admin/keys"))
    assert good(admin.get("/admin/public_key"))["public_key"] == first["public_key"]
    refusal(admin.post(f"/admin/keys/{first['kid']}/withdraw", json={"your_password": PASSWORD}), 400)
    second = good(admin.post("/admin/keys", json={"signs_from": dt.datetime.now(dt.UTC).isoformat()}))
    assert FLOWKIT_MOMENT.fullmatch(second["signs_from"])
    assert good(admin.get("/admin/public_key"))["public_key"] == second["public_key"]
    path = f"/admin/keys/{first['kid']}/withdraw"
    refusal(admin.post(path, json={"your_password": "wrong"}), 400, "your_password")
    assert good(admin.post(path, json={"your_password": PASSWORD})) == {"kid": first["kid"], "tokens_ended": 0}
    refusal(admin.post("/admin/keys", json={"signs_from": "2001-01-01T00:00:00Z"}), 400, "signs_from")


def test_the_overview_and_the_log_by_script(admin, ann, server):
    """An administrator sees who can do what until when, what was done, and that the log is whole."""
    good(ann.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": [{"name": "viewer"}]}))
    (row,) = good(admin.get("/admin/access"))
    assert (row["username"], row["roles"], row["live_tokens"]) == ("ann", ["viewer"], 1)
    (made,) = good(admin.get("/admin/audit?action=token."))
    assert (made["actor"], made["action"], made["after"]["name"]) == ("ann", "token.create", "mine")
    told = good(admin.get("/admin/audit/verify"))
    assert (told["holds"], told["first_broken"]) == (True, None)
    assert told["latest_hash"] == good(admin.get("/admin/audit?limit=1"))[0]["hash"]


def test_what_administrators_do_is_not_for_others(app, ann):
    """Every administrator's route is refused to an analyst, and everything but sign-in to who is not signed in."""
    paths = app.openapi()["paths"]
    asked = [(method, path) for path, methods in paths.items() for method in methods]
    assert len(asked) > 50
    stranger = script(app)
    for method, path in asked:
        where = re.sub(r"{\w+}", "1", path)
        if path not in ("/signin", "/version"):
            refusal(stranger.request(method, where), 401)
        if path.startswith(("/admin", "/roles")):
            answer = ann.request(method, where)
            assert answer.status_code in (401, 403), (method, path, answer.text)
            assert "administrators" in answer.json()["message"]


@on_sqlite
def test_the_api_describes_itself_without_the_internet(app, client):
    """The API's description is there for programs and for people, and nothing of it is loaded from elsewhere."""
    told = good(client.get("/openapi.json"))
    assert told["info"]["title"] == "FlowAuth"
    assert {"/signin", "/tokens/tokens/{server_id}", "/roles/", "/admin/audit/verify"} <= set(told["paths"])
    assert not any(path.startswith(("/manage", "/my", "/sign-in")) for path in told["paths"])
    page = client.get("/redoc")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href|spec-url)="([^"]+)"', page.text)
    assert loaded
    for address in loaded:
        assert "//" not in address
        assert client.get(f"/{address}").status_code == 200


@pytest.mark.takes_long("calls every route with many generated requests")
def test_every_route_keeps_to_its_description(app, admin, ann, server, vault):
    """Whatever is sent to a route, it answers as its description says, and never fails."""
    good(ann.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": [{"name": "viewer"}]}))
    described = schemathesis.openapi.from_dict(app.openapi())
    checks = [
        schemathesis.checks.not_a_server_error,
        schemathesis.specs.openapi.checks.status_code_conformance,
        schemathesis.specs.openapi.checks.content_type_conformance,
        schemathesis.specs.openapi.checks.response_schema_conformance,
    ]
    tried = 0
    for result in described.get_all_operations():
        operation = result.ok()
        if operation.path in ("/signin", "/signout"):
            continue

        @bounded(
            max_examples=4,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case):
            nonlocal tried
            tried += 1
            sent = case.as_transport_kwargs(base_url="http://localhost")
            sent = {
                name: sent[name] for name in ("method", "url", "params", "json", "data") if sent.get(name) is not None
            }
            if "data" in sent:
                sent["content"] = sent.pop("data")
            answer = admin.request(**sent)
            assert answer.status_code < 500, (sent, answer.text)
            case.validate_response(answer, checks=checks)

        ask()
    assert tried > 100
    assert admin.get("/is_signed_in").status_code == 200
