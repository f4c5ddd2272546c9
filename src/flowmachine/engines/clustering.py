"""Hartigan's leader clustering as a function of DuckDB and Spark: a fold over each subscriber's list of sites.

The fold's state is the list of clusters so far. PostgreSQL uses an aggregate of FlowDB's schema instead.
"""

from collections.abc import Callable, Mapping
from functools import cache

from flowmachine.building.geodesy import A, F

SITE = {
    "lighter": "int64",
    "site": "int32",
    "days": "int64",
    "lon": "float64",
    "lat": "float64",
    "hour": "float64",
    "weekday": "float64",
}
"""Fields of a site with their types; `lighter` is minus the number of days, so that the busiest site sorts first."""
CLUSTER = {
    "days": "int64",
    "lon": "float64",
    "lat": "float64",
    "hour": "float64",
    "weekday": "float64",
    "sites": "int64",
}
"""The fields of a cluster: its centre, and sums over its sites."""
EARTH = 6_371_000.0
"""The radius of a sphere, in m, on which distances are within 1 % of those on the ellipsoid."""


def list_of(fields: Mapping[str, str]) -> str:
    """The type of a list of such structs, as Ibis writes it."""
    return _struct("{0}: {1}", "array<struct<{0}>>", fields)


@cache
def duckdb_macro() -> str:
    """The statement that creates DuckDB's `hartigan(sites, radius)`: the clusters of a subscriber's sites.

    `sites` is a sorted list of structs of SITE, `radius` is in m; the clusters are structs of CLUSTER in the order in
    which they were founded.
    """
    founded, joined = (_struct("'{0}': {1}", "{{{0}}}", values) for values in (_founded("s"), _joined("y[1]")))
    first = f"list_position(list_transform(x, lambda v: {_near('y[1]', _duckdb_let)}), true)"
    grown = f"list_transform(x, lambda v, n: CASE WHEN n = own THEN {joined} ELSE v END)"
    return f"""
    CREATE OR REPLACE MACRO hartigan(sites, radius) AS list_reduce(
        list_transform(sites, lambda s: [{founded}]),
        lambda x, y: {_duckdb_let("own", first, f"CASE WHEN own IS NULL THEN x || y ELSE {grown} END")}
    )
    """


@cache
def spark_function() -> str:
    """The statement that creates Spark's `hartigan(sites, radius)`, which does the same as DuckDB's."""
    sites, clusters = (_struct("{0}: {1}", "ARRAY<STRUCT<{0}>>", _spark_types(fields)) for fields in (SITE, CLUSTER))
    founded, joined = (_struct("'{0}', {1}", "named_struct({0})", v) for v in (_founded("s"), _joined("y[0]")))
    first = f"array_position(transform(x, v -> {_near('y[0]', _spark_let)}), true)"
    grown = f"transform(x, (v, n) -> CASE WHEN n = own - 1 THEN {joined} ELSE v END)"
    return f"""
    CREATE OR REPLACE TEMPORARY FUNCTION hartigan(sites {sites}, radius DOUBLE) RETURNS {clusters} RETURN aggregate(
        transform(sites, s -> CAST(array({founded}) AS {clusters})),
        CAST(array() AS {clusters}),
        (x, y) -> {_spark_let("own", first, f"CASE WHEN own = 0 THEN concat(x, y) ELSE {grown} END")}
    )
    """


def _founded(site: str) -> dict[str, str]:
    """The cluster that a site founds."""
    return {name: f"{site}.{name}" for name in CLUSTER if name != "sites"} | {"sites": "CAST(1 AS BIGINT)"}


def _joined(site: str) -> dict[str, str]:
    """The cluster v after a site, given as the cluster that it would found, has joined it."""
    centre = {
        name: f"(v.{name} * v.days + {site}.{name} * {site}.days) / (v.days + {site}.days)" for name in ("lon", "lat")
    }
    return {name: centre.get(name, f"v.{name} + {site}.{name}") for name in CLUSTER}


def _struct(item: str, whole: str, values: Mapping[str, str]) -> str:
    return whole.format(", ".join(item.format(name, value) for name, value in values.items()))


def _spark_types(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: {"int32": "INT", "int64": "BIGINT", "float64": "DOUBLE"}[kind] for name, kind in fields.items()}


def _near(site: str, let: Callable[[str, str, str], str]) -> str:
    """Whether the centre of a cluster v is nearer to a site than the radius; `let` names what is used more than once.

    The latitude decides most cases, as a degree of it is longer than 110 km; then the haversine, which is within 1 %;
    the remaining cases are decided by Lambert's formula, as in `geodesy.distance`.
    """
    half_lon = f"(radians({site}.lon - v.lon) / 2)"
    haversine = f"""(
        power(sin(radians({site}.lat - v.lat) / 2), 2)
        + cos(radians(v.lat)) * cos(radians({site}.lat)) * power(sin({half_lon}), 2)
    )"""
    reduced1, reduced2 = (f"atan({1 - F} * tan(radians({end}.lat)))" for end in ("v", site))
    half = f"""asin(sqrt(least(
        power(sin((b2 - b1) / 2), 2) + cos(b1) * cos(b2) * power(sin({half_lon}), 2), 1.0
    )))"""
    lambert = f"""coalesce({A} * (2 * half - {F / 2} * (
        (2 * half - sin(2 * half)) * power(sin((b1 + b2) / 2) * cos((b2 - b1) / 2), 2)
        / nullif(power(cos(half), 2), 0)
        + (2 * half + sin(2 * half)) * power(cos((b1 + b2) / 2) * sin((b2 - b1) / 2), 2)
        / nullif(power(sin(half), 2), 0)
    )), 0.0) < radius"""
    exact = let("b1", reduced1, let("b2", reduced2, let("half", half, lambert)))
    squares = (f"power(sin(least(radius * {part} / {2 * EARTH}, 1.5)), 2)" for part in (1.01, 0.99))
    far, close = (f"h {sign} {square}" for sign, square in zip((">=", "<"), squares, strict=True))
    is_near = f"CASE WHEN {far} THEN false WHEN {close} THEN true ELSE {exact} END"
    return f"CASE WHEN abs(v.lat - {site}.lat) * 110000 >= radius THEN false ELSE {let('h', haversine, is_near)} END"


def _duckdb_let(name: str, value: str, body: str) -> str:
    return f"[{body} FOR {name} IN [{value}]][1]"


def _spark_let(name: str, value: str, body: str) -> str:
    return f"transform(array({value}), {name} -> {body})[0]"
