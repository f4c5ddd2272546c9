"""What clusters need is settled with cells and boundaries: where sites stand, and boundaries as edges."""

import json

import numpy as np
import pytest
import shapely

from flowdb.lake import Lake
from flowdb.reference import cells, sites
from flowdb.reference.edges import unit_edges
from flowdb.reference.geography import load
from flowdb.tables import BANDS_PER_DEGREE


@pytest.fixture
def lake(tmp_path):
    """A lake with four versions of cells: two of one site, one without a site, one of a later version."""
    made = Lake.create(tmp_path / "lake", "UTC")
    file = tmp_path / "cells.csv"
    file.write_text(
        "id,version,site_id,longitude,latitude\n"
        "b,0,mast,80.2,26.2\na,0,mast,80.1,26.1\nmast,0,,80.3,26.3\nc,1,mast,80.4,26.4\n"
    )
    cells.load(made, file)
    return made


def of_sites(lake):
    """The sites at which each version of a cell stands, in turn: number, longitude and latitude."""
    by_version = {}
    for p in lake.reference("cell_positions").to_pylist():
        by_version.setdefault((p["location_id"], p["version"]), []).append((p["site"], p["site_lon"], p["site_lat"]))
    return by_version


def test_sites_that_are_not_loaded_stand_where_their_cells_do(lake):
    """If no site is loaded, cells of a site within 1 km are at one place; a cell without a site is one by itself."""
    assert of_sites(lake) == {
        ("a", 0): [(0, 80.1, 26.1)],
        ("b", 0): [(1, 80.2, 26.2)],
        ("c", 1): [(2, 80.4, 26.4)],
        ("mast", 0): [(3, 80.3, 26.3)],
    }


def test_a_cell_of_another_site_and_version_is_at_that_site(tmp_path):
    """A cell that moves to another site, or changes at its mast, makes no second site there."""
    lake, file = Lake.create(tmp_path / "lake", "UTC"), tmp_path / "cells.csv"
    file.write_text(
        "id,version,site_id,longitude,latitude,date_of_first_service,date_of_last_service\n"
        "a,0,north,80.1,26.1,,\n"
        "b,0,south,80.2,26.2,,2016-01-05\nb,1,north,80.1001,26.1,2016-01-06,\n"
        "c,0,south,80.2,26.2,,2016-01-05\nc,1,south,80.2,26.2,2016-01-06,\n"
    )
    cells.load(lake, file)
    north, south = (0, 80.1, 26.1), (1, 80.2, 26.2)
    assert of_sites(lake) == {
        ("a", 0): [north],
        ("b", 0): [south],
        ("b", 1): [north],
        ("c", 0): [south],
        ("c", 1): [south],
    }


def test_loading_sites_moves_them(lake, tmp_path):
    """A loaded site stands where its own versions say, whatever the versions of its cells are."""
    file = tmp_path / "sites.csv"
    file.write_text("id,version,longitude,latitude\nmast,0,85,27\n")

    sites.load(lake, file)

    assert of_sites(lake)["a", 0] == of_sites(lake)["b", 0] == of_sites(lake)["c", 1] == [(0, 85.0, 27.0)]
    assert of_sites(lake)["mast", 0] == [(1, 80.3, 26.3)]


def test_a_site_that_moves_takes_its_cells_along(lake, tmp_path):
    """Of a site with two versions, each cell is at the one in service on a day; no day has two, and none is lost."""
    file = tmp_path / "sites.csv"
    file.write_text(
        "id,version,longitude,latitude,date_of_first_service,date_of_last_service\n"
        "mast,0,85,27,2016-01-01,2016-01-05\nmast,1,86,28,2016-01-07,\n"
    )

    sites.load(lake, file)

    assert of_sites(lake)["a", 0] == [(0, 85.0, 27.0), (1, 86.0, 28.0)]
    days = [
        (str(p["first_day"]), str(p["last_day"]))
        for p in lake.reference("cell_positions").to_pylist()
        if p["location_id"] == "a"
    ]
    assert days == [("0001-01-01", "2016-01-06"), ("2016-01-07", "9999-12-31")]


def test_edges_hold_every_side_in_each_band_that_it_touches(lake, tmp_path):
    """Each edge of a loaded boundary is there once for every band from its southern to its northern end."""
    file = tmp_path / "units.geojson"
    hole = [[80.2, 26.2], [80.4, 26.2], [80.3, 26.4], [80.2, 26.2]]
    ring = [[80, 26], [81, 26], [81, 27], [80, 27], [80, 26]]
    shape = {"type": "Polygon", "coordinates": [ring, hole]}
    feature = {"type": "Feature", "properties": {"code": "A"}, "geometry": shape}
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))

    load(lake, file, unit="admin3", code="code")

    edges = lake.reference("unit_edges").to_pylist()
    assert {e["unit"] for e in edges} == {"admin3"}
    told = {(e["lon1"], e["lat1"], e["lon2"], e["lat2"]) for e in edges}
    assert len(told) == 7
    assert all(south <= north for _, south, _, north in told)
    west = [e["band"] for e in edges if e["lon1"] == e["lon2"] == 80]
    assert west == list(range(26 * BANDS_PER_DEGREE, 27 * BANDS_PER_DEGREE + 1))


def test_rays_tell_the_place_of_any_point():
    """Counting the edges that a ray crosses agrees with geometry for random points and random polygons."""
    import pyarrow as pa

    random = np.random.default_rng(7)
    stars = []
    for _ in range(12):
        angles = np.sort(random.uniform(0, 2 * np.pi, 25))
        radius = random.uniform(0.2, 1.5, 25)
        x, y = random.uniform(-3, 3, 2)
        star = shapely.Polygon(np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)]))
        stars.append(shapely.make_valid(star))
    codes = [f"{n:02}" for n in range(len(stars))]
    level = pa.table({"unit": ["star"] * len(stars), "pcod": codes, "geom": [s.wkb for s in stars]})
    found = unit_edges(level)
    place, band, *ends = (np.asarray(found[c]) for c in ("place", "band", "lon1", "lat1", "lon2", "lat2"))
    for lon, lat in random.uniform(-4, 4, (2000, 2)):
        near = band == np.floor(lat * BANDS_PER_DEGREE)
        lon1, lat1, lon2, lat2 = (end[near] for end in ends)
        crossed = (lat1 <= lat) & (lat < lat2) & ((lon2 - lon1) * (lat - lat1) > (lon - lon1) * (lat2 - lat1))
        inside = np.flatnonzero(np.bincount(place[near][crossed], minlength=len(stars)) % 2)
        assert inside.tolist() == [n for n, star in enumerate(stars) if star.contains(shapely.Point(lon, lat))]
