"""The page on the library is done as it is written, and shows what a notebook shows."""

import ast
import re
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

import flowetl
import flowsynth
from flowdb.lake import Lake
from flowdb.records import Catalogue
from flowdb.reference import cells, geography

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "library.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def steps():
    """Each block of Python with the output that follows it, if any is shown."""
    found = []
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "python":
            found.append([text, ""])
        elif not language and found:
            found[-1][1] = text
    return found


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    """A directory in which `demo/lake` is the lake of a small invented country."""
    root = tmp_path_factory.mktemp("library")
    made = flowsynth.synthesise(root / "delivery", seed=1, subscribers=2000, days=8, events_per_day=4.0)
    (root / "demo").mkdir()
    lake = Lake.create(root / "demo" / "lake", "UTC")
    geography.load(lake, made.boundaries, unit="admin2", code="admin2pcod", name="admin2name")
    cells.load(lake, made.cells_file)
    books = Catalogue.open(f"sqlite:///{root / 'catalogue.db'}")
    for event_type in ("calls", "sms"):
        flowetl.ingest(lake, books, event_type, list(made.events[event_type]), key=b"these people are invented")
    books.close()
    return root


def shown(code, names):
    """What a notebook shows of a block: what it prints, or the value of its last expression."""
    *before, last = ast.parse(code).body
    said = StringIO()
    with redirect_stdout(said):
        exec(compile(ast.Module(before, []), "before", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "last", "eval"), names)
            if value is not None:
                print(value if hasattr(value, "to_string") else repr(value))
        else:
            exec(compile(ast.Module([last], []), "last", "exec"), names)
    return said.getvalue()


def test_every_block_shows_what_the_page_says(deployment):
    """An analyst who types the page's Python sees what the page shows."""
    names = {}
    with chdir(deployment):
        for code, expected in steps():
            told = shown(code, names)
            assert told
            assert not expected or told.rstrip() == expected.rstrip(), code
    names["session"].close()


def test_the_page_has_steps_and_outputs():
    """The page connects, runs, composes, stores, forgets and explains."""
    code = "".join(text for text, _ in steps())

    for word in ("connect(", "run(", "tree(", "store(", "stored(", "forget(", "explain("):
        assert word in code
    assert sum(bool(output) for _, output in steps()) >= 9
