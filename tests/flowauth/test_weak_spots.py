"""The weak spots of FlowKit's FlowAuth, each shown to be none here."""

import ast
import datetime as dt
import logging
import os
import random
import re
import time
from pathlib import Path

import jwt
import pyotp
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from pydantic import SecretStr
from tests.flowauth.conftest import PASSWORD, SCOPES, document
from tests.flowauth.test_attacks import FOR_ANYBODY, kept, routes_of

from flowauth import access
from flowauth.app import create_app
from flowauth.errors import NotAllowed, Refused
from flowauth.services import passwords, people, roles, servers, tokens, two_factor
from flowauth.services.limits import LONGEST_LIFE_MINUTES, Limits, longest_life
from flowauth.tables import Attempts, Base, Role, Server, Token, User
from flowkit_jwt_generator.jwt import decompress_claims


def _claims(text):
    """What a token says, unpacked."""
    told = jwt.decode(text, options={"verify_signature": False})
    return told | {"user_claims": decompress_claims(told["user_claims"])}


@pytest.fixture
def twins(database, analyst, administrator, make_role):
    """A role `viewer` on each of two servers: the analyst's is small and short, the other is large and long."""
    small = make_role("viewer", ["get_result"], [analyst], minutes=60).id
    with database.write() as session:
        other = servers.create(session, "tests", servers.read_document(document("OTHER")), Limits(None, 525_600))
        session.flush()
        everything = frozenset(scope.id for scope in other.scopes)
        wanted = roles.Definition("viewer", everything, frozenset({administrator.id}), Limits(None, 525_600))
        return small, roles.create(session, "tests", other, wanted).id


def test_a_role_is_that_of_the_server_for_which_the_token_is(signed_in_as, analyst, server, twins):
    """Weak spot a: FlowKit looks a role up by its name alone, and may sign another server's scopes and limits."""
    browser = signed_in_as(analyst)
    sent = {"name": "mine", "roles": [{"name": "viewer"}]}
    told = _claims(browser.post(f"/tokens/tokens/{server.id}", json=sent).json()["token"])
    assert told["aud"] == "TEST_SERVER"
    assert told["user_claims"] == {"viewer": ["get_result"]}
    assert told["exp"] - told["iat"] <= 3600


def test_my_roles_are_mine_alone(signed_in_as, analyst, administrator, server, twins, make_role):
    """Weak spot b: FlowKit tells everybody's roles on a server, with the numbers of who holds them."""
    make_role("runner", users=[administrator])
    make_role("empty")
    browser = signed_in_as(analyst)
    told = browser.get(f"/user/roles/server/{server.id}").json()
    assert [role["name"] for role in told] == ["viewer"]
    assert told[0]["users"] in ([], [analyst.id])
    page = browser.get(f"/my/servers/{server.id}/new-token").text
    assert "viewer" in page
    assert "runner" not in page
    other = browser.get(f"/user/roles/server/{server.id + 1}")
    assert other.status_code == 404 or other.json() == []


@pytest.mark.parametrize("whose", ["person", "role", "everybody"])
def test_a_second_factor_that_is_required_is_enforced_by_the_server(
    app, settings, database, signed_in_as, analyst, make_role, whose
):
    """Weak spot c: FlowKit's pages ask for two-factor where it is required, but its server does not."""
    role = make_role("secured", users=[analyst], require_two_factor=whose == "role")
    if whose == "person":
        with database.write() as session:
            people.change(session, "tests", people.find(session, analyst.id), require_two_factor=True)
    if whose == "everybody":
        app.state.settings = settings.model_copy(update={"flowauth_require_two_factor": True})
    browser = signed_in_as(analyst)
    csrf, before = browser.headers["X-CSRF-Token"], kept(database)
    may = {"/set-up-two-factor", "/user/enable_two_factor", "/user/confirm_two_factor", "/is_signed_in", "/signout"}
    may |= {"/user/two_factor_active", "/user/two_factor_required"}
    for declared, path, method in routes_of(app):
        if declared in FOR_ANYBODY | may:
            continue
        page = declared.split("/")[1] in ("account", "my", "manage")
        body = {} if method in ("GET", "DELETE") else {"data": {"csrf": csrf}} if page else {"json": {}}
        answer = browser.request(method, path, **body)
        led = answer.status_code == 303 and answer.headers["location"] == "/set-up-two-factor"
        assert led or answer.status_code in (401, 403), (method, declared, answer.status_code)
    assert kept(database) == before
    assert role.require_two_factor == (whose == "role")


def test_a_second_factor_is_not_switched_off_by_a_stolen_session(database, vault, settings, signed_in_as, analyst):
    """Weak spot c, the other half: FlowKit switches two-factor off without password or code, even where required."""
    with database.write() as session:
        user = people.find(session, analyst.id)
        made = two_factor.propose(vault, settings, user)
        then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
        two_factor.enable(session, vault, settings, user, made.signed, pyotp.TOTP(made.secret).at(then), now=then)
    browser = _with_code(signed_in_as, database, analyst, made.backup_codes[0], vault, settings)
    csrf = browser.headers["X-CSRF-Token"]
    code = pyotp.TOTP(made.secret).now()
    for password, typed in (("", code), ("wrong", code), (PASSWORD, ""), (PASSWORD, "000000")):
        sent = {"password": password, "two_factor_code": typed}
        assert browser.post("/user/disable_two_factor", json=sent).status_code in (400, 401, 403)
        form = {"csrf": csrf, "off_password": password, "off_code": typed}
        assert browser.post("/account/two-factor/off", data=form).status_code in (400, 401, 403, 429)
    with database.write() as session:
        session.execute(sa.delete(Attempts))
        people.change(session, "tests", people.find(session, analyst.id), require_two_factor=True)
    sent = {"password": PASSWORD, "two_factor_code": made.backup_codes[1]}
    assert browser.post("/user/disable_two_factor", json=sent).status_code in (401, 403)
    with database.read() as session:
        assert people.has_two_factor(people.find(session, analyst.id))


def _with_code(signed_in_as, database, user, code, vault, settings):
    """A browser in which somebody is signed in with both factors."""
    from flowauth.services import sign_in

    browser = signed_in_as(user)
    with database.write() as session:
        begun = sign_in.who(session, settings, browser.cookies[access.COOKIE], complete=False).sign_in
        cookie, _ = sign_in.give_code(session, vault, settings, begun, code, "127.0.0.1")
    browser.cookies.set(access.COOKIE, cookie)
    browser.headers["X-CSRF-Token"] = sign_in.csrf_token(settings, cookie)
    return browser


def test_backup_codes_cannot_be_foreseen(vault, settings, analyst):
    """Weak spot d: FlowKit's backup codes come from a random source that can be computed."""
    seen = set()
    for _ in range(20):
        random.seed(7)
        made = two_factor.propose(vault, settings, analyst)
        seen |= {made.secret, *made.backup_codes}
    assert len(seen) == 20 * 17


def test_no_log_holds_a_secret(app, database, vault, settings, analyst, make_role, server, caplog, capfd):
    """Weak spot d, the other half: FlowKit's debug log prints codes and decrypted secrets."""
    make_role("viewer", users=[analyst])
    caplog.set_level(logging.DEBUG)
    browser = TestClient(app, base_url="http://localhost", follow_redirects=False)

    def enter(**more):
        answer = browser.post("/signin", json={"username": "ann", "password": PASSWORD, **more})
        browser.headers["X-CSRF-Token"] = browser.cookies.get("X-CSRF", "")
        return answer.status_code

    assert enter() == 200
    proposed = browser.post("/user/enable_two_factor").json()
    code = pyotp.TOTP(proposed["secret"]).now()
    sent = {"two_factor_code": code, "secret": proposed["secret"]}
    sent["backup_codes_signature"] = proposed["backup_codes_signature"]
    assert browser.post("/user/confirm_two_factor", json=sent).status_code == 200
    browser.headers["X-CSRF-Token"] = browser.cookies["X-CSRF"]
    made = browser.post(f"/tokens/tokens/{server.id}", json={"name": "mine", "roles": [{"name": "viewer"}]}).json()
    assert enter(two_factor_code=code) == 401
    backup = proposed["backup_codes"][0]
    assert enter(two_factor_code=backup) == 200
    written = caplog.text + "".join(capfd.readouterr())
    for secret in (
        PASSWORD,
        proposed["secret"],
        f"'{code}'",
        backup,
        made["token"],
        browser.cookies["flowauth_session"],
    ):
        assert secret not in written


def test_signing_in_is_slowed_and_always_costs_a_hash(app, database, analyst, monkeypatch):
    """Weak spot e: FlowKit neither slows guesses nor computes a hash for a name that is not there."""
    hashed = []
    verify = passwords._HASHER.verify
    monkeypatch.setattr(
        passwords, "_HASHER", type("Counted", (), {
            "verify": staticmethod(lambda stored, given: hashed.append(stored) or verify(stored, given)),
            "hash": staticmethod(passwords._HASHER.hash),
            "check_needs_rehash": staticmethod(passwords._HASHER.check_needs_rehash),
        })
    )  # fmt: skip
    browser = TestClient(app, base_url="http://localhost")
    for name in ("ann", "nobody"):
        hashed.clear()
        answers = [browser.post("/signin", json={"username": name, "password": "wrong"}).status_code for _ in range(12)]
        assert answers[0] == 401
        assert answers[-1] == 429
        assert len(hashed) == answers.count(401), "Each look costs one hash, whoever is meant."
        assert len(hashed) < 10


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Los_Angeles", "UTC"])
def test_the_machines_time_zone_changes_no_limit(database, vault, analyst, server, make_role, monkeypatch, zone):
    """Weak spot f: FlowKit compares local time with limits in UTC, so that tokens end hours too early or too late."""
    zone_before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        latest = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1)
        role = make_role("viewer", users=[analyst], minutes=24 * 60, latest=latest).id
        with database.write() as session:
            user, held = people.find(session, analyst.id), session.get_one(Role, role)
            issued = tokens.issue(session, vault, user, held.server, [held], name="mine")
            kept_until = issued.token.expiry
        assert abs(_claims(issued.text)["exp"] - latest.timestamp()) <= 2
        with database.read() as session:
            assert session.scalars(sa.select(Token.expiry)).one() == kept_until
    finally:
        monkeypatch.undo()
        assert os.environ.get("TZ") == zone_before
        time.tzset()


def test_a_moment_without_a_zone_is_no_limit():
    """Weak spot f, the other half: a moment that could mean two is refused."""
    with pytest.raises(Refused, match="time zone"):
        Limits(dt.datetime(2027, 1, 31), 60)  # noqa: DTZ001 - what is to be refused
    with pytest.raises(Refused):
        Limits(None, True)


@pytest.mark.parametrize(
    "named",
    [
        "id",
        "name",
        "metadata",
        "registry",
        "__class__",
        "_sa_instance_state",
        "roles",
        "document_problem",
        "document_read",
    ],
)
def test_a_server_takes_no_attribute_that_is_named(database, signed_in_as, administrator, server, named):
    """Weak spot g: FlowKit's route to change a server sets whatever attribute the JSON names."""
    browser = signed_in_as(administrator)
    before = kept(database)
    answer = browser.patch(f"/admin/servers/{server.id}", json={named: "7", "longest_token_life_minutes": 60})
    assert answer.status_code == 400
    assert kept(database) == before


def test_no_token_can_be_read_from_the_database(database, settings, vault, analyst, server, make_role):
    """Weak spot h: FlowKit keeps every token, so that a database and its key are a leak of all that are alive."""
    role = make_role("viewer", users=[analyst]).id
    with database.write() as session:
        user, held = people.find(session, analyst.id), session.get_one(Role, role)
        text = tokens.issue(session, vault, user, held.server, [held], name="mine").text
    _, payload, signature = text.split(".")
    with database.read() as session:
        for table in Base.metadata.sorted_tables:
            for row in session.execute(sa.select(table)):
                for value in map(str, row):
                    assert signature not in value
                    assert payload not in value
                    if value.startswith("gAAAA"):
                        assert signature not in vault.opened(value)


def test_an_analyst_makes_a_token_without_any_route_of_administrators(app, signed_in_as, analyst, server, make_role):
    """Weak spot i: FlowKit's form for a token asks a route that is for administrators alone."""
    role = make_role("viewer", users=[analyst])
    browser = signed_in_as(analyst)
    for path in ("/my/servers", f"/my/servers/{server.id}", f"/my/servers/{server.id}/new-token"):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "TEST_SERVER" in answer.text
        assert "/manage" not in answer.text
        assert "/admin" not in answer.text
    form = {"csrf": browser.headers["X-CSRF-Token"], "name": "mine", "roles": str(role.id), "life": "60"}
    made = browser.post(f"/my/servers/{server.id}/new-token", data=form)
    assert made.status_code == 200
    for path in ("/tokens/servers", f"/tokens/servers/{server.id}", f"/user/roles/server/{server.id}"):
        assert browser.get(path).status_code == 200


def test_a_scope_can_be_switched_off_and_on(database, vault, signed_in_as, administrator, analyst, server, make_role):
    """Weak spot j: FlowKit's route to switch scopes off is out of service."""
    role = make_role("viewer", ["run", "get_result"], [analyst]).id
    browser = signed_in_as(administrator)

    def scopes():
        with database.write() as session:
            user, held = people.find(session, analyst.id), session.get_one(Role, role)
            return _claims(tokens.issue(session, vault, user, held.server, [held], name="mine").text)["user_claims"]

    path = f"/admin/servers/{server.id}"
    for enabled, told in ((False, ["get_result"]), (True, ["get_result", "run"])):
        sent = {name: enabled if name == "run" else True for name in SCOPES}
        assert browser.post(f"{path}/scopes", json=sent).status_code == 200
        listed = {scope["name"]: scope["enabled"] for scope in browser.get(f"{path}/scopes").json()}
        assert listed == sent
        assert scopes() == {"viewer": told}


def test_who_did_what_and_who_can_do_what_are_seen(signed_in_as, administrator, analyst, server, make_role):
    """Weak spot k: FlowKit neither logs what administrators do nor shows who can do what."""
    role = make_role("viewer")
    browser = signed_in_as(administrator)
    changed = browser.patch(f"/admin/users/{analyst.id}", json={"roles": [role.id]})
    assert changed.status_code == 200
    log = browser.get("/admin/audit").json()
    log = log["records"] if isinstance(log, dict) else log
    told = next(record for record in log if record["action"] == "user.change")
    assert (told["actor"], told["subject"]) == ("ada", "ann")
    assert told["before"] == {"roles": []}
    assert told["after"] == {"roles": ["TEST_SERVER: viewer"]}
    assert "user.change" in browser.get("/manage/audit").text
    for path in ("/manage/access", "/manage/access.csv", "/admin/access"):
        seen = browser.get(path).text
        assert "ann" in seen
        assert "TEST_SERVER" in seen
        assert "viewer" in seen


def test_a_limit_that_shortens_a_token_is_told(database, vault, analyst, server, make_role):
    """Weak spot l: FlowKit shortens a token without a word, when it is made and when it is renewed."""
    role = make_role("viewer", users=[analyst], minutes=24 * 60).id
    with database.write() as session:
        user, held = people.find(session, analyst.id), session.get_one(Role, role)
        issued = tokens.issue(session, vault, user, held.server, [held], name="mine", lifetime_minutes=48 * 60)
        assert issued.warning
        assert "the role 'viewer'" in issued.warning
        assert tokens.issue(session, vault, user, held.server, [held], name="mine", lifetime_minutes=60).warning is None
        held.latest_token_expiry = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
        session.flush()
        renewed = tokens.renew(session, vault, user, issued.token)
        assert renewed.warning
        assert "the role 'viewer'" in renewed.warning
        held.latest_token_expiry = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
        session.flush()
        with pytest.raises(Refused, match=r"the role 'viewer' was .* UTC\. Ask an administrator"):
            tokens.issue(session, vault, user, held.server, [held], name="mine")


# The rules of limits, for any limits.

MOMENTS = st.none() | st.integers(-(10**6), 10**7).map(
    lambda minutes: dt.datetime(2027, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
)
LIMITS = st.builds(Limits, MOMENTS, st.integers(1, LONGEST_LIFE_MINUTES))
ISSUED = st.integers(0, 10**7).map(
    lambda minutes: dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
)


@bounded(max_examples=300, deadline=None)
@given(issued=ISSUED, limits=st.lists(LIMITS, min_size=1, max_size=5))
def test_a_token_ends_by_the_narrowest_limit(issued, limits):
    """A token ends at one of the limits, and never after any of them."""
    end = longest_life(issued, *limits)
    bounds = [issued + dt.timedelta(minutes=each.longest_token_life_minutes) for each in limits]
    bounds += [each.latest_token_expiry for each in limits if each.latest_token_expiry is not None]
    assert end in bounds
    assert all(end <= bound for bound in bounds)
    assert longest_life(issued, *limits, limits[0]) == end


@bounded(max_examples=300, deadline=None)
@given(server=LIMITS, role=LIMITS, issued=ISSUED)
def test_a_role_that_its_server_allows_never_outlives_it(server, role, issued):
    """A role is refused exactly where it exceeds its server; one that is allowed stays within the server's limits."""
    try:
        server.hold("viewer", role.latest_token_expiry, role.longest_token_life_minutes)
    except Refused:
        longer = role.longest_token_life_minutes > server.longest_token_life_minutes
        later = (
            server.latest_token_expiry is not None
            and role.latest_token_expiry is not None
            and role.latest_token_expiry > server.latest_token_expiry
        )
        assert longer or later
        return
    assert longest_life(issued, server, role) <= longest_life(issued, server)
    assert role.longest_token_life_minutes <= server.longest_token_life_minutes


@pytest.mark.parametrize("minutes", [0, -1, LONGEST_LIFE_MINUTES + 1, 10**30])
def test_a_life_that_no_calendar_holds_is_refused(minutes):
    """A longest life is between a minute and ten years."""
    with pytest.raises(Refused) as refused:
        Limits(None, minutes)
    assert refused.value.field == "longest_token_life_minutes"


def test_the_rules_of_roles_hold(database, vault, administrator, analyst, server, make_role):
    """A role has scopes of its own server alone, within its limits; what it gives reaches tokens when it gives less."""
    role = make_role("viewer", users=[analyst], minutes=600).id
    with database.write() as session:
        other = servers.create(session, "tests", servers.read_document(document("OTHER")), Limits(None, 60))
        session.flush()
        strange = other.scopes[0].id
    for scopes, users, limits in (
        ({strange}, set(), Limits(None, 60)),
        (set(), {999}, Limits(None, 60)),
        (set(), set(), Limits(None, 8 * 24 * 60)),
    ):
        wanted = roles.Definition("viewer", frozenset(scopes), frozenset(users), limits)
        with pytest.raises(Refused), database.write() as session:
            roles.change(session, "ada", session.get_one(Role, role), wanted)
    with database.write() as session:
        held, user = session.get_one(Role, role), people.find(session, analyst.id)
        old = tokens.issue(session, vault, user, held.server, [held], name="mine").token
        numbers = frozenset(scope.id for scope in held.scopes)
        same = roles.Definition("viewer", numbers, frozenset({user.id}), Limits(None, 600))
        assert roles.change(session, "ada", held, same) == 0
        assert old.revoked is None
        less = roles.Definition("viewer", frozenset(sorted(numbers)[1:]), frozenset({user.id}), Limits(None, 600))
        assert roles.change(session, "ada", held, less) == 1
        assert old.revoked is not None
        new = tokens.issue(session, vault, user, held.server, [held], name="mine").token
        shorter = roles.Definition("viewer", less.scopes, less.users, Limits(None, 30))
        assert roles.change(session, "ada", held, shorter) == 1
        assert "longer than" in (new.revoked_because or "")
        last = tokens.issue(session, vault, user, held.server, [held], name="mine").token
        roles.change(session, "ada", held, roles.Definition("viewer", less.scopes, frozenset(), Limits(None, 30)))
        assert last.revoked is not None
        with pytest.raises(NotAllowed):
            tokens.renew(session, vault, user, last)


def test_the_last_administrator_stays(database, administrator, analyst):
    """The only administrator can be neither deleted nor demoted; with a second one, either can."""
    with database.write() as session:
        ada = people.find(session, administrator.id)
        for act in (
            lambda: people.delete(session, "ada", ada),
            lambda: people.change(session, "ada", ada, is_admin=False),
        ):
            with pytest.raises(Refused, match="only administrator"):
                act()
        people.change(session, "ada", people.find(session, analyst.id), is_admin=True)
        people.change(session, "ada", ada, is_admin=False)
        assert session.scalars(sa.select(User.username).where(User.is_admin)).all() == ["ann"]


def test_a_first_administrator_is_made_only_where_there_is_none(settings, database, administrator):
    """FLOWAUTH_ADMIN_USERNAME and its password, left in the settings, neither promote nor reset anybody."""
    with database.write() as session:
        assert people.first_administrator(session, "ada", "Velvet-osprey-17-kettle") is None
        assert people.first_administrator(session, "eve", "Velvet-osprey-17-kettle") is None
        assert passwords.fits(PASSWORD, session.scalars(sa.select(User.password)).one())
    for name in ("demo_mode", "reset_flowauth_db"):
        with pytest.raises(ValueError, match="nothing has been touched"):
            type(settings)(**settings.model_dump() | {name: True})
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Server)) == 0


@pytest.mark.parametrize("generated", [True, False])
def test_a_first_administrators_password_that_was_made_is_changed_first(settings, clock, generated):
    """Where nobody chose it, it opens nothing but the choice of another, and waits for it longer than a week."""
    told = {"flowauth_admin_username": "root", "flowauth_admin_password": SecretStr(PASSWORD)}
    settings = settings.model_copy(update=told | {"flowauth_admin_password_generated": generated})
    new = "Velvet-osprey-17-kettle"
    for _ in range(2):
        app = create_app(settings)
        clock(days=30)
    browser = TestClient(app, base_url="http://localhost", follow_redirects=False)
    flags = browser.post("/signin", json={"username": "root", "password": PASSWORD}).json()
    assert flags.get("require_password_change", False) is generated
    assert browser.get("/admin/users").status_code == (403 if generated else 200)
    browser.headers["X-CSRF-Token"] = browser.cookies["X-CSRF"]
    assert browser.patch("/user/password", json={"password": PASSWORD, "newPassword": new}).status_code == 200
    assert browser.get("/admin/users").status_code == 200
    create_app(settings)
    answers = [browser.post("/signin", json={"username": "root", "password": each}) for each in (PASSWORD, new)]
    assert [answer.status_code for answer in answers] == [401, 200]
    assert "require_password_change" not in answers[1].json()


# What is written of security: docs/security-asvs.md and docs/flowauth.md.

ROOT = Path(__file__).parents[2]
LEVELS_1_AND_2 = {
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4,
    "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 2, "7.6": 2,
    "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4,
    "10.1": 2, "10.2": 2, "10.3": 4, "10.4": 11, "10.5": 5, "10.6": 2, "10.7": 3,
}  # fmt: skip
"""How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has; they come first in each."""


def test_every_requirement_of_the_standard_is_in_the_table_with_tests_that_exist(settings):
    """The table of ASVS has each requirement once: met, by tests that exist and assert something, or not applicable.

    Where a requirement is met by a setting, there is such a setting.
    """
    text = (ROOT / "docs" / "security-asvs.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")
    ]
    rows = [row for row in rows if row[0][0].isdigit()]
    wanted = [f"{section}.{number}" for section, most in LEVELS_1_AND_2.items() for number in range(1, most + 1)]
    assert [row[0] for row in rows] == wanted
    functions: dict[str, set[str]] = {}
    for number, level, _, state, why in rows:
        assert level in ("1", "2")
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", why)
        assert (met := re.fullmatch(r"Not applicable|Met(?: with `([A-Z_]+)=\w+`)?", state)), f"{number}: {state}"
        assert met.group(1) is None or met.group(1).lower() in type(settings).model_fields
        if state.startswith("Met"):
            assert named, f"{number} is met and names no test"
        else:
            assert len(why) > 5, f"{number} does not say why"
        for path, name in named:
            if path not in functions:
                tree = ast.parse((ROOT / path).read_text())
                kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
                functions[path] = {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
            assert name in functions[path], f"{number} names {path}::{name}, which is not there"


def test_what_the_standard_wants_written_is_written(settings):
    """FlowAuth's page tells how guessing is slowed, on which words no password may rest, how long sessions last."""
    text = (ROOT / "docs" / "flowauth.md").read_text()
    for title in ("Guessing", "Passwords", "Ways in", "Two-factor", "Sessions", "Who may do what"):
        assert f"\n### {title}\n" in text, title
    for word in ("flowkit", "flowauth", "flowminder"):
        assert passwords.weakness(f"{word}{word[:4]}1", "ann")
        assert f"`{word}`" in text
    shown = " ".join(text.split())
    assert f"{settings.flowauth_session_minutes} minutes" in shown
    assert f"{settings.flowauth_session_hours} hours" in shown
    for name in re.findall(r"`((?:FLOWAUTH|TWO_FACTOR)_[A-Z_]+)`", text):
        assert name.lower() in type(settings).model_fields, name
