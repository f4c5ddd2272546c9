"""What the documentation points to is there."""

import json
import re
from pathlib import Path

import pytest

from flowmachine.query import parse

PROJECT = Path(__file__).parents[2]
PAGES = {
    page.relative_to(PROJECT).as_posix(): page for page in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
}


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page):
    """A link of the documentation to a file of the project leads to one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page].read_text()):
        if not target.startswith(("http:", "https:", "#", "mailto:")):
            assert (PAGES[page].parent / target.partition("#")[0]).exists(), f"{page} links to {target}"


def test_every_spec_that_is_shown_is_a_question():
    """A reader can copy any query spec of the reference pages and ask it."""
    shown = [
        json.loads(block)
        for name, page in PAGES.items()
        if name.startswith("docs/queries/")
        for block in re.findall(r"```json\n(.*?)```", page.read_text(), re.DOTALL)
    ]

    assert len(shown) >= 16
    for spec in shown:
        assert parse(spec).kind == spec["query_kind"]
