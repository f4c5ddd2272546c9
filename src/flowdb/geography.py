"""Loading of administrative boundaries."""

import csv
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio.errors
import pyogrio.raw
import shapely
from pyproj import CRS, Transformer
from shapely import MultiPolygon, Polygon

from flowdb.cells import Loaded, settle_held, without_traps
from flowdb.lake import Lake, LakeError, held

WGS84 = CRS.from_epsg(4326)


def load(
    lake: Lake,
    files: Path | Iterable[Path],
    *,
    unit: str,
    code: str,
    name: str | None = None,
    layer: str | None = None,
) -> Loaded:
    """Load the boundaries of one level, in place of any that the level had.

    `files` are GeoJSON, GeoPackage, Shapefile (also zipped), or CSV with a `wkt` column in WGS84; `code` and `name`
    are their fields. Features that share a code, within a file or over several, become one unit. Then which cell
    lies in which unit is settled anew. Raises LakeError, naming file, field or feature, where that cannot be.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", unit):
        raise LakeError(f"{unit!r} cannot name a level: use small letters, digits and _, such as admin3.")
    paths = [files] if isinstance(files, Path) else list(files)
    if not paths:
        raise LakeError("No file of boundaries is given.")
    warnings: list[str] = []
    parts: dict[str, list[MultiPolygon]] = {}
    names: dict[str, str | None] = {}
    for path in paths:
        codes, labels, shapes = _features(path, code, name, layer, warnings)
        for pcod, label, shape in zip(codes, labels, shapes, strict=True):
            parts.setdefault(pcod, []).append(shape)
            if names.setdefault(pcod, label) is None:
                names[pcod] = label
    rows = _units(unit, parts, names)
    refusal = "Cells or boundaries are being loaded by another process: wait for it to end."
    with held(lake, "reference", refusal, wait=60):
        former = lake.reference("geography")
        others = former.filter(pa.array(np.asarray(former["unit"]) != unit, pa.bool_()))
        lake.replace_reference("geography", pa.concat_tables([others, rows.cast(others.schema)]))
        warnings.extend(settle_held(lake))
    return Loaded(rows.num_rows, tuple(warnings))


def _features(
    path: Path, code: str, name: str | None, layer: str | None, warnings: list[str]
) -> tuple[list[str], list[str | None], list[MultiPolygon]]:
    """The codes, names and valid WGS84 polygons of a file's features."""
    if not path.exists():
        raise LakeError(f"{path} does not exist.")
    if path.suffix.lower() == ".csv":
        fields, geometries, crs = _csv_features(path)
    else:
        fields, geometries, crs = _vector_features(path, layer)
    for field in (code, *([name] if name else [])):
        if field not in fields:
            raise LakeError(f"{path.name} has no field {field!r}; it has: {', '.join(fields)}.")
    if not len(geometries):
        raise LakeError(f"{path.name} holds no feature.")
    codes = [_text(v) for v in fields[code]]
    labels: list[str | None] = [_text(v) or None for v in fields[name]] if name else [None] * len(codes)
    for number, (pcod, geometry) in enumerate(zip(codes, geometries, strict=True), 1):
        if not pcod:
            raise LakeError(f"{path.name}: feature {number} has nothing in field {code!r}.")
        if geometry is None or shapely.is_empty(geometry):
            raise LakeError(f"{path.name}: feature {number} ({pcod}) has no shape.")
    shapes = _in_wgs84(path, np.asarray(geometries, dtype=object), crs, warnings)
    # make_valid may leave lines and points beside the polygons; only what has an area can hold a cell.
    polygons = [_polygons(g) for g in shapely.make_valid(shapely.force_2d(shapes))]
    for number, (pcod, polygon) in enumerate(zip(codes, polygons, strict=True), 1):
        if not len(polygon):
            raise LakeError(f"{path.name}: feature {number} ({pcod}) is not a polygon.")
    return codes, labels, [MultiPolygon(p) for p in polygons]


def _vector_features(path: Path, layer: str | None) -> tuple[dict[str, Any], Any, str | None]:
    try:
        meta, _, wkb, values = pyogrio.raw.read(path, layer=layer)
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError) as error:
        raise LakeError(f"{path.name} cannot be read as boundaries: {_first_line(error)}") from None
    if wkb is None:
        raise LakeError(f"{path.name} holds no shapes.")
    return dict(zip(meta["fields"], values, strict=True)), shapely.from_wkb(wkb), meta["crs"]


def _csv_features(path: Path) -> tuple[dict[str, Any], Any, str]:
    csv.field_size_limit(sys.maxsize)
    try:
        with path.open(newline="", encoding="utf-8-sig") as text:
            header, *rows = list(csv.reader(text)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise LakeError(f"{path.name} cannot be read as CSV: {_first_line(error)}") from None
    header = [h.strip() for h in header]
    if "wkt" not in header:
        raise LakeError(f"{path.name} has no field 'wkt'; it has: {', '.join(header)}.")
    rows = [r for r in rows if r]
    for number, row in enumerate(rows, 2):
        if len(row) != len(header):
            raise LakeError(f"{path.name}: row {number} has {len(row)} fields, its header has {len(header)}.")
    fields = {h: [r[i] for r in rows] for i, h in enumerate(header)}
    shapes = shapely.from_wkt(fields.pop("wkt"), on_invalid="ignore") if rows else np.array([])
    for number, shape in enumerate(shapes, 2):
        if shape is None:
            raise LakeError(f"{path.name}: row {number}, field 'wkt' is not well-known text.")
    return fields, shapes, "EPSG:4326"


def _in_wgs84(path: Path, shapes: Any, crs: str | None, warnings: list[str]) -> Any:
    if crs is None:
        if not _within_degrees(shapes):
            raise LakeError(
                f"{path.name} does not say its coordinate system and its numbers are no degrees: "
                "give the .prj file beside it, or save it as GeoJSON or GeoPackage."
            )
        warnings.append(f"{path.name} does not say its coordinate system: longitude and latitude are assumed.")
    elif CRS.from_user_input(crs) != WGS84:
        change = Transformer.from_crs(crs, WGS84, always_xy=True)
        shapes = shapely.transform(shapes, lambda xy: np.column_stack(change.transform(xy[:, 0], xy[:, 1])))
    if not _within_degrees(shapes):
        raise LakeError(f"{path.name} holds points that are no longitude and latitude on earth.")
    return shapes


def _within_degrees(shapes: Any) -> bool:
    west, south, east, north = shapely.total_bounds(shapes)
    return bool(west >= -180 and east <= 180 and south >= -90 and north <= 90)


def _polygons(geometry: shapely.Geometry) -> list[Polygon]:
    parts = shapely.get_parts(geometry)
    # Multipolygons within a collection take one more unpacking.
    parts = shapely.get_parts(parts)
    return [p for p in parts if isinstance(p, Polygon) and not p.is_empty]


def _units(unit: str, parts: dict[str, list[MultiPolygon]], names: dict[str, str | None]) -> pa.Table:
    pcods = sorted(parts)
    geoms = []
    for pcod in pcods:
        whole = shapely.make_valid(shapely.union_all(parts[pcod])) if len(parts[pcod]) > 1 else parts[pcod][0]
        geoms.append(MultiPolygon(_polygons(whole)))
    labels = shapely.point_on_surface(geoms)
    return pa.table(
        {
            "gid": pa.array(range(1, len(pcods) + 1), pa.int32()),
            "unit": [unit] * len(pcods),
            "pcod": pcods,
            "name": pa.array([names[p] for p in pcods], pa.string()),
            "geom": pa.array(list(shapely.to_wkb(geoms)), pa.binary()),
            "longitude": shapely.get_x(labels),
            "latitude": shapely.get_y(labels),
        }
    )


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    # A numeric field read as float says 524.0 for the code 524.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return without_traps(str(value))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
