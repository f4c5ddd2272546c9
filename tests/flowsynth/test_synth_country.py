"""The country: believable units that nest, with sites inside."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import shapely

from flowsynth import Summary
from flowsynth.country import make_country

LEVELS = ("admin0pcod", "admin1pcod", "admin2pcod", "admin3pcod")


def units(seed: int) -> tuple[dict[str, list[str]], np.ndarray]:
    made = make_country(seed).units
    codes = {level: [getattr(unit, level) for unit in made] for level in LEVELS[1:]}
    return codes, np.array([unit.geometry for unit in made])


def test_every_unit_is_a_feature_with_names_and_codes_of_all_levels(delivery: Summary):
    """The boundary file has one feature an admin3 unit, with nested codes and a name for each level."""
    features = json.loads(delivery.boundaries.read_text(encoding="utf-8"))["features"]
    assert len(features) == delivery.units["admin3"] == 60
    rows = [feature["properties"] for feature in features]
    for row in rows:
        assert set(row) == {f"admin{n}{what}" for n in range(4) for what in ("name", "pcod")}
        for outer, inner in pairwise(LEVELS):
            assert row[inner].startswith(row[outer])
            assert len(row[inner]) > len(row[outer])
    for level, count in (("admin1pcod", 4), ("admin2pcod", 14), ("admin3pcod", 60)):
        assert len({row[level] for row in rows}) == count
    names = {row[f"admin{n}name"] for n in range(4) for row in rows}
    assert len(names) == 1 + 4 + 14 + 60
    assert any(not name.isascii() for name in names)


@pytest.mark.parametrize("seed", range(1, 13))
def test_units_of_any_seed_look_right_on_a_map(seed: int):
    """Units are single valid polygons, not slivers, that tile the country; groups of them are whole too."""
    codes, geometry = units(seed)
    assert shapely.is_valid(geometry).all()
    assert {shape.geom_type for shape in geometry} == {"Polygon"}
    country = shapely.union_all(geometry)
    assert country.geom_type == "Polygon"
    assert shapely.get_num_interior_rings(country) == 0
    assert country.area == pytest.approx(shapely.area(geometry).sum(), rel=1e-9)
    for level in ("admin1pcod", "admin2pcod"):
        for code in set(codes[level]):
            whole = shapely.union_all(geometry[np.array(codes[level]) == code])
            assert whole.geom_type == "Polygon"
            assert shapely.get_num_interior_rings(whole) == 0
    # 1 is a circle; a sliver would be near 0.
    assert (4 * np.pi * shapely.area(geometry) / shapely.length(geometry) ** 2).min() > 0.15
    assert shapely.area(geometry).min() > 0.1 * shapely.area(geometry).mean()


def test_neighbours_share_their_border_vertex_by_vertex(delivery: Summary):
    """Every inner border is drawn from the same vertices by the units on both its sides."""
    features = json.loads(delivery.boundaries.read_text(encoding="utf-8"))["features"]
    geometry = [shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features]
    edges: dict[frozenset[tuple[float, float]], int] = {}
    for shape in geometry:
        ring = [tuple(point) for point in shapely.get_coordinates(shape).tolist()]
        for pair in pairwise(ring):
            edges[frozenset(pair)] = edges.get(frozenset(pair), 0) + 1
    outer = shapely.length(shapely.union_all(geometry))
    alone = sum(math.dist(*edge) for edge, count in edges.items() if count == 1)
    assert set(edges.values()) == {1, 2}
    assert alone == pytest.approx(outer, rel=1e-6)
