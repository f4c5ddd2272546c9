"""Loading of custom tables of places: which unit a cell belongs to, and where points are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from flowdb.lake import Lake, LakeError, arrow_schema
from flowdb.reference.checks import check_once, check_places
from flowdb.reference.delivered_csv import CsvTable, read_csv, typed_rows
from flowdb.reference.errors import DeliveryError
from flowdb.reference.features import as_text, in_wgs84, read_features
from flowdb.reference.replacement import Loaded, changing
from flowdb.reference.settling import settle_locked
from flowdb.reference.values import Encoding
from flowdb.tables import CELL_MAPPINGS, GEOM_POINTS, Column, Table, is_column_name, is_table_name

_OURS = ("events", "dfs", "cache", "etl", "flowdb", "pg_catalog", "information_schema")
"""Schemas whose tables are FlowDB's own."""
_NETWORK = ("infrastructure.cells", "infrastructure.sites", "infrastructure.tacs")


def load_mapping(
    lake: Lake, file: Path, *, table: str, columns: Mapping[str, str] | None = None, encoding: Encoding = "utf-8"
) -> Loaded:
    """Load a table of which unit each cell belongs to, in place of the former one of that name.

    The CSV has a column `id`, the cell, and a column `<unit>pcod`, the unit's code, such as admin3pcod; it may have
    those of several units, and others by which a table of points is joined. `columns` gives a source column for a
    target one if the names differ. Raises LakeError naming file, line and field.
    """
    _check_name(table)
    content = read_csv(file, encoding)
    rows, _ = typed_rows(content, _text_columns(table, content, columns or {}), columns, required=("id",))
    check_once(rows, ("id",))
    names = [name for name in rows[0] if name not in ("where", "line")]
    with changing(lake):
        _check_free(lake, table, "geom_points", "geom_table")
        levels = _codes(lake)
        of_units = {name: name.removesuffix("pcod") for name in names if name.endswith("pcod")}
        known = {name: unit for name, unit in of_units.items() if unit in levels}
        points = {*lake.reference("geom_points")["column"].to_pylist()} & {*names} - {"id"}
        if of_units and not known:
            name, unit = next(iter(of_units.items()))
            raise LakeError(
                f"{file.name} has the column {name}, and there is no level {unit} here: load its boundaries first, "
                f"with flowkit geography load FILE --unit {unit} --code FIELD."
            )
        if not known and not points:
            raise LakeError(
                f"{file.name} has no column that names a unit, such as admin3pcod; it has: {', '.join(names)}. "
                "Name it with --map admin3pcod=COLUMN."
            )
        for name, unit in known.items():
            for row in rows:
                if row[name] is not None and row[name] not in levels[unit]:
                    raise LakeError(f"{row['where']}: {name} {row[name]!r} is no unit of {unit}.")
        new_rows = [
            {"mapping_table": table, "location_id": row["id"], "column": name, "value": row[name]}
            for row in rows
            for name in names
            if row[name] is not None
        ]
        return Loaded(len(rows), _replace(lake, CELL_MAPPINGS, table, new_rows, file))


def load_points(
    lake: Lake, file: Path, *, table: str, columns: Mapping[str, str] | None = None, encoding: Encoding = "utf-8"
) -> Loaded:
    """Load a table of points, in place of the former one of that name.

    A CSV with columns `longitude` and `latitude` or `wkt`, or GeoJSON, GeoPackage or a Shapefile; and a column `id`, or
    others, that name cells or are columns of a mapping table. `columns` gives a source column for a target one where
    the names differ. Raises LakeError naming file, line or feature, and field.
    """
    _check_name(table)
    rows, warnings = _points_of(file, table, columns or {}, encoding)
    names = [n for n in rows[0] if n not in ("where", "line", "longitude", "latitude")]
    values = {n: [row[n] for row in rows if row[n] is not None] for n in names if is_column_name(n)}
    unique = [n for n, texts in values.items() if texts and len(set(texts)) == len(texts)]
    if "id" in values:
        check_once([row for row in rows if row["id"] is not None], ("id",))
    if not unique:
        raise LakeError(f"{file.name} has no column whose values name one point each; it has: {', '.join(names)}.")
    if left := [n for n in names if n not in unique]:
        warnings.append(f"{file.name}: not to be joined on, for values stand more than once: {', '.join(left)}.")
    new_rows = [
        {"geom_table": table, "column": n, "value": row[n], "lon": row["longitude"], "lat": row["latitude"]}
        for row in rows
        for n in unique
        if row[n] is not None
    ]
    with changing(lake):
        _check_free(lake, table, "cell_mappings", "mapping_table")
        return Loaded(len(rows), (*warnings, *_replace(lake, GEOM_POINTS, table, new_rows, file)))


def _replace(lake: Lake, declared: Table, table: str, rows: list[dict[str, Any]], file: Path) -> tuple[str, ...]:
    """Put a table's rows in place of its former ones, and settle what follows from them."""
    former = lake.reference(declared.name)
    key = declared.names[0]
    others = former.filter(pa.array([name != table for name in former[key].to_pylist()], pa.bool_()))
    new = pa.Table.from_pylist(rows, arrow_schema(declared.columns))
    lake.replace_reference(declared.name, pa.concat_tables([others, new.cast(others.schema)]), {"source": file.name})
    return tuple(settle_locked(lake))


def _check_name(table: str) -> None:
    if not is_table_name(table):
        raise LakeError(f"{table!r} cannot name a table: write schema.table, such as geography.cells_by_hand.")
    if table.partition(".")[0].lower() in _OURS or table.lower() in _NETWORK:
        raise LakeError(f"{table} is FlowDB's own: choose another name, such as geography.cells_by_hand.")


def _check_free(lake: Lake, table: str, others: str, key: str) -> None:
    """Raise LakeError where the name stands for something else."""
    if table in lake.reference(others)[key].to_pylist():
        what = "mapping table" if key == "mapping_table" else "table of points"
        raise LakeError(f"{table} is a {what} already: choose another name.")
    schema, _, name = table.partition(".")
    if schema == "geography" and name in lake.reference("geography")["unit"].to_pylist():
        raise LakeError(f"{table} holds the boundaries of the level {name}: choose another name.")


def _codes(lake: Lake) -> dict[str, set[str]]:
    """The codes of every level."""
    codes: dict[str, set[str]] = {}
    geography = lake.reference("geography")
    for unit, pcod in zip(geography["unit"].to_pylist(), geography["pcod"].to_pylist(), strict=True):
        codes.setdefault(unit, set()).add(pcod)
    return codes


def _text_columns(name: str, content: CsvTable, columns: Mapping[str, str], **typed: Column) -> Table:
    """A table of the columns that a CSV's header names, as text but for those that are declared."""
    sources = set(columns.values())
    names = dict.fromkeys([*columns, *(n for n in content.header if n not in sources)])
    text = {n: Column(n, "string", "", required=n == "id") for n in names if is_column_name(n)}
    return Table(name, "", tuple({**text, **typed}.values()))


def _points_of(
    file: Path, table: str, columns: Mapping[str, str], encoding: Encoding
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a file of points, each with `longitude` and `latitude`, and where it stands."""
    if file.suffix.lower() == ".csv":
        content = read_csv(file, encoding)
        if "wkt" not in {*content.header, *columns} - {*columns.values()}:
            degrees = {n: Column(n, "float64", "", required=True) for n in ("longitude", "latitude")}
            declared = _text_columns(table, content, columns, **degrees)
            rows, notes = typed_rows(content, declared, columns, required=tuple(degrees))
            check_places(rows)
            return rows, notes
    features = read_features(file, encoding=encoding)
    fields = features.fields
    for target, source in columns.items():
        if source not in fields:
            raise DeliveryError(f"{file.name} has no field {source!r}; it has: {', '.join(fields)}.")
        fields[target] = fields.pop(source)
    for number, shape in enumerate(features.shapes, 1):
        if shape is None or shapely.get_type_id(shape) != shapely.GeometryType.POINT or shapely.is_empty(shape):
            raise DeliveryError(f"{file.name}: feature {number} is not a point.")
    shapes = in_wgs84(features)
    at = np.column_stack([shapely.get_x(shapes), shapely.get_y(shapes)])
    rows = [
        {"where": f"{file.name}, feature {n}", "line": n, "longitude": lon, "latitude": lat}
        | {name: as_text(values[n - 1]) or None for name, values in fields.items()}
        for n, (lon, lat) in enumerate(at.tolist(), 1)
    ]
    return rows, features.notes
