"""A real FlowAuth on loopback, and a real browser."""

import os
import socket
import threading
from pathlib import Path

import pytest
import uvicorn

pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed.")

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from tests.flowauth.conftest import PASSWORD

from flowauth.app import create_app
from flowauth.settings import Settings

PICTURES = os.environ.get("FLOWAUTH_PICTURES")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
DARK = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
WIDTHS = {"wide": (1280, 900), "narrow": (390, 844)}


def press(page, name, **more):
    """Press a button and come to the next page."""
    with page.expect_navigation():
        page.get_by_role("button", name=name, **more).click()


@pytest.fixture
def around():
    """What else a FlowAuth's environment says; a file of tests may say more, with {address} where it listens."""
    return {}


@pytest.fixture
def url(settings, around, monkeypatch):
    """The address of a FlowAuth that listens on loopback, on the database of the test."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    for name, value in around.items():
        monkeypatch.setenv(name, value.format(address=address))
    told = {name: getattr(settings, name) for name in settings.model_fields_set}
    application = create_app(Settings(**told))
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield address
    server.should_exit = True
    thread.join(10)
    application.state.database.close()
    assert not thread.is_alive()


@pytest.fixture
def browse(chromium, url):
    """Open a browser of its own, wide or narrow, with JavaScript or without: `browse()` gives its page."""
    contexts = []

    def open_one(width="wide", javascript=True):
        size = WIDTHS[width]
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]},
            base_url=url,
            java_script_enabled=javascript,
            # A colour on its way to another is neither.
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(6000)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def looked_at():
    """Look at a page, wide and narrow, light and dark: `looked_at(page, "users")`.

    A picture is taken of each where FLOWAUTH_PICTURES names a folder, and axe looks for what keeps people out. What is
    wrong on any page is told at the end, of all pages together.
    """
    wrong = []

    def axe(page, called, rules, least):
        # The script is half a megabyte, and the elements of what passes are thousands: once a page, and left out.
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE_SCRIPT)
        found = AxeResults(page.evaluate("options => axe.run(options)", rules | {"resultTypes": ["violations"]}))
        assert len(found.response["passes"]) >= least, "axe has not looked"
        if found.violations_count:
            wrong.append(f"{called}: {found.generate_report()}")

    def picture(page, called):
        if PICTURES:
            Path(PICTURES).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=f"{PICTURES}/{called}.png", full_page=True)

    def look(page, name):
        for width in ("narrow", "wide"):
            page.set_viewport_size(dict(zip(("width", "height"), WIDTHS[width], strict=True)))
            picture(page, f"{name}-{width}")
            over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if over > 0:
                wrong.append(f"{name} is {over} pixels wider than a {width} screen")
            axe(page, f"{name}, {width}", RULES, 15)
        # What differs in the dark is colours alone.
        page.emulate_media(color_scheme="dark")
        picture(page, f"{name}-dark")
        axe(page, f"{name}, dark", DARK, 1)
        page.emulate_media(color_scheme="light")

    yield look
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def sign_in():
    """Sign somebody in as people do: `sign_in(page, "ada")`."""

    def fill(page, username, password=PASSWORD):
        page.goto("/sign-in")
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password", exact=True).fill(password)
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()

    return fill
