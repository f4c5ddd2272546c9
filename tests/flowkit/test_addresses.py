"""Every address that FlowKit sends people to opens in a browser: the README's, of `flowkit up`, of messages."""

import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from flowkit.deployment import PORTS

ROOT = Path(__file__).parents[2]
LOCAL = re.compile(r"http://127\.0\.0\.1:\d+[\w/.-]*")
FOR_PROGRAMS = re.compile(r"/\.well-known/|/revocations/|\.(json|yaml)$")


def addresses(up) -> set[str]:
    """All that texts for people name, at this deployment's ports."""
    of_port = {int(PORTS["FLOWAPI_PORT"]): up.url, int(PORTS["FLOWAUTH_PORT"]): up.auth_url}
    written = " ".join(file.read_text() for file in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    named = {address.rstrip(".") for address in LOCAL.findall(written)}
    moved = {of_port[urlsplit(each).port] + urlsplit(each).path for each in named if urlsplit(each).port in of_port}
    lost = httpx.get(f"{up.url}/nothing", trust_env=False).json()["msg"]
    of_messages = {up.url + path for path in re.findall(r"GET (/[\w/]+)", lost)}
    of_page = {up.auth_url + path for path in re.findall(r"at `(/\w+)`", (ROOT / "docs/flowauth-api.md").read_text())}
    said = {address.rstrip(".") for address in LOCAL.findall(up.said)}
    assert moved
    assert of_messages
    assert of_page
    assert said >= {up.url, f"{up.url}/api/0/spec/redoc", up.auth_url}
    return {each for each in moved | of_messages | of_page | said if not FOR_PROGRAMS.search(each)}


@pytest.fixture
def opened(chromium):
    """Open an address in a fresh browser: its page, what went wrong there, and all that was loaded."""
    contexts = []

    def open_address(address):
        contexts.append(chromium.new_context())
        page = contexts[-1].new_page()
        problems, loaded = [], []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: loaded.append(request.url))
        answer = page.goto(address)
        assert answer.status == 200, address
        return page, problems, loaded

    yield open_address
    for context in contexts:
        context.close()


@pytest.mark.takes_long("starts a whole deployment and a browser")
def test_every_address_opens(served, opened):
    """Each shows its heading, has no error in the console, and loads nothing from elsewhere."""
    for address in sorted(addresses(served)):
        page, problems, loaded = opened(address)
        page.get_by_role("heading", level=1).first.wait_for()
        assert page.get_by_role("heading", level=1).first.inner_text().strip(), address
        page.wait_for_load_state("networkidle")
        assert problems == [], address
        home = f"{urlsplit(address).scheme}://{urlsplit(address).netloc}/"
        assert [url for url in loaded if not url.startswith((home, "data:", "blob:"))] == [], address


def test_every_link_of_the_front_page_leads_somewhere(served, opened):
    """What FlowAPI's front page links to answers."""
    page, _, _ = opened(served.url)
    links = page.get_by_role("link").evaluate_all("links => links.map(link => link.href)")
    assert f"{served.url}/api/0/spec/redoc" in links
    for link in links:
        assert httpx.get(link, trust_env=False, timeout=60).status_code == 200, link
