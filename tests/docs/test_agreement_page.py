"""The page that tells how each kind agrees with its definition, and with FlowKit."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from tests.flowmachine import agreement

from flowmachine.questions.registry import kinds

PAGE = Path(__file__).parents[2] / "docs" / "agreement.md"


def test_the_page_has_a_row_a_kind():
    """A reader finds every kind on the page, and no kind that is gone."""
    assert sorted(agreement.said_before(PAGE)) == sorted(kinds())


def test_no_answer_of_the_page_is_wrong():
    """The page that is committed tells of no engine that gave other rows than the definition."""
    for row in re.findall(r"^\| \[.*", PAGE.read_text(), re.MULTILINE):
        for agreed, asked in re.findall(r"\| (\d+) of (\d+)", row.rpartition("|")[0].rpartition("|")[0]):
            assert agreed == asked, row


def test_the_page_keeps_what_it_said_where_nothing_can_be_compared(tmp_path):
    """Without the published answers beside the clone, the page's last column is what it was."""
    path = tmp_path / "agreement.md"
    numbers = {"flows": Counter(asked=3, agreed=3)}
    path.write_text(agreement.page({"duckdb": (3, numbers)}, {"flows": "1 of 2, 1 differs on purpose"}, 1))

    path.write_text(agreement.page({"duckdb": (3, numbers)}, agreement.said_before(path), 1))

    assert "| [flows](queries/flows.md) | 3 of 3 | – | – | 1 of 2, 1 differs on purpose |" in path.read_text()
    assert agreement.said_before(path)["geography"] == agreement.NO_ANSWER


def test_an_answer_without_rows_is_no_evidence(tmp_path, monkeypatch):
    """Two empty tables that are equal count as no agreement, and the page says that there was nothing else."""
    spec = {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-02"}
    nobody = {"spec": spec, "columns": ["subscriber", "value"], "rows": []}
    (tmp_path / "nobody.json").write_text(json.dumps(nobody))
    monkeypatch.setattr(agreement, "EXPECTED", [tmp_path / "nobody.json"])
    monkeypatch.setattr(agreement, "difference", lambda session, told: None)

    counted = agreement.compare_with_published({"duckdb": None}, print)

    assert counted["event_count"]["agreed"] == counted["event_count"]["asked"] == 0
    assert agreement._told_published(counted["event_count"]) == agreement.EMPTY_ALONE


@pytest.mark.parametrize(
    ("text", "worlds"),
    [
        ("7", {"duckdb": 7, "postgres": 7, "spark": 7}),
        ("duckdb=50,spark=0", {"duckdb": 50, "postgres": agreement.DEFAULT_WORLDS, "spark": 0}),
    ],
)
def test_how_many_worlds_may_differ_by_engine(text, worlds):
    """One number is for every engine; engines may be given their own, and 0 leaves one out."""
    assert agreement.worlds_told(text) == worlds
