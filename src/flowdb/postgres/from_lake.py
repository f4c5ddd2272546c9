"""The copy of a lake into PostgreSQL: DuckDB reads Parquet and streams it into PostgreSQL's COPY."""

import datetime as dt
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import duckdb
import psycopg
from psycopg import sql

from flowdb.bounded_duckdb import open_duckdb
from flowdb.lake import Lake, Snapshot, StoredDay, reading
from flowdb.postgres.database import (
    Connection,
    PostgresError,
    add_event_tables,
    connected,
    require_flowdb,
    timezone_of,
)
from flowdb.tables import (
    CELL_POSITIONS,
    CELL_UNITS,
    CELLS,
    DAILY,
    EVENTS,
    LEVELS,
    PLACES,
    SITES,
    TACS,
    TRANSACTIONS,
    UNIT_EDGES,
    Table,
)
from flowkit_base.sql_text import literals
from flowkit_base.zones import day_bounds

INDEXED = ("msisdn", "msisdn_counterpart", "location_id", "datetime", "tac")
"""Each day has an index on each of these columns that it has."""
PATIENCE = "60s"
"""How long to wait for queries that hold a table before a copy gives up."""

Progress = Callable[[str, dt.date, int], None]
"""Called with the event type, the day and its rows after each copied day."""

_STAGED_TYPES: dict[str, LiteralString] = {
    "bool": "BOOLEAN",
    "int32": "INTEGER",
    "float64": "DOUBLE PRECISION",
    "string": 'TEXT COLLATE "C"',
    "date": "DATE",
    "binary": "TEXT",
}
_KEYS = {"cells": ("id", "version"), "sites": ("id", "version"), "tacs": ("id",)}


@dataclass(frozen=True)
class Copied:
    """What a copy did: days copied and days that were in already, days taken out, and rows of events written."""

    days: int = 0
    already: int = 0
    withdrawn: int = 0
    rows: int = 0


def copy_from_lake(
    lake: Lake, url: str, event_types: Sequence[str] | None = None, progress: Progress | None = None
) -> Copied:
    """Make a FlowDB in PostgreSQL hold what a lake holds: every day, cells, sites, handset models, boundaries.

    Each day is copied atomically, as a partition sorted by subscriber and time; mobile money comes into
    FlowKit's schema `dfs`. A copy can be repeated at any time: days that have not changed are left alone, corrected
    ones are replaced, and days that were copied and have been withdrawn since are taken out. Pseudonyms become decimal
    text. Raises PostgresError.
    """
    chosen = tuple(event_types if event_types is not None else DAILY)
    if unknown := [t for t in chosen if t not in DAILY]:
        raise PostgresError(f"There is no event type {unknown[0]!r}: the event types are {', '.join(DAILY)}.")
    with connected(url) as connection:
        require_flowdb(connection)
        add_event_tables(connection)
        if (zone := timezone_of(connection)) != lake.timezone:
            raise PostgresError(
                f"The lake's days are those of {lake.timezone}, the database's those of {zone}: "
                f"copy into a FlowDB that was made for {lake.timezone}."
            )
    snapshot = lake.snapshot()
    done = Copied()
    with reading(lake.path, snapshot), _reader(lake) as reader:
        with _copying(url) as connection:
            _copy_reference(connection, reader, snapshot)
        for event_type in chosen:
            done = _copy_type(url, reader, lake, event_type, snapshot=snapshot, done=done, progress=progress)
    return done


def _copy_type(
    url: str,
    reader: duckdb.DuckDBPyConnection,
    lake: Lake,
    event_type: str,
    *,
    snapshot: Snapshot,
    done: Copied,
    progress: Progress | None,
) -> Copied:
    """Copy the days of one event type, each in a transaction of its own, and take out the withdrawn ones."""
    days, already, withdrawn, rows = done.days, done.already, done.withdrawn, done.rows
    replaced = False
    stored_days = snapshot.days.get(event_type, {})
    before = (days, withdrawn)
    for day in sorted(stored_days):
        stored = stored_days[day]
        with _copying(url) as connection:
            money = event_type == TRANSACTIONS.name
            copied = _copied_money(connection, day) if money else _copied_version(connection, event_type, day)
            if copied == stored.version:
                already += 1
                continue
            (_copy_money if money else _copy_day)(connection, reader, lake, stored)
        replaced |= copied is not None
        days += 1
        rows += stored.rows
        if progress:
            progress(event_type, day, stored.rows)
    with _copying(url) as connection:
        copied = "SELECT day FROM flowdb.copied_days WHERE event_type = %s ORDER BY day"
        gone = [row[0] for row in connection.execute(copied, [event_type]) if row[0] not in stored_days]
        for day in gone:
            _withdraw_day(connection, event_type, day)
        withdrawn += len(gone)
        if (replaced or gone) and event_type in EVENTS:
            _recount_location_ids(connection, event_type)
        elif replaced or gone:
            connection.execute(_NO_MORE)
    if (days, withdrawn) != before:
        # Its own transaction: statistics of the whole table may take a while and must not hold back the days.
        tables = [("events", event_type)] if event_type in EVENTS else [("dfs", name) for name in _MONEY]
        with connected(url) as connection:
            for table in tables:
                connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*table)))
    return Copied(days, already, withdrawn, rows)


@contextmanager
def _reader(lake: Lake) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB of bounded memory that spills inside the lake, where only its owner reads, and downloads nothing."""
    reader = open_duckdb(lake.path / f".spill-{os.getpid()}", memory_limit="2GB")
    try:
        yield reader
    finally:
        reader.close()


@contextmanager
def _copying(url: str) -> Iterator[Connection]:
    """A transaction that no other copy into this database runs beside."""
    with connected(url) as connection:
        connection.execute("SET LOCAL timezone TO 'UTC'")
        connection.execute(f"SET LOCAL lock_timeout TO '{PATIENCE}'")
        connection.execute("SET LOCAL maintenance_work_mem TO '256MB'")
        # If this process dies, the server stops building indexes.
        connection.execute("SET LOCAL client_connection_check_interval TO '1s'")
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('flowdb.copy_from_lake'))")
        yield connection


def _copied_version(connection: Connection, event_type: str, day: dt.date) -> str | None:
    """The version of a copied day; None if it is not copied. Raises PostgresError if another program loaded it."""
    row = connection.execute(
        "SELECT version FROM flowdb.copied_days WHERE event_type = %s AND day = %s", [event_type, day]
    ).fetchone()
    partition = _partition(event_type, day)
    exists = connection.execute("SELECT to_regclass(%s) IS NOT NULL", [f"events.{partition}"]).fetchone() == (True,)
    if exists and row is None:
        raise PostgresError(
            f"events.{partition} is in the database and was not copied from a lake: drop it first, so that nothing "
            "is lost unseen."
        )
    return row[0] if row and exists else None


def _copy_day(connection: Connection, reader: duckdb.DuckDBPyConnection, lake: Lake, stored: StoredDay) -> None:
    """Load one day beside its type's table and put it in, in place of any former one."""
    event_type, day = stored.event_type, stored.day
    name, parent = _partition(event_type, day), sql.Identifier("events", event_type)
    staged, final = sql.Identifier("etl", name), sql.Identifier("events", name)
    within = sql.Identifier(f"{name}_day")
    bounds = {
        edge: sql.Literal(at.isoformat(sep=" "))
        for edge, at in zip(("first", "next"), day_bounds(lake.timezone, day), strict=True)
    }
    # Its CHECK proves each row while it comes in, so that ATTACH need not read the day again.
    make = (
        "CREATE TABLE {staged} (LIKE {parent}, CONSTRAINT {within} CHECK (datetime >= {first} AND datetime < {next}))"
    )
    connection.execute(sql.SQL(make).format(staged=staged, parent=parent, within=within, **bounds))
    columns = sql.SQL(", ").join(sql.Identifier(c.name) for c in EVENTS[event_type])
    # FREEZE: rows of a table made in this transaction need no later visit by VACUUM.
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, FREEZE)").format(staged, columns)
    try:
        rows = _pour(connection, reader, _events_select(EVENTS[event_type], stored.files), statement)
    except psycopg.errors.CheckViolation:
        raise PostgresError(
            f"The lake's {event_type} of {day} hold events of another day: ingest that day again, then copy."
        ) from None
    _check_rows(stored, rows)
    for column in INDEXED:
        if column in EVENTS[event_type]:
            connection.execute(sql.SQL("CREATE INDEX ON {} ({})").format(staged, sql.Identifier(column)))
    connection.execute(sql.SQL("ANALYZE {}").format(staged))
    # Only now, at the end, does anything wait for readers or keep them waiting.
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(final))
    connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA events").format(staged))
    attach = "ALTER TABLE {parent} ATTACH PARTITION {final} FOR VALUES FROM ({first}) TO ({next})"
    connection.execute(sql.SQL(attach).format(parent=parent, final=final, **bounds))
    connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(final, within))
    _record_day(connection, final, stored)


def _check_rows(stored: StoredDay, rows: int) -> None:
    if rows != stored.rows:
        raise PostgresError(
            f"The lake's {stored.event_type} of {stored.day} have {rows} rows, and {stored.rows} by its log: "
            "the lake is damaged."
        )


def _record_day(connection: Connection, final: sql.Identifier, stored: StoredDay) -> None:
    table, event_type, day = EVENTS[stored.event_type], stored.event_type, stored.day
    _record_copy(connection, stored)
    connection.execute(
        "INSERT INTO public.available_tables VALUES (%s, %s, %s, %s) ON CONFLICT (table_name) DO UPDATE SET "
        "has_locations = excluded.has_locations, has_subscribers = excluded.has_subscribers, "
        "has_counterparts = excluded.has_counterparts",
        [event_type, "location_id" in table, "msisdn" in table, "msisdn_counterpart" in table],
    )
    seen = (
        "INSERT INTO events.location_ids AS known SELECT DISTINCT location_id, {type}, {day}::date, {day}::date "
        "FROM {final} WHERE location_id IS NOT NULL ON CONFLICT (location_id, cdr_type) DO UPDATE SET "
        "first_active_date = least(known.first_active_date, excluded.first_active_date), "
        "last_active_date = greatest(known.last_active_date, excluded.last_active_date)"
    )
    connection.execute(
        sql.SQL(seen).format(type=sql.Literal(event_type), day=sql.Literal(day.isoformat()), final=final)
    )


def _record_copy(connection: Connection, stored: StoredDay) -> None:
    _record_state(connection, stored.event_type, stored.day, "ingested")
    connection.execute(
        "INSERT INTO flowdb.copied_days (event_type, day, version, row_count) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (event_type, day) DO UPDATE SET version = excluded.version, row_count = excluded.row_count, "
        "copied = now()",
        [stored.event_type, stored.day, stored.version, stored.rows],
    )


def _record_state(connection: Connection, event_type: str, day: dt.date, state: str) -> None:
    connection.execute(
        "INSERT INTO etl.etl_records (cdr_type, cdr_date, state) VALUES (%s, %s, %s)", [event_type, day, state]
    )


def _withdraw_day(connection: Connection, event_type: str, day: dt.date) -> None:
    if event_type in EVENTS:
        partition = sql.Identifier("events", _partition(event_type, day))
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(partition))
    else:
        _drop_money(connection, day)
    connection.execute("DELETE FROM flowdb.copied_days WHERE event_type = %s AND day = %s", [event_type, day])
    _record_state(connection, event_type, day, "withdrawn")


_MONEY = ("transactions", "transactions_metadata", "subscribers", "transaction_types")
"""The tables of schema `dfs` that mobile money is copied into."""
_NO_MORE = (
    "DELETE FROM dfs.subscribers AS s "
    "WHERE NOT EXISTS (SELECT FROM dfs.transactions_metadata AS m WHERE m.subscriber_id = s.id)"
)
_TRANSACTION_KEY = ("id", "datetime", "amount", "discount", "fee", "commission", "type")
"""Rows of one day that agree in all of these are the parties of one transaction. FlowKit's tables hold its amounts
once; parties whose rows differ become transactions of their own, so that sums are those of the lake."""


def _copied_money(connection: Connection, day: dt.date) -> str | None:
    """The same as `_copied_version`, for a day of mobile money."""
    row = connection.execute(
        "SELECT version FROM flowdb.copied_days WHERE event_type = %s AND day = %s", [TRANSACTIONS.name, day]
    ).fetchone()
    others = "SELECT EXISTS (SELECT FROM dfs.transactions WHERE timestamp >= %s AND timestamp < %s)"
    bounds = day_bounds(timezone_of(connection), day)
    if row is None and connection.execute(others, bounds).fetchone() == (True,):
        raise PostgresError(
            f"dfs.transactions has transactions of {day} that were not copied from a lake: delete them first, so that "
            "nothing is lost unseen."
        )
    return row[0] if row else None


def _copy_money(connection: Connection, reader: duckdb.DuckDBPyConnection, lake: Lake, stored: StoredDay) -> None:
    """Load one day of mobile money into FlowKit's tables, in place of any former one."""
    types = {**_STAGED_TYPES, "int64": "BIGINT", "timestamp": "TIMESTAMPTZ", "float64": "NUMERIC"}
    columns_in_sql = ", ".join(f"{_quoted([c.name])} {types[c.type]}" for c in TRANSACTIONS)
    connection.execute(f"CREATE TEMP TABLE staged_money (number BIGINT, {columns_in_sql}) ON COMMIT DROP")  # type: ignore[arg-type]
    key = ", ".join(f"coalesce(CAST({_quoted([name])} AS VARCHAR), '')" for name in _TRANSACTION_KEY)
    number = f"('0x' || left(md5(concat_ws('|', '{stored.day}', {key})), 16))::UBIGINT & 9223372036854775807"
    columns = [
        f'make_timestamp(epoch_us("{c.name}"))' if c.type == "timestamp" else f'"{c.name}"' for c in TRANSACTIONS
    ]
    select = _select(", ".join([number, *columns]), stored.files)
    rows = _pour(connection, reader, select, sql.SQL("COPY staged_money FROM STDIN (FORMAT csv)"))
    _check_rows(stored, rows)
    connection.execute("ANALYZE staged_money")
    _drop_money(connection, stored.day)
    for statement in _INTO_DFS:
        connection.execute(statement)
    _record_copy(connection, stored)


def _drop_money(connection: Connection, day: dt.date) -> None:
    bounds = day_bounds(timezone_of(connection), day)
    connection.execute(
        "DELETE FROM dfs.transactions_metadata AS m USING dfs.transactions AS t "
        "WHERE t.id = m.transaction_id AND t.timestamp >= %s AND t.timestamp < %s",
        bounds,
    )
    connection.execute("DELETE FROM dfs.transactions WHERE timestamp >= %s AND timestamp < %s", bounds)


_INTO_DFS: tuple[LiteralString, ...] = (
    """INSERT INTO dfs.subscribers (id, msisdn)
    SELECT DISTINCT msisdn, msisdn::text FROM staged_money ON CONFLICT (id) DO NOTHING""",
    """INSERT INTO dfs.transaction_types (descr)
    SELECT DISTINCT type FROM staged_money AS s WHERE type IS NOT NULL
    AND NOT EXISTS (SELECT FROM dfs.transaction_types AS t WHERE t.descr = s.type) ORDER BY type""",
    """INSERT INTO dfs.transactions (id, amount, discount, fee, commission, transtype_id, timestamp)
    SELECT DISTINCT ON (number) number, amount, discount, fee, commission,
    (SELECT min(t.id) FROM dfs.transaction_types AS t WHERE t.descr = s.type), datetime FROM staged_money AS s""",
    """INSERT INTO dfs.transactions_metadata (transaction_id, subscriber_id, cell_id, cell_version, is_outgoing)
    SELECT number, msisdn, location_id, cell_version, outgoing FROM staged_money ORDER BY number, outgoing DESC""",
)


def _recount_location_ids(connection: Connection, event_type: str) -> None:
    """Find again when each cell was active: a removed day may have been its first or last."""
    connection.execute("DELETE FROM events.location_ids WHERE cdr_type = %s", [event_type])
    active = (
        "INSERT INTO events.location_ids SELECT location_id, {type}, min(datetime AT TIME ZONE {zone})::date, "
        "max(datetime AT TIME ZONE {zone})::date FROM {events} WHERE location_id IS NOT NULL GROUP BY location_id"
    )
    names = {
        "type": sql.Literal(event_type),
        "zone": sql.Literal(timezone_of(connection)),
        "events": sql.Identifier("events", event_type),
    }
    connection.execute(sql.SQL(active).format(**names))


def _copy_reference(connection: Connection, reader: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> None:
    """Copy the reference tables that have changed, all in one transaction; those never loaded are left alone."""
    versions = dict(connection.execute("SELECT name, version FROM flowdb.copied_reference").fetchall())
    for name, copy in _REFERENCE_COPIES.items():
        stored = snapshot.reference.get(name)
        if stored is None or versions.get(name) == stored.version:
            continue
        copy(connection, reader, stored.files)
        connection.execute(
            "INSERT INTO flowdb.copied_reference (name, version) VALUES (%s, %s) "
            "ON CONFLICT (name) DO UPDATE SET version = excluded.version, copied = now()",
            [name, stored.version],
        )


def _copy_infrastructure(table: Table) -> Callable[[Connection, duckdb.DuckDBPyConnection, tuple[Path, ...]], None]:
    """The copy of cells, sites or handset models: rows keep their serial numbers, lost ones go."""
    key = _KEYS[table.name]

    def copy(connection: Connection, reader: duckdb.DuckDBPyConnection, files: tuple[Path, ...]) -> None:
        staged, target = _stage(connection, reader, table, files), sql.Identifier("infrastructure", table.name)
        placed = "longitude" in table
        plain = [c.name for c in table if c.name not in ("longitude", "latitude")]
        columns = [sql.Identifier(c) for c in [*plain, *(["geom_point"] if placed else [])]]
        # ST_MakePoint of a null is null: a cell without a place has no point.
        point = sql.SQL("ST_SetSRID(ST_MakePoint(longitude, latitude), 4326)")
        values = [*(sql.Identifier(c) for c in plain), *([point] if placed else [])]
        statement = (
            "INSERT INTO {target} ({columns}) SELECT {values} FROM {staged} "
            "ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW ({excluded})"
        )
        comma = sql.SQL(", ")
        names = {
            "target": target,
            "staged": staged,
            "columns": comma.join(columns),
            "values": comma.join(values),
            "key": comma.join(sql.Identifier(k) for k in key),
            "excluded": comma.join(sql.SQL("excluded.{}").format(c) for c in columns),
            "same": sql.SQL(" AND ").join(
                sql.SQL("{target}.{k} = staged.{k}").format(target=target, k=sql.Identifier(k)) for k in key
            ),
        }
        connection.execute(sql.SQL(statement).format(**names))
        lost = "DELETE FROM {target} WHERE NOT EXISTS (SELECT FROM {staged} AS staged WHERE {same})"
        connection.execute(sql.SQL(lost).format(**names))
        connection.execute(sql.SQL("ANALYZE {}").format(target))

    return copy


def _copy_settled(table: Table) -> Callable[[Connection, duckdb.DuckDBPyConnection, tuple[Path, ...]], None]:
    """The copy of a settled table, whole."""

    def copy(connection: Connection, reader: duckdb.DuckDBPyConnection, files: tuple[Path, ...]) -> None:
        target = sql.Identifier("flowdb", table.name)
        connection.execute(sql.SQL("DELETE FROM {}").format(target))
        columns = sql.SQL(", ").join(sql.Identifier(c) for c in table.names)
        into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(target, columns)
        _pour(connection, reader, _select(_quoted(table.names), files), into)
        connection.execute(sql.SQL("ANALYZE {}").format(target))

    return copy


def _copy_geography(connection: Connection, reader: duckdb.DuckDBPyConnection, files: tuple[Path, ...]) -> None:
    """The copy of the boundaries: a table a level, named like the level."""
    connection.execute(
        "CREATE TEMP TABLE staged_geography (gid INT, unit TEXT, pcod TEXT, name TEXT, geom TEXT) ON COMMIT DROP"
    )
    _pour(
        connection,
        reader,
        _select("gid, unit, pcod, name, hex(geom)", files),
        sql.SQL("COPY staged_geography FROM STDIN (FORMAT csv)"),
    )
    units = [row[0] for row in connection.execute("SELECT DISTINCT unit FROM staged_geography ORDER BY 1")]
    # FlowKit has a table for each of LEVELS; that of a custom level is created when it is copied.
    for unit in dict.fromkeys([*LEVELS, *units]):
        names = {
            "level": sql.Identifier("geography", unit),
            "name": sql.Identifier(f"{unit}name"),
            "pcod": sql.Identifier(f"{unit}pcod"),
            "unit": sql.Literal(unit),
        }
        for statement in _LEVEL if unit not in LEVELS else _LEVEL[-3:]:
            connection.execute(sql.SQL(statement).format(**names))


_LEVEL: tuple[LiteralString, ...] = (
    """CREATE TABLE IF NOT EXISTS {level} (
        gid INTEGER GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        {name} TEXT COLLATE "C", {pcod} TEXT COLLATE "C", geom GEOMETRY (MULTIPOLYGON, 4326)
    )""",
    "DELETE FROM {level}",
    """INSERT INTO {level} (gid, {name}, {pcod}, geom)
    SELECT gid, name, pcod, ST_Multi(ST_SetSRID(geom::geometry, 4326)) FROM staged_geography WHERE unit = {unit}""",
    "ANALYZE {level}",
)

_REFERENCE_COPIES: dict[str, Callable[[Connection, duckdb.DuckDBPyConnection, tuple[Path, ...]], None]] = {
    "sites": _copy_infrastructure(SITES),
    "cells": _copy_infrastructure(CELLS),
    "tacs": _copy_infrastructure(TACS),
    "geography": _copy_geography,
    **{t.name: _copy_settled(t) for t in (PLACES, CELL_UNITS, CELL_POSITIONS, UNIT_EDGES)},
}


def _stage(
    connection: Connection, reader: duckdb.DuckDBPyConnection, table: Table, files: tuple[Path, ...]
) -> sql.Identifier:
    """A reference table's rows in a temporary table of its own columns."""
    name = sql.Identifier(f"staged_{table.name}")
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(_STAGED_TYPES[c.type])) for c in table
    )
    connection.execute(sql.SQL("CREATE TEMP TABLE {} ({}) ON COMMIT DROP").format(name, columns))
    select = _select(_quoted(table.names), files)
    _pour(connection, reader, select, sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(name))
    return name


def _events_select(table: Table, files: tuple[Path, ...]) -> str:
    """DuckDB's query for a day, in the order in which PostgreSQL stores it."""
    # The connection's zone is UTC, so an instant goes over without an offset.
    columns = [f'make_timestamp(epoch_us("{c.name}"))' if c.type == "timestamp" else f'"{c.name}"' for c in table]
    return _select(", ".join(columns), files) + " ORDER BY CAST(msisdn AS VARCHAR), datetime"


def _pour(connection: Connection, reader: duckdb.DuckDBPyConnection, select: str, into: sql.Composed | sql.SQL) -> int:
    """Run `select` in DuckDB and COPY its rows into PostgreSQL as they come; returns how many."""
    read, write = os.pipe()
    with suppress(AttributeError, OSError):
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, 1 << 20)
    failed: list[duckdb.Error] = []

    def produce() -> None:
        try:
            reader.execute(f"COPY ({select}) TO '/dev/fd/{write}' (FORMAT csv, HEADER false, USE_TMP_FILE false)")
        except duckdb.Error as error:
            failed.append(error)
        finally:
            os.close(write)  # The reading end sees the end, whatever happened.

    producer = threading.Thread(target=produce, name="read the lake")
    producer.start()
    try:
        with connection.cursor() as cursor:
            with cursor.copy(into) as copy:
                while chunk := os.read(read, 1 << 20):
                    copy.write(chunk)
                producer.join()
                if failed:
                    raise PostgresError(f"The lake cannot be read: {str(failed[0]).splitlines()[0].rstrip('.')}.")
            return cursor.rowcount
    finally:
        os.close(read)  # Should PostgreSQL have refused, DuckDB's writing ends here.
        producer.join()


def _partition(event_type: str, day: dt.date) -> str:
    return f"{event_type}_{day:%Y%m%d}"


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _select(columns: str, files: tuple[Path, ...]) -> str:
    """DuckDB's query for columns of Parquet files."""
    # The path names a Hive partition, day=...; the file itself has all that is copied.
    return f"SELECT {columns} FROM read_parquet({literals(files)}, hive_partitioning = false)"  # noqa: S608 - quoted above
