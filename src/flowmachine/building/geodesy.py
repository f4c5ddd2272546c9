"""Distances and centres on the Earth as plain arithmetic, the same on every engine."""

from collections.abc import Sequence

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


def centres(rows: ir.Table, by: Sequence[str], weight: str) -> ir.Table:
    """The centre of the positions of each `by`, each as heavy as its `weight`: by, lon0, lat0.

    FlowKit's centre: the mean longitude and the mean latitude. Longitudes are counted eastward from Greenwich if the
    positions lie on both sides of the meridian of 180 degrees, so that the centre of 179 and -179 is 180 and not 0.
    Within a country this is the mean direction of a sphere (K. V. Mardia and P. E. Jupp (2000), Directional
    Statistics, Wiley, section 9.2) to within a hundredth of the distance between the positions.
    """
    heavy = rows[weight]
    sums = rows.group_by(list(by)).agg(
        weights=heavy.sum(),
        lons=(rows.lon * heavy).sum(),
        eastward=(eastward(rows.lon) * heavy).sum(),
        lats=(rows.lat * heavy).sum(),
        crossed=is_across(rows.lon.min(), rows.lon.max()),
    )
    lon = ibis.ifelse(sums.crossed, wrapped(sums.eastward / sums.weights), sums.lons / sums.weights)
    return sums.select(*by, lon0=lon, lat0=sums.lats / sums.weights)


def is_across(westmost: ir.Value, eastmost: ir.Value) -> ir.BooleanValue:
    """Whether positions between two longitudes are nearer to each other across the meridian of 180 degrees."""
    return eastmost - westmost > 180


def eastward(lon: ir.Value) -> ir.FloatingValue:
    """A longitude from 0 to 360 degrees."""
    return ibis.ifelse(lon < 0, lon + 360.0, lon)


def wrapped(lon: ir.Value) -> ir.FloatingValue:
    """A longitude from -180 to 180 degrees."""
    return ibis.ifelse(lon > 180, lon - 360.0, lon)


def _square(value: ir.Value) -> ir.Value:
    return value * value
