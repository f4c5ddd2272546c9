"""Distances on the Earth as plain arithmetic, the same on every engine."""

import ibis
import ibis.expr.types as ir

A = 6_378_137.0
"""The semi-major axis of WGS84, in m."""
F = 1 / 298.257223563
"""The flattening of WGS84."""


def distance(lon1: ir.Value, lat1: ir.Value, lon2: ir.Value, lat2: ir.Value) -> ir.FloatingValue:
    """Geodesic distance on WGS84 in m between points in degrees, by Lambert's formula.

    Within 0.01 % of the geodesic over the lengths of a country; points nearly opposite on the globe are out of scope.
    Source: W. D. Lambert (1942), Journal of the Washington Academy of Sciences 32(5).
    """
    reduced1 = ((1 - F) * lat1.radians().tan()).atan()
    reduced2 = ((1 - F) * lat2.radians().tan()).atan()
    p, q = (reduced1 + reduced2) / 2, (reduced2 - reduced1) / 2
    half_lon = (lon2 - lon1).radians() / 2
    haversine = _square(q.sin()) + reduced1.cos() * reduced2.cos() * _square(half_lon.sin())
    # Rounding can push it past 1 for opposite points, where asin has no value.
    half = ibis.least(haversine, 1.0).sqrt().asin()
    angle = 2 * half
    # The correction divides by sin and cos of half the angle; equal points have none.
    x = (angle - angle.sin()) * _square(p.sin() * q.cos()) / _square(half.cos()).nullif(0.0)
    y = (angle + angle.sin()) * _square(p.cos() * q.sin()) / _square(half.sin()).nullif(0.0)
    return ibis.coalesce(A * (angle - F / 2 * (x + y)), 0.0)


def _square(value: ir.Value) -> ir.Value:
    return value * value
