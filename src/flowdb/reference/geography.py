"""Loading of boundaries, and the making of grids."""

import csv
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

from flowdb.lake import Lake, LakeError
from flowdb.reference.delivered_csv import without_traps
from flowdb.reference.replacement import Loaded, changing
from flowdb.reference.settling import settle_held
from flowdb.tables import GRID, LEVELS, MOST_PLACES, RESERVED, is_unit_name

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
    _check_name(unit)
    if unit.startswith(GRID):
        raise LakeError(f"{unit!r} is a name of grids, which flowkit geography grid makes: choose another one.")
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
    with changing(lake):
        return Loaded(rows.num_rows, (*warnings, *_replace(lake, unit, rows)))


def grid(lake: Lake, km: float, *, unit: str | None = None) -> Loaded:
    """Make a level of squares of `km` by `km` that cover the country, in place of any former one of that name.

    The country is the union of the coarsest level that is loaded. Squares are cut in Lambert's azimuthal equal-area
    projection around the country's middle, rounded to whole degrees, so that each has its true area wherever it lies,
    and codes stay the same while boundaries change a little: N and E tell how many squares lie to the south and to the
    west, from 5,000 km south and west of the middle. Raises LakeError where there are no boundaries, or too many
    squares.
    """
    if not (0.05 <= km <= 1000):
        raise LakeError(f"A square of {km:g} km is not of use: choose from 0.05 to 1000 km.")
    size = round(km * 1000)
    unit = unit or f"{GRID}{size // 1000}km" if size % 1000 == 0 else unit or f"{GRID}{size}m"
    _check_name(unit)
    if not unit.startswith(GRID):
        raise LakeError(f"{unit!r} cannot name a grid: begin with {GRID}, such as {GRID}10km.")
    with changing(lake):
        geography = lake.reference("geography")
        rows = _squares(unit, size, _country(geography))
        return Loaded(rows.num_rows, _replace(lake, unit, rows))


def _replace(lake: Lake, unit: str, rows: pa.Table) -> tuple[str, ...]:
    """Put a level's rows in place of its former ones, and settle what follows from them."""
    for name, key in (("cell_mappings", "mapping_table"), ("geom_points", "geom_table")):
        if f"geography.{unit}" in lake.reference(name)[key].to_pylist():
            raise LakeError(f"geography.{unit} is a table of the deployment's own already: choose another name.")
    former = lake.reference("geography")
    others = former.filter(pa.array(np.asarray(former["unit"]) != unit, pa.bool_()))
    lake.replace_reference("geography", pa.concat_tables([others, rows.cast(others.schema)]))
    return tuple(settle_held(lake))


def _check_name(unit: str) -> None:
    if unit in RESERVED:
        raise LakeError(f"{unit!r} has a meaning of its own and cannot name a level: choose another name.")
    if not is_unit_name(unit):
        raise LakeError(
            f"{unit!r} cannot name a level: use small letters, digits, - and _, 40 at most, such as health_zone."
        )


def _country(geography: pa.Table) -> shapely.Geometry:
    """The whole country: the union of the coarsest level that is loaded."""
    loaded = [unit for unit in dict.fromkeys(geography["unit"].to_pylist()) if not unit.startswith(GRID)]
    if not loaded:
        raise LakeError("There are no boundaries to cover: load some first, with flowkit geography load.")
    coarsest = min(loaded, key=lambda unit: (unit not in LEVELS, unit))
    shapes = geography["geom"].to_numpy()[np.asarray(geography["unit"]) == coarsest]
    return shapely.make_valid(shapely.union_all(shapely.make_valid(shapely.from_wkb(shapes))))


def _squares(unit: str, size: int, country: shapely.Geometry) -> pa.Table:
    """The squares, `size` metres wide, that a country lies in."""
    lon, lat = (round(v) for v in _middle(country))
    plane = f"+proj=laea +lat_0={lat} +lon_0={lon} +x_0={_ORIGIN} +y_0={_ORIGIN} +datum=WGS84 +units=m"
    there = Transformer.from_crs(WGS84, plane, always_xy=True)
    # Long edges bend in the plane.
    bent = shapely.segmentize(country, 0.1)
    land = shapely.make_valid(shapely.transform(bent, lambda p: np.column_stack(there.transform(p[:, 0], p[:, 1]))))
    if land.area / size**2 > MOST_PLACES:
        raise LakeError(
            f"{unit} would have more than {land.area / size**2:,.0f} squares; a level can have {MOST_PLACES:,}. "
            "Make larger squares."
        )
    shapely.prepare(land)
    west, south, east, north = (int(v // size) for v in shapely.bounds(land))
    columns = np.arange(west, east + 1)
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    for row in range(south, north + 1):
        at = np.full_like(columns, row)
        boxes = shapely.box(columns * size, at * size, (columns + 1) * size, (at + 1) * size)
        found = columns[shapely.intersects(land, boxes)]
        kept.append((np.full(len(found), row), found))
    rows, cols = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    # The corner that squares share is computed from the same numbers, so that nothing lies between them.
    x, y = (cols[:, None] + corners[:, 0]) * size, (rows[:, None] + corners[:, 1]) * size
    lons, lats = there.transform(x, y, direction="INVERSE")
    squares = [_on_earth(ring) for ring in np.stack([lons, lats], axis=-1)]
    labels_x, labels_y = there.transform((cols + 0.5) * size, (rows + 0.5) * size, direction="INVERSE")
    width = len(str(2 * _ORIGIN // size))
    return pa.table(
        {
            "gid": pa.array(range(1, len(rows) + 1), pa.int32()),
            "unit": [unit] * len(rows),
            "pcod": [f"N{n:0{width}}E{e:0{width}}" for n, e in zip(rows.tolist(), cols.tolist(), strict=True)],
            "name": pa.nulls(len(rows), pa.string()),
            "geom": pa.array(list(shapely.to_wkb(squares)), pa.binary()),
            "longitude": labels_x,
            "latitude": labels_y,
        }
    )


def _middle(country: shapely.Geometry) -> tuple[float, float]:
    """About the middle of a country, which may lie on both sides of the 180th meridian."""
    west, south, east, north = shapely.bounds(country).tolist()
    if east - west > 180:
        lons = shapely.get_coordinates(country)[:, 0] % 360
        west, east = float(lons.min()), float(lons.max())
    return ((west + east) / 2 + 180) % 360 - 180, (south + north) / 2


def _on_earth(ring: np.ndarray) -> MultiPolygon:
    """A square of longitudes and latitudes; one across the 180th meridian is cut there."""
    if np.ptp(ring[:, 0]) < 180:
        return MultiPolygon([Polygon(ring)])
    whole = Polygon(np.column_stack([ring[:, 0] % 360, ring[:, 1]]))
    east, west = whole & shapely.box(0, -90, 180, 90), whole & shapely.box(180, -90, 360, 90)
    west = shapely.transform(west, lambda p: p - np.array([360, 0]))
    return MultiPolygon([*_polygons(east), *_polygons(west)])


_ORIGIN = 5_000_000
"""How far south and west of the country's middle squares are counted from, in m."""


def _features(
    path: Path, code: str, name: str | None, layer: str | None, warnings: list[str]
) -> tuple[list[str], list[str | None], list[MultiPolygon]]:
    """The codes, names and valid WGS84 polygons of a file's features."""
    fields, geometries, crs = read_features(path, layer)
    for field in (code, *([name] if name else [])):
        if field not in fields:
            raise LakeError(f"{path.name} has no field {field!r}; it has: {', '.join(fields)}.")
    codes = [as_text(v) for v in fields[code]]
    labels: list[str | None] = [as_text(v) or None for v in fields[name]] if name else [None] * len(codes)
    for number, (pcod, geometry) in enumerate(zip(codes, geometries, strict=True), 1):
        if not pcod:
            raise LakeError(f"{path.name}: feature {number} has nothing in field {code!r}.")
        if geometry is None or shapely.is_empty(geometry):
            raise LakeError(f"{path.name}: feature {number} ({pcod}) has no shape.")
    shapes = in_wgs84(path, np.asarray(geometries, dtype=object), crs, warnings)
    # make_valid may leave lines and points beside the polygons; only what has an area can hold a cell.
    polygons = [_polygons(g) for g in shapely.make_valid(shapely.force_2d(shapes))]
    for number, (pcod, polygon) in enumerate(zip(codes, polygons, strict=True), 1):
        if not len(polygon):
            raise LakeError(f"{path.name}: feature {number} ({pcod}) is not a polygon.")
    return codes, labels, [MultiPolygon(p) for p in polygons]


def read_features(path: Path, layer: str | None = None) -> tuple[dict[str, Any], Any, str | None]:
    """The fields, shapes and coordinate system of a file's features: at least one, each with a shape or None."""
    if not path.exists():
        raise LakeError(f"{path} does not exist.")
    fields, shapes, crs = _csv_features(path) if path.suffix.lower() == ".csv" else _vector_features(path, layer)
    if not len(shapes):
        raise LakeError(f"{path.name} holds no feature.")
    return fields, shapes, crs


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


def in_wgs84(path: Path, shapes: Any, crs: str | None, warnings: list[str]) -> Any:
    """Shapes in longitude and latitude; raises LakeError where that cannot be."""
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


def as_text(value: Any) -> str:
    """A field's value as text; empty where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    # A numeric field read as float says 524.0 for the code 524.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return without_traps(str(value))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
