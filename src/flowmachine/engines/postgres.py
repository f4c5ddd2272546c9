"""PostgreSQL: FlowDB in FlowKit's schema."""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import adbc_driver_postgresql.dbapi as adbc
import ibis
import ibis.expr.types as ir
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.compilers import PostgresCompiler

from flowdb.lake import Snapshot, StoredDay
from flowdb.tables import EVENTS, GEOGRAPHY, REFERENCE
from flowmachine.cdr import Cdr, Span
from flowmachine.engines.lake import ibis_schema
from flowmachine.errors import FlowMachineError
from flowmachine.plan import Plan
from flowmachine.query import Query


@ibis.udf.scalar.builtin(name="date_part")
def _date_part(part: str, instant: dt.datetime) -> float:  # type: ignore[empty-body]
    """A part of an instant."""


@ibis.udf.scalar.builtin(name="st_asbinary")
def _wkb(shape: bytes) -> bytes:  # type: ignore[empty-body]
    """A shape as WKB."""


@ibis.udf.scalar.builtin(name="st_pointonsurface")
def _inside(shape: bytes) -> bytes:  # type: ignore[empty-body]
    """A point inside a shape."""


@ibis.udf.scalar.builtin(name="st_x")
def _x(point: bytes) -> float:  # type: ignore[empty-body]
    """A point's longitude."""


@ibis.udf.scalar.builtin(name="st_y")
def _y(point: bytes) -> float:  # type: ignore[empty-body]
    """A point's latitude."""


_LEVELS = ("admin0", "admin1", "admin2", "admin3")


class PostgresDialect:
    """What is PostgreSQL's own when a plan is built."""

    name = "postgres"

    def events(self, cdr: Cdr, event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """FlowKit's table, cut by `datetime`, which its partitions are cut by; local day and minute are computed."""
        table = EVENTS[event_type]
        schema = {
            name: "string" if table[name].identifies else kind for name, kind in ibis_schema(table.columns).items()
        }
        events = ibis.table(schema, name=event_type, database="events")
        zone = ZoneInfo(cdr.timezone)
        within = [
            (events.datetime >= _midnight(start, zone)) & (events.datetime < _midnight(stop, zone))
            for start, stop in spans
        ]
        # The session's zone is the deployment's, so that a cast gives the local day.
        local = events.datetime
        return events.filter(ibis.or_(*within)).mutate(
            day=local.cast("date"),
            minute=(_date_part("hour", local) * 60 + _date_part("minute", local)).cast("int32"),
        )

    def reference(self, cdr: Cdr, name: str) -> ir.Table:
        """A settled reference table; boundaries lie in FlowKit's own tables, one a level."""
        if name == GEOGRAPHY.name:
            return ibis.union(*(_boundaries(unit) for unit in _LEVELS))
        return ibis.table(ibis_schema(REFERENCE[name].columns), name=name, database="flowdb")

    def stored(self, cdr: Cdr, query: Query, schema: Mapping[str, str]) -> ir.Table:
        """Never: this engine computes nested queries in place."""
        raise NotImplementedError

    def microseconds(self, instant: ir.TimestampValue) -> ir.IntegerValue:
        """Microseconds since 1970; a double holds them exactly until the year 2255."""
        return (_date_part("epoch", instant) * 1_000_000.0).round().cast("int64")

    def best(self, rows: ir.Table, by: Sequence[str], order: Sequence[str], keep: str) -> ir.Table:
        """By a window: PostgreSQL has no greatest by a row."""
        descending = [rows[column].desc() for column in order]
        ranked = rows.mutate(rank=ibis.row_number().over(group_by=list(by), order_by=descending))
        return ranked.filter(ranked["rank"] == 0).select(*by, keep)


class Postgres:
    """Runs plans on a PostgreSQL FlowDB."""

    dialect = PostgresDialect()
    reads_stored_parts = False

    def __init__(self, url: str) -> None:
        self.url = url
        self._writing: dict[Path, adbc.Cursor] = {}
        try:
            with psycopg.connect(url) as connection:
                row = connection.execute("SHOW timezone").fetchone()
        except psycopg.OperationalError as problem:
            raise FlowMachineError(f"The database cannot be reached: {str(problem).strip()}") from None
        self.timezone = str(row[0]) if row else "UTC"

    def snapshot(self) -> Snapshot:
        """Which days the database's ETL records call available, and since which record."""
        with psycopg.connect(self.url) as connection:
            records = connection.execute(
                "SELECT DISTINCT ON (cdr_type, cdr_date) cdr_type, cdr_date, state, id FROM etl.etl_records "
                "ORDER BY cdr_type, cdr_date, timestamp DESC, id DESC"
            ).fetchall()
            settled = connection.execute("SELECT count(*), max(xmin::text::bigint) FROM flowdb.cell_units").fetchone()
        days: dict[str, dict[dt.date, StoredDay]] = {}
        for event_type, day, state, record in records:
            if state == "ingested":
                days.setdefault(event_type, {})[day] = StoredDay(event_type, day, Path(str(record)), 0)
        return Snapshot(days, {"cell_units": (Path("_".join(str(v) for v in settled or ())),)})

    def sql(self, plan: Plan) -> str:
        """The SQL of a plan."""
        return PostgresCompiler().to_sqlglot(plan.expression).sql("postgres", pretty=True)

    def run(self, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Path] | None = None) -> pa.Table:
        """The rows of a plan."""
        with adbc.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute(self.sql(plan))
            return cursor.fetch_arrow_table().cast(plan.schema)

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, Path] | None = None) -> None:
        """Write the rows of a plan to a Parquet file."""
        with adbc.connect(self.url) as connection, connection.cursor() as cursor:
            self._writing[path] = cursor
            try:
                cursor.execute(self.sql(plan))
                rows = cursor.fetch_arrow_table().cast(plan.schema)
            finally:
                del self._writing[path]
        pq.write_table(rows, path, compression="zstd")

    def interrupt(self, path: Path) -> None:
        """Stop the query whose rows are to be written to a file, if it runs."""
        if (cursor := self._writing.get(path)) is not None:
            cursor.adbc_cancel()

    def close(self) -> None:
        """Nothing is held between runs."""


def _boundaries(unit: str) -> ir.Table:
    types = {"gid": "int32", f"{unit}pcod": "string", f"{unit}name": "string", "geom": "binary"}
    level = ibis.table(types, name=unit, database="geography")
    return level.select(
        gid=level.gid,
        unit=ibis.literal(unit),
        pcod=level[f"{unit}pcod"],
        name=level[f"{unit}name"],
        geom=_wkb(level.geom),
        longitude=_x(_inside(level.geom)),
        latitude=_y(_inside(level.geom)),
    )


def _midnight(day: dt.date, zone: ZoneInfo) -> ir.TimestampScalar:
    instant = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
    return ibis.literal(instant, "timestamp('UTC')")
