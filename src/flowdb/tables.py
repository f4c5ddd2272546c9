"""The tables of FlowDB, declared once.

Names and meanings are FlowKit's. The lake's schema, PostgreSQL's, the questions' Ibis tables, the checks and the
data dictionary derive from these declarations; nothing else spells a column.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

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
    "A place that questions count by: a unit of a level, or a point; numbered so that questions join by integers.",
    (
        Column("unit", "string", "The level, or lon-lat.", required=True),
        Column(
            "place",
            "int32",
            "Its number within the level: 0, 1, ... in the order of pcod, or of lon and lat.",
            required=True,
        ),
        Column("pcod", "string", "The code of the unit; empty for points."),
        Column("lon", "float64", "Longitude; empty for units.", unit="degrees, WGS84"),
        Column("lat", "float64", "Latitude; empty for units.", unit="degrees, WGS84"),
    ),
)
MOST_PLACES = 2**18
"""The most places of one level: questions put the number of a place and a time into one integer."""

CELL_UNITS = Table(
    "cell_units",
    "Which place of each level a version of a cell lies in; settled when cells or boundaries are loaded.",
    (
        Column("unit", "string", "The level, or lon-lat.", required=True),
        Column("location_id", "string", "The cell.", required=True),
        Column("version", "int32", "The version of the cell.", required=True),
        Column("first_day", "date", "The first day that this holds.", required=True),
        Column("last_day", "date", "The last day that this holds, inclusive.", required=True),
        Column("place", "int32", "The place; see places.", required=True),
    ),
)
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
    ),
)
REFERENCE: dict[str, Table] = {t.name: t for t in (CELLS, SITES, TACS, GEOGRAPHY, PLACES, CELL_UNITS, CELL_POSITIONS)}
"""The tables that events refer to."""


def stored_columns(event_type: str) -> tuple[Column, ...]:
    """Columns of an event table as the lake holds it: the delivered ones, then the settled ones."""
    return (*EVENTS[event_type].columns, *SETTLED)
