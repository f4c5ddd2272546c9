"""Every kind gives the rows that were worked out by hand, on every engine."""

import datetime as dt
import json
from pathlib import Path

import pytest
from tests.flowmachine import reference
from tests.flowmachine.test_kinds_on_engines import ENGINES, same
from tests.flowmachine.world import WORLD

from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds
from flowmachine.testing import rows

ROWS = Path(__file__).parent / "rows"


def expected(kind):
    told = json.loads((ROWS / f"{kind}.json").read_text())
    return parse(told["spec"]), as_rows(told["rows"])


def as_rows(written):
    """Rows as JSON tells them, as a result has them: a list is one of times."""
    return [tuple(times(value) if isinstance(value, list) else value for value in row) for row in written]


def times(texts):
    return tuple(dt.datetime.fromisoformat(text) for text in texts)


@pytest.fixture(scope="module", params=ENGINES)
def session(request):
    """A session on the small world, on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")(WORLD)


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_gives_the_rows_worked_out_by_hand(session, kind):
    """A question about the small world has the answer that a person finds."""
    query, by_hand = expected(kind)

    got = rows(session.run(query))

    assert len(got) == len(by_hand)
    assert all(same(a, b) for ours, theirs in zip(got, by_hand, strict=True) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("kind", sorted(reference.KINDS))
def test_the_definition_agrees_with_the_hand(kind):
    """The plain definition of a kind gives the rows worked out by hand too."""
    query, by_hand = expected(kind)

    got = reference.answer(query, WORLD)

    assert len(got) == len(by_hand)
    assert all(same(a, b) for ours, theirs in zip(got, by_hand, strict=True) for a, b in zip(ours, theirs, strict=True))


def test_every_kind_has_rows_worked_out_by_hand():
    """No kind is without expected rows, and none of them is of a kind that is gone."""
    assert sorted(kinds()) == sorted(file.stem for file in ROWS.glob("*.json"))
