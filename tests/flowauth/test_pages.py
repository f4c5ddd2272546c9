"""The pages without a browser: what they answer, to whom, and what passes the gate."""

import html.parser
import re
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from tests.flowauth.conftest import PASSWORD, document

from flowauth import access
from flowauth.access import own_path
from flowauth.pages.abilities import abilities
from flowauth.services import passwords, people, roles, servers
from flowauth.services.limits import Limits
from flowauth.tables import Role, User

MANAGED = ["users", "users/new", "servers", "servers/new", "roles", "roles/new", "keys", "access", "audit"]
MANAGED += ["revocations", "access.csv", "keys/public.pem"]


def form_token(answer) -> str:
    """The hidden field that proves that a form is FlowAuth's own."""
    return re.search(r'name="csrf" value="([^"]+)"', answer.text).group(1)


@pytest.mark.parametrize("page", MANAGED)
def test_administrators_see_a_page_that_analysts_do_not(signed_in_as, administrator, analyst, client, page):
    """Pages of the administration are for administrators alone."""
    assert signed_in_as(administrator).get(f"/manage/{page}").status_code == 200
    assert signed_in_as(analyst).get(f"/manage/{page}").status_code == 403
    asked = client.get(f"/manage/{page}")
    assert (asked.status_code, asked.headers["location"]) == (303, f"/sign-in?next={quote(f'/manage/{page}', safe='')}")


def test_no_page_of_another_site_can_write(signed_in_as, administrator, analyst, database):
    """A form without its token, with another's, or sent by another site changes nothing."""
    browser = signed_in_as(administrator)
    del browser.headers["X-CSRF-Token"]
    path = f"/manage/users/{analyst.id}/delete"
    right = form_token(browser.get(f"/manage/users/{analyst.id}"))
    other = form_token(signed_in_as(analyst).get("/account"))
    for data, headers in (
        ({}, {}),
        ({"csrf": other}, {}),
        ({"csrf": right}, {"Origin": "https://evil.example"}),
        ({"csrf": right}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf": right}, {"Sec-Fetch-Site": "same-site"}),
    ):
        assert browser.post(path, data=data, headers=headers).status_code == 403
    assert browser.post(path, data={"csrf": right}).status_code == 200
    with database.read() as session:
        assert session.get(User, analyst.id) is not None


def test_nobody_is_signed_in_by_another_site(client, analyst):
    """The sign-in form carries a token of the browser as well, so that nobody is signed in as somebody else unseen."""
    given = {"username": "ann", "password": PASSWORD}
    assert client.post("/sign-in", data=given).status_code == 403
    token = form_token(client.get("/sign-in"))
    assert client.post("/sign-in", data={**given, "csrf": token}).status_code == 303
    elsewhere = TestClient(client.app, base_url="http://localhost", follow_redirects=False)
    assert elsewhere.post("/sign-in", data={**given, "csrf": token}).status_code == 403


def test_a_form_with_the_right_password_changes_the_cookie(client, administrator):
    """A form that gives the password again gets one other cookie, also where it is refused for something else.

    The form in that answer can be sent again; what was copied of the cookie before, or loaded by it, is refused.
    """
    token = form_token(client.get("/sign-in"))
    client.post("/sign-in", data={"csrf": token, "username": "ada", "password": PASSWORD})
    copied = TestClient(client.app, base_url="http://localhost", follow_redirects=False)

    def send(path, shown, **fields):
        copied.cookies.set(access.COOKIE, held := client.cookies[access.COOKIE])
        answer = client.post(path, data={"csrf": form_token(shown), **fields})
        told = [cookie for cookie in answer.headers.get_list("set-cookie") if cookie.startswith(access.COOKIE)]
        assert len(told) == (client.cookies[access.COOKIE] != held)
        assert ("location" in copied.get("/account").headers) == bool(told)
        return answer, bool(told)

    first = client.get("/manage/users/new")
    fields = {"password": "glacier-Mango-77-trombone", "is_admin": "yes"}
    wrong, renewed = send("/manage/users/new", first, username="eve", your_password="wrong", **fields)
    assert (wrong.status_code, renewed) == (400, False)
    shown, renewed = send("/manage/users/new", wrong, username="a b", your_password=PASSWORD, **fields)
    assert (shown.status_code, renewed) == (400, True)
    old, _ = send("/manage/users/new", first, username="eve", your_password=PASSWORD, **fields)
    assert old.status_code == 403
    for name in ("eve", "max"):
        done, renewed = send("/manage/users/new", shown, username=name, your_password=PASSWORD, **fields)
        assert (done.status_code, renewed) == (303, True)
        shown = client.get("/manage/users/new")
    new = {"password": fields["password"], "password_again": fields["password"]}
    done, renewed = send("/account/password", client.get("/account"), present_password=PASSWORD, **new)
    assert (done.headers["location"], renewed) == ("/account", True)
    assert client.get("/account").status_code == 200


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "evil.example",
        "",
        None,
    ],
)
def test_signing_in_leads_nowhere_else(wanted):
    """Only paths of this FlowAuth are gone on to."""
    assert own_path(wanted) == "/"


@pytest.mark.parametrize("path", ["/sign-in", "/manage/nowhere", "/version", "/static/flowauth.css", "/health"])
def test_every_answer_carries_the_headers_that_protect_it(client, path):
    """No answer can be framed, sniffed or told onward, and no page runs a script that stands in it."""
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "strict-transport-security" not in headers
    if not path.startswith("/static"):
        assert headers["cache-control"] == "no-store"


def test_where_people_come_by_https_cookies_and_browsers_hold_to_it(settings, app):
    """With an https address cookies are Secure and bound to the host, and browsers are told to come by https alone."""
    from flowauth.app import create_app

    secure = settings.model_copy(update={"flowauth_url": "https://auth.example.org"})
    browser = TestClient(create_app(secure), base_url="https://auth.example.org", follow_redirects=False)
    with app.state.database.write() as session:
        people.create(session, "tests", "ann", PASSWORD)
    asked = browser.get("/sign-in")
    assert asked.headers["strict-transport-security"].startswith("max-age=31536000")
    told = browser.post("/sign-in", data={"csrf": form_token(asked), "username": "ann", "password": PASSWORD})
    session_cookie = next(c for c in told.headers.get_list("set-cookie") if c.startswith("__Host-flowauth_session="))
    assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(session_cookie.split("; "))
    assert browser.get("/sign-in", headers={"Host": "evil.example"}).status_code == 400
    assert browser.get("/health", headers={"Host": "flowauth:9091"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost.evil.example", "", "[::1"])
def test_requests_for_another_host_are_refused(client, host):
    """What names another host than this one is answered with an error, on pages and API."""
    for path in ("/sign-in", "/version", "/manage/users"):
        assert client.get(path, headers={"Host": host}).status_code == 400


def test_large_bodies_are_refused_before_they_are_read(signed_in_as, administrator):
    """A body that is too large is refused, whether it says so or not; a document of a server may be larger."""
    browser = signed_in_as(administrator)
    token = form_token(browser.get("/account"))
    large = b"x=" + b"y" * 200_000
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post("/account/password", content=large, headers=kind).status_code == 413
    assert browser.post("/account/password", content=iter([large]), headers=kind).status_code == 413
    assert browser.post("/signin", content=iter([large]), headers=kind).status_code == 413
    sent = {"document": ("openapi.json", b" " * 5_500_000, "application/json")}
    limits = {"csrf": token, "longest_token_life_minutes": "1", "longest_token_life_minutes_unit": "days"}
    answer = browser.post("/manage/servers/new", data=limits, files=sent)
    assert answer.status_code == 400
    assert "bytes" in answer.text
    assert browser.post("/manage/servers/new", data=limits, files={"document": b" " * 6_500_000}).status_code == 413


def test_what_goes_wrong_is_a_page_without_a_trace(app, signed_in_as, administrator, monkeypatch):
    """A failure of FlowAuth is told in a sentence; neither the page nor the API shows where it happened."""
    from flowauth.pages import users

    def fail(*_, **__):
        raise RuntimeError("secret inside")

    monkeypatch.setattr(users, "listed", fail)
    answer = signed_in_as(administrator).get("/manage/users")
    assert answer.status_code == 500
    assert "secret inside" not in answer.text
    assert "Traceback" not in answer.text
    assert "<h1>FlowAuth failed</h1>" in answer.text


def test_what_is_not_there_is_a_page_for_people_and_json_for_scripts(client, signed_in_as, administrator):
    """An address that nothing is at answers in the form of who asks."""
    browser = signed_in_as(administrator)
    assert "There is nothing here" in browser.get("/manage/nothing").text
    assert "There is nothing here" in browser.get("/manage/users/notanumber").text
    assert "There is nothing here" in client.get("/nothing", headers={"Accept": "text/html"}).text
    assert client.get("/nothing").json()["code"] == 404


def test_text_that_is_a_script_is_shown_as_text(signed_in_as, administrator, database):
    """A server may call itself anything; no page takes what it says for markup."""
    nasty = "<img src=x onerror=alert(1)>\"'"
    with database.write() as session:
        read = servers.read_document(document(nasty, ["run", f"{nasty}:{nasty}:{nasty}"]))
        server = servers.create(session, nasty, read, Limits(None, 60))
        session.flush()
        wish = roles.Definition(
            "r", frozenset(s.id for s in server.scopes), frozenset({administrator.id}), Limits(None, 60)
        )
        roles.create(session, "tests", server, wish)
    browser = signed_in_as(administrator)
    for path in (
        "/my/servers",
        "/my/servers/1",
        "/my/servers/1/new-token",
        "/manage/servers",
        "/manage/servers/1",
        "/manage/roles",
        "/manage/roles/1",
        "/manage/access",
        "/manage/audit",
        "/manage/audit?find=" + quote(nasty),
    ):
        seen = _Tags()
        seen.feed(browser.get(path).text)
        assert "onerror" not in seen.attributes, path
        assert all(source == "/static/mark.svg" for source in seen.images), path


class _Tags(html.parser.HTMLParser):
    """Notes every attribute, and where images come from."""

    def __init__(self):
        super().__init__()
        self.attributes, self.images = set(), []

    def handle_starttag(self, tag, attrs):
        self.attributes |= {name for name, _ in attrs}
        if tag == "img":
            self.images.append(dict(attrs)["src"])


def test_two_administrators_do_not_undo_each_other_unseen(signed_in_as, administrator, make_role, database):
    """Whoever saves a role that another has changed meanwhile is told so, and nothing is saved."""
    role = make_role("viewer", ["run", "get_result"])
    browser = signed_in_as(administrator)
    shown = browser.get(f"/manage/roles/{role.id}").text
    version = re.search(r'name="version" value="([^"]+)"', shown).group(1)
    ticked = re.findall(r"name=s value=(\d+) checked", shown)
    sent = {
        "csrf": re.search(r'name="csrf" value="([^"]+)"', shown).group(1),
        "version": version,
        "name": "viewer",
        "longest_token_life_minutes": "1",
        "longest_token_life_minutes_unit": "days",
    }
    first = browser.post(f"/manage/roles/{role.id}", data={**sent, "s": ticked[:1]})
    assert first.status_code == 303
    second = browser.post(f"/manage/roles/{role.id}", data={**sent, "s": ticked, "name": "renamed"})
    assert second.status_code == 400
    assert "Somebody else has changed this role" in second.text
    with database.read() as session:
        assert session.get_one(Role, role.id).name == "viewer"


def test_a_role_cannot_get_scopes_or_members_that_its_form_does_not_offer(
    signed_in_as, administrator, make_role, database
):
    """Numbers that somebody writes into the form by hand reach no scope of another server."""
    role = make_role("viewer", ["run"])
    with database.write() as session:
        other = servers.create(session, "tests", servers.read_document(document("OTHER")), Limits(None, 60))
        session.flush()
        foreign = other.scopes[0].id
    browser = signed_in_as(administrator)
    shown = browser.get(f"/manage/roles/{role.id}").text
    sent = {
        "csrf": re.search(r'name="csrf" value="([^"]+)"', shown).group(1),
        "version": re.search(r'name="version" value="([^"]+)"', shown).group(1),
        "name": "viewer",
        "longest_token_life_minutes": "60",
        "s": [str(foreign)],
        "server": str(other.id),
    }
    browser.post(f"/manage/roles/{role.id}", data=sent)
    with database.read() as session:
        assert foreign not in {scope.id for scope in session.get_one(Role, role.id).scopes}


@pytest.mark.parametrize(
    ("held", "sentence", "warning"),
    [
        (
            ["run", "get_result", "admin3:count:count"],
            "Queries of these kinds can be run, and their results read.",
            None,
        ),
        (["run", "admin3:count:count"], "Queries of these kinds can be run; somebody else reads their results.", None),
        (["get_result", "admin3:count:count"], "Results of these kinds can be read once somebody else", None),
        (
            ["run", "get_result", "admin3:flows:daily_location"],
            "Queries can neither be run nor read.",
            "admin3:flows:daily_location grants nothing by itself",
        ),
        (
            ["run", "admin3:flows:flows"],
            "Queries of these kinds can be run",
            "flows at admin3 is made of another query",
        ),
        (["admin3:count:count"], "Of queries of these kinds only the state can be seen.", "Neither run nor get_result"),
        (["run"], "Queries can neither be run nor read.", "run grants nothing by itself"),
        (["admin3:geography:geography"], "Queries can neither be run nor read.", "Boundaries cannot be read without"),
        ([], "Queries can neither be run nor read.", "No scope is ticked"),
    ],
)
def test_what_a_role_can_really_do_is_told_in_words(held, sentence, warning):
    """Scopes that grant nothing by themselves are named, and so is what is missing."""
    offered = ["run", "get_result", "admin3:count:count", "admin3:flows:flows", "admin3:flows:daily_location"]
    told = abilities(held, offered)
    assert told.sentence.startswith(sentence)
    assert any(warning in each for each in told.warnings) if warning else told.warnings == []


@pytest.mark.takes_long("makes a FlowAuth with thousands of people")
def test_long_lists_and_large_trees_stay_small(app, signed_in_as, administrator, database):
    """With 2,000 users and a role of 600 scopes every page stays below 100 kB and a few statements."""
    kinds = [f"kind_number_{n}" for n in range(24)]
    scopes = [f"admin{u}:{top}:{part}" for u in range(5) for top in kinds for part in (top, *kinds[:4])][:600]
    with database.write() as session:
        session.execute(
            sa.insert(User),
            [
                {
                    "username": f"user_{n:05}",
                    "is_admin": False,
                    "require_two_factor": False,
                    "created": administrator.created,
                }
                for n in range(2000)
            ],
        )
        large = servers.read_document(document("LARGE", scopes))
        server = servers.create(session, "tests", large, Limits(None, 60))
        session.flush()
        everybody = frozenset(session.scalars(sa.select(User.id)))
        held = frozenset(scope.id for scope in server.scopes)
        for n in range(60):
            roles.create(
                session,
                "tests",
                server,
                roles.Definition(f"role_{n}", held, frozenset({administrator.id}), Limits(None, 60)),
            )
        role = roles.create(session, "tests", server, roles.Definition("all", held, everybody, Limits(None, 60)))
    browser = signed_in_as(administrator)
    statements = []
    sa.event.listen(app.state.database.engine, "before_cursor_execute", lambda *told: statements.append(told[2]))
    for path in (
        "/my/servers",
        "/my/servers/1",
        "/manage/users",
        "/manage/users?page=40",
        "/manage/users?find=199",
        f"/manage/users/{administrator.id}",
        "/manage/servers",
        "/manage/servers/1",
        f"/manage/servers/{server.id}/scopes",
        "/manage/roles",
        f"/manage/roles/{role.id}",
        f"/manage/roles/{role.id}/members",
        "/manage/access?page=30",
        "/manage/audit",
        "/manage/revocations",
        "/manage/keys",
        "/my/servers/1/new-token",
    ):
        browser.get(path)
        statements.clear()
        answer = browser.get(path)
        assert answer.status_code == 200
        assert len(answer.content) < 100_000, f"{path}: {len(answer.content):,} bytes"
        assert len(statements) <= 12, f"{path}: {len(statements)} statements"


# First passwords


@pytest.fixture
def newcomer(app, database):
    """Somebody whose password FlowAuth made; gives a browser and a function that signs them in."""
    given = passwords.generated()
    with database.write() as session:
        people.create(session, "tests", "ben", given, generated=True)
    browser = TestClient(app, base_url="http://localhost", follow_redirects=False)

    def enter(password=given):
        return browser.post("/signin", json={"username": "ben", "password": password})

    browser.enter, browser.given = enter, given
    return browser


def test_passwords_that_flowauth_makes_are_random_and_long():
    """A hundred have nothing in common, and each is as good as passwords must be."""
    made = [passwords.generated() for _ in range(100)]
    assert len({part for password in made for part in password.split("-")}) == 400
    assert all(re.fullmatch(r"([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}", password) for password in made)
    assert all(passwords.weakness(password, "ben") is None for password in made[:5])


def test_a_first_password_counts_for_seven_days(newcomer, clock):
    """After a week it signs nobody in, and who has it is told to ask for another; a wrong one is told nothing."""
    clock(days=6, hours=23)
    assert newcomer.enter().status_code == 200
    clock(hours=2)
    over = newcomer.enter()
    assert over.status_code == 401
    assert "ask an administrator for a new one" in over.json()["message"]
    assert newcomer.enter("not it").json()["message"] == "The name or the password is not right."


def test_a_first_password_opens_nothing_but_the_choice_of_another(app, newcomer, administrator, database):
    """Every page leads to the choice and every route of the API refuses, until another password is chosen."""
    assert newcomer.enter().json()["require_password_change"] is True
    newcomer.headers["X-CSRF-Token"] = newcomer.cookies["X-CSRF"]
    for page in ("/", "/my/servers", "/account", "/set-up-two-factor"):
        answer = newcomer.get(page)
        while answer.headers.get("location", "/choose-password") != "/choose-password":
            answer = newcomer.get(answer.headers["location"])
        assert answer.status_code == 303, page
    for method, path in (("GET", "/tokens/servers"), ("POST", "/user/enable_two_factor"), ("GET", "/admin/users")):
        refused = newcomer.request(method, path)
        assert (refused.status_code, refused.json()["require_password_change"]) == (403, True), path
    assert newcomer.get("/is_signed_in").json()["require_password_change"] is True
    change = {"password": newcomer.given, "newPassword": newcomer.given}
    assert "another password" in newcomer.patch("/user/password", json=change).json()["message"]
    newcomer.headers["X-CSRF-Token"] = newcomer.cookies["X-CSRF"]
    assert newcomer.patch("/user/password", json=change | {"newPassword": PASSWORD}).status_code == 200
    assert newcomer.get("/tokens/servers").json() == []
    assert "require_password_change" not in newcomer.get("/is_signed_in").json()
    assert newcomer.enter().status_code == 401
    assert newcomer.enter(PASSWORD).status_code == 200
    with database.read() as session:
        assert people.named(session, "ben").password_expires is None


def test_an_administrator_lets_flowauth_make_a_password_by_the_api(signed_in_as, administrator, database):
    """It is told in the one answer; a password and the wish for one are not given together."""
    browser = signed_in_as(administrator)
    both = browser.post("/admin/users", json={"username": "ben", "password": PASSWORD, "generate_password": True})
    assert (both.status_code, both.json()["bad_field"]) == (400, "generate_password")
    made = browser.post("/admin/users", json={"username": "ben", "generate_password": True}).json()
    assert passwords.weakness(made["generated_password"], "ben") is None
    assert "generated_password" not in browser.get(f"/admin/users/{made['id']}").json()
    anew = browser.patch(f"/admin/users/{made['id']}", json={"generate_password": True}).json()
    assert anew["generated_password"] != made["generated_password"]
    typed = browser.patch(f"/admin/users/{made['id']}", json={"password": PASSWORD}).json()
    assert "generated_password" not in typed
    with database.read() as session:
        assert people.named(session, "ben").password_expires is None


def test_two_administrators_do_not_switch_scopes_unseen(signed_in_as, administrator, server, database):
    """Whoever saves scopes that another has switched meanwhile is told so, and nothing is switched."""
    browser = signed_in_as(administrator)
    path = f"/manage/servers/{server.id}/scopes"
    shown = browser.get(path).text
    sent = {"csrf": form_token(browser.get(path)), "version": re.search(r'name="version" value="([^"]+)"', shown)[1]}
    ticked = re.findall(r"name=s value=(\d+) checked", shown)
    assert browser.post(path, data={**sent, "s": ticked[1:]}).status_code == 303
    refused = browser.post(path, data={**sent, "s": ticked[:-1]})
    assert refused.status_code == 400
    assert "have changed since you opened this page" in refused.text
    with database.read() as session:
        there = servers.find(session, server.id)
        assert sorted(str(scope.id) for scope in there.scopes if scope.enabled) == sorted(ticked[1:])


def test_a_page_that_is_not_there_keeps_the_menu(signed_in_as, client, analyst):
    """Who is signed in and mistypes an address has the menu to go on from; nobody else sees it."""
    for path in ("/nothing", "/manage/nothing", "/my/servers/99"):
        for browser, inside in ((signed_in_as(analyst), True), (client, False)):
            answer = browser.get(path, headers={"Accept": "text/html"})
            assert ('id="menu"' in answer.text) is inside or answer.status_code == 303, path
            assert answer.status_code in ((404,) if inside else (404, 303)), path


def test_what_is_no_success_is_not_shown_as_one(client, analyst):
    """On the first visit I am asked to sign in, in the colours of a note; that I have signed out is a success."""
    assert client.get("/account").headers["location"].startswith("/sign-in")
    page = client.get("/sign-in")
    assert '<p class="notice" role="status">Sign in to go on.</p>' in page.text
    client.post("/sign-in", data={"csrf": form_token(page), "username": "ann", "password": PASSWORD})
    client.post("/sign-out", data={"csrf": form_token(client.get("/account"))})
    assert '<p class="said" role="status">You are signed out.</p>' in client.get("/sign-in").text


def test_a_long_record_is_a_line_of_the_audit_log(signed_in_as, administrator, make_role):
    """A role with many scopes is one line of the log, which names what was changed and unfolds to all of it."""
    make_role("viewer", users=[administrator])
    page = signed_in_as(administrator).get("/manage/audit?action=role.").text
    folded = re.search(r"<details><summary>(.*?)</summary>(.*?)</details>", page, re.S)
    assert "scopes" in folded.group(1)
    assert "admin2:flows:daily_location" in folded.group(2)
