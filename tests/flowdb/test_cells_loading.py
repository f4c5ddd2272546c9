"""Loading of cells, sites and handset models, and what is settled from them."""

import datetime as dt
import random
import time

import numpy as np
import pyarrow as pa
import pytest
import shapely

from flowdb.lake import LakeError
from flowdb.reference import cells, geography, settling, sites, tacs
from flowdb.reference.checks import SINCE_EVER, STILL
from flowdb.tables import CELLS, POINTS

HEADER = "id,version,site_id,longitude,latitude,date_of_first_service,date_of_last_service\n"


def _units(lake):
    """Unit, cell, version and code of every settled membership of a level."""
    codes = {(p["unit"], p["place"]): p["pcod"] for p in lake.reference("places").to_pylist()}
    return sorted(
        (c["unit"], c["location_id"], c["version"], codes[c["unit"], c["place"]])
        for c in lake.reference("cell_units").to_pylist()
        if c["unit"] not in POINTS
    )


def test_positions_hold_for_the_days_of_service(lake, write):
    """Each placed version has its position from its first to its last day; open ends are since ever and still."""
    loaded = cells.load(
        lake, write("cells.csv", HEADER + "b,0,s,85.5,27.5,,2016-01-05\nb,1,s,85.6,27.5,2016-01-06,\na,0,,,,,\n")
    )
    assert loaded.rows == 3
    assert lake.reference("cell_positions").to_pylist() == [
        {
            "location_id": "b",
            "version": version,
            "site_id": "s",
            "first_day": first,
            "last_day": last,
            "lon": lon,
            "lat": 27.5,
            "site": version,
            "site_lon": lon,
            "site_lat": 27.5,
        }
        for version, first, last, lon in [
            (0, SINCE_EVER, dt.date(2016, 1, 5), 85.5),
            (1, dt.date(2016, 1, 6), STILL, 85.6),
        ]
    ]


def test_places_are_numbered_in_order(lake, write, squares):
    """Units are numbered by code and points by longitude and latitude, from 0; a shared point is one place."""
    geography.load(lake, squares("u.geojson", ("b", 1, 0), ("a", 0, 0), ("B", 2, 0)), unit="admin3", code="pcode")
    content = "x,0,,1.5,0.5,,\ny,0,,0.5,0.5,,\nz,0,,0.5,0.5,,\nw,0,,0.5,0.25,,\n"
    cells.load(lake, write("cells.csv", HEADER + content))
    places = lake.reference("places").to_pylist()
    assert [(p["unit"], p["place"], p["pcod"], p["lon"], p["lat"]) for p in places] == [
        ("lon-lat", 0, None, 0.5, 0.25),
        ("lon-lat", 1, None, 0.5, 0.5),
        ("lon-lat", 2, None, 1.5, 0.5),
        ("admin3", 0, "B", None, None),
        ("admin3", 1, "a", None, None),
        ("admin3", 2, "b", None, None),
        ("cell", 0, "w", 0.5, 0.25),
        ("cell", 1, "x", 1.5, 0.5),
        ("cell", 2, "y", 0.5, 0.5),
        ("cell", 3, "z", 0.5, 0.5),
    ]
    points = {c["location_id"]: c["place"] for c in lake.reference("cell_units").to_pylist() if c["unit"] == "lon-lat"}
    assert points == {"w": 0, "x": 2, "y": 1, "z": 1}
    assert [u[1:] for u in _units(lake)] == [("w", 0, "a"), ("x", 0, "b"), ("y", 0, "a"), ("z", 0, "a")]


def test_only_strictly_inside_counts(lake, write, squares):
    """A cell on a border, or outside, is in no unit, and the count is told."""
    geography.load(lake, squares("u.geojson", ("A", 0, 0)), unit="admin3", code="pcode")
    loaded = cells.load(lake, write("cells.csv", HEADER + "i,0,,0.5,0.5,,\nedge,0,,1,0.5,,\nout,0,,9,9,,\n"))
    assert [u[1] for u in _units(lake)] == ["i"]
    assert loaded.warnings == ("2 of 3 cell versions lie in no unit of admin3.",)


def test_where_units_overlap_the_smallest_code_wins(lake, write, squares):
    """Overlapping units give one unit a cell, and a warning that names an example."""
    cells.load(lake, write("cells.csv", HEADER + "c,0,,0.75,0.5,,\nd,0,,0.25,0.5,,\n"))
    loaded = geography.load(lake, squares("u.geojson", ("B", 0, 0), ("A", 0.5, 0)), unit="admin3", code="pcode")
    assert _units(lake) == [("admin3", "c", 0, "A"), ("admin3", "d", 0, "B")]
    (told,) = loaded.warnings
    assert told.startswith("Units of admin3 overlap: 1 cell versions lie in more than one, such as c in A and B; ")


def test_exchanged_coordinates_are_noticed_and_mended(lake, write, squares):
    """When no cell lies anywhere, the loader sees whether exchanging the columns would help; a mapping does it."""
    geography.load(lake, squares("u.geojson", ("A", 85, 27)), unit="admin3", code="pcode")
    path = write("cells.csv", HEADER + "c,0,,27.5,85.5,,\n")
    loaded = cells.load(lake, path)
    assert loaded.warnings[0] == "1 of 1 cell versions lie in no unit of admin3."
    assert loaded.warnings[1].startswith("With longitude and latitude exchanged, 1 would: ")
    assert cells.load(lake, path, {"longitude": "latitude", "latitude": "longitude"}).warnings == ()
    assert _units(lake) == [("admin3", "c", 0, "A")]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("a,0,,200,27,,", "line 2: longitude 200 is not between -180 and 180"),
        ("a,0,,27,-95.5,,", "line 2: latitude -95.5 is not between -90 and 90"),
        ("a,0,,85,27,,\n\na,0,,85,27,,", "line 4: id a, version 0 stands in line 2 already."),
        (
            "a,0,,85,27,2016-01-02,2016-01-01",
            "line 2: date_of_last_service 2016-01-01 is before date_of_first_service 2016-01-02.",
        ),
        ("a,0,,85,27,1.1.2016,", "line 2: date_of_first_service '1.1.2016' is not a date such as 2016-01-31."),
        ("a,zero,,85,27,,", "line 2: version 'zero' is not a whole number."),
        ("a,0,,east,27,,", "line 2: longitude 'east' is not a number."),
        (",0,,85,27,,", "line 2: id is empty."),
        ("a,0,,85,,,", "line 2: longitude is given but latitude is empty."),
        ("a,0,,85,27", "line 2: 5 fields where the header has 7."),
    ],
)
def test_a_wrong_line_is_named_with_its_field(lake, write, lines, said):
    """What is wrong with a cell is one sentence with file, line and field, and nothing is loaded."""
    with pytest.raises(LakeError) as refused:
        cells.load(lake, write("cells.csv", HEADER + lines + "\n"))
    assert str(refused.value).startswith(f"cells.csv, {said}")
    assert lake.reference("cells").num_rows == 0


def test_wrong_headers_are_named(lake, write, tmp_path):
    """A missing column, one named twice, and mappings to nothing are one sentence each."""
    path = write("cells.csv", "id,version,lon,latitude\na,0,85,27\n")
    with pytest.raises(LakeError, match=r"header of cells.csv lacks longitude .* lon; try --map longitude=lon\.$"):
        cells.load(lake, path)
    assert cells.load(lake, path, {"longitude": "lon"}).rows == 1
    with pytest.raises(LakeError, match=r"cells.csv has no column 'x'"):
        cells.load(lake, path, {"longitude": "x"})
    with pytest.raises(LakeError, match="cells has no column 'lon'"):
        cells.load(lake, path, {"lon": "longitude"})
    with pytest.raises(LakeError, match="names a column twice: id"):
        cells.load(lake, write("twice.csv", "id,id,version,longitude,latitude\n"))
    with pytest.raises(LakeError, match="has a header but no row"):
        cells.load(lake, write("empty.csv", HEADER))
    with pytest.raises(LakeError, match="No such file"):
        cells.load(lake, tmp_path / "no.csv")


def test_overlapping_versions_are_refused_or_cut(lake, write):
    """Two versions of a cell in service on one day are refused naming the cell; told so, the earlier is cut short."""
    path = write("cells.csv", HEADER + "a,0,,85,27,2016-01-01,\na,1,,86,27,2016-01-06,\nb,0,,85,27,,\n")
    with pytest.raises(LakeError, match=r"line 3: versions 0 and 1 of cell a are both in service on 2016-01-06"):
        cells.load(lake, path)
    loaded = cells.load(lake, path, overlaps="cut")
    assert loaded.warnings == ("cells.csv: 1 versions of cells were cut short where the next begins.",)
    days = [(p["location_id"], p["version"], p["last_day"]) for p in lake.reference("cell_positions").to_pylist()]
    assert days == [("a", 0, dt.date(2016, 1, 5)), ("a", 1, STILL), ("b", 0, STILL)]
    same = write("same.csv", HEADER + "a,0,,85,27,2016-01-01,\na,1,,86,27,2016-01-01,\n")
    with pytest.raises(LakeError, match="versions 0 and 1 of cell a both begin on 2016-01-01"):
        cells.load(lake, same, overlaps="cut")


def test_a_whole_load_replaces_the_table(lake, write):
    """Cells that are not in the new file are gone, from the settled tables too."""
    cells.load(lake, write("a.csv", HEADER + "a,0,,85,27,,\nb,0,,85,27,,\n"))
    cells.load(lake, write("b.csv", HEADER + "b,0,,85,27,,\n"))
    assert lake.reference("cells")["id"].to_pylist() == ["b"]
    assert lake.reference("cell_positions")["location_id"].to_pylist() == ["b"]


def test_sites_and_handsets_load(lake, write):
    """Sites keep their versions, truths and dates; handsets their numbers; columns of no use are told."""
    file = write(
        "sites.csv", "id,version,longitude,latitude,is_cow,date_of_first_service\ns,1.0, 85 ,27,True,2016-01-01\n"
    )
    sites.load(lake, file)
    (site,) = lake.reference("sites").to_pylist()
    assert (site["version"], site["longitude"], site["is_cow"]) == (1, 85.0, True)
    loaded = tacs.load(lake, write("tacs.csv", "id,brand,hnd_type,wap_2_0\n92380772.0,Oppo,Smart,1\n"))
    assert loaded.warnings == ("tacs.csv: columns left out: wap_2_0.",)
    (tac,) = lake.reference("tacs").to_pylist()
    assert (tac["id"], tac["brand"], tac["hnd_type"]) == (92380772, "Oppo", "Smart")
    with pytest.raises(LakeError, match=r"tacs.csv, line 3: id 1 stands in line 2 already"):
        tacs.load(lake, write("tacs.csv", "id\n1\n1.0\n"))


def test_settling_mends_what_a_kill_left_behind(lake, write, squares):
    """Cells that came in without being settled are noticed and settled once; then there is nothing to do."""
    geography.load(lake, squares("u.geojson", ("A", 85, 27)), unit="admin3", code="pcode")
    cells.load(lake, write("cells.csv", HEADER + "a,0,,85.5,27.5,,\n"))
    rows = lake.reference("cells").to_pylist()
    lake.replace_reference(
        "cells", pa.Table.from_pylist([r | {"id": "z"} for r in rows], lake.reference("cells").schema)
    )
    assert _units(lake) == [("admin3", "a", 0, "A")]
    settling.settle(lake)
    assert _units(lake) == [("admin3", "z", 0, "A")]
    before = lake.snapshot().reference_versions()
    settling.settle(lake)
    assert lake.snapshot().reference_versions() == before


def test_settling_an_empty_lake_does_nothing(lake):
    """Where nothing was loaded there is nothing to settle."""
    assert settling.settle(lake) == []
    assert lake.snapshot().reference == {}


def test_containment_agrees_with_asking_each_polygon(lake):
    """On random polygons, with holes and overlaps, the tree finds what asking all pairs finds."""
    draw = random.Random(5)
    shapes = [
        shapely.Point(draw.random() * 10, draw.random() * 10)
        .buffer(1 + draw.random())
        .difference(shapely.Point(draw.random() * 10, draw.random() * 10).buffer(0.7))
        for _ in range(30)
    ]
    points = [(draw.random() * 10, draw.random() * 10) for _ in range(200)]
    schema = lake.reference("geography").schema
    rows = [{"gid": n, "unit": "admin2", "pcod": f"{n:02}", "geom": shapely.to_wkb(s)} for n, s in enumerate(shapes, 1)]
    lake.replace_reference("geography", pa.Table.from_pylist(rows, schema))
    _put_cells(lake, [p[0] for p in points], [p[1] for p in points])
    settling.settle(lake)
    expected = []
    for n, point in enumerate(points):
        inside = [r["pcod"] for r, s in zip(rows, shapes, strict=True) if shapely.Point(point).within(s)]
        expected += [("admin2", f"c{n}", 0, min(inside))] if inside else []
    assert _units(lake) == sorted(expected)


def test_a_large_country_settles_in_seconds(lake):
    """Fifty thousand cells in two thousand units take seconds."""
    side = 45
    ring = np.array(shapely.Point(0, 0).buffer(0.49, quad_segs=100).exterior.coords)
    rows = [
        {
            "gid": n + 1,
            "unit": "admin3",
            "pcod": f"{n:04}",
            "geom": shapely.to_wkb(shapely.Polygon(ring + divmod(n, side))),
        }
        for n in range(side * side)
    ]
    lake.replace_reference("geography", pa.Table.from_pylist(rows, lake.reference("geography").schema))
    draw = np.random.default_rng(1)
    _put_cells(lake, draw.random(50_000) * side, draw.random(50_000) * side)
    began = time.process_time()
    settling.settle(lake)
    assert time.process_time() - began < 10
    assert lake.reference("cell_units").num_rows > 80_000


def _put_cells(lake, lon, lat):
    empty = lake.reference("cells")
    columns = {c.name: pa.nulls(len(lon), empty.schema.field(c.name).type) for c in CELLS}
    columns["id"] = pa.array([f"c{n}" for n in range(len(lon))])
    columns["version"] = pa.array([0] * len(lon), pa.int32())
    columns["longitude"], columns["latitude"] = pa.array(lon, pa.float64()), pa.array(lat, pa.float64())
    lake.replace_reference("cells", pa.table(columns))


@pytest.mark.shared
def test_the_cells_of_nepal_settle(lake, nepal):
    """All 62 versions lie in a unit of every level, and seven cells move on 2016-01-06."""
    folder = nepal / "data" / "nepal"
    for n in range(4):
        geography.load(lake, folder / "districts.geojson", unit=f"admin{n}", code=f"admin{n}Pcod")
    exchanged = {"longitude": "latitude", "latitude": "longitude"}
    loaded = cells.load(lake, folder / "cells.csv", exchanged)
    assert (loaded.rows, loaded.warnings) == (62, ())
    assert sites.load(lake, folder / "sites.csv").rows == 35
    assert tacs.load(lake, folder / "tacs.csv").rows == 20
    found = _units(lake)
    assert [sum(u[0] == f"admin{n}" for u in found) for n in range(4)] == [62] * 4
    positions = lake.reference("cell_positions").to_pylist()
    moved = {p["location_id"] for p in positions if p["version"] == 1 and p["first_day"] == dt.date(2016, 1, 6)}
    assert len(moved) == 7
    assert {p["last_day"] for p in positions if p["location_id"] in moved and p["version"] == 0} == {
        dt.date(2016, 1, 5)
    }
