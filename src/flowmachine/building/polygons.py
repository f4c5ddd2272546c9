"""Which polygon holds a point, as plain arithmetic, the same on every engine.

A polygon is its edges, those of holes and of further parts too, each (x1, y1, x2, y2) from its lower end to its upper
one. A ray from a point in it, in the direction of growing x, crosses an odd number of them.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import ibis.expr.types as ir
import shapely

Edge = tuple[float, float, float, float]


def edges(polygon: shapely.Geometry) -> list[Edge]:
    """The edges of a polygon or multipolygon, each from its lower end to its upper one."""
    segments: list[Edge] = []
    for ring in shapely.get_rings(shapely.get_parts(polygon)):
        corners = shapely.get_coordinates(ring).tolist()
        for (x1, y1), (x2, y2) in pairwise(corners):
            segments.append((x1, y1, x2, y2) if y1 <= y2 else (x2, y2, x1, y1))
    return segments


def side(x: ir.FloatingValue, y: ir.FloatingValue, edge: tuple[Any, Any, Any, Any]) -> ir.FloatingValue:
    """More than 0 where a point lies at smaller x than an edge's line, 0 where it lies on it."""
    x1, y1, x2, y2 = edge
    return (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)


def contains(polygon: Sequence[Edge], x: ir.FloatingValue, y: ir.FloatingValue) -> ir.BooleanValue:
    """Whether a polygon that is known when a plan is built strictly contains a point: its border is outside."""
    crossed, touched = [], []
    for edge in polygon:
        x1, y1, x2, y2 = edge
        level = y.between(y1, y2)
        along = x.between(min(x1, x2), max(x1, x2))
        # Most polygons of scores are rectangles; an edge along an axis needs no product.
        if x1 == x2:
            crossed.append((y >= y1) & (y < y2) & (x < x1))
            touched.append(level & along)
        elif y1 == y2:
            touched.append(level & along)
        else:
            across = side(x, y, edge)
            crossed.append((y >= y1) & (y < y2) & (across > 0))
            touched.append(level & along & (across == 0))
    return (_count(crossed) % 2 == 1) & (_count(touched) == 0)


def _count(terms: Sequence[ir.Value]) -> ir.Value:
    """How many are true; in halves, so that the expression is not nested as deep as the polygon has edges."""
    middle = len(terms) // 2
    return terms[0].ifelse(1, 0) if len(terms) == 1 else _count(terms[:middle]) + _count(terms[middle:])
