"""The reference pages say what the code declares, and a stale one is found."""

import datetime as dt
import importlib
from pathlib import Path

import geopandas
import pyarrow as pa
import pytest
import shapely
from matplotlib.figure import Figure

from flowmachine.catalogue import catalogue
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds

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
        ("labelled_spatial_aggregate", "The rows of a location are released where each of them stands for 16 people"),
        ("labelled_flows", "The rows of a pair of locations are released where each of them stands for 16 people"),
        ("dfs_metric_total_amount", "at least 10 % of what the greatest one does (the p-percent rule)"),
        ("joined_spatial_aggregate", "For `max`, `min`, `mode` and `distr` there are more conditions"),
        ("unique_visitor_counts", "Both counts that it is the difference of must stand for so many"),
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
    assert told["event_types"] == "list of `calls` or `sms` or `mds` or `topups` or `forwards`"
    assert told["start_date"].startswith("date")
    assert "`start_hour`, whole number from 0 to 24: The first hour;" in told["hours"]
    assert told["subscriber_subset"] == "[query about single people](README.md#asked-inside-others) or text"
    assert "[daily_location](daily_location.md)" in tool.typed(entry("spatial_aggregate")["parameters"][0]["schema"])


def test_types_of_meaningful_locations_are_told_in_plain_words(tool):
    """Polygons, scores and samples read as a person would say them too."""
    told = {p["name"]: tool.typed(p["schema"]) for p in entry("meaningful_locations_aggregate")["parameters"]}

    assert told["labels"] == "object, a GeoJSON polygon by name"
    assert told["tower_day_of_week_scores"].startswith("object (`monday`, `tuesday`,")
    assert told["tower_day_of_week_scores"].endswith("each a number from -1 to 1)")
    sampling = next(p for p in entry("modal_location")["parameters"] if p["name"] == "sampling")
    assert tool.typed(sampling["schema"]) == "[sample](README.md#samples)"


def test_specs_that_stand_more_than_once_are_named_in_python(tool):
    """The Python of a long example names what is used again, before it is used."""
    lines = tool.client_call(entry("labelled_flows"))

    assert len(lines) < 50
    assert "    from_location=coalesced_location_1," in lines
    assert lines.index("coalesced_location_1 = flowclient.coalesced_location_spec(") < lines.index(
        "    from_location=coalesced_location_1,"
    )


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"value": [20]}, True),
        ({"value": pa.array([], pa.int64())}, False),
        ({"value": pa.array([None], pa.int64())}, False),
    ],
)
def test_an_example_that_gives_nothing_is_noticed(tool, columns, told):
    """An empty result, or the empty row of one that is withheld, is no example."""
    assert tool.tells_something(pa.table(columns)) == told


def test_maps_of_labels_stand_beside_each_other(tool):
    """Each label has a map of its own, with its own scale, and people of no label one too."""
    square = geopandas.GeoDataFrame({"geometry": [shapely.box(0, 0, 1, 1)]}, index=["N"], crs=4326)
    rows = pa.table({"pcod": ["N", "N"], "value_label": pa.array(["stable", None]), "value": [900, 16]})
    figure = Figure(figsize=(5, 3))

    tool.drawing(parse(entry("labelled_spatial_aggregate")["example"]), rows, {"admin1": square})(figure)

    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["none", "stable"]


def test_sets_of_periods_are_bars(tool):
    """A calendar has a bar a set of periods, the greatest first, and a row of dots a period."""
    first, second = (dt.datetime.combine(dt.date(2016, 1, day), dt.time()) for day in (1, 2))
    kind = pa.list_(pa.timestamp("us"))
    rows = pa.table({"grp": pa.array([[first], [first, second]], kind), "value": [16, 90]})
    figure = Figure(figsize=(5, 3))

    tool.drawing(parse(entry("calendar_activity")["example"]), rows, {})(figure)

    bars, dots = figure.axes
    assert [bar.get_height() for bar in bars.patches] == [90, 16]
    assert [label.get_text() for label in dots.get_yticklabels()] == ["2016-01-01", "2016-01-02"]


def test_settings_name_every_variable_and_show_no_secret(tool):
    """An administrator finds each service's settings, with defaults, and none of a secret."""
    page = tool.settings_page()

    assert "| `FLOWAPI_PORT` | whole number, from 0, to 65,535 | `9090` |" in page
    assert "| `FLOWAPI_TOKEN` | text, secret | none |" in page
    assert "***" not in page
