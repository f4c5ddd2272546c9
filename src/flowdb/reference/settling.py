"""Settling of what events join: the places of each level, where cells and sites stand, and in which unit."""

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import shapely
from pyproj import Geod

from flowdb.lake import TOGETHER, Lake, LakeError, arrow_schema
from flowdb.reference.checks import SINCE_EVER, STILL
from flowdb.reference.edges import unit_edges
from flowdb.reference.replacement import changing
from flowdb.tables import CELL_UNITS, GRID, MOST_PLACES, PLACES, Table, mapping_key

SETTLED_FROM = ("cells", "geography", "sites", "cell_mappings", "geom_points")
"""The tables that places, and the cells that lie in them, are settled from."""

# Arrow makes its functions when it is imported, which type checkers do not see.
pc: Any = pyarrow.compute


def settle(lake: Lake) -> list[str]:
    """Bring places, positions and units of cells up to date with the cells and boundaries that are loaded.

    Does nothing where they are. Safe at any time; what a killed load left undone is done. Returns sentences that
    someone should read: cells outside every unit, units that overlap.
    """
    if _settled(lake):
        return []
    with changing(lake):
        return settle_locked(lake)


def settle_locked(lake: Lake) -> list[str]:
    """Do what `settle` does, for a caller that holds the lake's reference tables already."""
    if _settled(lake):
        return []
    versions = _versions(lake)
    served, sites, geography = _served(lake.reference("cells")), lake.reference("sites"), lake.reference("geography")
    positions = served.filter(served["lon"].is_valid())
    units, of_units, warnings = _units(positions, geography)
    network, of_network = _network(served, sites)
    of_tables, by_tables, of_mappings = _by_tables(
        served, lake.reference("cell_mappings"), lake.reference("geom_points"), units
    )
    warnings += of_mappings
    points, of_points = _points([(None, positions), *by_tables])
    for places in (points, *units, *network):
        if places.num_rows > MOST_PLACES:
            raise LakeError(
                f"{places['unit'][0]} would have {places.num_rows:,} places; a level can have {MOST_PLACES:,}. "
                "Load a coarser level."
            )
    rows = {
        "cell_positions": sited(positions, sites),
        "unit_edges": unit_edges(geography),
        "places": _as_declared([points, *units, *network], PLACES),
        "cell_units": _as_declared([*of_points, *of_units, *of_network, *of_tables], CELL_UNITS),
    }
    lake.replace_together(rows, {"made_from": versions})
    return warnings


def _versions(lake: Lake) -> dict[str, list[str]]:
    return {name: [p.name for p in lake.reference_files(name)] for name in SETTLED_FROM}


def _settled(lake: Lake) -> bool:
    versions = _versions(lake)
    if not any(versions.values()):
        return True
    facts = [lake.reference_facts(name) for name in TOGETHER]
    return all(m is not None and m.get("made_from") == versions for m in facts)


def _served(cells: pa.Table) -> pa.Table:
    """Every version of a cell, when it served and where it stood; it has both lon and lat, or none."""
    table = pa.table(
        {
            "location_id": cells["id"],
            "version": cells["version"],
            "site_id": cells["site_id"],
            "first_day": cells["date_of_first_service"].fill_null(SINCE_EVER),
            "last_day": cells["date_of_last_service"].fill_null(STILL),
            "lon": cells["longitude"],
            "lat": cells["latitude"],
        }
    )
    return table.sort_by([("location_id", "ascending"), ("version", "ascending")])


def sited(positions: pa.Table, sites: pa.Table) -> pa.Table:
    """Positions of cells with the number and the position of the site at which each stands, and since when.

    A site has versions and days of its own: each holds from its first day in service until the next one begins, the
    first since ever, so that a cell that stays while its site moves gets a row for each. Of a site that is not in the
    sites table, cells within 1 km of each other are at one site, where the first of them stands; a cell without a site
    stands for itself, after a site of its name.
    """
    versions = _site_versions(sites)
    unlisted: dict[tuple[str, bool], list[tuple[float, float]]] = {}
    rows: list[dict[str, Any]] = []
    for cell in positions.to_pylist():
        name, alone = cell["site_id"] or cell["location_id"], not cell["site_id"]
        if not alone and name in versions:
            for number, (first, last, lon, lat) in enumerate(versions[name]):
                days = {"first_day": max(first, cell["first_day"]), "last_day": min(last, cell["last_day"])}
                if days["first_day"] <= days["last_day"]:
                    rows.append({**cell, **days, "key": (name, alone, number), "site_lon": lon, "site_lat": lat})
            continue
        stands = unlisted.setdefault((name, alone), [])
        number = _nearby(stands, cell["lon"], cell["lat"])
        lon, lat = stands[number]
        rows.append({**cell, "key": (name, alone, number), "site_lon": lon, "site_lat": lat})
    numbers = {key: n for n, key in enumerate(sorted({row["key"] for row in rows}))}
    extra = {
        "site": pa.array([numbers[row["key"]] for row in rows], pa.int32()),
        "site_lon": pa.array([row["site_lon"] for row in rows], pa.float64()),
        "site_lat": pa.array([row["site_lat"] for row in rows], pa.float64()),
    }
    cells = pa.Table.from_pylist([{n: row[n] for n in positions.column_names} for row in rows], positions.schema)
    return pa.table({**{n: cells[n] for n in cells.column_names}, **extra})


def _site_versions(sites: pa.Table) -> dict[str, list[tuple[dt.date, dt.date, float, float]]]:
    """Where each site of the sites table stood: first day, last day, longitude and latitude of its versions in turn."""
    begun: dict[str, dict[dt.date, tuple[float, float]]] = {}
    for row in sorted(sites.to_pylist(), key=lambda row: (row["id"], row["version"])):
        if row["longitude"] is not None:
            # Of two versions that begin on one day, the later one.
            begun.setdefault(row["id"], {})[row["date_of_first_service"] or SINCE_EVER] = (
                row["longitude"],
                row["latitude"],
            )
    versions = {}
    for name, stands in begun.items():
        days = sorted(stands)
        lasts = [*(day - dt.timedelta(days=1) for day in days[1:]), STILL]
        firsts = [SINCE_EVER, *days[1:]]
        versions[name] = [(a, b, *stands[day]) for a, b, day in zip(firsts, lasts, days, strict=True)]
    return versions


def _nearby(stands: list[tuple[float, float]], lon: float, lat: float) -> int:
    """The number of the first point within 1 km; of a new one, added to the others, if there is none."""
    for number, (other_lon, other_lat) in enumerate(stands):
        if (lon, lat) == (other_lon, other_lat) or _EARTH.inv(lon, lat, other_lon, other_lat)[2] <= _ONE_SITE:
            return number
    stands.append((lon, lat))
    return len(stands) - 1


_EARTH = Geod(ellps="WGS84")
_ONE_SITE = 1000.0
"""How far apart cells of a site that is not in the sites table may stand, in m."""


def _network(served: pa.Table, sites: pa.Table) -> tuple[list[pa.Table], list[pa.Table]]:
    """Cells and sites as numbered places, each where its latest version stands, and the cells that they are of.

    A site that the sites table does not place stands where its cells do.
    """
    places, memberships = [], []
    last_known = sites.rename_columns({"id": "site_id", "longitude": "lon", "latitude": "lat"}).sort_by("version")
    for unit, column, others in (("cell", "location_id", []), ("site", "site_id", [last_known])):
        named = served.filter(served[column].is_valid())
        codes, place = np.unique(np.asarray(named[column].to_pylist(), str), return_inverse=True)
        where: dict[str, tuple[float, float]] = {}
        for table in (named, *others):
            known = table.filter(table["lon"].is_valid())
            at = zip(known["lon"].to_pylist(), known["lat"].to_pylist(), strict=True)
            where |= dict(zip(known[column].to_pylist(), at, strict=True))
        stands = [where.get(code, (None, None)) for code in codes.tolist()]
        places.append(
            pa.table(
                {
                    "unit": _repeated(unit, len(codes)),
                    "place": pa.array(range(len(codes)), pa.int32()),
                    "pcod": pa.array(codes.tolist(), pa.string()),
                    "lon": pa.array([lon for lon, _ in stands], pa.float64()),
                    "lat": pa.array([lat for _, lat in stands], pa.float64()),
                }
            )
        )
        memberships.append(_placed(named, place.reshape(-1), unit))
    return places, memberships


def _by_tables(
    served: pa.Table, mappings: pa.Table, points: pa.Table, levels: list[pa.Table]
) -> tuple[list[pa.Table], list[tuple[str | None, pa.Table]], list[str]]:
    """Where the custom tables place cells: in units of levels, and at points; and warnings."""
    ids = served["location_id"].to_pylist()
    every = len(set(ids))
    by_table: dict[str, dict[str, dict[str, str]]] = {}
    for row in mappings.to_pylist():
        by_table.setdefault(row["mapping_table"], {}).setdefault(row["column"], {})[row["location_id"]] = row["value"]
    where: dict[tuple[str, str], dict[str, tuple[float, float]]] = {}
    for row in points.to_pylist():
        where.setdefault((row["geom_table"], row["column"]), {})[row["value"]] = (row["lon"], row["lat"])
    in_units: list[pa.Table] = []
    at_points: list[tuple[str | None, pa.Table]] = []
    warnings: list[str] = []

    def missing(table: str, what: str, placements: list[Any]) -> list[str]:
        """How many cells a table does not place."""
        lost = every - len({cell for cell, place in zip(ids, placements, strict=True) if place is not None})
        return [f"{table} has no {what} for {lost} of {every} cells: what they carry is left out."] if lost else []

    for table, columns in sorted(by_table.items()):
        for level in filter(len, levels):
            unit = level["unit"][0].as_py()
            if (codes := columns.get(f"{unit}pcod")) is None:
                continue
            numbers = dict(zip(level["pcod"].to_pylist(), level["place"].to_pylist(), strict=True))
            placements = [numbers.get(codes.get(cell, "")) for cell in ids]
            in_units.append(_placed(*_where_known(served, placements), unit, mapping_key(table)))
            warnings += missing(table, f"unit of {unit}", placements)
        inside = pa.array([cell in columns["id"] for cell in ids], pa.bool_())
        at_points.append((mapping_key(table), served.filter(pc.and_(inside, served["lon"].is_valid()))))
    for (geom, column), values in sorted(where.items()):
        for table, columns in ((None, None), *sorted(by_table.items())):
            named = {cell: cell for cell in ids} if columns is None else columns.get(column)
            if named is None:
                continue
            placements = [values.get(named.get(cell, "")) for cell in ids]
            placed, stands = _where_known(served, placements)
            if not stands:
                continue
            for n, name in enumerate(("lon", "lat")):
                at = pa.array([point[n] for point in stands], pa.float64())
                placed = placed.set_column(placed.schema.get_field_index(name), name, at)
            at_points.append((mapping_key(table, geom, column), placed))
            if table is None or column != "id":
                through = f" through {table}" if table else ""
                warnings += missing(f"{geom}, joined on {column}{through},", "point", placements)
    return in_units, at_points, warnings


def _where_known(served: pa.Table, placements: list[Any]) -> tuple[pa.Table, list[Any]]:
    known = [n for n, place in enumerate(placements) if place is not None]
    return served.take(pa.array(known, pa.int64())), [placements[n] for n in known]


def _points(placements: list[tuple[str | None, pa.Table]]) -> tuple[pa.Table, list[pa.Table]]:
    """The distinct positions of all mappings as numbered places, and which of them each position is."""
    every = [np.column_stack([np.asarray(cells["lon"]), np.asarray(cells["lat"])]) for _, cells in placements]
    points, place = np.unique(np.concatenate(every).reshape(-1, 2), axis=0, return_inverse=True)
    cuts = np.cumsum([cells.num_rows for _, cells in placements])[:-1]
    places = pa.table(
        {
            "unit": _repeated("lon-lat", len(points)),
            "place": pa.array(range(len(points)), pa.int32()),
            "pcod": pa.nulls(len(points), pa.string()),
            "lon": points[:, 0],
            "lat": points[:, 1],
        }
    )
    parts = zip(placements, np.split(place.reshape(-1), cuts), strict=True)
    return places, [_placed(cells, part, "lon-lat", mapping) for (mapping, cells), part in parts]


def _units(positions: pa.Table, geography: pa.Table) -> tuple[list[pa.Table], list[pa.Table], list[str]]:
    """The numbered units of each level, which of them each position lies strictly inside, and warnings.

    Where units overlap, the smallest code wins.
    """
    places: list[pa.Table] = []
    memberships: list[pa.Table] = []
    warnings: list[str] = []
    outside: dict[int, list[str]] = {}
    swapped = 0
    # A tree of the points, asked by the polygons: shapely then prepares each polygon once.
    tree = _tree(positions, "lon", "lat")
    for unit in sorted(set(geography["unit"].to_pylist())):
        level = geography.filter(pa.array([u == unit for u in geography["unit"].to_pylist()])).sort_by("pcod")
        polygons = shapely.from_wkb(level["geom"].to_numpy())
        # Squares of a grid share their edges, and whatever stands on one is in one of them.
        grid = unit.startswith(GRID)
        polygon, point = tree.query(polygons, predicate="covers" if grid else "contains")
        order = np.lexsort((polygon, point))
        polygon, point = polygon[order], point[order]
        first = np.ones(len(point), bool)
        first[1:] = point[1:] != point[:-1]
        warnings += [] if grid else _overlapping(unit, positions, level, polygon, point)
        if lost := positions.num_rows - int(first.sum()):
            outside.setdefault(lost, []).append(unit)
        if lost and lost == positions.num_rows:
            exchanged = _tree(positions, "lat", "lon").query(polygons, predicate="contains")[1]
            swapped = max(swapped, len(set(exchanged.tolist())))
        places.append(
            pa.table(
                {
                    "unit": level["unit"],
                    "place": pa.array(range(level.num_rows), pa.int32()),
                    "pcod": level["pcod"],
                    "lon": pa.nulls(level.num_rows, pa.float64()),
                    "lat": pa.nulls(level.num_rows, pa.float64()),
                }
            )
        )
        inside = positions.take(pa.array(point[first], pa.int64()))
        memberships.append(_placed(inside, polygon[first], unit))
    warnings += [
        f"{lost} of {positions.num_rows} cell versions lie in no unit of {', '.join(units)}."
        for lost, units in outside.items()
    ]
    if swapped:
        warnings.append(
            f"With longitude and latitude exchanged, {swapped} would: if the file names them the wrong way round, load "
            "it with --map longitude=latitude --map latitude=longitude."
        )
    return places, memberships, warnings


def _tree(positions: pa.Table, x: str, y: str) -> shapely.STRtree:
    points: Any = shapely.points(np.asarray(positions[x]), np.asarray(positions[y]))
    return shapely.STRtree(points)


def _placed(positions: pa.Table, place: Any, unit: str, mapping: str | None = None) -> pa.Table:
    columns = {n: positions[n] for n in ("location_id", "version", "first_day", "last_day")}
    return pa.table(
        {
            "unit": _repeated(unit, positions.num_rows),
            "mapping": _repeated(mapping, positions.num_rows),
            **columns,
            "place": pa.array(place, pa.int32(), safe=False),
        }
    )


def _as_declared(tables: list[pa.Table], declared: Table) -> pa.Table:
    schema = arrow_schema(declared.columns)
    return pa.concat_tables([t.select(schema.names).cast(schema) for t in tables])


def _repeated(text: str | None, times: int) -> pa.Array:
    return pa.array([text] * times, pa.string())


def _overlapping(unit: str, positions: pa.Table, level: pa.Table, polygon: Any, point: Any) -> list[str]:
    again = np.flatnonzero(point[1:] == point[:-1]) + 1
    if not len(again):
        return []
    at = int(again[0])
    cell = positions["location_id"][int(point[at])].as_py()
    smaller, larger = (level["pcod"][int(polygon[i])].as_py() for i in (at - 1, at))
    shared = len(set(point[again].tolist()))
    example = f"{cell} in {smaller} and {larger}"
    where = f"{shared} cell versions lie in more than one, such as {example}"
    return [f"Units of {unit} overlap: {where}; the smallest code is taken."]
