"""Loading of cells, sites and handset models, and settling of what events join: positions and units."""

import csv
import datetime as dt
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import shapely

from flowdb.lake import ARROW, TOGETHER, Lake, LakeError, arrow_schema, held
from flowdb.tables import CELL_UNITS, CELLS, MOST_PLACES, PLACES, SITES, TACS, Table

"""The tables that `settle` makes from cells and geography."""
SINCE_EVER = dt.date(1, 1, 1)
STILL = dt.date(9999, 12, 31)

_REFUSAL = "Cells or boundaries are being loaded by another process: wait for it to end."
_WAIT = 60.0
_BLANKS = " \t\r\n\u00a0\ufeff"


@dataclass(frozen=True)
class Loaded:
    """What a load of a reference table did: rows stored, and sentences that someone should read."""

    rows: int
    warnings: tuple[str, ...] = ()


def load_cells(
    lake: Lake,
    file: Path,
    columns: Mapping[str, str] | None = None,
    *,
    overlaps: Literal["refuse", "cut"] = "refuse",
) -> Loaded:
    """Load the cells from a CSV, in place of all former ones, and settle their positions and units.

    `columns` gives a source column for a target one where the names differ. Service dates of versions of one cell
    that overlap are refused, or, with `overlaps="cut"`, the earlier version ends the day before the later begins.
    Raises LakeError naming file, line and field.
    """
    rows, warnings = _read(file, CELLS, columns or {}, ("id", "version", "longitude", "latitude"))
    _check_places(rows)
    _check_dates(rows)
    _check_once(rows, ("id", "version"))
    warnings += _part_versions(file, rows, overlaps)
    with held(lake, "reference", _REFUSAL, _WAIT):
        lake.replace_reference("cells", _table(rows, CELLS), {"source": file.name})
        warnings += settle_held(lake)
    return Loaded(len(rows), tuple(warnings))


def load_sites(lake: Lake, file: Path, columns: Mapping[str, str] | None = None) -> Loaded:
    """Load the sites from a CSV, in place of all former ones.

    `columns` gives a source column for a target one where the names differ. Raises LakeError naming file, line and
    field.
    """
    rows, warnings = _read(file, SITES, columns or {}, ("id", "version", "longitude", "latitude"))
    _check_places(rows)
    _check_dates(rows)
    _check_once(rows, ("id", "version"))
    with held(lake, "reference", _REFUSAL, _WAIT):
        lake.replace_reference("sites", _table(rows, SITES), {"source": file.name})
    return Loaded(len(rows), tuple(warnings))


def load_tacs(lake: Lake, file: Path, columns: Mapping[str, str] | None = None) -> Loaded:
    """Load the handset models from a CSV, in place of all former ones.

    `columns` gives a source column for a target one where the names differ. Raises LakeError naming file, line and
    field.
    """
    rows, warnings = _read(file, TACS, columns or {}, ("id",))
    _check_once(rows, ("id",))
    with held(lake, "reference", _REFUSAL, _WAIT):
        lake.replace_reference("tacs", _table(rows, TACS), {"source": file.name})
    return Loaded(len(rows), tuple(warnings))


def settle(lake: Lake) -> list[str]:
    """Bring places, positions and units of cells up to date with the cells and boundaries that are loaded.

    Does nothing where they are. Safe at any time; what a killed load left undone is done. Returns sentences that
    someone should read: cells outside every unit, units that overlap.
    """
    if _settled(lake):
        return []
    with held(lake, "reference", _REFUSAL, _WAIT):
        return settle_held(lake)


def settle_held(lake: Lake) -> list[str]:
    """Do what `settle` does, for a caller that holds the lake's reference tables already."""
    if _settled(lake):
        return []
    made_from = _versions(lake)
    positions = _positions(lake.reference("cells"))
    points, of_points = _points(positions)
    units, of_units, warnings = _units(positions, lake.reference("geography"))
    for places in (points, *units):
        if places.num_rows > MOST_PLACES:
            raise LakeError(
                f"{places['unit'][0]} would have {places.num_rows:,} places; a level can have {MOST_PLACES:,}. "
                "Load a coarser level."
            )
    rows = {
        "cell_positions": positions,
        "places": _as_declared([points, *units], PLACES),
        "cell_units": _as_declared([of_points, *of_units], CELL_UNITS),
    }
    lake.replace_together(rows, {"made_from": made_from})
    return warnings


def without_traps(text: str) -> str:
    """A delivered text without the blanks around it, no-break spaces and byte order marks included."""
    return text.strip(_BLANKS)


def _versions(lake: Lake) -> dict[str, list[str]]:
    return {name: [p.name for p in lake.reference_files(name)] for name in ("cells", "geography")}


def _settled(lake: Lake) -> bool:
    wanted = _versions(lake)
    if not any(wanted.values()):
        return True
    made = [lake.reference_facts(name) for name in TOGETHER]
    return all(m is not None and m.get("made_from") == wanted for m in made)


def _positions(cells: pa.Table) -> pa.Table:
    # A cell has both or none.
    placed = cells.filter(cells["longitude"].is_valid())
    table = pa.table(
        {
            "location_id": placed["id"],
            "version": placed["version"],
            "site_id": placed["site_id"],
            "first_day": placed["date_of_first_service"].fill_null(SINCE_EVER),
            "last_day": placed["date_of_last_service"].fill_null(STILL),
            "lon": placed["longitude"],
            "lat": placed["latitude"],
        }
    )
    return table.sort_by([("location_id", "ascending"), ("version", "ascending")])


def _points(positions: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The distinct positions as numbered places, and which of them each position is."""
    where = np.column_stack([np.asarray(positions["lon"]), np.asarray(positions["lat"])])
    points, place = np.unique(where.reshape(-1, 2), axis=0, return_inverse=True)
    places = pa.table(
        {
            "unit": _repeated("lon-lat", len(points)),
            "place": pa.array(range(len(points)), pa.int32()),
            "pcod": pa.nulls(len(points), pa.string()),
            "lon": points[:, 0],
            "lat": points[:, 1],
        }
    )
    return places, _placed(positions, "lon-lat", place.reshape(-1))


def _units(positions: pa.Table, geography: pa.Table) -> tuple[list[pa.Table], list[pa.Table], list[str]]:
    """The numbered units of each level, which of them each position lies strictly inside, and warnings.

    Where units overlap, the smallest code wins.
    """
    places: list[pa.Table] = []
    found: list[pa.Table] = []
    warnings: list[str] = []
    # A tree of the points, asked by the polygons: shapely then prepares each polygon once.
    tree = _tree(positions, "lon", "lat")
    for unit in sorted(set(geography["unit"].to_pylist())):
        level = geography.filter(pa.array([u == unit for u in geography["unit"].to_pylist()])).sort_by("pcod")
        polygons = shapely.from_wkb(level["geom"].to_numpy())
        polygon, point = tree.query(polygons, predicate="contains")
        order = np.lexsort((polygon, point))
        polygon, point = polygon[order], point[order]
        first = np.ones(len(point), bool)
        first[1:] = point[1:] != point[:-1]
        warnings += _overlapping(unit, positions, level, polygon, point)
        warnings += _outside(unit, positions, polygons, int(first.sum()))
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
        found.append(_placed(inside, unit, polygon[first]))
    return places, found, warnings


def _tree(positions: pa.Table, x: str, y: str) -> shapely.STRtree:
    points: Any = shapely.points(np.asarray(positions[x]), np.asarray(positions[y]))
    return shapely.STRtree(points)


def _placed(positions: pa.Table, unit: str, place: Any) -> pa.Table:
    columns = {n: positions[n] for n in ("location_id", "version", "first_day", "last_day")}
    return pa.table(
        {"unit": _repeated(unit, positions.num_rows), **columns, "place": pa.array(place, pa.int32(), safe=False)}
    )


def _as_declared(tables: list[pa.Table], declared: Table) -> pa.Table:
    schema = arrow_schema(declared.columns)
    return pa.concat_tables([t.select(schema.names).cast(schema) for t in tables])


def _repeated(text: str, times: int) -> pa.Array:
    return pa.array([text] * times, pa.string())


def _overlapping(unit: str, positions: pa.Table, level: pa.Table, polygon: Any, point: Any) -> list[str]:
    again = np.flatnonzero(point[1:] == point[:-1]) + 1
    if not len(again):
        return []
    at = int(again[0])
    cell = positions["location_id"][int(point[at])].as_py()
    smaller, larger = (level["pcod"][int(polygon[i])].as_py() for i in (at - 1, at))
    shared = len(set(point[again].tolist()))
    told = f"Units of {unit} overlap: {shared} cell versions lie in more than one, such as {cell} in {smaller} and "
    return [told + f"{larger}; the smallest code is taken."]


def _outside(unit: str, positions: pa.Table, polygons: Any, inside: int) -> list[str]:
    outside = positions.num_rows - inside
    if not outside:
        return []
    told = [f"{outside} of {positions.num_rows} cell versions lie in no unit of {unit}."]
    if not inside:
        found = _tree(positions, "lat", "lon").query(polygons, predicate="contains")[1]
        if len(found):
            told.append(
                f"With longitude and latitude exchanged, {len(set(found.tolist()))} would: if the file names them "
                "the wrong way round, load it with longitude=latitude and latitude=longitude."
            )
    return told


def _read(
    file: Path, table: Table, columns: Mapping[str, str], needed: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a CSV as the table's types, each with its line number under `line`."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.reader(text)
            header = [h.strip(_BLANKS) for h in next(reader, [])]
            sources = _sources(file, table, header, columns, needed)
            rows = [
                _row(f"{file.name}, line {reader.line_num}", values, len(header), table, sources)
                for values in reader
                if any(map(str.strip, values))
            ]
    except OSError as error:
        raise LakeError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise LakeError(f"{file.name} is not UTF-8 text: save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise LakeError(f"{file.name} is not CSV: {error}.") from None
    if not rows:
        raise LakeError(f"{file.name} has a header but no row.")
    left = [h for i, h in enumerate(header) if i not in sources.values() and h]
    return rows, [f"{file.name}: columns left out: {', '.join(left)}."] if left else []


def _sources(
    file: Path, table: Table, header: list[str], columns: Mapping[str, str], needed: tuple[str, ...]
) -> dict[str, int]:
    twice = sorted({h for h in header if h and header.count(h) > 1})
    if twice:
        raise LakeError(f"{file.name} names a column twice: {', '.join(twice)}.")
    for target, source in columns.items():
        if target not in table:
            raise LakeError(f"{table.name} has no column {target!r}; it has: {', '.join(table.names)}.")
        if source not in header:
            raise LakeError(f"{file.name} has no column {source!r}; it has: {', '.join(header)}.")
    taken = set(columns.values())
    sources = {n: header.index(n) for n in table.names if n in header and n not in taken}
    sources |= {target: header.index(source) for target, source in columns.items()}
    missing = [n for n in needed if n not in sources]
    if missing:
        raise LakeError(
            f"{file.name} has no column {', '.join(missing)}; it has: {', '.join(header)}. "
            f"Name its column with --map {missing[0]}=COLUMN."
        )
    return sources


def _row(where: str, values: list[str], width: int, table: Table, sources: Mapping[str, int]) -> dict[str, Any]:
    if len(values) != width:
        raise LakeError(f"{where}: {len(values)} fields where the header has {width}.")
    row: dict[str, Any] = {"where": where, "line": int(where.rsplit(" ", 1)[1])}
    for name, at in sources.items():
        text, column = values[at].strip(_BLANKS), table[name]
        try:
            row[name] = _PARSED[column.type](text) if text else None
        except (ValueError, KeyError):
            raise LakeError(f"{where}: {name} {text!r} is not {_NOUN[column.type]}.") from None
        if column.required and row[name] is None:
            raise LakeError(f"{where}: {name} is empty.")
    return row


def _whole(text: str) -> int:
    number = _number(text)
    if not number.is_integer() or abs(number) >= 2**31:
        raise ValueError(text)
    return int(number)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _truth(text: str) -> bool:
    return _TRUTHS[text.lower()]


_TRUTHS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
_PARSED: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int32": _whole,
    "float64": _number,
    "bool": _truth,
    "date": dt.date.fromisoformat,
}
_NOUN = {
    "int32": "a whole number",
    "float64": "a number",
    "bool": "true or false",
    "date": "a date such as 2016-01-31",
}


def _check_places(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        for name, limit in (("longitude", 180), ("latitude", 90)):
            value = row[name]
            if value is not None and abs(value) > limit:
                raise LakeError(
                    f"{row['where']}: {name} {value:g} is not between -{limit} and {limit}; "
                    "if longitude and latitude are exchanged, load with longitude=latitude and latitude=longitude."
                )
        if (row["longitude"] is None) != (row["latitude"] is None):
            given, empty = sorted(("longitude", "latitude"), key=lambda n: row[n] is None)
            raise LakeError(f"{row['where']}: {given} is given but {empty} is empty.")


def _check_dates(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        first, last = row.get("date_of_first_service"), row.get("date_of_last_service")
        if first and last and last < first:
            raise LakeError(f"{row['where']}: date_of_last_service {last} is before date_of_first_service {first}.")


def _check_once(rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    seen: dict[tuple[Any, ...], int] = {}
    for row in rows:
        values = tuple(row[n] for n in names)
        if values in seen:
            what = ", ".join(f"{n} {v}" for n, v in zip(names, values, strict=True))
            raise LakeError(f"{row['where']}: {what} stands in line {seen[values]} already.")
        seen[values] = row["line"]


def _part_versions(file: Path, rows: list[dict[str, Any]], overlaps: Literal["refuse", "cut"]) -> list[str]:
    """See that no two versions of a cell serve on one day; cut the earlier ones where told so."""

    def start(row: dict[str, Any]) -> dt.date:
        return row.get("date_of_first_service") or SINCE_EVER

    cut = 0
    ordered = sorted(rows, key=lambda r: (r["id"], start(r), r["version"]))
    for earlier, later in itertools.pairwise(ordered):
        if earlier["id"] != later["id"] or (earlier.get("date_of_last_service") or STILL) < start(later):
            continue
        what = f"{later['where']}: versions {earlier['version']} and {later['version']}"
        if start(earlier) == start(later):
            since = later.get("date_of_first_service") or "no first day of service"
            raise LakeError(f"{what} of cell {later['id']} both begin on {since}: give each version its own days.")
        if overlaps == "refuse":
            raise LakeError(
                f"{what} of cell {later['id']} are both in service on {start(later)}: mend the dates, or let the "
                "earlier version end where the later begins (overlaps: cut)."
            )
        earlier["date_of_last_service"] = start(later) - dt.timedelta(days=1)
        cut += 1
    return [f"{file.name}: {cut} versions of cells were cut short where the next begins."] if cut else []


def _table(rows: list[dict[str, Any]], table: Table) -> pa.Table:
    return pa.table({c.name: pa.array([r.get(c.name) for r in rows], ARROW[c.type]) for c in table})
