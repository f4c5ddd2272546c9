"""Wrong scores and labels are refused with a sentence at their place, before anything is computed."""

import math

import pytest

from flowmachine.errors import InvalidQuery
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds

AGGREGATE = dict(kinds()["meaningful_locations_aggregate"].example)
BETWEEN_DATES = dict(kinds()["meaningful_locations_between_dates_od_matrix"].example)
BETWEEN_LABELS = dict(kinds()["meaningful_locations_between_label_od_matrix"].example)
DAYS = AGGREGATE["tower_day_of_week_scores"]


def square(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def labels(**shapes):
    """The question with these labels, asked about the first."""
    told = {n: {"type": "Polygon", "coordinates": [s]} if isinstance(s, list) else s for n, s in shapes.items()}
    return {**AGGREGATE, "labels": told, "label": next(iter(told), "unknown")}


CIRCLE = [[math.cos(math.tau * n / 201), math.sin(math.tau * n / 201)] for n in range(201)]
WRONG = {
    "an unmatched label": ({**AGGREGATE, "label": "home"}, "label", "Must be one of: evening, day, unknown."),
    "an unmatched destination": (
        {**BETWEEN_LABELS, "label_b": "x"},
        "label_b",
        "Must be one of: evening, day, unknown.",
    ),
    "a label called unknown": (labels(unknown=square(0, 0, 1, 1)), "labels", "'unknown' is what no label contains"),
    "a label without a name": (labels(**{" ": square(0, 0, 1, 1)}), "labels", "no name"),
    "no label": (labels(), "labels", "at least one"),
    "labels that overlap": (
        labels(a=square(0, 0, 1, 1), b=square(0.5, 0, 2, 1)),
        "labels",
        "'a' and 'b' overlap or touch",
    ),
    "labels that touch": (labels(a=square(0, 0, 1, 1), b=square(1, 1, 2, 2)), "labels", "'a' and 'b' overlap or touch"),
    "a polygon that crosses itself": (
        labels(a=[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]),
        "labels.a",
        "Self-intersection",
    ),
    "a ring of two points": (labels(a=[[0, 0], [1, 1]]), "labels.a", "at least four points"),
    "no ring": (labels(a={"type": "MultiPolygon", "coordinates": []}), "labels.a", "at least four points"),
    "a line for an area": (labels(a=[[0, 0], [1, 1], [2, 2], [0, 0]]), "labels.a", "no valid polygon"),
    "a point": (
        labels(a={"type": "Point", "coordinates": [0, 0]}),
        "labels.a",
        "Must be one of: Polygon, MultiPolygon.",
    ),
    "a corner that is text": (labels(a=[["x", 0], [1, 1], [1, 0], [0, 0]]), "labels.a.coordinates[0][0][0]", '"x"'),
    "too many corners": (labels(a=[*CIRCLE, CIRCLE[0]]), "labels", "201 corners; all labels together may have 200"),
    "a score of 23 hours": ({**AGGREGATE, "tower_hour_of_day_scores": [0] * 23}, "tower_hour_of_day_scores", "Give 24"),
    "an hour's score out of range": (
        {**AGGREGATE, "tower_hour_of_day_scores": [*[0] * 23, 1.5]},
        "tower_hour_of_day_scores[23]",
        "less than or equal to 1",
    ),
    "a missing day": (
        {**AGGREGATE, "tower_day_of_week_scores": {k: v for k, v in DAYS.items() if k != "sunday"}},
        "tower_day_of_week_scores.sunday",
        "It is missing.",
    ),
    "a day's score out of range": (
        {**AGGREGATE, "tower_day_of_week_scores": {**DAYS, "friday": -2}},
        "tower_day_of_week_scores.friday",
        "greater than or equal to -1",
    ),
    "points for areas": ({**AGGREGATE, "aggregation_unit": "lon-lat"}, "aggregation_unit", "a cluster lies in an area"),
    "a mapping of cells": ({**AGGREGATE, "mapping_table": "geography.x"}, "mapping_table", "leave it out"),
    "a negative radius": (
        {**AGGREGATE, "tower_cluster_radius": -1},
        "tower_cluster_radius",
        "greater than or equal to 0",
    ),
    "a second window that is reversed": (
        {**BETWEEN_DATES, "start_date_b": "2016-02-01"},
        "",
        "start_date_b (2016-02-01) must be before end_date_b (2016-01-09)",
    ),
    "hours": ({**AGGREGATE, "hours": None}, "hours", "There is no such parameter."),
}


@pytest.mark.parametrize(("spec", "path", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_label_or_score_is_told_by_path(spec, path, words):
    """The message names the path as its reader writes it, and what would be right."""
    with pytest.raises(InvalidQuery) as refusal:
        parse(spec)

    assert any(words in message for message in refusal.value.problems.get(path, [])), refusal.value.problems


def test_a_question_with_labels_is_itself_again_after_the_wire():
    """A spec that was sent and parsed again is the same question, in whatever order its labels stand."""
    query = parse(AGGREGATE)
    turned = parse({**query.spec, "labels": dict(reversed(query.spec["labels"].items()))})

    assert turned == query
    assert hash(turned) == hash(query)
    assert turned.id == query.id


def test_scores_in_another_order_are_another_question():
    """Hours that score otherwise, and labels taken the other way round, are different questions with different ids."""
    scores = AGGREGATE["tower_hour_of_day_scores"]
    turned = {**BETWEEN_LABELS, "label_a": "day", "label_b": "evening"}

    assert parse({**AGGREGATE, "tower_hour_of_day_scores": scores[::-1]}).id != parse(AGGREGATE).id
    assert parse(turned).id != parse(BETWEEN_LABELS).id
