"""The tables that events refer to: cells, sites, handsets, boundaries, and what is settled from them."""

from flowdb.tables.declaration import Column, Table

_SERVICE = (
    Column("date_of_first_service", "date", "The first day in service; empty: since ever."),
    Column("date_of_last_service", "date", "The last day in service, inclusive; empty: still."),
)
_POINT = (
    Column("longitude", "float64", "Where it stands.", unit="degrees, WGS84"),
    Column("latitude", "float64", "Where it stands.", unit="degrees, WGS84"),
)

CELLS = Table(
    "cells",
    "A version of a cell; a change of a cell is a new version of the same id.",
    (
        Column("id", "string", "The cell, as events name it in location_id.", required=True),
        Column("version", "int32", "The version, counted from 0.", required=True),
        Column("site_id", "string", "The site it belongs to."),
        Column("name", "string", "Its name."),
        Column("type", "string", "Its technology."),
        Column("msc", "string", "Its mobile switching centre."),
        Column("bsc_rnc", "string", "Its base station or radio network controller."),
        Column("antenna_type", "string", "Its antenna."),
        Column("status", "string", "Its state."),
        Column("lac", "string", "Its location area code."),
        Column("height", "float64", "Antenna height.", unit="m"),
        Column("azimuth", "float64", "Antenna direction.", unit="degrees"),
        Column("transmitter", "string", "Its transmitter."),
        Column("max_range", "float64", "Its reach.", unit="m"),
        Column("min_range", "float64", "Its dead zone.", unit="m"),
        Column("electrical_tilt", "float64", "Electrical tilt.", unit="degrees"),
        Column("mechanical_downtilt", "float64", "Mechanical downtilt.", unit="degrees"),
        *_SERVICE,
        *_POINT,
    ),
)
SITES = Table(
    "sites",
    "A version of a site, a mast or roof that carries cells.",
    (
        Column("id", "string", "The site.", required=True),
        Column("version", "int32", "The version, counted from 0.", required=True),
        Column("name", "string", "Its name."),
        Column("type", "string", "Its kind."),
        Column("status", "string", "Its state."),
        Column("structure_type", "string", "Its structure."),
        Column("is_cow", "bool", "True for a mobile mast."),
        *_SERVICE,
        *_POINT,
    ),
)
TACS = Table(
    "tacs",
    "A handset model, by its type allocation code.",
    (
        Column("id", "int32", "The type allocation code.", required=True),
        Column("brand", "string", "The brand."),
        Column("model", "string", "The model."),
        Column("hnd_type", "string", "Smart, Feature or Basic."),
        Column("width", "float64", "Width.", unit="mm"),
        Column("height", "float64", "Height.", unit="mm"),
        Column("depth", "float64", "Depth.", unit="mm"),
        Column("weight", "float64", "Weight.", unit="g"),
        Column("display_type", "string", "The display."),
        Column("display_width", "float64", "Display width.", unit="px"),
        Column("display_height", "float64", "Display height.", unit="px"),
        Column("software_os_vendor", "string", "Maker of its operating system."),
        Column("software_os_name", "string", "Its operating system."),
        Column("software_os_version", "string", "Version of its operating system."),
    ),
)
GEOGRAPHY = Table(
    "geography",
    "A unit of an administrative level.",
    (
        Column("gid", "int32", "Running number within the level.", required=True),
        Column(
            "unit",
            "string",
            "The level: admin0 to admin3, or a level of the deployment's own.",
            required=True,
        ),
        Column("pcod", "string", "The unit's code.", required=True),
        Column("name", "string", "The unit's name."),
        Column("geom", "binary", "Its multipolygon, WKB, WGS84.", required=True),
        Column("longitude", "float64", "A point for its label, inside it.", unit="degrees, WGS84"),
        Column("latitude", "float64", "A point for its label, inside it.", unit="degrees, WGS84"),
    ),
)
PLACES = Table(
    "places",
    "A place that questions count by: a unit of a level, a cell, a site or a point; numbered so that questions join "
    "by integers.",
    (
        Column("unit", "string", "The level, cell, site, or lon-lat.", required=True),
        Column(
            "place",
            "int32",
            "Its number within the level: 0, 1, ... in the order of pcod, or of lon and lat.",
            required=True,
        ),
        Column("pcod", "string", "The code of the unit, cell or site; empty for points."),
        Column("lon", "float64", "Longitude of a point, cell or site; empty for levels.", unit="degrees, WGS84"),
        Column("lat", "float64", "Latitude of a point, cell or site; empty for levels.", unit="degrees, WGS84"),
    ),
)
MOST_PLACES = 2**18
"""The most places of one level: questions put the number of a place and a time into one integer."""

CELL_UNITS = Table(
    "cell_units",
    "Which place of each level a version of a cell lies in; settled when cells or boundaries are loaded.",
    (
        Column("unit", "string", "The level, cell, site, or lon-lat.", required=True),
        Column("location_id", "string", "The cell.", required=True),
        Column("version", "int32", "The version of the cell.", required=True),
        Column("first_day", "date", "The first day that this holds.", required=True),
        Column("last_day", "date", "The last day that this holds, inclusive.", required=True),
        Column("place", "int32", "The place; see places.", required=True),
        Column(
            "mapping",
            "string",
            "The tables that say so, as `mapping_key` names them; empty where the cell's own position does.",
        ),
    ),
)


def mapping_key(
    mapping_table: str | None = None, geom_table: str | None = None, geom_table_join_column: str | None = None
) -> str | None:
    """The value of `cell_units.mapping` for cells placed by these tables; None for cells placed by their position."""
    if geom_table is None:
        return mapping_table
    return f"{mapping_table or ''}/{geom_table}/{geom_table_join_column or 'id'}"


CELL_POSITIONS = Table(
    "cell_positions",
    "Where each version of a cell stood, and when.",
    (
        Column("location_id", "string", "The cell.", required=True),
        Column("version", "int32", "The version of the cell.", required=True),
        Column("site_id", "string", "The site."),
        Column("first_day", "date", "The first day that this holds.", required=True),
        Column("last_day", "date", "The last day that this holds, inclusive.", required=True),
        Column("lon", "float64", "Longitude.", unit="degrees, WGS84", required=True),
        Column("lat", "float64", "Latitude.", unit="degrees, WGS84", required=True),
        Column(
            "site",
            "int32",
            "The number of its site's version: 0, 1, ... in the order of site_id and version; a cell without a site "
            "stands for itself.",
            required=True,
        ),
        Column("site_lon", "float64", "Longitude of the site's version.", unit="degrees, WGS84", required=True),
        Column("site_lat", "float64", "Latitude of the site's version.", unit="degrees, WGS84", required=True),
    ),
)
BANDS_PER_DEGREE = 128
"""How many bands of latitude a degree is cut into; a power of 2, so that every engine finds the same band."""
UNIT_EDGES = Table(
    "unit_edges",
    "An edge of the boundary of a place, once for each band of latitude that it touches; settled with the places, so "
    "that questions find the place of any point without geometry.",
    (
        Column("unit", "string", "The level.", required=True),
        Column("place", "int32", "The place; see places.", required=True),
        Column("band", "int32", "The band of latitude, counted from the equator.", unit="1/128 degree", required=True),
        Column("lon1", "float64", "Longitude of its southern end.", unit="degrees, WGS84", required=True),
        Column("lat1", "float64", "Latitude of its southern end.", unit="degrees, WGS84", required=True),
        Column("lon2", "float64", "Longitude of its northern end.", unit="degrees, WGS84", required=True),
        Column("lat2", "float64", "Latitude of its northern end.", unit="degrees, WGS84", required=True),
    ),
)
CELL_MAPPINGS = Table(
    "cell_mappings",
    "What a table of the deployment's own says of a cell, one row a cell and column: which unit it belongs to.",
    (
        Column("mapping_table", "string", "The table, as questions name it.", required=True),
        Column("location_id", "string", "The cell.", required=True),
        Column("column", "string", "The table's column, such as admin3pcod.", required=True),
        Column("value", "string", "What the column says of the cell.", required=True),
    ),
)
GEOM_POINTS = Table(
    "geom_points",
    "A point of a table of the deployment's own, one row a point and column that names it.",
    (
        Column("geom_table", "string", "The table, as questions name it.", required=True),
        Column("column", "string", "The table's column, such as id.", required=True),
        Column("value", "string", "What the column says of the point; each value but once.", required=True),
        Column("lon", "float64", "Longitude.", unit="degrees, WGS84", required=True),
        Column("lat", "float64", "Latitude.", unit="degrees, WGS84", required=True),
    ),
)
REFERENCE: dict[str, Table] = {
    t.name: t
    for t in (CELLS, SITES, TACS, GEOGRAPHY, PLACES, CELL_UNITS, CELL_POSITIONS, UNIT_EDGES, CELL_MAPPINGS, GEOM_POINTS)
}
"""The tables that events refer to."""
