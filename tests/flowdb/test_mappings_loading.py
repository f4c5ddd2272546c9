"""Loading of the deployment's own tables of places: mappings of cells, and points."""

import random
import signal
import subprocess
import sys
import time

import pytest
import shapely
from pyproj import Geod

from flowdb.lake import Lake, LakeError
from flowdb.reference import cells, geography, grids, mappings, settling

CELLS = "id,version,longitude,latitude\na,0,0.5,0.5\nb,0,1.5,0.5\nc,0,1.5,0.5\n"


@pytest.fixture
def country(lake, write, squares):
    """A lake with three cells in two units."""
    geography.load(lake, squares("u.geojson", ("A", 0, 0), ("B", 1, 0)), unit="admin3", code="pcode")
    cells.load(lake, write("cells.csv", CELLS))
    return lake


def placed(lake, unit="admin3"):
    """The code of each cell in a unit, by mapping."""
    codes = {(p["unit"], p["place"]): p["pcod"] or (p["lon"], p["lat"]) for p in lake.reference("places").to_pylist()}
    found = {}
    for row in lake.reference("cell_units").to_pylist():
        if row["unit"] == unit:
            found.setdefault(row["mapping"], {})[row["location_id"]] = codes[unit, row["place"]]
    return found


def test_a_mapping_is_settled_beside_where_cells_stand(country, write):
    """Cells lie where they stand and where the table says; those it lacks are counted in a sentence."""
    loaded = mappings.load_mapping(country, write("m.csv", "id,admin3pcod\na,B\nb,A\nz,A\n"), table="geography.m")

    assert placed(country) == {None: {"a": "A", "b": "B", "c": "B"}, "geography.m": {"a": "B", "b": "A"}}
    assert loaded.rows == 3
    assert loaded.warnings == ("geography.m has no unit of admin3 for 1 of 3 cells: what they carry is left out.",)


def test_a_mapping_is_replaced_by_name(country, write):
    """Loading a name again replaces it alone; other tables stay."""
    for name, content in (("m", "a,B"), ("n", "a,A"), ("m", "b,B")):
        mappings.load_mapping(country, write("m.csv", f"id,admin3pcod\n{content}\n"), table=f"geography.{name}")

    del (found := placed(country))[None]
    assert found == {"geography.m": {"b": "B"}, "geography.n": {"a": "A"}}


def test_a_mapping_follows_cells_and_boundaries(country, write, squares):
    """New cells and boundaries are settled through the tables that are there; a unit that went is told."""
    mappings.load_mapping(country, write("m.csv", "id,admin3pcod\na,B\nb,A\n"), table="geography.m")
    geography.load(country, squares("v.geojson", ("B", 0, 0), ("C", 1, 0)), unit="admin3", code="pcode")
    loaded = cells.load(country, write("cells.csv", "id,version,longitude,latitude\na,0,,\nb,0,0.5,0.5\n"))

    assert placed(country) == {None: {"b": "B"}, "geography.m": {"a": "B"}}
    assert loaded.warnings == ("geography.m has no unit of admin3 for 1 of 2 cells: what they carry is left out.",)


def test_columns_may_be_named_otherwise(country, write):
    """--map renames columns of mappings and of points."""
    file = write("m.csv", "cell,district\na,B\n")
    mappings.load_mapping(country, file, table="geography.m", columns={"id": "cell", "admin3pcod": "district"})
    file = write("p.csv", "cell,x,y\na,7,8\n")
    columns = {"id": "cell", "longitude": "x", "latitude": "y"}
    mappings.load_points(country, file, table="infrastructure.p", columns=columns)

    assert placed(country)["geography.m"] == {"a": "B"}
    assert placed(country, "lon-lat")["/infrastructure.p/id"] == {"a": (7.0, 8.0)}


def test_points_come_from_any_file_of_points(country, write, tmp_path):
    """Points are read from columns, from well-known text, and from GeoJSON; the same points are the same places."""
    features = [
        {"type": "Feature", "properties": {"id": "a"}, "geometry": {"type": "Point", "coordinates": [7, 8]}},
        {"type": "Feature", "properties": {"id": "b"}, "geometry": {"type": "Point", "coordinates": [0.5, 0.5]}},
    ]
    files = [
        write("p.csv", "id,longitude,latitude\na,7,8\nb,0.5,0.5\n"),
        write("w.csv", "id,wkt\na,POINT (7 8)\nb,POINT (0.5 0.5)\n"),
        write("p.geojson", {"type": "FeatureCollection", "features": features}),
    ]
    for n, file in enumerate(files):
        mappings.load_points(country, file, table=f"infrastructure.p{n}")

    del (found := placed(country, "lon-lat"))[None]
    assert found == {f"/infrastructure.p{n}/id": {"a": (7.0, 8.0), "b": (0.5, 0.5)} for n in range(3)}
    points = [p for p in country.reference("places").to_pylist() if p["unit"] == "lon-lat"]
    assert [(p["lon"], p["lat"]) for p in points] == [(0.5, 0.5), (1.5, 0.5), (7.0, 8.0)]


REFUSED_MAPPINGS = {
    "no such unit": ("id,admin3pcod\na,A\nb,X\n", r"m\.csv, line 3: admin3pcod 'X' is no unit of admin3\."),
    "a cell twice": ("id,admin3pcod\na,A\na,B\n", r"m\.csv, line 3: id a stands in line 2 already\."),
    "no cell": ("id,admin3pcod\n,A\n", r"m\.csv, line 2: id is empty\."),
    "no id": ("cell,admin3pcod\na,A\n", r"lacks id \(it has: cell, admin3pcod\); try --map id=cell"),
    "no unit": ("id,district\na,A\n", r"m\.csv has no column that names a unit, such as admin3pcod; it has: id, dist"),
    "a level that is not loaded": ("id,admin2pcod\na,A\n", r"there is no level admin2 here: load its boundaries"),
    "a line too short": ("id,admin3pcod\na\n", r"m\.csv, line 2: 1 fields where the header has 2\."),
    "nothing": ("id,admin3pcod\n", r"m\.csv has a header but no row\."),
}


@pytest.mark.parametrize("case", REFUSED_MAPPINGS)
def test_a_bad_mapping_is_refused_whole(country, write, case):
    """What is wrong with a mapping is told by file, line and field, and nothing of it is in."""
    content, words = REFUSED_MAPPINGS[case]
    before = placed(country)

    with pytest.raises(LakeError, match=words):
        mappings.load_mapping(country, write("m.csv", content), table="geography.m")
    assert placed(country) == before
    assert country.reference("cell_mappings").num_rows == 0


REFUSED_POINTS = {
    "not on earth": ("id,longitude,latitude\na,80,127\n", r"p\.csv, line 2: latitude 127 is not between -90 and 90"),
    "no position": ("id,longitude,latitude\na,,27\n", r"p\.csv, line 2: longitude is empty\."),
    "no number": ("id,longitude,latitude\na,x,27\n", r"p\.csv, line 2: longitude 'x' is not a number\."),
    "a point twice": ("id,longitude,latitude\na,1,2\na,1,3\n", r"p\.csv, line 3: id a stands in line 2 already\."),
    "no name": ("longitude,latitude\n1,2\n", r"p\.csv has no column whose values name one point each"),
    "an area": ('id,wkt\na,"POLYGON ((0 0,1 0,1 1,0 0))"\n', r"p\.csv: feature 1 is not a point\."),
    "no columns": ("id,x,y\na,1,2\n", r"p\.csv lacks longitude, latitude .* try --map longitude=x --map latitude=y"),
}


@pytest.mark.parametrize("case", REFUSED_POINTS)
def test_bad_points_are_refused_whole(country, write, case):
    """What is wrong with points is told by file, line or feature, and field, and nothing of them is in."""
    content, words = REFUSED_POINTS[case]

    with pytest.raises(LakeError, match=words):
        mappings.load_points(country, write("p.csv", content), table="infrastructure.p")
    assert country.reference("geom_points").num_rows == 0


def test_a_name_stands_for_one_thing(country, write, squares):
    """Names of tables and levels do not clash with each other, nor with what FlowDB has."""
    file = write("m.csv", "id,admin3pcod\na,A\n")
    points = write("p.csv", "id,longitude,latitude\na,7,8\n")
    mappings.load_mapping(country, file, table="geography.m")
    mappings.load_points(country, points, table="geography.p")

    for table in ("m", "geography", "geography.", "geography.m; DROP TABLE x", 'geography."m"', "a.b.c"):
        with pytest.raises(LakeError, match="cannot name a table"):
            mappings.load_mapping(country, file, table=table)
    for table in ("infrastructure.cells", "events.calls", "flowdb.cell_units", "Cache.x"):
        with pytest.raises(LakeError, match="FlowDB's own"):
            mappings.load_points(country, points, table=table)
    with pytest.raises(LakeError, match=r"geography\.p is a table of points already"):
        mappings.load_mapping(country, file, table="geography.p")
    with pytest.raises(LakeError, match=r"geography\.m is a mapping table already"):
        mappings.load_points(country, points, table="geography.m")
    with pytest.raises(LakeError, match=r"geography\.admin3 holds the boundaries of the level admin3"):
        mappings.load_mapping(country, file, table="geography.admin3")
    for unit in ("m", "p"):
        with pytest.raises(LakeError, match=f"geography.{unit} is a custom table already"):
            geography.load(country, squares("u.geojson", ("A", 0, 0)), unit=unit, code="pcode")
    for unit in ("lon-lat", "cell", "site", "nonspatial"):
        with pytest.raises(LakeError, match="a meaning of its own"):
            geography.load(country, squares("u.geojson", ("A", 0, 0)), unit=unit, code="pcode")
    for unit in ("Admin3", "1st", "a b", "a:b", "a" * 41, ""):
        with pytest.raises(LakeError, match="cannot name a level"):
            geography.load(country, squares("u.geojson", ("A", 0, 0)), unit=unit, code="pcode")


KILLED = """
import sys
from pathlib import Path
from flowdb.reference import mappings
from flowdb.lake import Lake
lake, directory = Lake.open(Path(sys.argv[1])), Path(sys.argv[2])
while True:
    for unit in "AB":
        mappings.load_mapping(lake, directory / f"{unit}.csv", table="geography.m")
        print("loaded", flush=True)
"""


def test_a_killed_load_is_wholly_in_or_not(country, write, tmp_path):
    """Killed with no warning again and again, a load leaves the table of one file, settled by the next command."""
    for unit in "AB":
        write(f"{unit}.csv", f"id,admin3pcod\na,{unit}\nb,{unit}\nc,{unit}\n")
    draw, seen = random.Random(7), []
    for _ in range(3):
        command = [sys.executable, "-c", KILLED, str(country.path), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"loaded\n"
            time.sleep(draw.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
        settling.settle(country)
        assert settling.settle(country) == []
        assert Lake.open(country.path).snapshot().reference["cell_units"]
        told = {(r["location_id"], r["value"]) for r in country.reference("cell_mappings").to_pylist()}
        found = placed(country).get("geography.m", {})
        assert len(set(found.values())) <= 1
        assert {(cell, code) for cell, code in told if cell != code} == set(found.items())
        seen += found
    assert seen


def test_squares_hold_each_point_once(lake, write):
    """Every point of the country, on an edge of squares or not, is in exactly one square of a grid."""
    country = shapely.Point(84, 28).buffer(1.5)
    geography.load(lake, write("c.csv", f'code,wkt\nX,"{country.wkt}"\n'), unit="admin0", code="code")
    grids.make(lake, 20)
    level = [r for r in lake.reference("geography").to_pylist() if r["unit"] == "grid-20km"]
    draw = random.Random(3)
    corners = [shapely.get_coordinates(shapely.from_wkb(r["geom"]))[0].tolist() for r in draw.sample(level, 30)]
    points = [(84 + draw.uniform(-1, 1), 28 + draw.uniform(-1, 1)) for _ in range(300)]
    points += [(x, y) for x, y in corners if country.contains(shapely.Point(x, y))]
    lines = [f"c{n},0,{x!r},{y!r}" for n, (x, y) in enumerate(points)]
    loaded = cells.load(lake, write("cells.csv", "\n".join(["id,version,longitude,latitude", *lines])))

    assert loaded.warnings == ()
    assert sorted(placed(lake, "grid-20km")[None]) == sorted(f"c{n}" for n in range(len(points)))
    inside = shapely.STRtree(shapely.from_wkb([r["geom"] for r in level]))
    found = inside.query([shapely.Point(p) for p in points[:300]], predicate="within")[0]
    assert sorted(found.tolist()) == list(range(300))


@pytest.mark.parametrize(
    "country",
    [shapely.box(80, 26, 83, 29), shapely.box(14, 66, 18, 69), shapely.box(-72, -40, -70, -30)],
    ids=["Nepal", "Lapland", "Chile"],
)
def test_squares_have_their_true_size(lake, write, country):
    """Wherever a square lies, its area on the ellipsoid is that of its name to 0.1 %, and its codes are in order."""
    geography.load(lake, write("c.csv", f'code,wkt\nX,"{country.wkt}"\n'), unit="admin0", code="code")
    made = [grids.make(lake, 25).rows for _ in range(2)]
    level = [r for r in lake.reference("geography").to_pylist() if r["unit"] == "grid-25km"]
    areas = [abs(Geod(ellps="WGS84").geometry_area_perimeter(shapely.from_wkb(r["geom"]))[0]) for r in level]

    assert made == [len(level)] * 2
    assert min(areas) > 0.999 * 625e6
    assert max(areas) < 1.001 * 625e6
    assert [r["pcod"] for r in level] == sorted({r["pcod"] for r in level})
    covered = shapely.union_all(shapely.from_wkb([r["geom"] for r in level]))
    assert covered.covers(country)


def test_squares_across_the_180th_meridian_stay_small(lake, write):
    """A country on both sides of the 180th meridian is covered by squares that are cut there, none around the world."""
    country = shapely.MultiPolygon([shapely.box(178, -19, 180, -16), shapely.box(-180, -19, -179, -16)])
    geography.load(lake, write("c.csv", f'code,wkt\nX,"{country.wkt}"\n'), unit="admin1", code="code")
    grids.make(lake, 50, unit="grid-coarse")
    shapes = shapely.from_wkb([r["geom"] for r in lake.reference("geography").to_pylist() if r["unit"] != "admin1"])

    assert 50 < len(shapes) < 150
    assert max(shapely.area(shapes)) < 0.3
    assert shapely.union_all(shapes).buffer(1e-9).covers(country)


def test_a_grid_that_cannot_be_is_refused(lake, write):
    """A grid without a country, of too many squares, or of another name is refused with the way out."""
    with pytest.raises(LakeError, match="There are no boundaries to cover"):
        grids.make(lake, 10)
    geography.load(lake, write("c.csv", f'code,wkt\nX,"{shapely.box(0, 0, 20, 20).wkt}"\n'), unit="admin0", code="code")
    with pytest.raises(LakeError, match=r"grid-100m would have more than [0-9,]+ squares.*Make larger squares"):
        grids.make(lake, 0.1)
    for km in (0, -1, 0.01, 1001, float("nan")):
        with pytest.raises(LakeError, match=r"choose from 0\.05 to 1000 km"):
            grids.make(lake, km)
    for unit in ("squares", "admin1", "cell", "grid 10"):
        with pytest.raises(LakeError, match=r"choose another name|begin with grid-|cannot name a level"):
            grids.make(lake, 10, unit=unit)
