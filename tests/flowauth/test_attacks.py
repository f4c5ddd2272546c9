"""Attacks on a whole FlowAuth, over HTTP: what each would gain is looked for, and must not be there."""

import csv
import datetime as dt
import hashlib
import html.parser
import re
import statistics
import time
from urllib.parse import quote

import jwt
import pyotp
import pytest
import sqlalchemy as sa
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from tests.flowauth.conftest import PASSWORD, document

from flowauth import access
from flowauth.app import create_app
from flowauth.errors import Refused
from flowauth.services import passwords, people, provider, roles, servers, sign_in, tokens, two_factor
from flowauth.services.limits import Limits
from flowauth.tables import Attempts, AuditRecord, Base, Role, Scope, Server, SignIn, Token, User

EVIL = "https://evil.example"
FOR_ANYBODY = {
    "/", "/sign-in", "/sign-in/code", provider.PATH, "/sign-out",
    "/signin", "/version", "/health", "/.well-known/jwks.json", "/revocations/{server_name:path}",
    "/openapi.json", "/redoc", "/redoc/{name}", "/static",
}  # fmt: skip
"""What is answered where nobody is signed in; a new route that needs nobody is written down here, or is a mistake."""
ADMINISTRATION = ("/manage", "/admin", "/roles")
MOVES_NOBODY = {"/signout"}
"""What FlowKit made a GET of; it ends a sign-in, and looks itself whether another site sent it."""


def browser_of(app, **headers):
    """A browser in which nobody is signed in."""
    return TestClient(app, base_url="http://localhost", follow_redirects=False, headers=headers)


def csrf_of(answer):
    """The hidden field of a form."""
    return re.search(r'name="csrf" value="([^"]+)"', answer.text).group(1)


def routes_of(app):
    """Every route: its path as it is declared, with numbers put in, and its methods."""
    found = []
    waiting = list(app.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            for method in sorted(route.methods or ()):
                found.append((route.path, re.sub(r"\{[^}]*\}", "1", route.path), method))
        else:
            inner = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
            waiting += inner or []
    assert len(found) > 80, "The routes of pages and API are not found."
    return found


def kept(database, but=()):
    """All that is stored but who is signed in and how often something was tried."""
    aside = {SignIn.__table__, Attempts.__table__, *(Base.metadata.tables[name] for name in but)}
    with database.read() as session:
        return {
            table.name: sorted(map(repr, session.execute(sa.select(table)).all()))
            for table in Base.metadata.sorted_tables
            if table not in aside
        }


@pytest.fixture
def peopled(database, vault, administrator, analyst, server, make_role):
    """A FlowAuth in which there is one of everything, each with the number 1."""
    role = make_role("viewer", users=[analyst, administrator])
    with database.write() as session:
        for user in (administrator, analyst):
            held = session.get_one(Role, role.id)
            tokens.issue(session, vault, people.find(session, user.id), held.server, [held], name="mine")
    return role


def test_no_route_is_open_by_oversight(app, client, peopled):
    """Where nobody is signed in, every route but those written down here leads to signing in, or refuses."""
    for declared, path, method in routes_of(app):
        if declared in FOR_ANYBODY:
            continue
        answer = client.request(method, path)
        turned_away = answer.status_code in (401, 403) or (
            answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        )
        # A form without its cookie is refused before who sent it is looked at.
        refused_form = answer.status_code == 400 and "takes a form" in answer.text
        assert turned_away or refused_form, (method, declared, answer.status_code)


def test_administration_is_for_administrators_alone(app, signed_in_as, analyst, peopled, database):
    """An analyst who asks for any route of the administration, reading or writing, is refused, and nothing changes."""
    browser = signed_in_as(analyst)
    before = kept(database)
    asked = 0
    for declared, path, method in routes_of(app):
        if not declared.startswith(ADMINISTRATION):
            continue
        asked += 1
        if method == "GET" or not declared.startswith("/manage"):
            answer = browser.request(method, path, **({} if method in ("GET", "DELETE") else {"json": {}}))
        else:
            answer = browser.request(method, path, data={"csrf": browser.headers["X-CSRF-Token"], "confirmed": "1"})
        assert answer.status_code in (401, 403), (method, declared, answer.status_code)
    assert asked > 60
    assert kept(database) == before


def test_no_reading_changes_anything(app, signed_in_as, administrator, peopled, database):
    """A link or a picture on another page, which makes the browser read, changes nothing here."""
    browser = signed_in_as(administrator)
    before = kept(database)
    for declared, path, method in routes_of(app):
        if method == "GET" and declared not in MOVES_NOBODY:
            browser.get(path)
    assert kept(database) == before


def test_no_other_site_makes_a_browser_write(app, signed_in_as, administrator, analyst, peopled, database):
    """Every write without the token, with another's token or from another site is refused, on pages and API alike."""
    browser = signed_in_as(administrator)
    own = browser.headers.pop("X-CSRF-Token")
    others = signed_in_as(analyst).headers["X-CSRF-Token"]
    before = kept(database)
    writes = [(d, p, m) for d, p, m in routes_of(app) if m not in ("GET", "HEAD")]
    assert len(writes) > 40
    for declared, path, method in writes:
        if declared == "/signin":
            continue
        for token, headers in (
            (None, {}),
            (others, {}),
            (own, {"Origin": EVIL}),
            (own, {"Sec-Fetch-Site": "same-site"}),
        ):
            as_form = browser.request(method, path, data={"csrf": token or "", "confirmed": "1"}, headers=headers)
            told = {**headers, "X-CSRF-Token": token} if token else headers
            as_json = browser.request(method, path, json={}, headers=told)
            for answer in (as_form, as_json):
                refused = answer.status_code in (401, 403) or (
                    answer.status_code == 400 and "takes a form" in answer.text
                )
                assert refused, (method, declared, answer.status_code, token is own)
    assert kept(database) == before
    assert browser.get("/is_signed_in").status_code == 200, "And the administrator is still signed in."


def test_no_other_site_signs_somebody_in(app, administrator):
    """A form of another site, of whatever kind it can send, signs nobody in as the attacker."""
    given = {"username": "ada", "password": PASSWORD}
    plain = '{"username": "ada", "password": "' + PASSWORD + '"}'
    for send in (
        {"data": given, "headers": {"Origin": EVIL}},
        {"json": given, "headers": {"Origin": EVIL}},
        {"content": plain, "headers": {"Content-Type": "text/plain", "Origin": EVIL}},
        {"content": plain, "headers": {"Content-Type": "text/plain"}},
        {"data": given},
    ):
        browser = browser_of(app)
        for path in ("/signin", "/sign-in"):
            answer = browser.post(path, **send)
            assert answer.status_code in (400, 401, 403, 415, 422)
            assert access.COOKIE not in browser.cookies


def _signed_in_by_page(browser, username, **more):
    token = csrf_of(browser.get("/sign-in"))
    return browser.post("/sign-in", data={"csrf": token, "username": username, "password": PASSWORD, **more})


def test_a_session_that_somebody_planted_is_not_taken_up(app, analyst):
    """A cookie that an attacker set before is worth nothing after signing in: the browser gets one that is new."""
    for planted in ("planted", "a" * 43, ""):
        browser = browser_of(app)
        if planted:
            browser.cookies.set(access.COOKIE, planted, domain="localhost.local", path="/")
        _signed_in_by_page(browser, "ann")
        given = [cookie.value for cookie in browser.cookies.jar if cookie.name == access.COOKIE]
        assert any(value != planted and len(value) >= 43 for value in given)
        attacker = browser_of(app)
        attacker.cookies.set(access.COOKIE, planted or "x")
        assert attacker.get("/is_signed_in").status_code == 401


def test_signing_in_again_ends_the_session_before(app, analyst):
    """Who signs in where somebody is signed in gets a new session, and the old one is over."""
    browser = browser_of(app)
    assert browser.post("/signin", json={"username": "ann", "password": PASSWORD}).status_code == 200
    first = browser.cookies[access.COOKIE]
    again = {"X-CSRF-Token": browser.cookies["X-CSRF"]}
    sent = {"username": "ann", "password": PASSWORD}
    assert browser.post("/signin", json=sent, headers=again).status_code == 200
    second = browser.cookies[access.COOKIE]
    page = browser.get("/account")
    assert browser.post("/sign-in", data={**sent, "csrf": csrf_of(page)}).status_code == 303
    third = browser.cookies[access.COOKIE]
    assert len({first, second, third}) == 3
    for cookie, status in ((first, 401), (second, 401), (third, 200)):
        thief = browser_of(app)
        thief.cookies.set(access.COOKIE, cookie)
        assert thief.get("/is_signed_in").status_code == status


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\/evil.example",
        "/\t/evil.example", "/\n/evil.example", "\x00//evil.example", "https:evil.example", "javascript:alert(1)",
        "data:text/html,x", "//evil.example/%2e%2e", "http://localhost@evil.example/", ".evil.example", "@evil.example",
        "//[evil.example", "//[", "/\u65e5\u672c", "/\u2028/evil.example",
    ],
)  # fmt: skip
def test_signing_in_leads_to_no_other_site(app, analyst, wanted):
    """Whatever a link to the sign-in page asks for, signing in leads on within FlowAuth."""
    browser = browser_of(app)
    asked = browser.get("/sign-in", params={"next": wanted})
    hidden = re.search(r'name="next" value="([^"]*)"', asked.text)
    assert hidden is None or hidden.group(1) == "/"
    given = {"csrf": csrf_of(asked), "username": "ann", "password": PASSWORD, "next": wanted}
    answer = browser.post("/sign-in", data=given)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_no_answer_repeats_a_host_that_was_made_up(app, client, signed_in_as, administrator):
    """A host in a header that anybody can write is neither believed nor repeated, so no link leads there."""
    for headers in (
        {"X-Forwarded-Host": "evil.example"},
        {"Forwarded": "host=evil.example"},
        {"X-Original-URL": "/manage/users", "X-Rewrite-URL": "/manage/users"},
        {"Host": "localhost:9091"},
    ):
        for browser in (client, signed_in_as(administrator)):
            for path in ("/", "/sign-in", "/manage/users", "/version", "/my/servers"):
                answer = browser.get(path, headers=headers)
                assert "evil" not in answer.text + str(dict(answer.headers))
                assert answer.headers.get("location", "/").startswith("/")
    for path in ("/health/", "/roles", "/static", "/manage/users/", "//evil.example/", "/.well-known/jwks.json/"):
        for headers in ({"Host": "evil.example"}, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}):
            answer = client.get(path, headers=headers)
            assert "evil" not in answer.text.replace("evil.example/", "") + str(dict(answer.headers)), path
            assert re.match(r"/(?!/)", answer.headers.get("location", "/")), (path, answer.headers["location"])
    assert client.get("/roles").headers["location"] == "/roles/", "By no scheme, so not from https to http."
    for host in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "evil.example@localhost:x"):
        refused = client.get("/sign-in", headers={"Host": host})
        assert refused.status_code == 400
        assert "evil" not in refused.text


def test_nothing_is_changed_by_being_named_in_a_form(signed_in_as, analyst, administrator, peopled, database, server):
    """Fields that a form does not offer change nothing: nobody becomes an administrator by asking for it."""
    browser = signed_in_as(analyst)
    extra = {
        "csrf": browser.headers["X-CSRF-Token"],
        "is_admin": "yes", "user_id": "1", "id": "1", "username": "eve", "server_id": "99",
        "expiry": "2099-01-01T00:00",
        "latest_token_expiry": "2099-01-01T00:00", "longest_token_life_minutes": "999999", "scopes": "1",
        "provider_subject": "eve", "roles_of": "1", "jti": "mine",
    }  # fmt: skip
    new = {"present_password": PASSWORD, "password": "Velvet-osprey-17-kettle"}
    assert (
        browser.post("/account/password", data={**extra, **new, "password_again": new["password"]}).status_code == 303
    )
    browser.headers["X-CSRF-Token"] = extra["csrf"] = browser.cookies["X-CSRF"]
    form = {**extra, "name": "token", "roles": str(peopled.id), "life": "60"}
    made = browser.post(f"/my/servers/{server.id}/new-token", data=form)
    assert made.status_code == 200
    with database.read() as session:
        user = people.find(session, analyst.id)
        assert (user.username, user.is_admin, user.provider_subject) == ("ann", False, None)
        token = session.scalars(sa.select(Token).order_by(Token.id.desc())).first()
        assert token is not None
        assert (token.user_id, token.server_id) == (analyst.id, server.id)
        assert token.expiry - token.issued <= dt.timedelta(minutes=61)
        assert servers.find(session, server.id).longest_token_life_minutes == 7 * 24 * 60


def test_a_stolen_session_takes_over_no_administrator(
    app, database, vault, settings, signed_in_as, administrator, analyst
):
    """Who has an administrator's session alone gets no administrator's password or second factor, by page or script."""
    with database.write() as session:
        grace = people.create(session, "tests", "grace", PASSWORD, is_admin=True).id
    browser = signed_in_as(administrator)
    with database.write() as session:
        for number in (grace, administrator.id, analyst.id):
            _two_factor_for(session, vault, settings, people.find(session, number))
    csrf, before, new = browser.headers["X-CSRF-Token"], kept(database, but={"audit"}), "Velvet-osprey-17-kettle"
    for number in (grace, administrator.id):
        for what in ({"password": new}, {"generate_password": True}, {"has_two_factor": False}):
            for wrong in ({}, {"your_password": "wrong"}):
                assert browser.patch(f"/admin/users/{number}", json=what | wrong).status_code in (400, 429), (
                    what,
                    wrong,
                )
        form = {"csrf": csrf, "password": new, "password_again": new}
        assert browser.post(f"/manage/users/{number}/password", data=form).status_code in (400, 429)
        asked = browser.post(f"/manage/users/{number}/reset-two-factor", data={"csrf": csrf})
        if confirmed := re.search(r'name="confirmed" value="([^"]+)"', asked.text):
            form = {"csrf": csrf, "confirmed": confirmed.group(1), "your_password": "wrong"}
            assert browser.post(f"/manage/users/{number}/reset-two-factor", data=form).status_code in (400, 429)
    with database.write() as session:
        session.execute(sa.delete(Attempts))
    own = {"has_two_factor": False, "your_password": PASSWORD}
    assert "a code of it" in browser.patch(f"/admin/users/{administrator.id}", json=own).json()["message"]
    browser.headers["X-CSRF-Token"] = browser.cookies["X-CSRF"]
    assert kept(database, but={"audit"}) == before
    assert browser.patch(f"/admin/users/{grace}", json=own | {"password": new}).json()["has_two_factor"] is False
    browser.headers["X-CSRF-Token"] = browser.cookies["X-CSRF"]
    assert browser.patch(f"/admin/users/{analyst.id}", json={"has_two_factor": False}).status_code == 200


def test_nobody_learns_which_servers_there_are(signed_in_as, analyst, strange):
    """A server on which somebody holds no role is answered word for word as one that is not there."""
    other, browser = strange[2], signed_in_as(analyst)
    sent = {"name": "token", "roles": [{"name": "viewer"}]}
    form = {"csrf": browser.headers["X-CSRF-Token"], "name": "token", "roles": "1", "life": "60"}

    def told(number):
        answers = [
            browser.get(f"/tokens/servers/{number}"),
            browser.get(f"/tokens/tokens/{number}"),
            browser.get(f"/user/roles/server/{number}"),
            browser.post(f"/tokens/tokens/{number}", json=sent),
            browser.post(f"/tokens/tokens/{number}", json={**sent, "roles": []}),
            browser.get(f"/my/servers/{number}"),
            browser.get(f"/my/servers/{number}/new-token"),
            browser.post(f"/my/servers/{number}/new-token", data=form),
        ]
        return [(answer.status_code, answer.text) for answer in answers]

    assert told(other) == told(999)
    assert [status for status, _ in told(other)] == [404, 404, 200, 401, 404, 404, 404, 404]


HUGE = ("9" * 20, "9" * 4000, "-1", "1_0", "\uff11", "0x1", "1e3", " ", "1;2", "\x00")


def test_a_number_that_is_none_is_refused(signed_in_as, administrator, analyst, peopled, database):
    """Numbers that are negative, huge or none, wherever one is sent, are refused in a sentence and change nothing."""
    browser = signed_in_as(administrator)
    csrf, before = browser.headers["X-CSRF-Token"], kept(database)
    for number in HUGE:
        form = {"csrf": csrf, "username": "eve", "name": "eve", "password": "Velvet-osprey-17-kettle", "life": "60"}
        form |= dict.fromkeys(("roles", "scopes", "users", "members", "on"), number)
        form |= {"shown": number, "longest_token_life_minutes": number}
        for path in ("/manage/users/new", "/manage/users/2", "/manage/roles/new?server=1", "/my/servers/1/new-token"):
            answer = browser.post(path, data=form)
            assert answer.status_code == 400, (path, number)
        for path in ("/my/servers/{}", "/manage/users/{}", "/manage/roles/{}", "/admin/users/{}", "/roles/{}"):
            assert browser.get(path.format(quote(number))).status_code == 404, (path, number)
        for path in ("/manage/users?page={}", "/manage/access?server={}", "/my/servers?page={}"):
            assert browser.get(path.format(quote(number))).status_code == 200, (path, number)
        for path in ("/admin/users?limit={}", "/admin/audit?before={}", "/admin/tokens?server_id={}"):
            # 1_0 is ten to a script.
            assert number == "1_0" or browser.get(path.format(quote(number))).status_code == 400, (path, number)
    for number in (-1, 0, 2**31, 10**30, 1.5, True, "1", None, [1]):
        assert browser.post("/roles/", json={"name": "eve", "server_id": number}).status_code == 400, number
        assert browser.patch("/admin/users/2", json={"roles": [number]}).status_code == 400, number
    assert kept(database) == before


@pytest.mark.parametrize("text", ["a\x00nn", "ann\x00", "\u202eann", "an\x07n"])
def test_what_cannot_be_printed_is_not_searched_for(signed_in_as, administrator, analyst, text):
    """A NUL, which PostgreSQL refuses, and marks that turn text about are left out of what is searched for."""
    page = signed_in_as(administrator).get("/manage/users", params={"find": text})
    assert page.status_code == 200
    assert f'href="/manage/users/{analyst.id}"' in page.text
    assert 'value="ann"' in page.text


def test_only_administrators_send_much(app, client, signed_in_as, analyst, administrator):
    """Megabytes, to read which takes everybody's time, are read from administrators alone; others are turned away."""
    much = b"csrf=x&" + b"a=1&" * 50_000
    pieces = {"content": (b"a=1&" * 1000 for _ in range(50))}
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    for browser, statuses in ((client, {303}), (signed_in_as(analyst), {403})):
        for path in ("/manage/servers/new", "/manage/roles/new"):
            for sent in ({"content": much}, pieces):
                assert browser.post(path, headers=kind, **sent).status_code in statuses
    made_up = browser_of(app)
    made_up.cookies.set(access.COOKIE, "x" * 43)
    assert made_up.post("/admin/servers", content=much, headers={"Content-Type": "application/json"}).status_code == 401
    csrf = signed_in_as(administrator)
    form = b"csrf=" + csrf.headers["X-CSRF-Token"].encode() + b"&" + b"a=1&" * 50_000
    assert csrf.post("/manage/servers/new", content=form, headers=kind).status_code == 400, "And from them it is read."


def test_an_account_of_the_provider_is_one_persons(signed_in_as, administrator, database):
    """A script links nobody to an account at the provider that is another's, nor to one that cannot be."""
    browser = signed_in_as(administrator)
    link = {"provider_issuer": "https://provider.example", "provider_subject": "7"}
    assert browser.post("/admin/users", json={"username": "bob", **link}).status_code == 200
    before = kept(database)
    answer = browser.post("/admin/users", json={"username": "eve", **link})
    assert (answer.status_code, answer.json()["bad_field"]) == (400, "provider_subject")
    for name in link:
        for text in ("", " ", "a\x00", "a\u202eb", "a\nb"):
            assert browser.post("/admin/users", json={"username": "eve", **link, name: text}).status_code == 400
    assert kept(database) == before


@pytest.mark.takes_long("tries every method of every route")
def test_a_method_that_is_not_meant_does_nothing(app, signed_in_as, administrator, peopled, database):
    """Other methods, and headers that would turn one into another, reach no route that changes something."""
    browser = signed_in_as(administrator)
    methods: dict[str, set[str]] = {}
    for _, path, method in routes_of(app):
        methods.setdefault(path, set()).add(method)
    before = kept(database)
    for path, own in methods.items():
        for method in {"HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "POST", "GET", "PROPFIND"} - own:
            sent = {"json": {}} if method not in ("HEAD", "GET") else {}
            assert browser.request(method, path, **sent).status_code in (404, 405), (method, path)
        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            if own == {"POST"} and not path.startswith(("/my", "/manage", "/account")):
                assert browser.get(path, headers={name: "POST"}).status_code in (404, 405), path
            elif "DELETE" in own:
                browser.get(path, headers={name: "DELETE"})
    assert kept(database) == before


def test_cookies_that_are_doubled_open_nothing(app, signed_in_as, analyst, administrator):
    """Of two cookies of one name one counts, or none; by https one that another host could have set does not count."""
    own, others = (signed_in_as(user).cookies[access.COOKIE] for user in (analyst, administrator))
    for first, second in (("x", own), (own, "x"), ("x" * 43, own), (f'"{own}"', own), (own, own)):
        answer = browser_of(app).get(
            "/is_signed_in", headers={"Cookie": f"{access.COOKIE}={first}; {access.COOKIE}={second}"}
        )
        assert answer.status_code in (200, 401)
        assert answer.status_code == 401 or answer.json()["is_admin"] is False
    for broken in ("=", ";;;", "flowauth_session", "flowauth_session==", '"', "a=\x01", "X-CSRF=;=;" * 100):
        assert browser_of(app).get("/sign-in", headers={"Cookie": broken}).status_code == 200
    by_https = browser_of(_with_settings(app, flowauth_url="https://auth.example.org"))
    assert by_https.get("/is_signed_in", headers={"Cookie": f"{access.COOKIE}={others}"}).status_code == 401


def test_every_cookie_stays_on_https(app, analyst):
    """Where people come by https, no answer sets a cookie that would be sent by http, nor leads to http."""
    safe = _with_settings(app, flowauth_url="https://auth.example.org", flowauth_oidc_issuer=None)
    browser = TestClient(safe, base_url="https://auth.example.org", follow_redirects=False)
    given = []
    given += [browser.get(path) for path in ("/", "/sign-in", "/my/servers", "/roles", "/health/")]
    token = csrf_of(browser.get("/sign-in"))
    given.append(browser.post("/sign-in", data={"csrf": token, "username": "ann", "password": PASSWORD}))
    assert given[-1].status_code == 303
    token = csrf_of(browser.get("/account"))
    given += [browser.get("/account"), browser.post("/account/sign-ins/end", data={"csrf": token})]
    given.append(browser.post("/sign-out", data={"csrf": token}))
    set_cookies = [cookie for answer in given for cookie in answer.headers.get_list("set-cookie")]
    assert len({cookie.partition("=")[0] for cookie in set_cookies}) >= 5
    assert [cookie for cookie in set_cookies if "; secure" not in cookie.lower()] == []
    assert not [answer for answer in given if answer.headers.get("location", "/").startswith("http:")]


def _with_settings(app, **changed):
    """The same FlowAuth, set otherwise."""
    other = create_app(app.state.settings.model_copy(update=changed))
    other.state.database.close()
    other.state.database = app.state.database
    return other


def test_a_password_as_long_as_a_book_takes_no_time(app, analyst, signed_in_as):
    """A password of 90,000 letters is a wrong one, and a new one is refused, as fast as any other."""
    began = time.perf_counter()
    browser = browser_of(app)
    form = {"csrf": csrf_of(browser.get("/sign-in")), "username": "ann", "password": "x" * 90_000}
    assert browser.post("/sign-in", data=form).status_code == 401
    assert browser.post("/signin", json={"username": "ann", "password": "x" * 90_000}).status_code == 400
    told = signed_in_as(analyst)
    new = {"csrf": told.headers["X-CSRF-Token"], "present_password": PASSWORD}
    new |= dict.fromkeys(("password", "password_again"), "Velvet-osprey-" * 3_000)
    assert told.post("/account/password", data=new).status_code == 400
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "https://localhost@evil.example", "localhost", "x" * 9000]
)
def test_an_origin_that_is_none_is_refused(app, analyst, origin):
    """An origin that cannot be read is another site's."""
    answer = browser_of(app, Origin=origin).post("/signin", json={"username": "ann", "password": PASSWORD})
    assert answer.status_code == 403


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(1)", '=HYPERLINK("//evil")'])
def test_no_spreadsheet_runs_the_overview(signed_in_as, administrator, peopled, database, name):
    """A server's name, which its document makes up, is no formula in the file of who can do what."""
    with database.write() as session:
        session.get_one(Server, 1).name = name
    lines = list(csv.reader(signed_in_as(administrator).get("/manage/access.csv").text.splitlines()))
    assert len(lines) == 3
    assert {line[1] for line in lines[1:]} == {f"'{name}"}
    assert not [cell for line in lines for cell in line if cell.startswith(("=", "+", "-", "@"))]


PAYLOADS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</textarea></title></style><iframe srcdoc='<script>alert(1)</script>'>",
    "javascript:alert(1)//",
    "{{ 7654321*9 }}{% raw %}${7654321*9}<%= 7654321*9 %>",
    '" autofocus onfocus=alert(1) x="',
    "<!--<base href=//evil.example/>--><base href=//evil.example/>",
    "&lt;script&gt;\u2028alert(1)&#60;/script&#62;",
)


class _Found(html.parser.HTMLParser):
    """What a browser would find in a page: its elements and their attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def _pages(app):
    leaves = {*MOVES_NOBODY, "/redoc", "/redoc/{name}"}
    return [path for declared, path, method in routes_of(app) if method == "GET" and declared not in leaves]


def _plant(session, payload):
    """Put a text into every field of every table that holds text of people or servers."""
    session.execute(sa.delete(Scope))
    scopes = [payload, f"{payload}:{payload}:{payload}", f"admin3:{payload}:a"]
    session.add_all(Scope(name=name, server_id=1) for name in scopes)
    session.flush()
    held, server, user = session.get_one(Role, 1), session.get_one(Server, 1), people.find(session, 1)
    held.scopes = list(session.scalars(sa.select(Scope)))
    server.name = held.name = payload[:75]
    server.document_url = server.document_problem = payload
    people.find(session, 2).username = payload[:75]
    user.provider_issuer = user.provider_subject = payload
    for token in session.scalars(sa.select(Token)):
        token.name, token.revoked_because = payload[:75], payload
        token.revoked = dt.datetime.now(dt.UTC) if token.user_id == user.id else None
    told = {"actor": payload[:75], "action": payload[:64], "subject": payload, "before": {payload: payload}}
    sealed = {"previous": "x", "hash": payload[:64], "after": {payload: [payload]}}
    session.add(AuditRecord(at=dt.datetime.now(dt.UTC), **told, **sealed))


def _looked_at(answer, path):
    """Whether a page holds nothing but what FlowAuth itself has put there."""
    found = _Found(answer.text)
    scripts = [value for tag, name, value in found.attributes if tag == "script" and name == "src"]
    assert found.elements.count("script") == len(scripts), path
    assert all(source.startswith("/static/") for source in scripts), path
    assert not {"iframe", "base", "object", "embed", "style"} & set(found.elements), path
    assert not [n for _, n, _ in found.attributes if n.startswith("on") or n in ("srcdoc", "formaction")], path
    led = [value for _, name, value in found.attributes if name in ("href", "src", "action", "xlink:href")]
    assert not [value for value in led if not re.match(r"(/(?!/)|#|\?|data:text/plain)", value)], path
    assert str(7654321 * 9) not in answer.text


@pytest.mark.takes_long("opens every page for each of nine texts")
def test_no_stored_text_becomes_markup(app, database, signed_in_as, administrator, analyst, peopled):
    """Whatever text stands in any field of the database, no page takes it for markup, a template or a script."""
    browser = signed_in_as(administrator)
    for payload in PAYLOADS:
        with database.write() as session:
            _plant(session, payload)
        seen = 0
        for path in _pages(app):
            answer = browser.get(path, params={"find": payload, "next": payload} if "manage" in path else None)
            if answer.headers.get("content-type", "").startswith("text/html"):
                _looked_at(answer, path)
                seen += 1
        assert seen > 15, "The pages that show these texts were looked at."
    assert "onerror" in browser.get("/manage/audit").text, "They do stand there, as text."


def test_names_that_could_be_markup_are_refused(signed_in_as, administrator, peopled, database):
    """Names of people, roles and tokens are letters, digits and little else, so that no other program trips either."""
    browser = signed_in_as(administrator)
    token, before = browser.headers["X-CSRF-Token"], kept(database)
    limits = {"longest_token_life_minutes": "60"}
    for name in (*PAYLOADS, "a b", "a\x00b", "a\r\nb", "ａｎｎ", "a\u202eb", ".", "-", "a" * 76, "ünal"):
        form = {"csrf": token, "username": name, "name": name, "password": "Velvet-osprey-17-kettle", **limits}
        for path in ("/manage/users/new", "/manage/roles/new?server=1", "/my/servers/1/new-token"):
            answer = browser.post(path, data={**form, "roles": "1"} if "token" in path else form)
            assert answer.status_code == 400, (path, name)
    assert kept(database) == before


def _answer_of(app, path, username, password):
    browser = browser_of(app)
    if path == "/signin":
        answer = browser.post(path, json={"username": username, "password": password})
    else:
        asked = csrf_of(browser.get(path))
        answer = browser.post(path, data={"csrf": asked, "username": username, "password": password})
        answer = (re.sub(r'value="[^"]*"', "", answer.text.replace(username, "NAME")), answer)
        return answer[0], answer[1].status_code, sorted(answer[1].headers), sorted(browser.cookies)
    return answer.text, answer.status_code, sorted(answer.headers), sorted(browser.cookies)


@pytest.mark.parametrize("path", ["/signin", "/sign-in"])
def test_no_answer_tells_who_there_is(app, database, settings, vault, administrator, analyst, path):
    """An unknown name, a wrong password, and somebody without a password or with a second factor look alike."""
    with database.write() as session:
        people.create(session, "tests", "provided", None, provider_issuer="https://p.example", provider_subject="1")
        _two_factor_for(session, vault, settings, people.find(session, administrator.id))
    names = ("nobody", "ann", "ada", "provided", "<b>nobody", "n" * 300)
    answers = {repr(_answer_of(app, path, name, "not the password")) for name in names}
    assert len(answers) == 1


def test_no_time_tells_who_there_is(app, database, administrator, analyst):
    """Answers take as long for a name that is not there: the medians of many are within half of one another."""
    took = {"ann": [], "ada": [], "nobody": [], "noone": []}
    for _ in range(7):
        with database.write() as session:
            session.execute(sa.delete(Attempts))
        for name, times in took.items():
            began = time.perf_counter()
            _answer_of(app, "/signin", name, "not the password")
            times.append(time.perf_counter() - began)
    there = statistics.median(took["ann"] + took["ada"])
    nowhere = statistics.median(took["nobody"] + took["noone"])
    # Without the hash of nobody's password it is a tenth.
    assert 0.5 < nowhere / there < 2


def _two_factor_for(session, vault, settings, user):
    made = two_factor.propose(vault, settings, user)
    # A step before, so that the code of now is still to come.
    then = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=60)
    code = pyotp.TOTP(made.secret).at(then)
    two_factor.enable(session, vault, settings, user, made.signed, code, now=then)
    return made


def _by_code(app, path, code):
    browser = browser_of(app)
    if path == "/signin":
        sent = {"username": "ann", "password": PASSWORD, "two_factor_code": code}
        return browser.post(path, json=sent).status_code == 200
    _signed_in_by_page(browser, "ann")
    answer = browser.post("/sign-in/code", data={"csrf": csrf_of(browser.get("/sign-in/code")), "code": code})
    return answer.status_code == 303 and browser.get("/is_signed_in").status_code == 200


@pytest.mark.parametrize("first", ["/signin", "/sign-in"])
def test_a_code_that_was_seen_is_worth_nothing(app, database, vault, settings, analyst, first):
    """Who saw a code of the app or a backup code being used cannot use it too, on the same way in or on the other."""
    with database.write() as session:
        made = _two_factor_for(session, vault, settings, people.find(session, analyst.id))
    for code in (pyotp.TOTP(made.secret).now(), made.backup_codes[0]):
        assert _by_code(app, first, code)
        for path in ("/signin", "/sign-in"):
            assert not _by_code(app, path, code)


def test_a_password_alone_opens_nothing_where_there_is_a_second_factor(app, database, vault, settings, analyst):
    """Between the password and the code, every route answers as if nobody were there."""
    with database.write() as session:
        _two_factor_for(session, vault, settings, people.find(session, analyst.id))
    browser = browser_of(app)
    _signed_in_by_page(browser, "ann")
    assert access.COOKIE in browser.cookies
    token = browser.cookies["X-CSRF"]
    for declared, path, method in routes_of(app):
        if declared in FOR_ANYBODY:
            continue
        answer = browser.request(method, path, headers={"X-CSRF-Token": token}, **_body(declared, method, token))
        away = answer.status_code == 303 and answer.headers["location"].startswith("/sign-in")
        assert away or answer.status_code in (401, 403), (method, declared, answer.status_code)


def _body(declared, method, token):
    if method in ("GET", "DELETE"):
        return {}
    page = declared.split("/")[1] in ("account", "my", "manage", "set-up-two-factor")
    return {"data": {"csrf": token}} if page else {"json": {}}


@pytest.fixture
def strange(database, administrator, make_role):
    """Roles that the analyst does not hold: of others on the same server, and of a name they do hold on another."""
    runner = make_role("runner", users=[administrator])
    with database.write() as session:
        other = servers.create(session, "tests", servers.read_document(document("OTHER")), Limits(None, 60))
        session.flush()
        wanted = roles.Definition("viewer", frozenset(), frozenset({administrator.id}), Limits(None, 60))
        role = roles.create(session, "tests", other, wanted)
        return runner.id, role.id, other.id


def test_no_token_is_made_for_a_role_that_is_not_mine(signed_in_as, analyst, make_role, strange, server, database):
    """A role of others, a role by the same name on another server, a number that is made up: no token comes."""
    mine = make_role("viewer", users=[analyst]).id
    runner, elsewhere, other = strange
    browser = signed_in_as(analyst)
    csrf = browser.headers["X-CSRF-Token"]
    for where, wanted in (
        (server.id, [runner]), (server.id, [mine, runner]), (server.id, [elsewhere]), (other, [elsewhere]),
        (other, [mine]), (server.id, [999]), (server.id, ["x"]), (server.id, []), (999, [mine]),
    ):  # fmt: skip
        form = {"csrf": csrf, "name": "token", "roles": [str(number) for number in wanted], "life": "60"}
        assert browser.post(f"/my/servers/{where}/new-token", data=form).status_code in (400, 403, 404)
    for where, named in ((server.id, "runner"), (other, "viewer"), (server.id, "VIEWER"), (999, "viewer")):
        sent = {"name": "token", "roles": [{"name": named}]}
        assert browser.post(f"/tokens/tokens/{where}", json=sent).status_code in (400, 401, 403, 404)
    for sent in ([{"name": "viewer", "id": elsewhere}], [{"name": "viewer", "id": runner}]):
        answer = browser.post(f"/tokens/tokens/{server.id}", json={"name": "token", "roles": sent})
        assert answer.status_code in (400, 401, 403)
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Token)) == 0


def test_others_tokens_and_accounts_cannot_be_reached_by_number(
    signed_in_as, analyst, administrator, peopled, database
):
    """By the number of another's token nothing is read, renewed or revoked; it is answered as if there were none."""
    browser = signed_in_as(analyst)
    csrf = browser.headers["X-CSRF-Token"]
    with database.read() as session:
        theirs = session.scalars(sa.select(Token.id).where(Token.user_id == administrator.id)).one()
    before = kept(database)
    for number in (theirs, 999):
        assert browser.get(f"/my/tokens/{number}/renew").status_code == 404
        for what in ("renew", "revoke"):
            assert browser.post(f"/my/tokens/{number}/{what}", data={"csrf": csrf, "life": "60"}).status_code == 404
            assert browser.post(f"/tokens/tokens/{number}/{what}", json={}).status_code == 404
    assert kept(database) == before
    listed = browser.get(f"/tokens/tokens/{peopled.server_id}").json()
    assert {each["username"] for each in listed} == {"ann"}


@pytest.mark.takes_long("makes a thousand guesses")
def test_a_thousand_guesses_over_all_ways_in_get_a_handful_of_looks(app, analyst, monkeypatch):
    """Of a thousand passwords, given to the page and the API by turns, ten at most are compared with the right one."""
    looks = []
    fits = passwords.fits
    monkeypatch.setattr(passwords, "fits", lambda given, stored: looks.append(given) or fits(given, stored))
    browser = browser_of(app)
    csrf = csrf_of(browser.get("/sign-in"))
    answers = set()
    for number in range(500):
        given = {"username": "ann", "password": f"guess {number}"}
        answers.add(browser.post("/signin", json=given).status_code)
        answers.add(browser.post("/sign-in", data={**given, "csrf": csrf}).status_code)
    assert answers == {401, 429}
    assert len(looks) <= 10
    right = browser.post("/signin", json={"username": "ann", "password": PASSWORD})
    assert right.status_code == 429, "The right one among them would not have been noticed either."
    assert int(right.headers["Retry-After"]) <= 3600


def test_no_answer_and_no_cookie_holds_what_a_script_could_steal(app, analyst):
    """The session is out of reach of scripts, and no page that has somebody's data is kept by the browser."""
    browser = browser_of(app)
    answer = browser.post("/signin", json={"username": "ann", "password": PASSWORD})
    for cookie in answer.headers.get_list("set-cookie"):
        assert "samesite=" in cookie.lower()
        assert cookie.startswith("X-CSRF=") or "httponly" in cookie.lower()
    for path in ("/account", "/my/servers", "/is_signed_in", "/tokens/servers"):
        assert "no-store" in browser.get(path).headers["cache-control"]
    assert browser.cookies[access.COOKIE] not in answer.text


def test_a_made_up_token_of_flowauth_signs_nobody_in(app, database, vault, analyst, peopled, settings):
    """Tokens are for servers: as a cookie or in a header of FlowAuth itself they open nothing."""
    with database.write() as session:
        user, held = people.find(session, analyst.id), session.get_one(Role, peopled.id)
        text = tokens.issue(session, vault, user, held.server, [held], name="mine").text
    browser = browser_of(app, Authorization=f"Bearer {text}")
    browser.cookies.set(access.COOKIE, text)
    assert browser.get("/is_signed_in").status_code == 401
    assert jwt.get_unverified_header(text)["alg"] == "RS256"


def test_a_person_who_is_gone_is_signed_in_nowhere(signed_in_as, analyst, administrator, database):
    """Sessions of somebody who is deleted end at once, and their name given to another opens none of them."""
    here = signed_in_as(analyst)
    assert here.get("/is_signed_in").status_code == 200
    with database.write() as session:
        people.delete(session, "ada", people.find(session, analyst.id))
        again = people.create(session, "ada", "ann", PASSWORD)
        assert session.scalar(sa.select(User.id).where(User.username == "ann")) == again.id
    assert here.get("/is_signed_in").status_code == 401


def test_an_old_session_changes_no_factor_without_the_password(app, signed_in_as, analyst, clock):
    """A session that was left open sets up no second factor for whoever sits down at it, on pages or by script."""
    browser = signed_in_as(analyst)
    csrf = browser.headers["X-CSRF-Token"]
    clock(minutes=11)
    told = browser.post("/user/enable_two_factor").json()
    code = pyotp.TOTP(told["secret"]).now()
    sent = {"two_factor_code": code, "secret": told["secret"], "backup_codes_signature": told["backup_codes_signature"]}
    form = {"csrf": csrf, "signed": told["backup_codes_signature"], "code": code, "saved": "yes"}
    for wrong in ({}, {"password": "wrong"}):
        assert browser.post("/user/confirm_two_factor", json=sent | wrong).status_code == 400
    for wrong in ({}, {"your_password": "wrong"}):
        assert browser.post("/set-up-two-factor", data=form | wrong).status_code == 400
    assert browser.get("/user/two_factor_active").json() == {"two_factor_enabled": False}
    assert browser.post("/set-up-two-factor", data=form | {"your_password": PASSWORD}).status_code == 303
    assert browser.get("/user/two_factor_active").json() == {"two_factor_enabled": True}


def test_people_end_their_sessions_one_by_one_or_all(app, database, signed_in_as, analyst, administrator, clock):
    """People see where they are signed in and end one place or all others; after a while, by the password."""
    here, one, two, another = (signed_in_as(user) for user in (analyst, analyst, analyst, administrator))
    csrf = here.headers["X-CSRF-Token"]

    def end(which="", **more):
        form = {"csrf": csrf, "which": which, **more}
        asked = here.post("/account/sign-ins/end", data=form)
        confirmed = re.search(r'name="confirmed" value="([^"]+)"', asked.text)
        assert confirmed is not None
        return here.post("/account/sign-ins/end", data={**form, "confirmed": confirmed.group(1)})

    shown = re.findall(r'name="which" value="([^"]+)"', here.get("/account").text)
    assert len(shown) == 2
    assert end(shown[0]).status_code == 303
    assert sorted(each.get("/is_signed_in").status_code for each in (one, two)) == [200, 401]
    clock(minutes=11)
    assert end().status_code == 400
    assert sorted(each.get("/is_signed_in").status_code for each in (one, two)) == [200, 401]
    assert end(your_password=PASSWORD).status_code == 303
    assert [each.get("/is_signed_in").status_code for each in (here, one, two, another)] == [200, 401, 401, 200]


def test_an_administrator_ends_all_sessions_of_a_person(signed_in_as, analyst, administrator):
    """An administrator signs somebody out everywhere, and nobody else."""
    browsers = [signed_in_as(user) for user in (analyst, analyst, administrator)]
    admin = browsers[-1]
    answer = admin.post(f"/manage/users/{analyst.id}/sign-out", data={"csrf": admin.headers["X-CSRF-Token"]})
    assert answer.status_code == 303
    assert [browser.get("/is_signed_in").status_code for browser in browsers] == [401, 401, 200]


def test_a_new_password_from_an_administrator_leaves_the_second_factor(app, database, vault, settings, analyst):
    """A forgotten password that an administrator replaces still wants the second factor, and ends old sessions."""
    with database.write() as session:
        user = people.find(session, analyst.id)
        made = _two_factor_for(session, vault, settings, user)
        people.change(session, "ada", user, password="Velvet-osprey-17-kettle")
    browser = browser_of(app)
    sent = {"username": "ann", "password": "Velvet-osprey-17-kettle"}
    assert browser.post("/signin", json=sent).json()["need_two_factor"] is True
    assert browser.get("/is_signed_in").status_code == 401
    assert browser.post("/signin", json=sent | {"two_factor_code": made.backup_codes[0]}).status_code == 200


@pytest.mark.parametrize(
    ("password", "taken"),
    [
        ("short7!", False), ("password", False), ("Password1", False), ("iloveyou", False), ("qwertyuiop", False),
        ("annann12", False), ("flowkit1", False), ("flowauth2026", False), ("flowminder", False),
        ("FlowKit-ann", False),
        ("crumpet tundra violin 49 gravel", True), ("äöü ßéñ ☃ крот 字字", True), ("1739 0284 6650 1937 8", True),
        ("x9!" * 3 + "Velvet osprey kettle " * 3, True), ("w" + "Velvet-osprey-17-kettle " * 10, True),
    ],
)  # fmt: skip
def test_passwords_are_judged_by_how_hard_they_are_to_guess(password, taken):
    """Short, known and context-bound passwords are refused; length, blanks and any letters are welcome."""
    assert (passwords.weakness(password, "ann") is None) == taken


def test_passwords_of_a_list_of_breaches_are_refused(settings, tmp_path):
    """A good password that stands in the operator's own list of breached ones is refused, wherever it stands."""
    words = [f"Velvet-osprey-{number}-kettle" for number in range(200)]
    digests = {word: hashlib.sha1(word.encode(), usedforsecurity=False).hexdigest().upper() for word in words}
    listed = sorted(words[:199], key=digests.__getitem__)
    path = tmp_path / "breached.txt"
    path.write_text("".join(f"{digests[word]}:{number}\n" for number, word in enumerate(listed)))
    told = create_app(type(settings)(**settings.model_dump() | {"flowauth_breached_passwords": path}))
    for word in (listed[0], listed[100], listed[-1]):
        with pytest.raises(Refused, match="breaches"), told.state.database.write() as session:
            people.create(session, "tests", "bob", word)
    with told.state.database.write() as session:
        bob = people.create(session, "tests", "bob", words[199])
        with pytest.raises(Refused, match="breaches"):
            people.set_password(session, "bob", bob, listed[7])
    told.state.database.close()


def test_a_password_counts_as_it_was_typed(app, database, administrator):
    """Neither blanks nor letters nor an end of a password are changed or cut before they are compared."""
    long = " Velvet-osprey-17-kettle " + "crumpet Tundra 49 violin " * 8
    with database.write() as session:
        people.create(session, "ada", "bob", long)
    for typed in (long.strip(), long.lower(), long[:72], long + "x", long.rstrip()):
        with database.write() as session:
            session.execute(sa.delete(Attempts))
        assert browser_of(app).post("/signin", json={"username": "bob", "password": typed}).status_code == 401
    assert browser_of(app).post("/signin", json={"username": "bob", "password": long}).status_code == 200


def test_password_fields_are_masked_and_take_password_managers(app, signed_in_as, administrator, analyst, client):
    """Every field for a password hides what is typed, says its kind, and forbids neither pasting nor filling in."""
    browser, fields = signed_in_as(administrator), 0
    pages = [(client, "/sign-in"), (browser, "/account"), (browser, "/manage/users/new"), (browser, "/manage/users/2")]
    for who, path in pages:
        for field in re.findall(r"<input[^>]*password[^>]*>", who.get(path).text):
            if 'type="hidden"' in field:
                continue
            fields += 1
            assert 'type="password"' in field, field
            assert re.search(r'autocomplete="(current|new)-password"', field), field
            assert "onpaste" not in field
    assert fields > 5
    script = app.state.settings and browser.get("/static/flowauth.js").text
    assert "paste" not in script


def test_a_fresh_flowauth_has_nobody_in_it(database):
    """There is no account by default, of whatever name: an empty FlowAuth lets nobody in."""
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 0


def test_a_password_does_not_grow_old(app, signed_in_as, analyst, clock):
    """A password of years ago signs in as it did on its first day."""
    clock(days=3000)
    assert browser_of(app).post("/signin", json={"username": "ann", "password": PASSWORD}).status_code == 200


def test_nothing_but_password_and_codes_is_asked(app, client, signed_in_as, administrator, analyst):
    """No form asks for a hint, a question, a mail address or a telephone number, by which others could get in."""
    admin = signed_in_as(administrator)
    pages = [
        client.get("/sign-in"),
        admin.get("/account"),
        admin.get("/manage/users/new"),
        admin.get("/manage/users/2"),
    ]
    for page in pages:
        names = set(re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', page.text))
        assert names
        assert not {name for name in names if re.search("hint|question|answer|mail|phone|birth", name)}


def test_cookies_of_sessions_are_long_and_unlike(database, settings, analyst):
    """Cookies of sessions have 256 bits that nobody can foresee."""
    with database.write() as session:
        user = people.find(session, analyst.id)
        given = [sign_in.open_sign_in(session, settings, user, "::1", by="password")[0] for _ in range(50)]
    assert len(set(given)) == 50
    assert {len(cookie) for cookie in given} == {43}
    for place in range(42):
        assert len({cookie[place] for cookie in given}) > 10


def test_signing_out_is_on_every_page(app, signed_in_as, administrator, peopled):
    """Every page that somebody sees who is signed in has the button that signs out."""
    browser, seen = signed_in_as(administrator), 0
    for path in _pages(app):
        answer = browser.get(path)
        if answer.status_code == 200 and answer.headers.get("content-type", "").startswith("text/html"):
            assert 'action="/sign-out"' in answer.text, path
            seen += 1
    assert seen > 15
