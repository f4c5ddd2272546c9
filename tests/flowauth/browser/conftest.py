"""A real FlowAuth on loopback, and a real browser."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed.")

from tests.engines.absent import absent  # noqa: E402
from tests.flowauth.conftest import PASSWORD  # noqa: E402

CHROMIUM = Path("/usr/bin/chromium")
WIDTHS = {"wide": (1280, 900), "narrow": (390, 844)}
_FLAGS = ["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking"]
_FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="session")
def chromium():
    """The browser of the machine; none is downloaded."""
    if not CHROMIUM.exists():
        absent("There is no /usr/bin/chromium.")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def url(settings):
    """The address of a FlowAuth that runs as a process of its own, on the database of the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PRIVATE_JWT_SIGNING_KEY": settings.private_jwt_signing_key.get_secret_value(),
        "FLOWAUTH_FERNET_KEY": settings.flowauth_fernet_key.get_secret_value(),
        "SECRET_KEY": settings.secret_key.get_secret_value(),
        "DB_URI": settings.db_uri,
    }
    serve = (
        "import uvicorn; from flowauth.app import create_app; from flowauth.settings import Settings; "
        f"uvicorn.run(create_app(Settings()), host='127.0.0.1', port={port}, log_level='warning')"
    )
    process = subprocess.Popen([sys.executable, "-c", serve], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                httpx.get(f"{address}/health", timeout=1)
                break
            except httpx.HTTPError:
                assert process.poll() is None, "FlowAuth ended by itself."
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def browse(chromium, url):
    """Open a browser of its own, wide or narrow, with JavaScript or without: `browse()` gives its page."""
    contexts = []

    def open_one(width="wide", javascript=True):
        size = WIDTHS[width]
        context = chromium.new_context(
            viewport={"width": size[0], "height": size[1]}, base_url=url, java_script_enabled=javascript
        )
        contexts.append(context)
        context.set_default_timeout(6000)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


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
