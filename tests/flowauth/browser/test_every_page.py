"""Every page as people see it: a picture of each, wide and narrow, light and dark, and axe finds nothing wrong."""

import datetime as dt

import pyotp
import pytest
import sqlalchemy as sa
from tests.flowauth.browser.conftest import press
from tests.flowauth.conftest import PASSWORD, SCOPES, document

from flowauth.services import people, roles, servers, tokens, two_factor
from flowauth.services.limits import Limits
from flowauth.tables import Role, User

LONG = "the_regional_statistics_offices_of_the_western_highlands_for_flood_response"
KINDS = ["spatial_aggregate", "joined_spatial_aggregate", "unmoving_at_reference_location_counts", "flows"]
PARTS = [
    "daily_location",
    "modal_location",
    "most_frequent_location",
    "coalesced_majority_location",
    "unique_locations",
]


@pytest.fixture
def peopled(settings, database, vault, administrator, analyst, server, make_role):
    """A FlowAuth in which there is something on every page; give where, and the backup codes of the analyst."""
    kinds = [*KINDS, *(f"{kind}_of_{part}" for kind in KINDS[:2] for part in PARTS[:4])]
    units = [
        f"{unit}:{kind}:{part}"
        for unit in ("admin2", "admin3", "lon-lat", "versioned-cell")
        for kind in kinds
        for part in (kind, *PARTS)
    ]
    with database.write() as session:
        large = servers.create(
            session,
            "ada",
            servers.read_document(document("HAITI_OPERATOR", [*SCOPES, *units])),
            Limits(dt.datetime(2027, 12, 31, tzinfo=dt.UTC), 30 * 24 * 60),
        )
        session.flush()
        for name in ("carlo", "dina_of_the_national_statistics_office", "emil"):
            people.create(session, "ada", name, None)
        people.create(session, "ada", "bea", PASSWORD, generated=True)
        held = frozenset(scope.id for scope in large.scopes if ":flows:" in scope.name or "_of_" in scope.name)
        wanted = roles.Definition(LONG, held, frozenset({administrator.id}), Limits(None, 60))
        long, large_id = roles.create(session, "ada", large, wanted).id, large.id
        proposal = two_factor.propose(vault, settings, session.get_one(User, analyst.id))
    with database.write() as session:
        code = pyotp.TOTP(proposal.secret).now()
        two_factor.enable(session, vault, settings, session.get_one(User, analyst.id), proposal.signed, code)
    viewer = make_role("viewer", ["get_result", "get_available_dates", "admin3:flows:daily_location"], [analyst])
    make_role("runner", SCOPES, [administrator, analyst], minutes=90, require_two_factor=False)
    with database.write() as session:
        ann = session.get_one(User, analyst.id)
        roles_there = session.scalars(sa.select(Role).where(Role.server_id == server.id)).all()
        there = servers.find(session, server.id)
        servers.enable(session, "ada", there, {there.scopes[3].id: False})
        tokens.issue(session, vault, ann, there, roles_there, name="weekly_report")
        gone = tokens.issue(session, vault, ann, there, [roles_there[0]], name="mislaid").token
        ada = session.get_one(User, administrator.id)
        runner = [role for role in roles_there if role.name == "runner"]
        own = tokens.issue(session, vault, ada, there, runner, name="mine").token
        lost = tokens.issue(session, vault, ada, there, runner, name="laptop").token
        tokens.revoke(session, "ann", gone, "its holder ended it")
        tokens.revoke(session, "ada", lost, "its holder ended it")
        places = {"server": server.id, "large": large_id, "role": viewer.id, "long": long, "user": analyst.id}
        return places | {"token": own.id, "codes": proposal.backup_codes}


PAGES = {
    "my-servers": "/my/servers",
    "my-tokens": "/my/servers/{server}",
    "token-form": "/my/servers/{server}/new-token",
    "renew": "/my/tokens/{token}/renew",
    "account": "/account",
    "set-up-two-factor": "/set-up-two-factor",
    "users": "/manage/users",
    "users-none-found": "/manage/users?find=zzz",
    "user-new": "/manage/users/new",
    "user": "/manage/users/{user}",
    "servers": "/manage/servers",
    "server-new": "/manage/servers/new",
    "server": "/manage/servers/{server}",
    "scopes": "/manage/servers/{server}/scopes",
    "scopes-many": "/manage/servers/{large}/scopes",
    "roles": "/manage/roles",
    "role-new-server": "/manage/roles/new",
    "role-new": "/manage/roles/new?server={large}",
    "role": "/manage/roles/{role}",
    "role-many-scopes": "/manage/roles/{long}",
    "role-searched": "/manage/roles/{long}?find=modal",
    "role-members": "/manage/roles/{role}/members",
    "role-everybody": "/manage/roles/{role}/members?who=everybody",
    "keys": "/manage/keys",
    "access": "/manage/access",
    "audit": "/manage/audit",
    "audit-none-found": "/manage/audit?find=zzz",
    "revocations": "/manage/revocations",
    "revocations-live": "/manage/revocations?which=live",
    "not-there": "/manage/users/99999",
}
LEVEL = ("users", "servers", "roles", "access")
TOPS = """row => [row.querySelector("th a"), row.querySelector("td")].map(each => {
    const range = document.createRange();
    range.selectNode(document.createTreeWalker(each, NodeFilter.SHOW_TEXT).nextNode());
    return range.getClientRects()[0].top;
})"""
"""Where the first line of a row's link begins, and that of the cell beside it."""
EMPTY = ["my/servers", "manage/users", "manage/servers", "manage/roles", "manage/roles/new", "manage/keys"]
EMPTY += ["manage/access", "manage/audit", "manage/revocations", "manage/revocations?which=live", "manage/users/new"]


def before_signing_in(page, look, sign_in):
    """The sign-in page, and a wrong password."""
    page.goto("/sign-in")
    look("sign-in")
    sign_in(page, "ada", "not her password")
    look("sign-in-refused")


def with_two_factor(page, look, sign_in, peopled):
    """A code that is asked for, another device, and new backup codes."""
    sign_in(page, "ann")
    look("sign-in-code")
    page.get_by_label("Code").fill("000000")
    press(page, "Go on")
    look("sign-in-code-refused")
    page.get_by_label("Code").fill(peopled["codes"][0])
    press(page, "Go on")
    page.goto("/account")
    look("account-two-factor")
    page.locator("summary", has_text="Change the device").click()
    page.locator("#change_password").fill(PASSWORD)
    page.locator("#change_code").fill("000000")
    press(page, "Go on")
    look("change-device-refused")
    page.locator("#change_password").fill(PASSWORD)
    page.locator("#change_code").fill(peopled["codes"][1])
    press(page, "Go on")
    look("change-device")
    page.goto("/account")
    page.locator("summary", has_text="Make new backup codes").click()
    page.locator("#codes_password").fill(PASSWORD)
    press(page, "Make new backup codes")
    look("backup-codes")
    press(page, "Sign out")
    look("signed-out")


def with_a_first_password(page, look, sign_in):
    """A password that must be chosen."""
    sign_in(page, "bea")
    look("choose-password")
    page.get_by_label("The password that you were given").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("easy")
    page.get_by_label("New password again").fill("easier")
    press(page, "Take the new password")
    look("choose-password-refused")
    press(page, "Sign out")


def as_administrator(page, look, sign_in, peopled):
    """Every page that has an address."""
    sign_in(page, "ada")
    for name, path in PAGES.items():
        page.goto(path.format(**peopled))
        assert page.url.endswith(path.format(**peopled)), f"{name} led elsewhere"
        look(name)
        if name in LEVEL:
            link, beside = page.locator("tbody tr").first.evaluate(TOPS)
            assert abs(link - beside) <= 2, f"the link of {name} is not level with the text beside it"
        if name == "audit":
            tall = page.locator("tbody tr").evaluate_all("rows => Math.max(...rows.map(row => row.offsetHeight))")
            assert tall < 200, "a record takes more than a few lines"


def refused_and_made(page, look, peopled):
    """Forms that are refused, and what is shown once."""
    page.goto("/set-up-two-factor")
    page.get_by_label("I have kept the backup codes").check()
    page.get_by_label("Six digits").fill("000000")
    press(page, "Switch two-factor on")
    look("set-up-two-factor-refused")
    page.goto(f"/my/servers/{peopled['server']}/new-token")
    page.get_by_label("Name", exact=True).fill("two words")
    press(page, "Make the token")
    look("token-form-refused")
    page.get_by_label("Name", exact=True).fill("report")
    page.get_by_label("Life", exact=True).select_option("Another time, below")
    page.get_by_label("Another time", exact=True).fill("8")
    press(page, "Make the token")
    look("token")
    page.goto("/manage/users/new")
    page.get_by_label("Name", exact=True).fill("two words")
    page.get_by_label("Password", exact=True).fill("easy")
    press(page, "Add the user")
    look("user-refused")
    page.get_by_label("Name", exact=True).fill("fay")
    page.get_by_label("Let FlowAuth make the password").check()
    press(page, "Add the user")
    look("first-password")
    page.goto("/manage/roles/new?server=1")
    page.get_by_label("Name", exact=True).fill("two words")
    press(page, "Make the role")
    look("role-refused")
    page.goto("/manage/servers/new")
    press(page, "Add the server")
    look("server-new-refused")


def before_something_is_lost(page, look, peopled):
    """What is lost is named before it is."""
    page.goto(f"/manage/servers/{peopled['large']}/scopes?unit=admin3")
    page.get_by_label("All of admin3", exact=True).click()
    press(page, "Save the changes")
    look("confirm-scopes")
    page.goto(f"/manage/users/{peopled['user']}")
    press(page, "Delete ann")
    look("confirm-user")
    page.goto(f"/manage/servers/{peopled['server']}")
    changed = document(scopes=[*SCOPES[1:], "admin1:flows:flows", "admin1:flows:daily_location"])
    page.get_by_label("The document, as a file").set_input_files(
        {"name": "openapi.json", "mimeType": "application/json", "buffer": changed}
    )
    press(page, "Compare")
    look("document")


@pytest.mark.takes_long("opens every page in a browser, on a desk and on a phone, and checks it with axe")
def test_every_page_is_accessible_and_fits_the_screen(peopled, browse, sign_in, looked_at):
    """No page has a violation that axe knows, and none is wider than the screen, on a desk or on a phone."""
    page = browse()

    def look(name):
        looked_at(page, name)

    before_signing_in(page, look, sign_in)
    with_two_factor(page, look, sign_in, peopled)
    with_a_first_password(page, look, sign_in)
    as_administrator(page, look, sign_in, peopled)
    refused_and_made(page, look, peopled)
    before_something_is_lost(page, look, peopled)


@pytest.mark.takes_long("opens the pages of an empty FlowAuth in a browser, and checks them with axe")
def test_an_empty_flowauth_says_what_to_do(administrator, browse, sign_in, looked_at):
    """Pages on which there is nothing yet are as good as others, and lead on."""
    page = browse()
    sign_in(page, "ada")
    for path in EMPTY:
        page.goto(f"/{path}")
        looked_at(page, "empty-" + path.replace("manage/", "").replace("/", "-").replace("?which=", "-"))
    page.goto("/manage/roles")
    page.get_by_role("link", name="Add a server").click()
    assert page.url.endswith("/manage/servers/new")
