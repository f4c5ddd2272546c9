"""What the documentation points to, and what it tells to type, is there."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer

import flowclient
from flowkit.__main__ import app
from flowmachine.questions.parsing import parse

PROJECT = Path(__file__).parents[2]
PAGES = {
    page.relative_to(PROJECT).as_posix(): page for page in [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]
}


def blocks(page, language):
    """The code blocks of a language on a page."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page].read_text(), re.DOTALL)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page):
    """A link of the documentation to a file of the project leads to one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[page].read_text()):
        if not target.startswith(("http:", "https:", "#", "mailto:")):
            assert (PAGES[page].parent / target.partition("#")[0]).exists(), f"{page} links to {target}"


def test_every_spec_that_is_shown_is_a_question():
    """A reader can copy any query spec of the reference pages and ask it."""
    shown = [json.loads(text) for page in PAGES if page.startswith("docs/queries/") for text in blocks(page, "json")]

    assert len(shown) >= 16
    for spec in shown:
        assert parse(spec).kind == spec["query_kind"]


def test_every_command_that_is_shown_exists():
    """A reader who types a `flowkit` command of the documentation meets no unknown command or option."""
    lines = [
        line
        for page in PAGES
        for text in blocks(page, "sh")
        for line in text.splitlines()
        if line.startswith("flowkit ") and line.count("'") != 1
    ]

    assert len(lines) >= 20
    for line in lines:
        words = shlex.split(line.replace("flowkit --deployment ", "flowkit --deployment="))[1:]
        words = [word for word in words if not word.startswith("--deployment=")]
        command = typer.main.get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {name for parameter in command.params for name in parameter.opts}
        assert not getattr(command, "commands", None), f"{line!r} names no command"
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_name_of_the_client_that_is_shown_exists():
    """A reader who copies Python of the documentation finds each function in flowclient."""
    named = {
        name for page in PAGES for text in blocks(page, "python") for name in re.findall(r"\bflowclient\.(\w+)", text)
    }

    assert len(named) >= 16
    assert {name for name in named if not hasattr(flowclient, name)} == set()
