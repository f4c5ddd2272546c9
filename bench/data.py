"""The lake that the benchmarks ask: made of arithmetic alone, so that the same size gives the same rows everywhere.

Subscribers are mostly at their home cell: four events in five are there, the others anywhere. Events are told to the
second, so that some share an instant and the rules of ties are at work.
"""

import datetime as dt
import math
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import shapely

from flowdb.lake import Lake, LakeError, arrow_schema
from flowdb.reference.edges import unit_edges
from flowdb.tables import TACS

FIRST = dt.date(2016, 1, 1)
TIMEZONE = "UTC"
WEST, SOUTH, EAST, NORTH = 80.0, 26.0, 88.0, 30.0
FIRST_TAC, HANDSETS = 10_000_000, 1_000
EVER = "DATE '0001-01-01' AS first_day, DATE '9999-12-31' AS last_day"


@dataclass(frozen=True)
class Size:
    """How much there is; the defaults are the published comparison's."""

    events: int = 20_000_000
    subscribers: int = 100_000
    days: int = 14
    cells: int = 2_000
    districts: int = 75

    @staticmethod
    def of(events: int) -> "Size":
        """As many subscribers for the events as in the published comparison; never so few that joins are empty."""
        return Size(events=events, subscribers=max(100, events // 200))


def bench_lake(directory: Path, size: Size) -> Lake:
    """The lake of a size in a directory: the one that is there, or a new one."""
    path = directory / f"lake-{size.events}"
    try:
        lake = Lake.open(path)
        if all(lake.reference_facts(name) == asdict(size) for name in ("unit_edges", "tacs", "places")):
            # One that was made before there were visits is as one that is made now.
            lake.settle_visits()
            return lake
    except LakeError:
        pass
    # A lake whose last table is missing was being made when its maker was killed.
    shutil.rmtree(path, ignore_errors=True)
    lake = Lake.create(path, TIMEZONE)
    with duckdb.connect(config={"memory_limit": "4GB"}) as maker:
        maker.execute("SET TimeZone = 'UTC'")
        _make_country(maker, size)
        for n in range(size.days):
            _store_day(maker, lake, size, FIRST + dt.timedelta(days=n))
            _store_topups(maker, lake, size, FIRST + dt.timedelta(days=n))
        tables = _reference(maker, size)
    for name, rows in tables.items():
        lake.replace_reference(name, rows, asdict(size))
    return lake


def _make_country(maker: duckdb.DuckDBPyConnection, size: Size) -> None:
    """Tables of districts (boxes in a grid), cells and subscribers."""
    columns = math.ceil(math.sqrt(size.districts * 2))
    rows = math.ceil(size.districts / columns)
    maker.execute(
        f"""
        CREATE TABLE districts AS SELECT
            i::INTEGER AS place, 'D' || lpad(i::VARCHAR, 4, '0') AS pcod,
            {WEST}::DOUBLE + (i % {columns}) * {(EAST - WEST) / columns}::DOUBLE AS west,
            {SOUTH}::DOUBLE + (i // {columns}) * {(NORTH - SOUTH) / rows}::DOUBLE AS south,
            {(EAST - WEST) / columns}::DOUBLE AS width, {(NORTH - SOUTH) / rows}::DOUBLE AS height
        FROM range({size.districts}) AS t(i);
        CREATE TABLE cells AS SELECT
            i, 'cell' || lpad(i::VARCHAR, 5, '0') AS id, d.place,
            d.west + d.width * (0.05 + 0.9 * (hash(i * 4 + 1) % 1000000) / 1e6) AS lon,
            d.south + d.height * (0.05 + 0.9 * (hash(i * 4 + 2) % 1000000) / 1e6) AS lat
        FROM range({size.cells}) AS t(i) JOIN districts AS d ON d.place = hash(i * 4) % {size.districts};
        CREATE TABLE points AS SELECT id, lon, lat, (row_number() OVER (ORDER BY lon, lat) - 1)::INTEGER AS place
        FROM cells;
        CREATE TABLE subscribers AS SELECT
            i, (hash(i + 1) >> 1)::BIGINT AS msisdn, (hash(-i - 1) % {size.cells})::INTEGER AS home
        FROM range({size.subscribers}) AS t(i);
        """
    )


def _store_day(maker: duckdb.DuckDBPyConnection, lake: Lake, size: Size, day: dt.date) -> None:
    n = (day - FIRST).days
    first, last = size.events * n // size.days, size.events * (n + 1) // size.days
    staged = lake.stage("calls", day)
    target = str(staged).replace("'", "''")
    maker.execute(
        f"""
        COPY (
            WITH calls AS (
                SELECT
                    e, hash(e * 8) % {size.subscribers} AS who, (hash(e * 8 + 1) % 86400)::INTEGER AS second,
                    hash(e * 8 + 2) % 5 > 0 AS at_home, (hash(e * 8 + 3) % {size.cells})::INTEGER AS elsewhere,
                    e % 2 = 0 AS outgoing, hash(e * 8 + 5) % {size.subscribers} AS whom
                FROM range({first}, {last}) AS t(e)
            )
            SELECT
                (hash(e // 2, 'id') >> 1)::BIGINT AS id, outgoing,
                TIMESTAMPTZ '{day} 00:00:00+00' + to_seconds(second) AS datetime,
                (hash(e, 's') % 600)::DOUBLE AS duration, NULL::VARCHAR AS network, msisdn,
                (hash(whom + 1) >> 1)::BIGINT AS msisdn_counterpart,
                'cell' || lpad((CASE WHEN at_home THEN home ELSE elsewhere END)::VARCHAR, 5, '0') AS location_id,
                NULL::BIGINT AS imsi, NULL::BIGINT AS imei, ({FIRST_TAC} + whom % {HANDSETS})::INTEGER AS tac,
                NULL::INTEGER AS operator_code, NULL::INTEGER AS country_code, (second // 60)::SMALLINT AS minute
            FROM calls JOIN subscribers ON subscribers.i = calls.who
            ORDER BY msisdn, datetime
        ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
        """
    )
    lake.commit_day("calls", day, [staged], {"rows": last - first}, maker)


def _store_topups(maker: duckdb.DuckDBPyConnection, lake: Lake, size: Size, day: dt.date) -> None:
    """A recharge for ten calls; what is left of it is spent until the next."""
    n, recharges = (day - FIRST).days, size.events // 10
    first, last = recharges * n // size.days, recharges * (n + 1) // size.days
    staged = lake.stage("topups", day)
    target = str(staged).replace("'", "''")
    maker.execute(
        f"""
        COPY (
            WITH topups AS (
                SELECT
                    e, hash(e * 4, 'topup') % {size.subscribers} AS who,
                    (hash(e * 4 + 1, 'topup') % 86400)::INTEGER AS second,
                    (hash(e * 4 + 2, 'topup') % 400)::DOUBLE / 4 AS before,
                    (1 + hash(e * 4 + 3, 'topup') % 20)::DOUBLE * 5 AS amount
                FROM range({first}, {last}) AS t(e)
            )
            SELECT
                (hash(e, 'topup') >> 1)::BIGINT AS id, TIMESTAMPTZ '{day} 00:00:00+00' + to_seconds(second) AS datetime,
                NULL::VARCHAR AS type, amount AS recharge_amount, 0.5::DOUBLE AS airtime_fee,
                amount / 10 AS tax_and_fee, before AS pre_event_balance, before + amount AS post_event_balance, msisdn,
                'cell' || lpad(home::VARCHAR, 5, '0') AS location_id, NULL::BIGINT AS imsi, NULL::BIGINT AS imei,
                NULL::INTEGER AS tac, NULL::INTEGER AS operator_code, NULL::INTEGER AS country_code,
                (second // 60)::SMALLINT AS minute
            FROM topups JOIN subscribers ON subscribers.i = topups.who
            ORDER BY msisdn, datetime
        ) TO '{target}' (FORMAT parquet, COMPRESSION zstd)
        """
    )
    lake.commit_day("topups", day, [staged], {"rows": last - first}, maker)


def _reference(maker: duckdb.DuckDBPyConnection, size: Size) -> Mapping[str, pa.Table]:
    """Boundaries, cells and what they settle; `places` last, whose commit says that the lake is whole."""
    boxes = maker.execute("SELECT place, pcod, west, south, width, height FROM districts ORDER BY place").fetchall()
    geography = [
        {
            "gid": place + 1,
            "unit": "admin3",
            "pcod": pcod,
            "name": f"District {place + 1}",
            "geom": shapely.MultiPolygon([shapely.box(west, south, west + width, south + height)]).wkb,
            "longitude": west + width / 2,
            "latitude": south + height / 2,
        }
        for place, pcod, west, south, width, height in boxes
    ]
    columns = ("gid", "unit", "pcod", "name", "geom", "longitude", "latitude")
    told = {
        "cell_units": f"""
            SELECT
                'admin3' AS unit, NULL::VARCHAR AS mapping, id AS location_id, 0::INTEGER AS version, {EVER}, place
            FROM cells
            UNION ALL SELECT 'lon-lat', NULL, id, 0, {EVER}, place FROM points
        """,
        "cell_positions": f"""
            SELECT
                id AS location_id, 0::INTEGER AS version, id AS site_id, {EVER}, lon, lat,
                (row_number() OVER (ORDER BY id) - 1)::INTEGER AS site, lon AS site_lon, lat AS site_lat
            FROM cells
        """,
        "places": """
            SELECT 'admin3' AS unit, place, pcod, NULL::DOUBLE AS lon, NULL::DOUBLE AS lat FROM districts
            UNION ALL SELECT 'lon-lat', place, NULL, lon, lat FROM points
        """,
    }
    brands = [f"Brand {n % 20:02}" for n in range(HANDSETS)]
    tacs = {**{name: [None] * HANDSETS for name in TACS.names}, "id": [*range(FIRST_TAC, FIRST_TAC + HANDSETS)]}
    boundaries = pa.table({name: [row[name] for row in geography] for name in columns})
    return {
        "tacs": pa.table({**tacs, "brand": brands}, schema=arrow_schema(TACS.columns)),
        "geography": boundaries,
        "unit_edges": unit_edges(boundaries),
        **{name: maker.sql(select).to_arrow_table() for name, select in told.items()},
    }
