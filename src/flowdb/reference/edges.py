"""Boundaries as edges in bands of latitude, so that the place of a point is found by comparing numbers."""

from typing import Any

import numpy as np
import pyarrow as pa
import shapely

from flowdb.lake import arrow_schema
from flowdb.tables import BANDS_PER_DEGREE, UNIT_EDGES


def unit_edges(geography: pa.Table) -> pa.Table:
    """The edges of every level's boundaries as rows of `unit_edges`, sorted by level and band.

    `geography` holds valid polygons; the places of a level are numbered in the order of their codes. A ray from a
    point eastward crosses the boundary of the place that holds it an odd number of times, holes and parts included.
    """
    schema = arrow_schema(UNIT_EDGES.columns)
    units = sorted(set(geography["unit"].to_pylist()))
    levels = (geography.filter(pa.array([u == unit for u in geography["unit"].to_pylist()])) for unit in units)
    return pa.concat_tables(
        [schema.empty_table(), *(_of_level(unit, level) for unit, level in zip(units, levels, strict=True))]
    )


def _of_level(unit: str, level: pa.Table) -> pa.Table:
    polygons = shapely.from_wkb(level.sort_by("pcod")["geom"].to_numpy())
    place, start, end = _edges(polygons)
    northward = start[:, 1] <= end[:, 1]
    # The edge that two neighbours share is the same numbers for both: a point lies on one side of it for both.
    south, north = (np.where(northward[:, None], a, b) for a, b in ((start, end), (end, start)))
    first, last = (np.floor(end[:, 1] * BANDS_PER_DEGREE).astype(np.int64) for end in (south, north))
    times = last - first + 1
    edge = np.repeat(np.arange(len(place)), times)
    band = np.arange(len(edge)) - np.repeat(np.cumsum(times) - times, times) + first[edge]
    order = np.lexsort((place[edge], band))
    edge, band = edge[order], band[order]
    columns = (place[edge], band, south[edge, 0], south[edge, 1], north[edge, 0], north[edge, 1])
    names = pa.array([unit] * len(edge), pa.string())
    return pa.table([names, *columns], UNIT_EDGES.names).cast(arrow_schema(UNIT_EDGES.columns))


def _edges(polygons: Any) -> tuple[Any, Any, Any]:
    """The place, the start and the end of each edge of polygons, multipolygons and their holes."""
    parts, of_place = shapely.get_parts(polygons, return_index=True)
    rings, of_part = shapely.get_rings(parts, return_index=True)
    corners, of_ring = shapely.get_coordinates(rings, return_index=True)
    joined = of_ring[1:] == of_ring[:-1]
    return of_place[of_part[of_ring[1:][joined]]], corners[:-1][joined], corners[1:][joined]
