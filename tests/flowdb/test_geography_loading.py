"""Loading of boundaries."""

import json
import warnings

import geopandas
import pytest
import shapely

from flowdb.lake import LakeError
from flowdb.reference import geography


def _units(lake, unit):
    return [r for r in lake.reference("geography").to_pylist() if r["unit"] == unit]


def test_units_are_numbered_named_and_labelled(lake, squares):
    """Units stand in order of code, each with its name, a multipolygon, and a point for a label inside it."""
    loaded = geography.load(
        lake, squares("a.geojson", ("B", 1, 0), ("A", 0, 0)), unit="admin3", code="pcode", name="label"
    )
    assert loaded.rows == 2
    units = _units(lake, "admin3")
    assert [(u["gid"], u["pcod"], u["name"]) for u in units] == [(1, "A", "Unit A"), (2, "B", "Unit B")]
    for u in units:
        shape = shapely.from_wkb(u["geom"])
        assert shape.geom_type == "MultiPolygon"
        assert shape.contains(shapely.Point(u["longitude"], u["latitude"]))


def test_features_that_share_a_code_become_one(lake, squares):
    """Parts of a unit, in one file or several, are dissolved; the next level is loaded from the same features."""
    east = squares("east.geojson", ("A", 0, 0), ("A", 1, 0))
    west = squares("west.geojson", ("A", 5, 5), ("B", 9, 9))
    geography.load(lake, [east, west], unit="admin1", code="pcode")
    areas = [(u["pcod"], shapely.from_wkb(u["geom"]).area, u["name"]) for u in _units(lake, "admin1")]
    assert areas == [("A", 3.0, None), ("B", 1.0, None)]


def test_a_load_replaces_its_level_only(lake, squares):
    """Loading a level again replaces it and leaves the other levels."""
    geography.load(lake, squares("a.geojson", ("A", 0, 0)), unit="admin1", code="pcode")
    geography.load(lake, squares("b.geojson", ("Z", 0, 0), ("Y", 1, 0)), unit="admin2", code="pcode")
    geography.load(lake, squares("c.geojson", ("Z", 0, 0)), unit="admin2", code="pcode")
    assert [(u["unit"], u["pcod"]) for u in lake.reference("geography").to_pylist()] == [
        ("admin1", "A"),
        ("admin2", "Z"),
    ]


@pytest.mark.parametrize("form", ["gpkg", "shp", "csv", "geojson"])
def test_all_forms_and_coordinate_systems_give_the_same(lake, squares, tmp_path, form):
    """GeoPackage and Shapefile in metres, and CSV with well-known text, load as the GeoJSON does."""
    plain = squares("a.geojson", ("1", 80, 20), ("2", 81, 20))
    frame = geopandas.read_file(plain)
    path = tmp_path / f"units.{form}"
    if form == "csv":
        frame.assign(wkt=frame.geometry.to_wkt()).drop(columns="geometry").to_csv(path, index=False)
    else:
        (frame if form == "geojson" else frame.to_crs(32644)).to_file(path)
    loaded = geography.load(lake, path, unit="admin3", code="pcode", name="label")
    assert loaded.warnings == ()
    units = _units(lake, "admin3")
    assert [(u["pcod"], u["name"]) for u in units] == [("1", "Unit 1"), ("2", "Unit 2")]
    for unit, shape in zip(units, frame.geometry, strict=True):
        assert shapely.from_wkb(unit["geom"]).equals_exact(shapely.MultiPolygon([shape]), 1e-7) or (
            shapely.from_wkb(unit["geom"]).symmetric_difference(shape).area < 1e-9
        )


def test_invalid_shapes_are_mended(lake, write):
    """A bow tie becomes its two triangles; heights are dropped."""
    content = 'pcode,wkt\nA,"POLYGON Z ((0 0 1, 2 2 1, 2 0 1, 0 2 1, 0 0 1))"\n'
    geography.load(lake, write("bow.csv", content), unit="admin3", code="pcode")
    (unit,) = _units(lake, "admin3")
    shape = shapely.from_wkb(unit["geom"])
    assert shape.is_valid
    assert not shape.has_z
    assert shape.area == 2.0


def test_a_ring_that_is_not_closed_is_closed_with_a_word(lake, write, squares):
    """An open ring is closed, and the note names its feature; a shape that cannot be mended is named."""
    content = json.loads(squares("a.geojson", ("A", 0, 0), ("B", 1, 0)).read_text())
    content["features"][1]["geometry"]["coordinates"][0].pop()
    loaded = geography.load(lake, write("open.geojson", content), unit="admin3", code="pcode")
    assert loaded.warnings == ("open.geojson: rings that were not closed have been closed, of feature 2.",)
    assert [shapely.from_wkb(u["geom"]).area for u in _units(lake, "admin3")] == [1.0, 1.0]
    content["features"][1]["geometry"]["coordinates"] = [[[0, 0]]]
    with pytest.raises(LakeError, match=r"^open.geojson: feature 2 has a shape that cannot be read\.$"):
        geography.load(lake, write("open.geojson", content), unit="admin3", code="pcode")


def test_one_code_of_places_of_different_names_is_told(lake, write, squares):
    """Two places that share a code become one unit, and the note names both."""
    content = json.loads(squares("a.geojson", ("A", 0, 0), ("A", 1, 0), ("B", 2, 0)).read_text())
    content["features"][0]["properties"]["label"] = "North"
    file = write("twice.geojson", content)
    loaded = geography.load(lake, file, unit="admin3", code="pcode", name="label")
    assert loaded.warnings == (
        "1 code stands for places of different names, which become one unit: A (North, Unit A).",
    )


def test_a_file_of_several_layers_needs_the_name_of_one(lake, squares, tmp_path):
    """Of several layers none is taken in silence: they are named, and --layer takes one; tables without shapes are no
    layers."""
    frame = geopandas.read_file(squares("a.geojson", ("A", 0, 0)))
    path = tmp_path / "two.gpkg"
    for layer in ("adm3", "adm0"):
        frame.to_file(path, layer=layer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LakeError, match=r"^two.gpkg has 2 layers, adm3, adm0: name one with --layer\.$"):
            geography.load(lake, path, unit="admin3", code="pcode")
        with pytest.raises(LakeError, match=r"^two.gpkg has no layer 'adm1'; it has: adm3, adm0\.$"):
            geography.load(lake, path, unit="admin3", code="pcode", layer="adm1")
        assert geography.load(lake, path, unit="admin3", code="pcode", layer="adm0").warnings == ()


def test_text_in_another_encoding_than_said_is_read_by_naming_it(lake, squares, tmp_path):
    """A Shapefile in Windows' encoding whose .cpg says UTF-8 is refused with --encoding, which reads it."""
    frame = geopandas.read_file(squares("a.geojson", ("A", 0, 0)))
    frame["label"] = "Zamb\u00e9zia"
    path = tmp_path / "a.shp"
    frame.to_file(path, encoding="cp1252")
    path.with_suffix(".cpg").write_text("UTF-8")
    with pytest.raises(LakeError, match=r"^a.shp has text that is not utf-8: .* --encoding \(cp1252, latin-1\)\.$"):
        geography.load(lake, path, unit="admin3", code="pcode", name="label")
    geography.load(lake, path, unit="admin3", code="pcode", name="label", encoding="cp1252")
    assert [u["name"] for u in _units(lake, "admin3")] == ["Zamb\u00e9zia"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("code,wkt\nA,POINT (0 0)\n", "b.csv has no field 'pcode'; it has: code."),
        ("pcode,shape\nA,POINT (0 0)\n", "b.csv has no field 'wkt'; it has: pcode, shape."),
        ("pcode,wkt\nA,POINT (0 0)\n", "b.csv: feature 1 (A) is not a polygon."),
        ("pcode,wkt\nA,POLYGON EMPTY\n", "b.csv: feature 1 (A) has no shape."),
        ('pcode,wkt\n ,"POLYGON ((0 0, 1 0, 1 1, 0 0))"\n', "b.csv: feature 1 has nothing in field 'pcode'."),
        ("pcode,wkt\nA,a square\n", "b.csv, line 2: field 'wkt' is not well-known text."),
        ("pcode,wkt\nA\n", "b.csv, line 2: 1 fields where the header has 2."),
        ("pcode,wkt\n", "b.csv has a header but no row."),
        (
            'pcode,wkt\nA,"POLYGON ((0 0, 500000 0, 500000 500000, 0 0))"\n',
            "b.csv holds points that are no longitude and latitude on earth.",
        ),
    ],
)
def test_what_cannot_be_loaded_is_named(lake, write, content, said):
    """Each fault is one sentence with file and field or feature, and nothing is loaded."""
    with pytest.raises(LakeError) as refused:
        geography.load(lake, write("b.csv", content), unit="admin3", code="pcode")
    assert str(refused.value) == said
    assert lake.reference("geography").num_rows == 0


def test_wrong_fields_files_and_levels_are_named(lake, squares, tmp_path):
    """An unknown field is answered with the fields there are; so are missing and foreign files, and odd levels."""
    path = squares("districts.geojson", ("A", 0, 0))
    with pytest.raises(LakeError, match=r"^districts.geojson has no field 'x'; it has: pcode, label\.$"):
        geography.load(lake, path, unit="admin3", code="x")
    with pytest.raises(LakeError, match=r"no\.geojson does not exist\.$"):
        geography.load(lake, tmp_path / "no.geojson", unit="admin3", code="x")
    (tmp_path / "odd.gpkg").write_text("nothing of the kind")
    with pytest.raises(LakeError, match=r"^odd\.gpkg cannot be read as boundaries"):
        geography.load(lake, tmp_path / "odd.gpkg", unit="admin3", code="x")
    with pytest.raises(LakeError, match="'Admin 3' cannot name a level"):
        geography.load(lake, path, unit="Admin 3", code="pcode")
    with pytest.raises(LakeError, match="No file of boundaries is given"):
        geography.load(lake, [], unit="admin3", code="pcode")


@pytest.mark.shared
def test_four_levels_come_from_one_file(lake, nepal):
    """The districts of Nepal give zones, regions and the country by dissolving on their codes."""
    path = nepal / "data" / "nepal" / "districts.geojson"
    counts = [
        geography.load(lake, path, unit=f"admin{n}", code=f"admin{n}Pcod", name=f"admin{n}Name").rows for n in range(4)
    ]
    assert counts == [1, 5, 14, 75]
    areas = [sum(shapely.from_wkb(u["geom"]).area for u in _units(lake, f"admin{n}")) for n in range(4)]
    assert areas == pytest.approx([areas[3]] * 4, rel=1e-6)
