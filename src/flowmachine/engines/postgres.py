"""PostgreSQL: FlowDB in FlowKit's schema."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import adbc_driver_postgresql.dbapi as adbc
import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.compilers import PostgresCompiler
from sqlglot import exp

from flowdb.lake import Snapshot, StoredDay, StoredTable
from flowdb.tables import EVENTS, REFERENCE, TACS, TRANSACTIONS, VISITS, Table
from flowmachine.building.plan import Plan, Statement
from flowmachine.building.tables import Stored, Tables
from flowmachine.building.windows import Span
from flowmachine.engines import Abilities
from flowmachine.engines.lake import ibis_schema
from flowmachine.engines.sql import rendered
from flowmachine.errors import FlowMachineError
from flowmachine.stored.entries import StoredQuery


@ibis.udf.scalar.builtin(name="date_part")
def _date_part(part: str, instant: dt.datetime) -> float:  # type: ignore[empty-body]
    """A part of an instant."""


@ibis.udf.scalar.builtin(name="to_timestamp", signature=((dtypes.float64,), dtypes.Timestamp(timezone="UTC")))
def _to_timestamp(seconds: float) -> dt.datetime:  # type: ignore[empty-body]
    """The instant so many seconds after the beginning of 1970."""


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


@ibis.udf.agg.builtin(name="hartigan", database="flowdb")
def _hartigan(days: int, lon: float, lat: float, radius: float) -> int:  # type: ignore[empty-body]
    """The number of the cluster that a subscriber's last site joins."""


@ibis.udf.scalar.builtin(name="int8send")
def _int8send(number: int) -> bytes:  # type: ignore[empty-body]
    """The eight bytes of an integer."""


@ibis.udf.scalar.builtin(name="bit_count")
def _bit_count(data: bytes) -> int:  # type: ignore[empty-body]
    """How many bits are set."""


class PostgresDialect:
    """The parts of plans that are specific to PostgreSQL."""

    name = "postgres"
    # FlowKit keeps pseudonyms as text.
    subscriber = "string"

    def events(self, tables: Tables, event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """FlowKit's table, filtered by `datetime`, its partition key; local day and minute are computed."""
        events = _transactions() if event_type == TRANSACTIONS.name else _table_of(EVENTS[event_type], "events")
        zone = ZoneInfo(tables.timezone)
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

    def visits(self, tables: Tables, event_type: str, spans: tuple[Span, ...]) -> ir.Table:
        """Each event as one visit: FlowKit's schema has no table of visits."""
        events = self.events(tables, event_type, spans)
        outgoing = events.outgoing if "outgoing" in EVENTS[event_type] else ibis.literal(None, "boolean")
        counted = events.mutate(
            events=ibis.literal(1, "int32"),
            outgoing=ibis.ifelse(outgoing, 1, 0).cast("int32"),
            incoming=ibis.ifelse(~outgoing, 1, 0).cast("int32"),
            first=events.datetime,
            last=events.datetime,
        )
        return counted.select(*VISITS.names)

    def reference(self, tables: Tables, name: str) -> ir.Table:
        """A settled reference table, or FlowKit's own table of handsets."""
        if name == TACS.name:
            return _table_of(TACS, "infrastructure")
        return ibis.table(ibis_schema(REFERENCE[name].columns), name=name, database="flowdb")

    def boundaries(self, tables: Tables, unit: str) -> ir.Table:
        """The boundaries of a level, which is one table."""
        types = {f"{unit}pcod": "string", f"{unit}name": "string", "geom": "binary"}
        level = ibis.table(types, name=unit, database="geography")
        return level.select(
            pcod=level[f"{unit}pcod"],
            name=level[f"{unit}name"],
            geom=_wkb(level.geom),
            longitude=_x(_inside(level.geom)),
            latitude=_y(_inside(level.geom)),
        )

    def stored(self, tables: Tables, query_id: str, schema: Mapping[str, str]) -> ir.Table:
        """The stored rows of a query: a table of schema `cache`, whose name is inserted when the plan runs."""
        name = f"part_{query_id}"
        tables.sources[name] = Stored(query_id)
        return ibis.table(schema, name=name)

    def microseconds(self, instant: ir.TimestampValue) -> ir.IntegerValue:
        """Microseconds since 1970; a double holds them exactly until the year 2255."""
        return (_date_part("epoch", instant) * 1_000_000.0).round().cast("int64")

    def instant(self, microseconds: ir.IntegerValue) -> ir.TimestampValue:
        """The instant so many microseconds after the beginning of 1970; a double holds them until the year 2255."""
        return _to_timestamp(microseconds / 1_000_000)

    def set_bits(self, bits: ir.IntegerValue) -> ir.IntegerValue:
        """How many bits of an integer are set; PostgreSQL counts those of bytes."""
        return _bit_count(_int8send(bits))

    def best(self, rows: ir.Table, by: Sequence[str], order: Sequence[str], keep: str) -> ir.Table:
        """By a window: PostgreSQL has no maximum by a row."""
        descending = [rows[column].desc() for column in order]
        ranked = rows.mutate(rank=ibis.row_number().over(group_by=list(by), order_by=descending))
        return ranked.filter(ranked["rank"] == 0).select(*by, keep)

    def clusters(self, sites: ir.Table, by: Sequence[str], radius: float) -> ir.Table:
        """By an aggregate of FlowDB's schema over a window, which gives the cluster that each site joins."""
        heaviest_first = ibis.cumulative_window(group_by=list(by), order_by=[sites.days.desc(), sites.site])
        joins = _hartigan(sites.days, sites.lon, sites.lat, ibis.literal(radius, "float64")).over(heaviest_first)
        joined = sites.mutate(cluster=joins)
        return joined.group_by(*by, "cluster").agg(
            days=joined.days.sum().cast("int64"),
            lon=(joined.lon * joined.days).sum() / joined.days.sum().cast("float64"),
            lat=(joined.lat * joined.days).sum() / joined.days.sum().cast("float64"),
            hour=joined.hour.sum(),
            weekday=joined.weekday.sum(),
            sites=joined.count(),
        )


def _transactions() -> ir.Table:
    """Mobile money, a row a party, of FlowKit's tables in `dfs`; subscribers are identified by their numbers there."""
    amounts = dict.fromkeys(("amount", "discount", "fee", "commission"), "decimal")
    whole = ibis.table({"id": "int64", **amounts, "timestamp": "timestamp('UTC')"}, name="transactions", database="dfs")
    party = {"transaction_id": "int64", "subscriber_id": "int64", "cell_id": "string", "cell_version": "int32"}
    parties = ibis.table({**party, "is_outgoing": "boolean"}, name="transactions_metadata", database="dfs")
    rows = whole.join(parties, whole.id == parties.transaction_id)
    return rows.select(
        id=rows.id,
        outgoing=rows.is_outgoing,
        datetime=rows.timestamp,
        **{name: rows[name].cast("float64") for name in amounts},
        msisdn=rows.subscriber_id,
        location_id=rows.cell_id,
        cell_version=rows.cell_version,
    )


def _table_of(table: Table, schema: str) -> ir.Table:
    """A table of FlowKit's with the declared types; FlowKit stores identifiers as text and numbers as NUMERIC."""
    declared = ibis_schema(table.columns)
    numbers = {c.name: declared[c.name] for c in table if c.type in ("int32", "float64")}
    texts = {c.name: "string" for c in table if c.identifies}
    rows = ibis.table({**declared, **dict.fromkeys(numbers, "decimal"), **texts}, name=table.name, database=schema)
    return rows.mutate(**{name: rows[name].cast(kind) for name, kind in numbers.items()})


class Postgres:
    """Runs plans on a PostgreSQL FlowDB."""

    dialect = PostgresDialect()
    # The server stores parts as Parquet files, which the database cannot read.
    abilities = Abilities(reads_stored_parts=False, stores_rows=True, has_boundaries=True, has_clusters=True)

    def __init__(self, url: str) -> None:
        self.url = url
        self.storage = StoredTables(url)
        self._writing: dict[Path, adbc.Cursor] = {}
        try:
            with psycopg.connect(url) as connection:
                row = connection.execute("SHOW timezone").fetchone()
        except psycopg.OperationalError as problem:
            raise FlowMachineError(f"The database cannot be reached: {str(problem).strip()}") from None
        self.timezone = str(row[0]) if row else "UTC"

    def snapshot(self) -> Snapshot:
        """The days that the database's ETL records call available, each with the id of its latest record."""
        with psycopg.connect(self.url) as connection:
            records = connection.execute(
                "SELECT DISTINCT ON (cdr_type, cdr_date) cdr_type, cdr_date, state, id FROM etl.etl_records "
                "ORDER BY cdr_type, cdr_date, timestamp DESC, id DESC"
            ).fetchall()
            settled = connection.execute("SELECT count(*), max(xmin::text::bigint) FROM flowdb.cell_units").fetchone()
        days: dict[str, dict[dt.date, StoredDay]] = {}
        for event_type, day, state, record in records:
            if state == "ingested":
                days.setdefault(event_type, {})[day] = StoredDay(event_type, day, str(record))
        return Snapshot(days, {"cell_units": StoredTable("_".join(str(v) for v in settled or ()))})

    def sql(self, plan: Statement) -> str:
        """The SQL of a plan."""
        return _sql(plan)

    def run(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, str] | None = None) -> pa.Table:
        """The rows of a plan."""
        with adbc.connect(self.url) as connection, connection.cursor() as cursor:
            cursor.execute(_sql(plan, parts))
            return cursor.fetch_arrow_table().cast(plan.schema)

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, str] | None = None) -> None:
        """Write the rows of a plan to a Parquet file."""
        with adbc.connect(self.url) as connection, connection.cursor() as cursor:
            self._writing[path] = cursor
            try:
                cursor.execute(_sql(plan, parts))
                rows = cursor.fetch_arrow_table().cast(plan.schema)
            finally:
                del self._writing[path]
        pq.write_table(rows, path, compression="zstd")

    def interrupt(self, path: Path) -> None:
        """Stop the query whose rows are to be written to a file, if it runs."""
        if (cursor := self._writing.get(path)) is not None:
            cursor.adbc_cancel()

    def close(self) -> None:
        """Nothing is open between runs."""


def open_postgres_engine(store: str | Path) -> Postgres:
    """PostgreSQL at a postgresql:// URL; raises FlowMachineError if it cannot be reached."""
    return Postgres(str(store))


class StoredTables:
    """Rows stored in schema `cache` of a database: a table for each, whose comment is its record.

    A transaction creates table and record together, so that neither exists without the other.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def entries(self) -> list[StoredQuery]:
        """What is stored, the oldest first."""
        with psycopg.connect(self.url) as connection:
            tables = connection.execute(
                "SELECT obj_description(c.oid, 'pg_class'), pg_total_relation_size(c.oid) FROM pg_class c "
                "JOIN pg_namespace n ON n.oid = c.relnamespace "
                r"WHERE n.nspname = 'cache' AND c.relkind = 'r' AND c.relname LIKE 'rows\_%'"
            ).fetchall()
        entries = []
        for text, taken in tables:
            # A table that was not made here may have such a name.
            with suppress(ValueError):
                entries.append(replace(StoredQuery.from_json(text or ""), bytes=taken))
        return sorted(entries, key=lambda entry: (entry.when, entry.id))

    @contextmanager
    def reading(self, entries: Iterable[StoredQuery]) -> Iterator[dict[str, str]]:
        """A context in which stored rows cannot be forgotten: those that still exist, by the query's id."""
        if not (requested := list(entries)):
            yield {}
            return
        # The locks are the outer transaction's; the inner ones are savepoints.
        with psycopg.connect(self.url) as connection, connection.transaction():
            tables = {}
            for entry in requested:
                with suppress(psycopg.errors.UndefinedTable), connection.transaction():
                    connection.execute(_run(f"LOCK TABLE {_table(entry)} IN ACCESS SHARE MODE"))
                    tables[entry.query_id] = _table(entry)
            yield tables

    def write(self, entry: StoredQuery, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Any]) -> StoredQuery:
        """Store the rows of a plan; safe if two processes store the same query at once."""
        table = _table(entry)
        with psycopg.connect(self.url) as connection:
            # A second process that stores the same query waits here, and then finds the table.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [table])
            existing = connection.execute("SELECT to_regclass(%s)", [table]).fetchone()
            if existing and existing[0]:
                return entry
            stored = connection.execute(_run(f"CREATE TABLE {table} AS {_sql(plan, parts)}"))
            entry = replace(entry, rows=stored.rowcount)
            # The rows are about single subscribers, and the API's role may read new tables of this schema.
            for (role,) in connection.execute("SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = 'flowapi'"):
                connection.execute(_run(f"REVOKE ALL ON {table} FROM {role}"))
            connection.execute(_run(f"COMMENT ON TABLE {table} IS {_quoted(entry.to_json())}"))
            connection.execute(_run(f"ANALYZE {table}"))
            size = connection.execute("SELECT pg_total_relation_size(%s::regclass)", [table]).fetchone()
        return replace(entry, bytes=size[0] if size else 0)

    def forget(self, entry: StoredQuery) -> None:
        """Delete stored rows; raises FlowMachineError while they are read."""
        try:
            with psycopg.connect(self.url) as connection:
                connection.execute("SET LOCAL lock_timeout = '1s'")
                connection.execute(_run(f"DROP TABLE IF EXISTS {_table(entry)}"))
        except psycopg.errors.LockNotAvailable:
            raise FlowMachineError(
                f"The stored rows of {entry.kind} are being read: forget them when that query has ended."
            ) from None


def _table(entry: StoredQuery) -> str:
    return f"cache.rows_{entry.id}"


def _run(sql: str) -> bytes:
    # psycopg does not read bytes as a template: what looks like a placeholder is text.
    return sql.encode()


def _quoted(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _sql(plan: Statement, parts: Mapping[str, str] | None = None) -> str:
    tree = rendered(plan, PostgresCompiler())
    for query_id, table in (parts or {}).items():
        for named in tree.find_all(exp.Table):
            if named.name == f"part_{query_id}":
                named.set("this", exp.to_identifier(table.rpartition(".")[2], quoted=True))
                named.set("db", exp.to_identifier(table.rpartition(".")[0]))
    return tree.sql("postgres", pretty=True, copy=False)


def _midnight(day: dt.date, zone: ZoneInfo) -> ir.TimestampScalar:
    instant = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
    return ibis.literal(instant, "timestamp('UTC')")
