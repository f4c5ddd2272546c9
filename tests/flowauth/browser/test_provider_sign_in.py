"""Signing in with an OpenID Connect provider as people do: in a browser, on the provider's own page."""

import re

import httpx
import pytest
from playwright.sync_api import expect
from tests.flowauth.browser.conftest import press
from tests.flowauth.conftest import PASSWORD

from flowauth.services import people

ORGANISATION = "the statistics office"


@pytest.fixture
def around(issuer):
    """A FlowAuth that has the provider."""
    return {
        "FLOWAUTH_URL": "{address}",
        "FLOWAUTH_OIDC_ISSUER": issuer,
        "FLOWAUTH_OIDC_CLIENT_ID": "flowauth client",
        "FLOWAUTH_OIDC_CLIENT_SECRET": "a secret: of %the client",
        "FLOWAUTH_OIDC_NAME": ORGANISATION,
    }


@pytest.fixture(autouse=True)
def asking(issuer, url):
    """A provider that asks people who they are, and leads them back to this FlowAuth."""
    httpx.post(f"{issuer}/tell", json={"asks": True, "back": f"{url}/sign-in/provider"}).raise_for_status()
    yield
    httpx.post(f"{issuer}/tell", json={}).raise_for_status()


@pytest.fixture
def eve(database, issuer):
    """Somebody who has no password, and whom the provider knows as 1001."""
    with database.write() as session:
        return people.create(session, "tests", "eve", None, provider_issuer=issuer, provider_subject="1001")


def there(page, number):
    """Go to the provider and say there who one is."""
    page.get_by_role("link", name=f"Sign in with {ORGANISATION}").click()
    expect(page.get_by_role("heading", name="Your organisation")).to_be_visible()
    page.get_by_label("Number").fill(number)
    press(page, "Sign in")


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no-script"])
def test_people_sign_in_with_their_organisation(browse, eve, javascript):
    """The provider's page leads back to the page that was asked for, and the account says who one is there."""
    page = browse(javascript=javascript)
    page.goto("/account")
    there(page, "1001")
    expect(page).to_have_url(re.compile(r"/account$"))
    expect(page.get_by_role("heading", name="Account of eve")).to_be_visible()
    expect(page.get_by_text("There you are 1001")).to_be_visible()
    press(page, "Sign out")
    page.goto("/account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_who_refuses_at_the_provider_is_told_and_can_begin_again(browse, eve, looked_at):
    """Nobody is signed in by a refusal; the page says so and leads back."""
    page = browse()
    page.goto("/sign-in")
    looked_at(page, "sign-in-provider")
    page.get_by_role("link", name=f"Sign in with {ORGANISATION}").click()
    press(page, "Refuse")
    expect(page.get_by_role("heading", name="Signing in did not work")).to_be_visible()
    looked_at(page, "provider-refused")
    page.get_by_role("link", name="Back to signing in").click()
    there(page, "1001")
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()


def test_whom_nobody_here_is_linked_to_is_told_how_to_be(browse, eve):
    """An account that does not exist is not made; the page says what to do, and nobody is signed in."""
    page = browse()
    page.goto("/sign-in")
    there(page, "2002")
    expect(page.get_by_role("alert")).to_contain_text("knows you as '2002', but nobody here is linked to that yet")
    page.goto("/account")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_people_link_their_account_and_then_need_no_password(browse, sign_in, analyst, looked_at):
    """By their password once, and the provider's page; from then on the provider signs them in."""
    page = browse()
    sign_in(page, "ann")
    page.goto("/account")
    page.locator("#link_password").fill(PASSWORD)
    press(page, "Link my account")
    looked_at(page, "provider-way")
    page.get_by_role("link", name="Go on", exact=True).click()
    page.get_by_label("Number").fill("3003")
    press(page, "Sign in")
    expect(page.get_by_text("Your account is linked.")).to_be_visible()
    looked_at(page, "account-linked")
    press(page, "Sign out")
    there(page, "3003")
    expect(page.get_by_role("heading", name="My servers")).to_be_visible()
