"""Grids: levels of equal squares that cover the country."""

import numpy as np
import pyarrow as pa
import shapely
from pyproj import Transformer
from shapely import MultiPolygon, Polygon

from flowdb.lake import Lake, LakeError
from flowdb.reference.features import WGS84, polygons_of
from flowdb.reference.geography import check_name, replace_level
from flowdb.reference.replacement import Loaded, changing
from flowdb.tables import GRID, LEVELS, MOST_PLACES

_ORIGIN = 5_000_000
"""How far south and west of the country's middle squares are counted from, in m."""


def make(lake: Lake, km: float, *, unit: str | None = None) -> Loaded:
    """Make a level of squares of `km` by `km` that cover the country, in place of any former one of that name.

    The country is the union of the coarsest level that is loaded. Squares are cut in Lambert's azimuthal equal-area
    projection around the country's middle, rounded to whole degrees, so that each has its true area wherever it lies,
    and codes stay the same while boundaries change a little: N and E tell how many squares lie to the south and to the
    west, from 5,000 km south and west of the middle. Raises LakeError if there are no boundaries, or too many
    squares.
    """
    if not (0.05 <= km <= 1000):
        raise LakeError(f"A square of {km:g} km is not of use: choose from 0.05 to 1000 km.")
    size = round(km * 1000)
    unit = unit or f"{GRID}{size // 1000}km" if size % 1000 == 0 else unit or f"{GRID}{size}m"
    check_name(unit)
    if not unit.startswith(GRID):
        raise LakeError(f"{unit!r} cannot name a grid: begin with {GRID}, such as {GRID}10km.")
    with changing(lake):
        geography = lake.reference("geography")
        rows = _squares(unit, size, _country(geography))
        return Loaded(rows.num_rows, replace_level(lake, unit, rows))


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
    to_plane = Transformer.from_crs(WGS84, plane, always_xy=True)
    # Long edges bend in the plane.
    bent = shapely.segmentize(country, 0.1)
    land = shapely.make_valid(shapely.transform(bent, lambda p: np.column_stack(to_plane.transform(p[:, 0], p[:, 1]))))
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
        covered = columns[shapely.intersects(land, boxes)]
        kept.append((np.full(len(covered), row), covered))
    rows, cols = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)])
    # The corner that squares share is computed from the same numbers, so that nothing lies between them.
    x, y = (cols[:, None] + corners[:, 0]) * size, (rows[:, None] + corners[:, 1]) * size
    lons, lats = to_plane.transform(x, y, direction="INVERSE")
    squares = [_on_earth(ring) for ring in np.stack([lons, lats], axis=-1)]
    labels_x, labels_y = to_plane.transform((cols + 0.5) * size, (rows + 0.5) * size, direction="INVERSE")
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
    """A square of longitudes and latitudes; one across the 180th meridian is cut at it."""
    if np.ptp(ring[:, 0]) < 180:
        return MultiPolygon([Polygon(ring)])
    whole = Polygon(np.column_stack([ring[:, 0] % 360, ring[:, 1]]))
    east, west = whole & shapely.box(0, -90, 180, 90), whole & shapely.box(180, -90, 360, 90)
    west = shapely.transform(west, lambda p: p - np.array([360, 0]))
    return MultiPolygon([*polygons_of(east), *polygons_of(west)])
