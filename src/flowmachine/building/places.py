"""Places: where cells are on each day, and the codes, points and boundaries of places.

A place is a number within its unit. It becomes a code, or a longitude and latitude, at the end of a plan.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

import ibis
import ibis.expr.types as ir

from flowdb.tables import POINTS
from flowmachine.building.protocols import InPlaces
from flowmachine.building.tables import Tables
from flowmachine.building.windows import Window, span
from flowmachine.questions.columns import location_columns


def cells_in(tables: Tables, unit: str, mapping: str | None = None) -> ir.Table:
    """The place of each version of a cell in a unit: by a mapping of the deployment, or by the cell's own position."""
    cells = tables.reference("cell_units")
    by = cells.mapping.isnull() if mapping is None else cells.mapping == mapping
    return cells.filter(cells.unit == unit, by)


def at_cells(rows: ir.Table, cells: ir.Table, windows: Sequence[Window], *columns: str) -> ir.Table:
    """Rows with `location_id` and `day`, all of `windows`, with columns of the cell's version of that day."""
    first, stop = min(a for a, _ in map(span, windows)), max(b for _, b in map(span, windows))
    if stop - first == dt.timedelta(days=1):
        # On one day a cell has one version: no event need be compared with its dates.
        valid = cells.filter(cells.first_day <= first, cells.last_day >= first)
        return rows.join(valid.select("location_id", *columns), "location_id")
    # Of a cell's versions in many years, the few of these days; most often there is one.
    valid = cells.filter(cells.first_day < stop, cells.last_day >= first)
    return rows.join(
        valid.select("location_id", *columns, "first_day", "last_day"),
        [
            rows.location_id == valid.location_id,
            rows.day >= valid.first_day,
            rows.day <= valid.last_day,
        ],
    )


def points(tables: Tables, rows: ir.Table) -> ir.Table:
    """Rows with `place` of the unit lon-lat, with `lon` and `lat` added."""
    places = tables.reference("places")
    return rows.join(places.filter(places.unit == "lon-lat").select("place", "lon", "lat"), "place")


def coded(tables: Tables, rows: ir.Table, unit: str | None, suffixes: Iterable[str]) -> ir.Table:
    """Rows with the location columns of a unit instead of `place`; a missing place gives missing codes."""
    places = tables.reference("places")
    places = places.filter(places.unit == (unit or ""))
    for suffix in suffixes:
        columns = location_columns(unit, suffix)
        codes = places.select(
            **{f"place{suffix}": places.place},
            **{name: places[name.removesuffix(suffix) if unit == "lon-lat" else "pcod"] for name in columns},
        )
        rows = rows.left_join(codes, f"place{suffix}").drop(f"place{suffix}_right")
    return rows


def boundaries(tables: Tables, query: InPlaces) -> ir.Table:
    """The boundaries of the places of a query's unit: place, geom (WKB); points have none beside their position."""
    unit = query.aggregation_unit
    if unit in POINTS:
        return cells_in(tables, unit, query.mapping).select("place", geom=ibis.null("binary")).distinct()
    places = tables.reference("places")
    level = tables.boundaries(unit).select("pcod", "geom")
    return places.filter(places.unit == unit).join(level, "pcod").select("place", "geom")
