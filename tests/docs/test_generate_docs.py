"""The reference pages say what the code declares, and a stale one is found."""

import importlib
from pathlib import Path

import pyarrow as pa
import pytest

from flowmachine.catalogue import catalogue
from flowmachine.query import kinds, parse

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(scope="module")
def tool():
    """The generator of the pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TOOLS)
        return importlib.import_module("generate_docs")


def entry(kind):
    """A kind as the catalogue tells it."""
    return next(e for e in catalogue()["kinds"] if e["kind"] == kind)


def test_a_page_that_was_changed_or_is_missing_is_stale(tool, tmp_path):
    """A page that differs by a letter from what would be written is found, and one that is not there."""
    page = tmp_path / "page.md"
    assert tool.is_stale(page, "text")

    page.write_text("text")

    assert not tool.is_stale(page, "text")
    assert tool.is_stale(page, "texts")


def test_a_picture_is_stale_when_the_rows_it_shows_have_changed(tool, tmp_path):
    """A picture is compared by the rows that it was drawn from, not by its bytes."""
    query = parse(entry("histogram_aggregate")["example"])
    rows = pa.table({"value": [20, 30], "lower_edge": [0.0, 1.0], "upper_edge": [1.0, 2.0]})
    other = pa.table({"value": [20, 31], "lower_edge": [0.0, 1.0], "upper_edge": [1.0, 2.0]})
    drawn = tool.drawn(tool.drawing(query, rows, {}), rows)
    picture = tmp_path / "picture.png"
    picture.write_bytes(drawn + b"other bytes of another library")

    assert not tool.is_stale(picture, drawn)
    assert tool.is_stale(picture, tool.drawn(tool.drawing(query, other, {}), other))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("unique_subscriber_counts", "`value` counts people. A row is released where it stands for 16 people or more"),
        ("location_event_counts", "different people behind each row are counted"),
        ("histogram_aggregate", "the result is a single empty row"),
        ("geography", "It tells of nobody"),
        ("radius_of_gyration", "no row of it leaves the server"),
    ],
)
def test_a_page_says_what_is_released(tool, kind, words):
    """A reader learns of each kind who is counted and which rows come out."""
    assert words in tool.release_rule(kinds()[kind])


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_the_call_of_the_client_means_the_example(tool, kind):
    """The Python of a page asks the same question as its JSON, for every kind."""
    lines = tool.client_call(entry(kind))

    assert f"flowclient.{kind}" in "\n".join(lines) or "flowclient.get_geography" in lines[0]


def test_types_are_told_in_plain_words(tool):
    """A parameter's type reads as a person would say it."""
    told = {p["name"]: tool.typed(p["schema"]) for p in entry("location_event_counts")["parameters"]}

    assert told["interval"] == "`day` or `hour` or `min`"
    assert told["event_types"] == "list of `calls` or `sms` or `mds` or `topups`"
    assert told["start_date"].startswith("date")
    assert "`start_hour`, whole number from 0 to 24: The first hour;" in told["hours"]
    assert "[daily_location](daily_location.md)" in told["subscriber_subset"]


def test_settings_name_every_variable_and_show_no_secret(tool):
    """An administrator finds each service's settings, with defaults, and none of a secret."""
    page = tool.settings_page()

    assert "| `FLOWAPI_PORT` | whole number, from 0, to 65,535 | `9090` |" in page
    assert "| `FLOWAPI_TOKEN` | text, secret | none |" in page
    assert "***" not in page
