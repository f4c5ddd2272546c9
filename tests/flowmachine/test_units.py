"""What locations are told by: levels of the deployment's own, grids, cells, sites, and tables that place cells."""

import json
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import shapely
from tests.flowmachine.test_kinds_on_engines import ENGINES

import flowmachine
from flowapi.authorisation import scopes_of_schemas
from flowdb.lake import Lake
from flowdb.reference import cells, geography, grids, mappings, sites
from flowdb.tables import UNITS
from flowkit_jwt_generator.scopes import query_scopes
from flowmachine import geojson
from flowmachine.catalogue import schemas
from flowmachine.errors import InvalidQuery
from flowmachine.geojson import Atlas
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds
from flowmachine.questions.slots import slot_members
from flowmachine.server.contents import kinds_in
from flowmachine.testing import Event, World, rows

CELLS = """id,version,site_id,longitude,latitude,date_of_first_service,date_of_last_service
a,0,s1,80.5,26.5,,
b,0,s1,81.25,26.5,,
c,0,s2,82.5,26.5,,2016-01-01
c,1,s2,80.25,26.25,2016-01-02,
d,0,,82.75,26.25,,
e,0,s2,,,,
"""
SITES = "id,version,longitude,latitude\ns2,0,82,26.5\ns2,1,82.125,26.5\n"
LEVELS = {
    "admin3": {"A": (80, 81), "B": (81, 82), "C": (82, 83)},
    "health_zone": {"W": (80, 81.5), "E": (81.5, 83)},
}
BY_HAND = "id,admin3pcod,health_zonepcod,station\na,B,E,S1\nb,B,W,S1\nc,A,W,S2\ne,C,E,\n"
MOVED = "id,longitude,latitude\na,84,28\nc,84,28\nnobody,85,28\n"
STATIONS = "station,wkt\nS1,POINT (85 28)\nS2,POINT (86 28)\n"
EVENTS = [Event("calls", n, "2016-01-01T08:00", cell) for n, cell in enumerate("abcde", 1)]
EVENTS += [Event("calls", 3, "2016-01-02T08:00", "c"), Event("calls", 6, "2016-01-01T08:00", "unknown")]


@dataclass(frozen=True)
class Country(World):
    """Events over a network and boundaries that were loaded from files."""

    def lake(self, path):
        """The country as a lake in a new directory."""
        lake, files = super().lake(path), path.with_name(f"{path.name}-files")
        files.mkdir()

        def file(name, content):
            (files / name).write_text(content)
            return files / name

        cells.load(lake, file("cells.csv", CELLS))
        sites.load(lake, file("sites.csv", SITES))
        for unit, areas in LEVELS.items():
            lines = [f'{code},"{shapely.box(west, 26, east, 27).wkt}"' for code, (west, east) in areas.items()]
            geography.load(lake, file("areas.csv", "\n".join(["code,wkt", *lines])), unit=unit, code="code")
        grids.make(lake, 20)
        mappings.load_mapping(lake, file("by_hand.csv", BY_HAND), table="geography.by_hand")
        mappings.load_points(lake, file("moved.csv", MOVED), table="infrastructure.moved")
        mappings.load_points(lake, file("stations.csv", STATIONS), table="infrastructure.stations")
        return lake


@pytest.fixture(scope="module", params=ENGINES)
def session(request):
    """A session on the country, on each engine."""
    opened = request.getfixturevalue(f"ask_{request.param}")(Country(EVENTS, []))
    yield opened
    if request.param != "spark":
        opened.close()


def people(unit, stop="2016-01-02", **tables):
    return {
        "query_kind": "unique_subscriber_counts",
        "start_date": "2016-01-01",
        "end_date": stop,
        "aggregation_unit": unit,
        **tables,
    }


HAND = {"mapping_table": "geography.by_hand"}
AT_STATIONS = HAND | {"geom_table": "infrastructure.stations", "geom_table_join_column": "station"}
ANSWERS = {
    "a level": (people("admin3"), [("A", 1), ("B", 1), ("C", 2)]),
    "a level of its own": (people("health_zone"), [("E", 2), ("W", 2)]),
    "cells, one without a position": (people("cell"), [("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]),
    "sites": (people("site"), [("s1", 2), ("s2", 2)]),
    "points": (people("lon-lat"), [(80.5, 26.5, 1), (81.25, 26.5, 1), (82.5, 26.5, 1), (82.75, 26.25, 1)]),
    "units by hand": (people("admin3", **HAND), [("A", 1), ("B", 2), ("C", 1)]),
    "units of its own by hand": (people("health_zone", **HAND), [("E", 2), ("W", 2)]),
    "units by hand stay where a cell moves": (people("admin3", "2016-01-03", **HAND), [("A", 1), ("B", 2), ("C", 1)]),
    "units move with a cell": (people("admin3", "2016-01-03"), [("A", 2), ("B", 1), ("C", 2)]),
    "a cell that moves is one cell": (people("cell", "2016-01-03"), [(c, 1) for c in "abcde"]),
    "points by hand": (people("lon-lat", geom_table="infrastructure.moved"), [(84.0, 28.0, 2)]),
    "the column of points may be named": (
        people("lon-lat", geom_table="infrastructure.moved", geom_table_join_column="id"),
        [(84.0, 28.0, 2)],
    ),
    "points through a mapping": (people("lon-lat", **AT_STATIONS), [(85.0, 28.0, 2), (86.0, 28.0, 1)]),
    "own points of the cells that a mapping has": (
        people("lon-lat", **HAND),
        [(80.5, 26.5, 1), (81.25, 26.5, 1), (82.5, 26.5, 1)],
    ),
    "levels do not look at points": (
        people("admin3", geom_table="nobody.knows", geom_table_join_column="it"),
        [("A", 1), ("B", 1), ("C", 2)],
    ),
    "boundaries of points are those of the table": (
        {"query_kind": "geography", "aggregation_unit": "lon-lat", "geom_table": "infrastructure.moved"},
        [(84.0, 28.0, None)],
    ),
    "flows to the same places, placed in two ways": (
        {
            "query_kind": "flows",
            "from_location": {**(daily := {"query_kind": "daily_location", "date": "2016-01-01"}), "method": "last"}
            | {"aggregation_unit": "admin3"},
            "to_location": {**daily, "method": "last", "aggregation_unit": "admin3", **HAND},
        },
        [("A", "B", 1), ("B", "B", 1), ("C", "A", 1)],
    ),
}


@pytest.mark.parametrize("spec", ANSWERS)
def test_locations_are_told_by_what_is_asked_for(session, spec):
    """Each unit and table gives the rows that were worked out by hand, in order."""
    asked, expected = ANSWERS[spec]

    assert rows(session.run(asked)) == expected


def test_columns_say_what_a_place_is(session):
    """Cells come in location_id, sites in site_id, levels of any name in pcod."""
    names = {unit: session.run(people(unit)).column_names[0] for unit in ("cell", "site", "health_zone", "grid-20km")}

    assert names == {"cell": "location_id", "site": "site_id", "health_zone": "pcod", "grid-20km": "pcod"}


def test_every_placed_cell_is_in_a_square(session):
    """A grid holds each cell that stands in the country once."""
    assert sum(value for _, value in rows(session.run(people("grid-20km")))) == 4


def test_places_have_a_geometry(session):
    """Levels, grids and cells are drawn by what they are: areas, and points where they stand now."""
    atlas, snapshot = Atlas(session.engine, session.timezone), session.engine.snapshot()
    drawn = {}
    for unit in ("admin3", "health_zone", "grid-20km", "lon-lat", "cell", "site"):
        query = parse(people(unit, "2016-01-03"))
        places = atlas.places(unit, snapshot)
        (batch,) = geojson.all_features(session.run(query), query, places)
        drawn[unit] = [json.loads(text.as_py()) for text in batch["feature"]]
        own = atlas.places(unit, snapshot, own=True)
        assert own.rows.column_names == [*[*query.result_columns][:-1], "name"]
        assert geojson.boundary_features(own, start=0, stop=own.rows.num_rows).num_rows == own.rows.num_rows

    kinds_of = {unit: {f["geometry"]["type"] for f in found if f["geometry"]} for unit, found in drawn.items()}
    assert kinds_of == {u: {"Point" if u in ("lon-lat", "cell", "site") else "MultiPolygon"} for u in drawn}
    at = {f["properties"]["location_id"]: f["geometry"] and f["geometry"]["coordinates"] for f in drawn["cell"]}
    assert at == {"a": [80.5, 26.5], "b": [81.25, 26.5], "c": [80.25, 26.25], "d": [82.75, 26.25], "e": None}
    # A site stands where the sites table says last; else where its cells do.
    assert [f["geometry"]["coordinates"] for f in drawn["site"]] == [[81.25, 26.5], [82.125, 26.5]]
    assert (84.0, 28.0) not in rows(atlas.places("lon-lat", snapshot, own=True).rows.select(["lon", "lat"]))


def test_flows_of_points_are_keyed_by_both_coordinates(session):
    """GeoJSON of flows names the other end by longitude and latitude, of any table."""
    query = parse(
        {
            "query_kind": "flows",
            "from_location": {**daily, "method": "last", "aggregation_unit": "lon-lat"},
            "to_location": {**daily, "method": "last", "aggregation_unit": "lon-lat", **AT_STATIONS},
        }
    )
    places = Atlas(session.engine, session.timezone).places("lon-lat", session.engine.snapshot())
    (batch,) = geojson.all_features(session.run(query), query, places)
    told = {tuple(f["geometry"]["coordinates"]): f["properties"] for f in map(json.loads, batch["feature"].to_pylist())}

    assert told[80.5, 26.5]["outflows"] == {"85,28": 1}
    assert told[85, 28]["inflows"] == {"80.5,26.5": 1, "81.25,26.5": 1}


WRONG = {
    "a unit that is not loaded": (people("admin1"), "aggregation_unit", "Must be one of: admin3, cell, grid-20km, "),
    "a mapping that is not offered": (
        people("admin3", mapping_table="geography.x"),
        "mapping_table",
        "It is 'geography.x'. Must be one of: geography.by_hand, or left out.",
    ),
    "a mapping for cells": (people("cell", **HAND), "mapping_table", "No such table is offered for cell here."),
    "a table of points that is not offered": (
        people("lon-lat", geom_table="geography.by_hand"),
        "geom_table",
        "Must be one of: infrastructure.moved, infrastructure.stations, or left out.",
    ),
    "a column that is not offered": (
        people("lon-lat", geom_table="infrastructure.moved", geom_table_join_column="station"),
        "geom_table_join_column",
        "Must be one of: id.",
    ),
    "points that need a mapping": (
        people("lon-lat", **(AT_STATIONS | {"mapping_table": None})),
        "mapping_table",
        "It is missing. Must be one of: geography.by_hand.",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_store_lacks_is_told_with_what_it_has(session, wrong):
    """A unit or table that is not there is refused by its path, at any depth, before anything is computed."""
    spec, field, words = WRONG[wrong]
    inner = {"query_kind": "daily_location", "method": "last", "date": "2016-01-01"}
    inner |= {k: v for k, v in spec.items() if k not in ("query_kind", "start_date", "end_date")}
    for asked, path in ((spec, field), ({"query_kind": "spatial_aggregate", "locations": inner}, f"locations.{field}")):
        with pytest.raises(InvalidQuery) as refusal:
            session.run(asked)
        assert [words in m for m in refusal.value.problems[path]] == [True], refusal.value.problems


def test_the_published_schema_lists_the_stores_units(session):
    """Whoever reads the schema sees the units with a meaning everywhere, then the store's own, wherever units stand."""
    units = session.offered(session.engine.snapshot()).named
    told = schemas(units)

    assert units == (*UNITS, "grid-20km", "health_zone")
    assert told["DailyLocation"]["properties"]["aggregation_unit"]["enum"] == [*units]
    assert told["Flows"]["properties"]["aggregation_unit"]["enum"] == [*units]
    assert schemas()["Flows"]["properties"]["aggregation_unit"]["enum"] == [*UNITS]
    assert {s.partition(":")[0] for s in scopes_of_schemas(told) if ":" in s} == {*units, "nonspatial"}


def test_whatever_can_be_asked_can_be_granted():
    """Each kind's example, with each kind that can choose its subscribers, needs no scope that is not listed."""
    every, without = set(scopes_of_schemas(schemas())), []
    for cls in kinds().values():
        if cls.role != "Aggregate":
            continue
        for member in slot_members("SubscriberQuery"):
            spec = _with_subset(dict(cls.example), dict(kinds()[member].example))
            query = parse(spec)
            without += query_scopes(query.unit, query.kind, *kinds_in(query.spec).values()) - every

    assert without == []
    assert len(every) < 1000


def _with_subset(spec, subset):
    """A spec with a subset wherever it takes one."""
    spec = {k: _with_subset(v, subset) if isinstance(v, dict) and "query_kind" in v else v for k, v in spec.items()}
    takes = "subscriber_subset" in kinds()[spec["query_kind"]].model_fields
    return spec | ({"subscriber_subset": subset} if takes else {})


def test_a_lake_of_old_is_read(tmp_path):
    """Places that were settled before there were mappings are by position, with no column that says so."""
    lake = World(EVENTS, []).lake(tmp_path / "lake")
    table = Country(EVENTS, []).lake(tmp_path / "full")
    for name in ("places", "cell_units"):
        lake.replace_reference(name, table.reference(name).filter(_plain(table.reference(name))))
    (file,) = lake.reference_files("cell_units")
    pq.write_table(pq.read_table(file).drop(["mapping"]), file)

    session = flowmachine.connect(Lake.open(lake.path).path, threads=1)
    assert rows(session.run(people("admin3"))) == [("A", 1), ("B", 1), ("C", 2)]
    session.close()


def _plain(table):
    return pc.is_null(table["mapping"]) if "mapping" in table.column_names else pc.is_valid(table["unit"])
