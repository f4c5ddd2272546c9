"""The tables of FlowDB, declared once.

Names and meanings are FlowKit's. The lake's schema, PostgreSQL's, the questions' Ibis tables, the checks and the
data dictionary derive from these declarations; nothing else spells a column.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

LEVELS = ("admin0", "admin1", "admin2", "admin3")
"""The administrative levels that every deployment may have."""
POINTS = ("lon-lat", "cell", "site")
"""The units that are points: where cells stand, the cells, and their sites."""
UNITS = (*LEVELS, *POINTS)
"""The units that have a meaning everywhere; a deployment may load others."""
GRID = "grid-"
"""What the name of a grid of squares begins with."""
RESERVED = (*POINTS, "nonspatial")
"""Names that no boundaries can be loaded under; `nonspatial` stands for no unit where permissions are told."""


def is_unit_name(name: str) -> bool:
    """Whether a level of a deployment's own may be called this: it stands in scopes, addresses and table names."""
    return re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name) is not None and name != "nonspatial"


def is_table_name(name: str) -> bool:
    """Whether this names a table of a deployment's own, as schema.table."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}", name) is not None


def is_column_name(name: str) -> bool:
    """Whether this may name a column of a deployment's own table."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", name) is not None


Type = Literal["bool", "int16", "int32", "int64", "float64", "string", "date", "timestamp", "binary"]


@dataclass(frozen=True)
class Column:
    """One column: its name, type, meaning and unit, and whether it identifies a person."""

    name: str
    type: Type
    description: str
    unit: str = ""
    required: bool = False
    identifies: bool = False
    """True for what leads to a person: the lake holds its keyed pseudonym, never the value itself."""


@dataclass(frozen=True)
class Table:
    """One table: its name, columns and what a row stands for."""

    name: str
    description: str
    columns: tuple[Column, ...]

    def __getitem__(self, column: str) -> Column:
        return next(c for c in self.columns if c.name == column)

    def __contains__(self, column: str) -> bool:
        return any(c.name == column for c in self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(c.name for c in self.columns)


_ID = Column("id", "int64", "The interaction; both parties' rows of one call or text share it.", identifies=True)
_OUTGOING = Column("outgoing", "bool", "True on the row of the party that called or wrote.")
_DATETIME = Column("datetime", "timestamp", "The instant of the event.", unit="UTC", required=True)
_MSISDN = Column("msisdn", "int64", "The subscriber.", required=True, identifies=True)
_COUNTERPART = Column("msisdn_counterpart", "int64", "The other party.", identifies=True)
_NETWORK = Column("network", "string", "The network of the other party.")
_LOCATION = Column("location_id", "string", "The cell that carried the event; see cells.id.")
_DEVICE = (
    Column("imsi", "int64", "The SIM card.", identifies=True),
    Column("imei", "int64", "The handset.", identifies=True),
    Column("tac", "int32", "The handset's model; see tacs.id."),
    Column("operator_code", "int32", "The mobile network code."),
    Column("country_code", "int32", "The mobile country code."),
)

DAY = Column("day", "date", "The local day of the event.", unit="the deployment's time zone", required=True)
MINUTE = Column("minute", "int16", "The local minute of the day of the event, 0 to 1439.", required=True)
SETTLED = (MINUTE, DAY)
"""Columns that loading adds, so that no query pays for time zones; `day` is the partition."""

EVENTS: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "calls",
            "A call, one row a party.",
            (
                _ID,
                _OUTGOING,
                _DATETIME,
                Column("duration", "float64", "How long the call lasted.", unit="s"),
                _NETWORK,
                _MSISDN,
                _COUNTERPART,
                _LOCATION,
                *_DEVICE,
            ),
        ),
        Table(
            "sms",
            "A text message, one row a party.",
            (_ID, _OUTGOING, _DATETIME, _NETWORK, _MSISDN, _COUNTERPART, _LOCATION, *_DEVICE),
        ),
        Table(
            "forwards",
            "A forwarded call, one row a party.",
            (_ID, _OUTGOING, _DATETIME, _NETWORK, _MSISDN, _COUNTERPART, _LOCATION, *_DEVICE),
        ),
        Table(
            "mds",
            "A mobile data session.",
            (
                _ID,
                _DATETIME,
                Column("duration", "float64", "How long the session lasted.", unit="s"),
                Column("volume_total", "float64", "Data moved.", unit="MB"),
                Column("volume_upload", "float64", "Data sent.", unit="MB"),
                Column("volume_download", "float64", "Data received.", unit="MB"),
                _MSISDN,
                _LOCATION,
                *_DEVICE,
            ),
        ),
        Table(
            "topups",
            "A recharge of a subscriber's balance.",
            (
                _ID,
                _DATETIME,
                Column("type", "string", "The kind of recharge."),
                Column("recharge_amount", "float64", "The amount paid.", unit="the operator's currency"),
                Column("airtime_fee", "float64", "The fee kept.", unit="the operator's currency"),
                Column("tax_and_fee", "float64", "Taxes and other fees.", unit="the operator's currency"),
                Column("pre_event_balance", "float64", "The balance before.", unit="the operator's currency"),
                Column("post_event_balance", "float64", "The balance after.", unit="the operator's currency"),
                _MSISDN,
                _LOCATION,
                *_DEVICE,
            ),
        ),
    )
}
"""The event tables, by event type."""

EVENT_TYPES: tuple[str, ...] = tuple(EVENTS)
"""Every event type that can be stored."""

TRANSACTIONS = Table(
    "transactions",
    "A mobile money transaction, one row a party, each with the whole amount.",
    (
        Column("id", "int64", "The transaction; its parties' rows share it.", required=True, identifies=True),
        Column("outgoing", "bool", "True on the row of the party that paid."),
        Column("datetime", "timestamp", "The instant of the transaction.", unit="UTC", required=True),
        Column("amount", "float64", "The amount moved.", unit="the operator's currency"),
        Column("discount", "float64", "The discount given.", unit="the operator's currency"),
        Column("fee", "float64", "The fee taken.", unit="the operator's currency"),
        Column("commission", "float64", "The commission paid to an agent.", unit="the operator's currency"),
        Column("type", "string", "The kind of transaction."),
        _MSISDN,
        Column("location_id", "string", "The cell that the party was at; see cells.id."),
        Column("cell_version", "int32", "The version of that cell; empty: the one of that day."),
    ),
)
DAILY: dict[str, Table] = {**EVENTS, TRANSACTIONS.name: TRANSACTIONS}
"""The tables that come in by the day: events, and mobile money."""

VISITS = Table(
    "visits",
    "The events of one type that a subscriber had at a cell on a day, counted; settled when the day comes in.",
    (
        _MSISDN,
        _LOCATION,
        Column("events", "int32", "How many events.", required=True),
        Column(
            "outgoing", "int32", "How many of them were outgoing; 0 where the type has no direction.", required=True
        ),
        Column(
            "incoming", "int32", "How many of them were incoming; 0 where the type has no direction.", required=True
        ),
        Column("first", "timestamp", "The instant of the first.", unit="UTC", required=True),
        Column("last", "timestamp", "The instant of the last.", unit="UTC", required=True),
        DAY,
    ),
)
"""What questions read that need no single event; the lake holds one such table an event type."""

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
    """What `cell_units.mapping` holds where cells are placed by these tables; None for by their own position."""
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


def stored_columns(event_type: str) -> tuple[Column, ...]:
    """Columns of a table of DAILY as the lake holds it: the delivered ones, then the settled ones."""
    return (*DAILY[event_type].columns, *SETTLED)
