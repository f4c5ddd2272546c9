"""Every page as people see it: a picture of each, wide and narrow, and axe finds nothing wrong."""

import datetime as dt
import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from axe_playwright_python.sync_playwright import Axe
from tests.flowauth.conftest import SCOPES, document

from flowauth import people, servers, tokens
from flowauth.limits import Limits
from flowauth.tables import Role, User

PICTURES = os.environ.get("FLOWAUTH_PICTURES")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture
def peopled(database, vault, administrator, analyst, server, make_role):
    """A FlowAuth in which there is something on every page."""
    units = [
        f"admin{n}:{kind}:{part}"
        for n in range(4)
        for kind in ("flows", "spatial_aggregate")
        for part in (kind, "daily_location", "modal_location", "unique_locations")
    ]
    with database.write() as session:
        other = servers.create(
            session,
            "ada",
            servers.read_document(document("HAITI_OPERATOR", [*SCOPES, *units])),
            Limits(dt.datetime(2027, 12, 31, tzinfo=dt.UTC), 30 * 24 * 60),
        )
        session.flush()
        for name in ("bea", "carlo", "dina_of_the_national_statistics_office", "emil"):
            people.create(session, "ada", name, None)
        other_id = other.id
    viewer = make_role("viewer", ["get_result", "get_available_dates", "admin3:flows:daily_location"], [analyst])
    make_role("runner", SCOPES, [administrator, analyst], minutes=90, require_two_factor=False)
    with database.write() as session:
        ann = session.get_one(User, analyst.id)
        roles = session.scalars(sa.select(Role).where(Role.server_id == server.id)).all()
        there = servers.find(session, server.id)
        live = tokens.issue(session, vault, ann, there, roles, name="weekly_report").token
        gone = tokens.issue(session, vault, ann, there, [roles[0]], name="mislaid").token
        ada = session.get_one(User, administrator.id)
        own = tokens.issue(session, vault, ada, there, [r for r in roles if r.name == "runner"], name="mine").token
        lost = tokens.issue(session, vault, ada, there, [r for r in roles if r.name == "runner"], name="laptop").token
        tokens.revoke(session, "ann", gone, "its holder ended it")
        tokens.revoke(session, "ada", lost, "its holder ended it")
        return {
            "server": server.id,
            "other": other_id,
            "role": viewer.id,
            "user": analyst.id,
            "token": own.id,
            "live": live.id,
        }


PAGES = {
    "my-servers": "/my/servers",
    "my-tokens": "/my/servers/{server}",
    "token-form": "/my/servers/{server}/new-token",
    "renew": "/my/tokens/{token}/renew",
    "account": "/account",
    "set-up-two-factor": "/set-up-two-factor",
    "users": "/manage/users",
    "user-new": "/manage/users/new",
    "user": "/manage/users/{user}",
    "servers": "/manage/servers",
    "server-new": "/manage/servers/new",
    "server": "/manage/servers/{server}",
    "roles": "/manage/roles",
    "role-new-server": "/manage/roles/new",
    "role-new": "/manage/roles/new?server={other}",
    "role": "/manage/roles/{role}",
    "role-members": "/manage/roles/{role}/members",
    "role-everybody": "/manage/roles/{role}/members?who=everybody",
    "keys": "/manage/keys",
    "access": "/manage/access",
    "audit": "/manage/audit",
    "revocations": "/manage/revocations",
    "revocations-live": "/manage/revocations?which=live",
    "not-there": "/manage/users/99999",
}


def looked_at(page, name, width):
    """Take a picture where pictures are wanted, and let axe look."""
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{PICTURES}/{name}-{width}.png", full_page=True)
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{name} is {over} pixels wider than a {width} screen"
    found = Axe().run(page, options=RULES)
    assert len(found.response["passes"]) > 15, "axe has not looked"
    assert found.violations_count == 0, f"{name}, {width}: {found.generate_report()}"


@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_every_page_is_accessible_and_fits_the_screen(peopled, browse, sign_in, width):
    """No page has a violation that axe knows, and none is wider than the screen, on a desk or on a phone."""
    page = browse(width)
    page.goto("/sign-in")
    looked_at(page, "sign-in", width)
    sign_in(page, "ada")
    for name, path in PAGES.items():
        page.goto(path.format(**peopled))
        assert page.url.endswith(path.format(**peopled)), f"{name} led elsewhere"
        looked_at(page, name, width)
