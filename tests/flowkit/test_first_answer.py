"""The page for new administrators, done in a browser as it is written: from an empty FlowAuth to a first answer.

With FLOWAUTH_PICTURES=docs/pictures/flowauth the page's pictures are taken anew.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pyotp
import pytest
from tests.flowkit.living_deployment import environment, free_ports, refused

PAGE = Path(__file__).parents[2] / "docs" / "flowauth-administrators.md"
PICTURES = os.environ.get("FLOWAUTH_PICTURES")
SCREEN = {"width": 1120, "height": 800}
MARGIN = 16
FLOWAUTH, FLOWAPI = "http://127.0.0.1:9091", "http://127.0.0.1:9090"
"""Addresses as the page writes them."""
OWN, OTHER = "crumpet-Tundra-49-violin", "gravel-Orbit-82-walnut"
SMALLEST = 16


def blocks(language):
    """The code of the page that is in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def flowauth(tmp_path_factory):
    """A FlowAuth with nothing in it but its first administrator, started as the page says: its address and folder."""
    place = tmp_path_factory.mktemp("administrator")
    (port,) = free_ports(1)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    told = environment(PATH=path, FLOWAUTH_PORT=port)
    prepare, start = blocks("sh")
    subprocess.run(["bash", "-c", f"set -e\n{prepare}"], cwd=place, env=told, check=True, capture_output=True)
    place /= "flowauth"
    with (place / "log").open("w") as log:
        # The last command of the block takes the shell's place, so that the process is FlowAuth's own.
        serve = f"set -e\n{start.rstrip().replace('flowkit auth serve', 'exec flowkit auth serve')}"
        process = subprocess.Popen(["bash", "-c", serve], cwd=place, env=told, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 90
        while not answers(f"{url}/health"):
            assert process.poll() is None, (place / "log").read_text()
            assert time.monotonic() < end, (place / "log").read_text()
            time.sleep(0.1)
        yield url, place
    finally:
        process.terminate()
        process.wait(20)


def answers(url):
    """Whether a service is well."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def up(flowauth, copy_of_model, start_up):
    """A deployment that is set as the page says, so that FlowAPI follows that FlowAuth."""
    place = copy_of_model()
    (lines,) = blocks("toml")
    told = dict(line.split(" = ") for line in lines.replace(FLOWAUTH, flowauth[0]).splitlines())
    place.set(**told)
    # What the pictures show is what the page says.
    ports = (urlsplit(FLOWAPI).port, *free_ports(2)) if PICTURES else None
    up = start_up(place, ports=ports, FLOWAPI_REFRESH_SECONDS="1")
    yield up
    up.stop()


class Reader:
    """Somebody who does in a browser what the page says, by the words that they see."""

    def __init__(self, browser, url):
        self.context = browser.new_context(viewport=SCREEN, base_url=url)
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.clicks = self.fields = 0

    def follow(self, name):
        """Follow a link or press a button, and come to the next page."""
        self.clicks += 1
        either = self.page.get_by_role("link", name=name, exact=True).or_(
            self.page.get_by_role("button", name=name, exact=True)
        )
        with self.page.expect_navigation():
            either.first.click()

    def tick(self, label):
        """Tick a box."""
        self.clicks += 1
        self.page.get_by_label(label, exact=True).check()

    def write(self, label, text):
        """Fill in a field."""
        self.fields += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def sign_in(self, name, password):
        """Sign in on the first page."""
        self.page.goto("/")
        self.write("User name", name)
        self.write("Password", password)

    @property
    def told(self):
        """What the page says of what was just done."""
        return self.page.get_by_role("status").first.inner_text()

    @property
    def form(self):
        """The way to the page and its form, for a picture."""
        return self.page.locator(".way"), self.page.locator("form.card")

    def picture(self, name, first, last=None):
        """Take a picture, where pictures are wanted, of what lies between two things on the page."""
        if not PICTURES:
            return
        self.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        boxes = [each.bounding_box() for each in (first, last or first)]
        left, top = min(box["x"] for box in boxes), min(box["y"] for box in boxes)
        right = max(box["x"] + box["width"] for box in boxes)
        bottom = max(box["y"] + box["height"] for box in boxes)
        clip = {
            "x": left - MARGIN,
            "y": top - MARGIN,
            "width": right - left + 2 * MARGIN,
            "height": bottom - top + 2 * MARGIN,
        }
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=f"{PICTURES}/{name}.png", clip=clip, full_page=True)


@pytest.fixture(scope="module")
def reader(chromium, flowauth):
    """Open a browser for somebody: `reader()`."""
    opened = []

    def open_one():
        opened.append(Reader(chromium, flowauth[0]))
        return opened[-1]

    yield open_one
    for each in opened:
        each.context.close()


def settle_in(admin, first):
    """Step 1: sign in, take a password and a second factor of one's own."""
    page = admin.page
    admin.sign_in("admin", first)
    admin.picture("1-sign-in", page.locator(".card"))
    admin.follow("Sign in")
    admin.write("The password that you were given", first)
    admin.write("New password", OWN)
    admin.write("New password again", OWN)
    page.get_by_text("This password is good.").wait_for()
    admin.picture("2-password", page.locator(".card"))
    admin.follow("Take the new password")
    assert "Your password is set" in admin.told
    admin.follow("Account")
    admin.follow("Set up two-factor")
    secret = page.locator("#secret").inner_text().replace(" ", "")
    admin.picture("3-two-factor", page.get_by_role("heading", level=1), page.locator("section").nth(1))
    admin.tick(re.compile("^I have kept the backup codes"))
    while time.time() % 30 > 25:
        # As a person does, wait for the next code rather than type one that is about to end.
        time.sleep(0.1)
    admin.write("Six digits that the app shows now", pyotp.TOTP(secret).now())
    admin.follow("Switch two-factor on")
    page.get_by_text("Two-factor authentication is on.").wait_for()


def add_server(admin, address):
    """Step 2: FlowAuth reads what the server offers at its address."""
    admin.follow("Servers")
    admin.follow("New server")
    admin.write("Address of the server (optional)", address)
    admin.picture("4-server", *admin.form)
    admin.follow("Add the server")
    assert "The server 'nepal.test' is there" in admin.told


def make_role(admin):
    """Step 3: tick what an analyst may do."""
    page = admin.page
    admin.follow("New role")
    admin.follow("admin3")
    admin.write("Name", "analyst")
    for scope in ("run", "get_result", "get_available_dates"):
        admin.tick(re.compile(rf"^{scope}\b"))
    admin.tick("All of admin3")
    admin.picture("5-role", page.locator(".tree legend"), page.get_by_label("All of flows at admin3"))
    admin.follow("Make the role")
    assert "The role 'analyst' is there" in admin.told


def add_analyst(admin):
    """Step 4: somebody who holds the role, with a password for their first sign-in: that password."""
    admin.follow("Users")
    admin.follow("New user")
    admin.write("Name", "ann")
    admin.tick("Let FlowAuth make the password")
    admin.tick("analyst")
    admin.picture("6-user", *admin.form)
    admin.follow("Add the user")
    return admin.page.locator("#first-password").inner_text()


def make_token(ann, first, folder):
    """Step 5: the analyst signs in, makes a token and downloads it; what FlowAuth shows of how to use it."""
    ann.sign_in("ann", first)
    ann.follow("Sign in")
    ann.write("The password that you were given", first)
    ann.write("New password", OTHER)
    ann.write("New password again", OTHER)
    ann.follow("Take the new password")
    ann.follow("My servers")
    ann.follow("nepal.test")
    ann.follow("New token")
    ann.write("Name", "first")
    ann.picture("7-token-form", *ann.form)
    ann.follow("Make the token")
    ann.picture("8-token", ann.page.locator(".way"), ann.page.locator(".card").last)
    with ann.page.expect_download() as saved:
        ann.clicks += 1
        ann.page.get_by_role("link", name="Download first.txt").click()
    saved.value.save_as(folder / "first.txt")
    return ann.page.locator("#python").inner_text()


def ask(up, folder):
    """Step 6: run the page's Python beside the token's file, on the deployment's own port: the process as it ended."""
    (code,) = blocks("python")
    code = f"{code.replace(FLOWAPI, up.url).rstrip()}.to_csv('answer.csv', index=False)\n"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def take_it_back(admin):
    """Step 7: see who can do what, and end the token."""
    admin.follow("Revocations")
    admin.follow("Live tokens")
    admin.follow("Revoke first of ann")
    admin.picture("9-revoke", admin.page.locator(".card"))
    admin.follow("Revoke it")


@pytest.mark.takes_long("starts a whole deployment and works in a browser")
def test_a_new_administrator_brings_an_analyst_to_a_first_answer(flowauth, up, reader, tmp_path):
    """Each step of the page does what the page says, to the rows of an answer, and to its refusal once revoked.

    What it costs in clicks and fields is what the page says, and few enough for five minutes.
    """
    began = time.monotonic()
    admin, ann = reader(), reader()
    settle_in(admin, (flowauth[1] / "first-password").read_text().strip())
    add_server(admin, up.url)
    make_role(admin)
    first = add_analyst(admin)
    shown = make_token(ann, first, tmp_path)
    (code,) = blocks("python")
    assert shown.replace(up.url, FLOWAPI).split("\n") == code.replace("\n\n", "\n").split("\n")[:2]

    answered = ask(up, tmp_path)
    assert answered.returncode == 0, answered.stderr
    assert "'2016-01-01'" in answered.stdout
    rows = pd.read_csv(tmp_path / "answer.csv")
    assert len(rows) > 5
    assert rows["value"].min() >= SMALLEST

    admin.page.goto("/manage/access")
    admin.page.get_by_role("row", name="ann").wait_for()
    admin.picture("10-access", admin.page.get_by_role("heading", level=1), admin.page.locator("table"))
    take_it_back(admin)
    end = time.monotonic() + 60
    while (again := ask(up, tmp_path)).returncode == 0:
        assert time.monotonic() < end
    assert again.stderr.strip().endswith("This token was revoked; make a new one in FlowAuth.")

    clicks, fields = re.search(r"(\d+) clicks and (\d+) fields", PAGE.read_text()).groups()
    assert (admin.clicks + ann.clicks, admin.fields + ann.fields) == (int(clicks), int(fields))
    assert time.monotonic() - began < 5 * 60


def test_a_deployment_that_follows_another_flowauth_starts_none(flowauth, up):
    """What `flowkit up` says, and what `flowkit auth` refuses with, names the FlowAuth that is set instead."""
    keys = f"{flowauth[0]}/.well-known/jwks.json"
    assert f"People and their tokens: the FlowAuth whose keys are at {keys}" in up.said
    assert not (up.place.path / "logs" / "flowauth.log").exists()
    assert f"administer the one whose keys are at {keys}" in refused(up.place.flowkit("auth", "users", "list"))


def test_the_page_shows_the_pictures_of_the_walk():
    """Every picture of the folder is on a page, and every one that the page shows is there."""
    folder = PAGE.parent / "pictures" / "flowauth"
    shown = set(re.findall(r"!\[[^]]+\]\(pictures/flowauth/([^)]+)\)", PAGE.read_text()))
    assert shown == {file.name for file in folder.iterdir()}
    assert len(shown) == 10


def test_the_addresses_of_the_page_are_those_of_a_new_deployment():
    """What the page calls FlowAuth and FlowAPI is where a deployment has them unless it is set otherwise."""
    from flowkit.deployment import PORTS

    assert urlsplit(FLOWAUTH).port == int(PORTS["FLOWAUTH_PORT"])
    assert urlsplit(FLOWAPI).port == int(PORTS["FLOWAPI_PORT"])
    assert FLOWAUTH in PAGE.read_text()
    assert FLOWAPI in PAGE.read_text()
