"""What people do on FlowAuth's pages, in a real browser; the main ways also with JavaScript switched off."""

import datetime as dt
import re

import jwt
import pyotp
import pytest
import sqlalchemy as sa
from playwright.sync_api import expect
from tests.flowauth.browser.conftest import press
from tests.flowauth.conftest import PASSWORD, SCOPES, document

from flowauth.services import people, servers
from flowauth.services.limits import Limits
from flowauth.tables import Role, Server, Token, User
from flowkit_jwt_generator.keys import load_private_key

pytestmark = pytest.mark.takes_long("does in a browser what a person does in minutes")

OTHER = "gravel-Orbit-82-walnut"
scripted = pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])


# Signing in


@scripted
def test_signing_in_shows_my_servers_and_sets_both_cookies(browse, sign_in, url, analyst, make_role, javascript):
    """After signing in people see their servers, and the browser holds the session and the token of its forms."""
    make_role("runner", users=[analyst])
    page = browse(javascript=javascript)
    sign_in(page, "ann")
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()
    expect(page.get_by_role("link", name="TEST_SERVER")).to_be_visible()
    held = {cookie["name"]: cookie for cookie in page.context.cookies()}
    assert {"flowauth_session", "X-CSRF"} <= set(held)
    assert held["flowauth_session"]["httpOnly"]
    assert not held["X-CSRF"]["httpOnly"]


def test_a_wrong_name_and_a_wrong_password_are_answered_alike(browse, sign_in, analyst):
    """Nobody learns from the answer whether a name exists."""
    page, said = browse(), []
    for name, password in (("ann", "not the password"), ("nobody", "not the password")):
        sign_in(page, name, password)
        said.append(page.get_by_role("alert").inner_text())
        assert page.get_by_label("Password", exact=True).input_value() == ""
    assert said[0] == said[1]


def test_the_first_page_depends_on_who_is_signed_in(browse, sign_in, analyst, administrator):
    """Nobody sees the sign-in page, analysts no administration, administrators all of it; signing out ends it."""
    page = browse()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "ann")
    assert page.get_by_role("link", name="Users").count() == 0
    press(page, "Sign out")
    sign_in(page, "ada")
    expect(page.get_by_role("link", name="Users")).to_be_visible()
    press(page, "Sign out")
    page.goto("/manage/users")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_in_leads_on_to_the_page_that_was_asked_for(browse, administrator):
    """Whoever asks for a page first signs in, and then sees that page."""
    page = browse()
    page.goto("/manage/audit?action=user.")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    press(page, "Sign in")
    expect(page).to_have_url(re.compile(r"/manage/audit\?action=user\.$"))


# One's own account


@scripted
def test_people_change_their_password(browse, sign_in, analyst, javascript):
    """A wrong old password, two that differ and a weak one are refused at their field; a good one holds."""
    page = browse(javascript=javascript)
    sign_in(page, "ann")

    def change(present, new, again):
        page.goto("/account")
        page.get_by_label("Present password").fill(present)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password again").fill(again)
        press(page, "Change the password")

    change("not it", OTHER, OTHER)
    expect(page.locator("#present_password-error")).to_contain_text("not right")
    change(PASSWORD, OTHER, OTHER + "x")
    expect(page.locator("#password_again-error")).to_contain_text("not the same")
    change(PASSWORD, "password1", "password1")
    expect(page.locator("#password-error")).to_be_visible()
    change(PASSWORD, OTHER, OTHER)
    expect(page.get_by_role("status").first).to_contain_text("Your password is changed")
    press(page, "Sign out")
    sign_in(page, "ann", OTHER)
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()


def test_a_password_is_judged_while_it_is_typed(browse, sign_in, analyst):
    """The meter says what the server will say."""
    page = browse()
    sign_in(page, "ann")
    page.goto("/account")
    page.get_by_label("New password", exact=True).fill("annann99")
    expect(page.locator("[data-judged=password]")).to_contain_text("guessed")
    page.get_by_label("New password", exact=True).fill(OTHER)
    expect(page.locator("[data-judged=password]")).to_have_text("This password is good.")


def test_people_sign_out_everywhere_else(browse, sign_in, analyst):
    """Another browser is signed out; this one stays."""
    here, there = browse(), browse()
    sign_in(here, "ann")
    sign_in(there, "ann")
    here.goto("/account")
    press(here, "Sign out everywhere else")
    press(here, "Sign out everywhere else")
    expect(here.get_by_role("status").first).to_contain_text("here alone")
    there.goto("/account")
    expect(there.get_by_role("heading", name="Sign in")).to_be_visible()


# Two-factor


def set_up(page):
    """Go through the set-up; give the secret and the backup codes."""
    secret = page.locator("#secret").inner_text().replace(" ", "")
    codes = page.locator("#backup-codes code").all_inner_texts()
    page.get_by_label("I have kept the backup codes").check()
    page.get_by_label("Six digits").fill(pyotp.TOTP(secret).now())
    press(page, "Switch two-factor on")
    return secret, codes


@scripted
def test_two_factor_that_is_required_cannot_be_walked_around(browse, sign_in, database, analyst, javascript):
    """Until two-factor is set up every page leads to its set-up, also after a reload."""
    with database.write() as session:
        people.change(session, "tests", session.get_one(User, analyst.id), require_two_factor=True)
    page = browse(javascript=javascript)
    sign_in(page, "ann")
    for path in ("/my/servers", "/account", "/"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Set up two-factor authentication")).to_be_visible()
    set_up(page)
    expect(page.get_by_text("Two-factor authentication is on.")).to_be_visible()


def test_the_set_up_waits_until_the_codes_are_kept_and_shows_the_same_secret_after_a_wrong_code(
    browse, sign_in, analyst
):
    """Without the box nothing goes on, by the server's word; a wrong code does not change what was scanned."""
    page = browse(javascript=False)
    sign_in(page, "ann")
    page.goto("/set-up-two-factor")
    secret = page.locator("#secret").inner_text()
    page.locator("#saved").evaluate("box => box.removeAttribute('required')")
    page.get_by_label("Six digits").fill(pyotp.TOTP(secret.replace(" ", "")).now())
    press(page, "Switch two-factor on")
    expect(page.locator("#saved-error")).to_be_visible()
    page.get_by_label("I have kept the backup codes").check()
    page.get_by_label("Six digits").fill("000000")
    press(page, "Switch two-factor on")
    expect(page.locator("#code-error")).to_be_visible()
    assert page.locator("#secret").inner_text() == secret


def test_codes_sign_in_once_each(browse, sign_in, clock, analyst):
    """The code of the set-up is refused again; a backup code signs in, once; the next code of the app does."""
    page = browse()
    sign_in(page, "ann")
    page.goto("/set-up-two-factor")
    secret, codes = set_up(page)

    def again(code):
        if page.get_by_role("button", name="Sign out").count():
            press(page, "Sign out")
        sign_in(page, "ann")
        page.get_by_label("Code").fill(code)
        press(page, "Go on")

    now = dt.datetime.now(dt.UTC)
    again(pyotp.TOTP(secret).at(now - dt.timedelta(seconds=30)))
    expect(page.locator("#code-error")).to_be_visible()
    again(codes[3])
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()
    again(codes[3])
    expect(page.locator("#code-error")).to_be_visible()
    again(codes[4])
    page.goto("/account")
    expect(page.get_by_text("14 backup codes left")).to_be_visible()


def test_people_make_new_backup_codes_and_switch_two_factor_off(browse, sign_in, analyst):
    """New codes ask for the password; switching off asks for the password and a code."""
    page = browse()
    sign_in(page, "ann")
    page.goto("/set-up-two-factor")
    _, old = set_up(page)
    page.get_by_text("Make new backup codes").first.click()
    page.locator("#codes_password").fill(PASSWORD)
    press(page, "Make new backup codes")
    new = page.locator("#backup-codes code").all_inner_texts()
    assert not set(old) & set(new)
    page.goto("/account")
    page.get_by_text("Switch two-factor off").first.click()
    page.locator("#off_password").fill(PASSWORD)
    page.locator("#off_code").fill(old[0])
    press(page, "Switch two-factor off")
    expect(page.locator("#off_code-error")).to_be_visible()
    page.locator("#off_password").fill(PASSWORD)
    page.locator("#off_code").fill(new[0])
    press(page, "Switch two-factor off")
    expect(page.get_by_text("Two-factor authentication is off.")).to_be_visible()


@scripted
def test_people_change_their_device_where_two_factor_is_required(browse, sign_in, database, analyst, javascript):
    """By password and a code; the old device counts until the new one is confirmed, and not after."""
    with database.write() as session:
        people.change(session, "tests", session.get_one(User, analyst.id), require_two_factor=True)
    page = browse(javascript=javascript)
    sign_in(page, "ann")
    secret, codes = set_up(page)
    page.goto("/account")
    expect(page.get_by_text("you can change the device, but not switch it off")).to_be_visible()

    def change(code):
        page.goto("/account")
        page.locator("summary", has_text="Change the device").click()
        page.locator("#change_password").fill(PASSWORD)
        page.locator("#change_code").fill(code)
        press(page, "Go on")

    change("000000")
    expect(page.locator("#change_code-error")).to_be_visible()
    change(codes[0])
    expect(page.get_by_role("heading", name="Change the device")).to_be_visible()
    new = page.locator("#secret").inner_text().replace(" ", "")
    assert new != secret
    # Whoever leaves here has lost nothing: a code of the present device still begins anew.
    change(codes[1])
    new = page.locator("#secret").inner_text().replace(" ", "")
    page.get_by_label("I have kept the backup codes").check()
    page.get_by_label("Six digits").fill("000000")
    press(page, "Take the new device")
    expect(page.locator("#code-error")).to_be_visible()
    assert page.locator("#secret").inner_text().replace(" ", "") == new
    fresh = page.locator("#backup-codes code").all_inner_texts()
    page.get_by_label("I have kept the backup codes").check()
    page.get_by_label("Six digits").fill(pyotp.TOTP(new).now())
    press(page, "Take the new device")
    expect(page.get_by_text("Your new device counts; the old one works no more.")).to_be_visible()
    press(page, "Sign out")
    sign_in(page, "ann")
    for code in (pyotp.TOTP(secret).now(), codes[2]):
        page.get_by_label("Code").fill(code)
        press(page, "Go on")
        expect(page.locator("#code-error")).to_be_visible()
    page.get_by_label("Code").fill(fresh[0])
    press(page, "Go on")
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()


# Users


@scripted
def test_a_first_password_is_made_shown_once_and_changed_before_anything_else(
    browse, sign_in, database, administrator, javascript
):
    """FlowAuth makes it; who gets it signs in, sees no page but the one to choose another, and then goes on."""
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto("/manage/users/new")
    page.get_by_label("Name", exact=True).fill("ben")
    page.get_by_label("Let FlowAuth make the password").check()
    press(page, "Add the user")
    given = page.locator("#first-password").inner_text()
    page.get_by_role("link", name="I have passed it on").click()
    expect(page.get_by_text("First password until")).to_be_visible()
    assert given not in page.content()
    press(page, "Sign out", exact=True)
    sign_in(page, "ben", given)
    for path in ("/my/servers", "/account", "/set-up-two-factor", "/"):
        page.goto(path)
        expect(page.get_by_role("heading", name="Choose your password")).to_be_visible()

    def choose(new):
        page.get_by_label("The password that you were given").fill(given)
        page.get_by_label("New password", exact=True).fill(new)
        page.get_by_label("New password again").fill(new)
        press(page, "Take the new password")

    choose(given)
    expect(page.locator("#password-error")).to_contain_text("another password than the one that you were given")
    choose(OTHER)
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()
    press(page, "Sign out")
    sign_in(page, "ben", given)
    expect(page.get_by_role("alert")).to_contain_text("not right")
    sign_in(page, "ben", OTHER)
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()
    press(page, "Sign out")
    sign_in(page, "ada")
    page.get_by_role("link", name="Users").click()
    page.get_by_role("link", name="ben").click()
    page.get_by_text("Give a new password").click()
    page.get_by_label("Let FlowAuth make the password").check()
    press(page, "Set the password")
    assert page.locator("#first-password").inner_text() != given


@scripted
def test_administrators_add_and_change_users(browse, sign_in, administrator, make_role, javascript):
    """A name with a blank, a taken one and a weak password are refused at the field; what is good is kept."""
    make_role("runner")
    page = browse(javascript=javascript)
    sign_in(page, "ada")

    def add(name, password):
        page.goto("/manage/users/new")
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_label("runner").check()
        press(page, "Add the user")

    add("two words", PASSWORD)
    expect(page.locator("#username-error")).to_contain_text("no blanks")
    assert page.get_by_label("Name", exact=True).input_value() == "two words"
    assert page.get_by_label("runner").is_checked()
    add("ada", PASSWORD)
    expect(page.locator("#username-error")).to_contain_text("already")
    add("ben", "benben12")
    expect(page.locator("#password-error")).to_be_visible()
    add("ben", OTHER)
    expect(page.get_by_role("heading", name="ben")).to_be_visible()
    page.get_by_label("Two-factor is required").check()
    press(page, "Save the changes")
    expect(page.get_by_text("'ben' is changed.")).to_be_visible()
    assert page.get_by_label("Two-factor is required").is_checked()
    page.get_by_text("Give a new password").click()
    page.locator("#password").fill(PASSWORD)
    press(page, "Set the password")
    page.goto("/manage/users/new")
    page.get_by_label("Name", exact=True).fill("left")
    page.get_by_role("link", name="Leave").click()
    expect(page.get_by_role("heading", name="Users")).to_be_visible()
    assert page.get_by_role("link", name="left").count() == 0
    press(page, "Sign out")
    sign_in(page, "ben")
    expect(page.get_by_role("heading", name="Set up two-factor authentication")).to_be_visible()


def test_a_lost_cookie_leads_back_to_signing_in(browse, sign_in, administrator):
    """Whoever has lost the session while they filled a form in is asked to sign in."""
    page = browse()
    sign_in(page, "ada")
    page.goto("/manage/users/new")
    page.context.clear_cookies(name="flowauth_session")
    page.goto("/manage/users")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@scripted
def test_deleting_names_what_is_lost(browse, sign_in, database, administrator, analyst, tokened, javascript):
    """Before somebody is deleted the page says how many tokens end; leaving it changes nothing."""
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto(f"/manage/users/{analyst.id}")
    press(page, "Delete ann")
    expect(page.get_by_role("heading", name="Delete the user 'ann'?")).to_be_visible()
    expect(page.locator(".losses")).to_contain_text("1 live token ends at once.")
    page.get_by_role("link", name="Leave it as it is").click()
    expect(page.get_by_role("heading", name="ann")).to_be_visible()
    press(page, "Delete ann")
    press(page, "Delete 'ann'")
    expect(page.get_by_text("The user 'ann' is deleted.")).to_be_visible()
    with database.read() as session:
        assert session.scalar(sa.select(Token.revoked_because)) == "its holder was deleted"


@pytest.fixture
def tokened(database, vault, server, analyst, make_role):
    """A live token of the analyst."""
    from flowauth.services import servers, tokens

    make_role("runner", users=[analyst])
    with database.write() as session:
        ann, there = session.get_one(User, analyst.id), servers.find(session, server.id)
        return tokens.issue(session, vault, ann, there, tokens.roles_of(session, ann, there), name="report").token


def test_the_only_administrator_stays_one(browse, sign_in, administrator):
    """The last administrator can be neither demoted nor deleted, and the page says why."""
    page = browse()
    sign_in(page, "ada")
    page.goto(f"/manage/users/{administrator.id}")
    page.get_by_label("Administrator").uncheck()
    press(page, "Save the changes")
    expect(page.get_by_role("alert")).to_contain_text("only administrator")
    press(page, "Delete ada")
    expect(page.get_by_role("alert")).to_contain_text("only administrator")


# Roles


@scripted
def test_administrators_make_change_and_delete_roles(
    browse, sign_in, database, administrator, analyst, server, javascript
):
    """Names are checked; the tree shows partial ticks; what the role can do is told in words; members are chosen."""
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto("/manage/roles/new")
    press(page, "Go on")
    page.get_by_label("Name", exact=True).fill("two words")
    press(page, "Make the role")
    expect(page.locator("#name-error")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("flows")
    page.get_by_label("run", exact=False).first.check()
    page.locator("summary", has_text="admin3").click()
    page.locator("summary", has_text="flows").nth(1).click()
    page.get_by_label("daily_location").last.check()
    if javascript:
        assert page.get_by_label("All of admin3", exact=True).evaluate("box => box.indeterminate")
    press(page, "Make the role")
    expect(page.get_by_role("heading", name="Members of flows")).to_be_visible()
    page.get_by_label("ann").check()
    press(page, "Save who holds it")
    expect(page.get_by_text("'flows' is held by 1 person.")).to_be_visible()
    page.get_by_role("link", name="flows", exact=True).click()
    expect(page.locator(".branch summary", has_text="admin3")).to_contain_text("1 of 5")
    expect(page.get_by_role("note")).to_contain_text("admin3:flows:daily_location grants nothing by itself")
    page.goto("/manage/roles/new?server=1")
    page.get_by_label("Name", exact=True).fill("flows")
    press(page, "Make the role")
    expect(page.locator("#name-error")).to_contain_text("already")
    page.goto("/manage/roles")
    page.get_by_role("link", name="flows", exact=True).click()
    press(page, "Delete flows")
    expect(page.locator(".losses")).to_contain_text("1 member loses it")
    press(page, "Delete 'flows'")
    expect(page.get_by_text("The role 'flows' is deleted.")).to_be_visible()


@scripted
def test_a_whole_branch_is_ticked_at_once(browse, sign_in, administrator, make_role, javascript):
    """All of a unit is ticked by one box, or, without a script, by one button."""
    role = make_role("viewer", ["get_result"])
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto(f"/manage/roles/{role.id}")
    if javascript:
        page.get_by_label("All of admin3", exact=True).check()
    else:
        press(page, "All or nothing of admin3", exact=True)
    expect(page.locator(".branch summary", has_text="admin3")).to_contain_text("5 of 5")
    press(page, "Save the changes")
    expect(page.get_by_text("The role 'viewer' is changed.")).to_be_visible()
    expect(page.locator(".can")).to_contain_text("Results of these kinds can be read")


def test_searching_scopes_keeps_those_that_are_not_shown(browse, sign_in, database, administrator, make_role):
    """A search narrows what is shown; saving changes what is shown and nothing else."""
    role = make_role("viewer", ["get_result", "admin2:flows:flows"])
    page = browse()
    sign_in(page, "ada")
    page.goto(f"/manage/roles/{role.id}?find=calendar")
    page.get_by_label("calendar_activity").last.check()
    press(page, "Save the changes")
    with database.read() as session:
        held = {scope.name for scope in session.get_one(Role, role.id).scopes}
    assert held == {"get_result", "admin2:flows:flows", "nonspatial:calendar_activity:calendar_activity"}


@scripted
def test_what_is_ticked_is_kept_from_unit_to_unit(browse, sign_in, database, administrator, javascript):
    """Of a server with more scopes than fit a page one unit is shown; going to another loses neither ticks nor name."""
    kinds = [f"kind_{n}" for n in range(120)]
    scopes = ["run", *(f"admin{unit}:{kind}:{kind}" for unit in range(7) for kind in kinds)]
    with database.write() as session:
        server = servers.create(session, "ada", servers.read_document(document("LARGE", scopes)), Limits(None, 60))
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto(f"/manage/roles/new?server={server.id}")
    page.get_by_label("Name", exact=True).fill("large")
    page.get_by_label("run run queries").check()
    page.get_by_label("kind_5", exact=True).check()
    press(page, "admin3", exact=True)
    page.get_by_label("kind_7", exact=True).check()
    press(page, "admin6", exact=True)
    with page.expect_navigation():
        page.get_by_label("Name", exact=True).press("Enter")
    expect(page.get_by_text("The role 'large' is there")).to_be_visible()
    with database.read() as session:
        held = {scope.name for scope in session.scalar(sa.select(Role).where(Role.name == "large")).scopes}
    assert held == {"run", "admin0:kind_5:kind_5", "admin3:kind_7:kind_7"}


def test_taking_scopes_away_names_the_tokens_that_end(browse, sign_in, administrator, analyst, tokened):
    """A role that gives less ends tokens; the page says how many before it does."""
    page = browse()
    sign_in(page, "ada")
    page.goto("/manage/roles/1")
    page.get_by_label("run", exact=False).first.uncheck()
    press(page, "Save the changes")
    expect(page.locator(".losses")).to_contain_text("1 member loses 1 scope of 'runner'.")
    expect(page.locator(".losses")).to_contain_text("1 live token ends at once.")
    press(page, "Save the changes")
    page.goto("/manage/revocations")
    expect(page.get_by_role("row", name="report")).to_contain_text("lost scopes")


# Servers


@scripted
def test_servers_come_by_their_document_and_follow_a_changed_one(
    browse, sign_in, database, administrator, make_role, javascript
):
    """A document is uploaded; a changed one shows what comes, goes and is lost to roles, before it is taken."""
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto("/manage/servers/new")
    page.get_by_label("The document, as a file").set_input_files(
        {"name": "openapi.json", "mimeType": "application/json", "buffer": b"not json"}
    )
    press(page, "Add the server")
    expect(page.locator("#document-error")).to_contain_text("not JSON")
    page.get_by_label("The document, as a file").set_input_files(
        {"name": "openapi.json", "mimeType": "application/json", "buffer": document("GHANA")}
    )
    press(page, "Add the server")
    expect(page.get_by_text("The server 'GHANA' is there, with 11 scopes")).to_be_visible()
    page.goto("/manage/servers")
    page.get_by_role("link", name="TEST_SERVER").click()
    page.get_by_label("Longest life of a token", exact=True).fill("3")
    press(page, "Save the changes")
    expect(page.get_by_text("The server is changed.")).to_be_visible()
    make_role("runner", minutes=60)
    changed = [*(scope for scope in SCOPES if scope != "run"), "admin1:flows:flows", "admin1:flows:daily_location"]
    page.get_by_label("The document, as a file").set_input_files(
        {"name": "openapi.json", "mimeType": "application/json", "buffer": document(scopes=changed)}
    )
    press(page, "Compare")
    expect(page.get_by_role("heading", name="2 scopes come")).to_be_visible()
    expect(page.get_by_role("heading", name="1 scope goes")).to_be_visible()
    expect(page.get_by_role("note")).to_contain_text("runner loses 1 scope")
    press(page, "Take it over")
    expect(page.get_by_text("2 scopes came, 1 scope went.")).to_be_visible()
    with database.read() as session:
        server = session.scalars(sa.select(Server).where(Server.name == "TEST_SERVER")).one()
        assert {scope.name for scope in server.scopes} == set(changed)
    press(page, "Delete TEST_SERVER")
    expect(page.locator(".losses")).to_contain_text("1 role and who holds them are lost: runner.")
    press(page, "Delete 'TEST_SERVER'")
    assert page.get_by_role("link", name="TEST_SERVER").count() == 0


@scripted
def test_scopes_of_a_server_are_switched_off_and_on(
    browse, sign_in, database, administrator, analyst, tokened, javascript
):
    """Before scopes are switched off the page names the roles that lose them and the tokens that end."""
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto("/manage/servers/1")
    page.get_by_role("link", name="Scopes", exact=True).click()
    expect(page.get_by_text("11 of 11 switched on.")).to_be_visible()
    if javascript:
        page.get_by_label("All of admin2", exact=True).uncheck()
    else:
        press(page, "All or nothing of admin2", exact=True)
        expect(page.get_by_text("9 of 11 switched on.")).to_be_visible()
    press(page, "Save the changes")
    expect(page.get_by_role("heading", name="Switch off 2 scopes of 'TEST_SERVER'?")).to_be_visible()
    losses = page.locator(".losses")
    expect(losses).to_contain_text("The role 'runner' loses admin2:flows:daily_location, admin2:flows:flows.")
    expect(losses).to_contain_text("1 live token ends at once.")
    page.get_by_role("link", name="Leave it as it is").click()
    expect(page.get_by_text("11 of 11 switched on.")).to_be_visible()
    page.goto("/manage/servers/1/scopes?find=admin2")
    for box in page.locator("input[name=s]").all():
        if not box.is_visible():
            page.locator("summary").last.click()
        box.uncheck()
    press(page, "Save the changes")
    press(page, "Switch off")
    expect(page.get_by_text("2 scopes switched off.")).to_be_visible()
    page.goto("/manage/revocations")
    expect(page.get_by_role("row", name="report")).to_contain_text("scopes of TEST_SERVER were switched off")
    page.goto("/manage/servers/1")
    expect(page.get_by_text("11 scopes, 2 of them switched off")).to_be_visible()
    page.goto("/manage/servers/1/scopes?find=admin2")
    for box in page.locator("input[name=s]").all():
        if not box.is_visible():
            page.locator("summary").last.click()
        box.check()
    press(page, "Save the changes")
    expect(page.get_by_text("2 scopes switched on.")).to_be_visible()


# Tokens


@scripted
def test_analysts_make_renew_and_revoke_tokens(browse, sign_in, settings, analyst, make_role, javascript):
    """A token needs a name and a role, is shown once with what it holds, renewed under its name, and revoked."""
    make_role("runner", SCOPES, [analyst], minutes=600)
    make_role("viewer", ["get_result"], [analyst], minutes=90)
    page = browse(javascript=javascript)
    sign_in(page, "ann")
    page.get_by_role("link", name="TEST_SERVER").click()
    page.get_by_role("link", name="New token").click()
    page.get_by_label("Name", exact=True).fill("my report")
    page.get_by_label("runner", exact=True).check()
    press(page, "Make the token")
    expect(page.locator("#name-error")).to_contain_text("no blanks")
    page.get_by_label("Name", exact=True).fill("report")
    page.get_by_label("runner", exact=True).uncheck()
    press(page, "Make the token")
    expect(page.locator("#roles-error")).to_contain_text("at least one role")
    page.get_by_label("runner", exact=True).check()
    page.get_by_label("viewer", exact=True).check()
    if javascript:
        expect(page.locator("[data-longest]")).to_contain_text("the limit of the role 'viewer'")
    page.get_by_label("Life", exact=True).select_option("8 hours")
    press(page, "Make the token")
    expect(page.get_by_role("alert")).to_contain_text("sooner than you asked for: the limit of the role 'viewer'")
    token = page.get_by_label("The token", exact=True).input_value()
    key = load_private_key(settings.private_jwt_signing_key.get_secret_value()).public_key()
    said = jwt.decode(token, key, algorithms=["RS256"], audience="TEST_SERVER")
    assert said["sub"] == "ann"
    # A second may end between the reckoning of the one and of the other.
    assert said["exp"] - said["iat"] in (90 * 60 - 1, 90 * 60)
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download report.txt").click()
    assert saved.value.suggested_filename == "report.txt"
    assert saved.value.path().read_text() == token
    page.get_by_role("link", name="I have kept the token").click()
    row = page.get_by_role("row", name="report")
    expect(row).to_contain_text("runner")
    assert token not in page.content()
    row.get_by_role("link", name="Renew report").click()
    press(page, "Renew the token")
    assert page.get_by_label("The token", exact=True).input_value() != token
    page.get_by_role("link", name="I have kept the token").click()
    expect(page.get_by_role("button", name="Revoke report")).to_have_count(2)
    with page.expect_navigation():
        page.get_by_role("button", name="Revoke report").first.click()
    press(page, "Revoke it")
    expect(page.get_by_text("The token 'report' is revoked.")).to_be_visible()
    expect(page.get_by_role("button", name="Revoke report")).to_have_count(1)


def test_a_token_is_copied_by_a_button(browse, sign_in, analyst, make_role):
    """The button puts the token on the clipboard and says so."""
    make_role("runner", SCOPES, [analyst])
    page = browse()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page, "ann")
    page.goto("/my/servers/1/new-token")
    page.get_by_label("Name", exact=True).fill("report")
    press(page, "Make the token")
    token = page.get_by_label("The token", exact=True).input_value()
    page.get_by_role("button", name="Copy the token").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == token


# Keys, version, audit


def test_the_public_key_is_shown_and_downloaded(browse, sign_in, settings, administrator):
    """The key on the page and in the file is the public half of the one that is set."""
    page = browse()
    sign_in(page, "ada")
    page.goto("/manage/keys")
    private = load_private_key(settings.private_jwt_signing_key.get_secret_value())
    shown = page.locator("#pem-1").inner_text()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download all that count").click()
    from cryptography.hazmat.primitives import serialization

    expected = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert shown.strip() == expected.decode().strip() == saved.value.path().read_text().strip()


@scripted
def test_a_key_follows_another_and_the_old_one_is_withdrawn_by_password(
    browse, sign_in, administrator, analyst, tokened, javascript
):
    """A new key signs at once where one has leaked; withdrawing asks for the password and names the tokens that end."""
    page = browse(javascript=javascript)
    sign_in(page, "ada")
    page.goto("/manage/keys")
    press(page, "Announce a key")
    expect(page.get_by_text("Announced")).to_be_visible()
    page.get_by_text("A key has leaked").click()
    press(page, "Sign with a new key at once")
    press(page, "Sign with a new key")
    leaked = page.locator("section", has_text="Signed before, still believed")
    with page.expect_navigation():
        leaked.get_by_role("button", name="Withdraw").click()
    expect(page.locator(".losses")).to_contain_text("1 live token ends at once.")
    page.get_by_label("Your own password").fill("not it")
    press(page, "Withdraw the key")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    with page.expect_navigation():
        page.locator("section", has_text="Signed before, still believed").get_by_role("button", name="Withdraw").click()
    page.get_by_label("Your own password").fill(PASSWORD)
    press(page, "Withdraw the key")
    expect(page.get_by_text("Withdrawn", exact=True).first).to_be_visible()


def test_the_audit_log_tells_who_did_what_and_that_it_holds(browse, sign_in, administrator, make_role, analyst):
    """What an administrator does stands in the log, from what to what; the chain can be checked on the page."""
    page = browse()
    sign_in(page, "ada")
    page.goto(f"/manage/users/{analyst.id}")
    page.get_by_label("Two-factor is required").check()
    press(page, "Save the changes")
    page.goto("/manage/audit?action=user.&find=ann")
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text("ada")
    expect(row).to_contain_text("user.change")
    expect(row).to_contain_text("require_two_factor")
    press(page, "Check the chain")
    expect(page.get_by_role("status").first).to_contain_text("The chain holds")


def test_who_can_do_what_is_seen_and_downloaded(browse, sign_in, administrator, analyst, tokened):
    """The overview shows people beside servers with their roles, and gives the same as CSV."""
    page = browse()
    sign_in(page, "ada")
    page.goto("/manage/access?find=ann")
    expect(page.get_by_role("row", name="ann")).to_contain_text("runner")
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download as CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert lines[0].startswith("user,server,roles")
    assert lines[1].startswith("ann,TEST_SERVER,runner,")


def test_the_version_stands_on_every_page(browse, url):
    """The foot of the page says which FlowAuth this is."""
    page = browse()
    page.goto("/sign-in")
    assert re.search(r"FlowAuth \d+\.\d+", page.locator("footer").inner_text())


def test_idle_people_are_signed_out(browse, sign_in, clock, analyst):
    """After twenty minutes without a request a page leads to signing in."""
    page = browse()
    sign_in(page, "ann")
    clock(minutes=21)
    page.goto("/account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_every_page_can_be_walked_by_keyboard(browse, sign_in, administrator):
    """The first key leads past the menu; what has the focus is seen."""
    page = browse()
    sign_in(page, "ada")
    page.goto("/manage/users")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="New user")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
