"""The browser of this machine; none is downloaded."""

from pathlib import Path

import pytest
from tests.engines.absent import absent

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = ["--no-sandbox", "--headless=new", "--disable-gpu", "--disable-background-networking"]
_FLAGS += ["--disable-component-update", "--disable-sync", "--no-first-run"]


# Playwright's event loop runs in this very thread as long as the browser is there: asynchronous tests of other modules
# could not run.
@pytest.fixture(scope="module")
def chromium():
    """A Chromium without a window, for tests that open pages of their own in it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed.")
    if not CHROMIUM.exists():
        absent("There is no /usr/bin/chromium.")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=str(CHROMIUM), args=_FLAGS)
        yield browser
        browser.close()
