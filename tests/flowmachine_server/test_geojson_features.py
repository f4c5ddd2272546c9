"""Released rows as GeoJSON features."""

import json
import math

import pyarrow as pa
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flowmachine_server.living_server import moves, people

import flowmachine
from flowmachine import geojson
from flowmachine.geojson import Places
from flowmachine.queries.labelled_flows import LabelledFlows

CODES = ['A "quoted"', "B\\é", "C\n,", "D"]
NAN = float("nan")


def places_of(codes):
    """Places with squares around points; the last has no boundary."""
    shapes = [shapely.box(n, 0, n + 1 / 3, 1) for n, _ in enumerate(codes)]
    geometry = [shapely.to_geojson(geojson._rounded(shape)) for shape in shapes[:-1]]
    points = [json.dumps({"type": "Point", "coordinates": [n, 0]}) for n, _ in enumerate(codes)]
    return Places(
        pa.table({"pcod": codes, "name": [None, *codes[1:]]}),
        pa.array(codes),
        pa.array([*geometry, None], pa.string()),
        pa.array(points),
    )


PLACES = places_of(CODES)
AGGREGATE, FLOWS = flowmachine.parse(people()), flowmachine.parse(moves())
LABELLED = flowmachine.parse(LabelledFlows.example)


def written(rows, query, places=PLACES):
    """Every feature of every batch."""
    batches = list(geojson.all_features(rows, query, places))
    assert all(batch.schema == geojson.SCHEMA for batch in batches)
    return [json.loads(text) for batch in batches for text in batch["feature"].to_pylist()]


def expected(code, number, **properties):
    """A feature, made the plain way."""
    n = CODES.index(code) if code in CODES else None
    geometry = None if n is None or n == 3 else json.loads(PLACES.geometry[n].as_py())
    centroid = None if n is None else {"type": "Point", "coordinates": [n, 0]}
    return {
        "type": "Feature",
        "id": number,
        "geometry": geometry,
        "properties": {"pcod": code, **properties, "centroid": centroid},
    }


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([*CODES, None, "unknown"]), st.none() | st.integers(0, 10**9) | st.floats(width=32)),
        max_size=12,
    ),
    size=st.sampled_from([1, 700, 10**6]),
)
def test_a_feature_a_row(rows, size):
    """However batches are cut, features are the rows in order; what JSON has no number for is null."""
    table = pa.table(
        {
            "pcod": pa.array([code for code, _ in rows], pa.string()),
            "value": pa.array([None if v is None else float(v) for _, v in rows], pa.float64()),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geojson, "BATCH_BYTES", size)
        told = written(table, AGGREGATE)
    plain = [None if v is None or not math.isfinite(v) else v for _, v in rows]
    assert told == [expected(code, n + 1, value=v) for n, ((code, _), v) in enumerate(zip(rows, plain, strict=True))]


@settings(max_examples=40, deadline=None)
@given(
    pairs=st.dictionaries(
        st.tuples(st.sampled_from([*CODES, None]), st.sampled_from([*CODES, None])), st.integers(16, 99), max_size=20
    ),
    size=st.sampled_from([1, 700, 10**6]),
)
def test_a_feature_a_location_of_flows(pairs, size):
    """Every location that flows touch has one feature with all that came and went, whatever the batches."""
    table = pa.table(
        {
            "pcod_from": pa.array([a for a, _ in pairs], pa.string()),
            "pcod_to": pa.array([b for _, b in pairs], pa.string()),
            "value": pa.array(pairs.values(), pa.int64()),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geojson, "BATCH_BYTES", size)
        told = written(table, FLOWS)
    touched = sorted({code for pair in pairs for code in pair if code is not None}, key=str.encode)
    touched += [None] * any(None in pair for pair in pairs)
    assert told == [
        expected(
            code,
            n + 1,
            inflows={a or "": v for (a, b), v in pairs.items() if b == code},
            outflows={b or "": v for (a, b), v in pairs.items() if a == code},
        )
        for n, code in enumerate(touched)
    ]


@settings(max_examples=40, deadline=None)
@given(
    found=st.dictionaries(
        st.tuples(*[st.sampled_from([*CODES[:3], None])] * 2, st.sampled_from(["stable", 'a "label"', None])),
        st.integers(16, 99),
        max_size=24,
    ),
    size=st.sampled_from([1, 700, 10**6]),
)
def test_labelled_flows_are_told_by_label(found, size):
    """The flows of each label stand apart, so that none of them hides another between the same locations."""
    table = pa.table(
        {
            "pcod_from": pa.array([a for a, _, _ in found], pa.string()),
            "pcod_to": pa.array([b for _, b, _ in found], pa.string()),
            "value_label": pa.array([label for _, _, label in found], pa.string()),
            "value": pa.array(found.values(), pa.int64()),
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geojson, "BATCH_BYTES", size)
        told = written(table, LABELLED)
    flows = {"inflows": {}, "outflows": {}}
    for (a, b, label), value in found.items():
        flows["inflows"].setdefault(b, {}).setdefault(label or "", {})[a or ""] = value
        flows["outflows"].setdefault(a, {}).setdefault(label or "", {})[b or ""] = value
    touched = sorted({code for pair in found for code in pair[:2] if code is not None}, key=str.encode)
    touched += [None] * any(None in pair[:2] for pair in found)
    assert told == [
        expected(code, n + 1, **{name: at.get(code, {}) for name, at in flows.items()})
        for n, code in enumerate(touched)
    ]


def test_batches_are_bounded():
    """A result with more text than a batch holds comes in several, none of them much larger than it may be."""
    ring = [(math.cos(n / 500), math.sin(n / 500)) for n in range(3000)]
    places = Places(
        pa.table({"pcod": ["A"], "name": ["A"]}),
        pa.array(["A"]),
        pa.array([shapely.to_geojson(geojson._rounded(shapely.Polygon(ring)))]),
        pa.array(['{"type":"Point","coordinates":[0,0]}']),
    )
    rows = pa.table({"pcod": ["A"] * 500, "value": range(500)})
    batches = list(geojson.all_features(rows, AGGREGATE, places))
    assert len(batches) > 5
    assert all(batch.nbytes < 1.1 * geojson.BATCH_BYTES for batch in batches)
    values = [json.loads(text)["properties"]["value"] for b in batches for text in b["feature"].to_pylist()]
    assert values == list(range(500))


def test_coordinates_are_rounded():
    """Boundaries are told to six decimals, about a tenth of a metre."""
    first = json.loads(PLACES.geometry[0].as_py())
    assert {x for x, _ in first["coordinates"][0]} == {0.0, 0.333333}
