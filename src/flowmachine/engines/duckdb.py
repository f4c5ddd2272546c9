"""DuckDB: the embedded engine, the default."""

import datetime as dt
import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.sql.compilers import DuckDBCompiler
from sqlglot import exp

from flowdb.bounded_duckdb import SQL_TYPES, open_duckdb
from flowdb.lake import ARROW, Lake, Snapshot, reading
from flowdb.lake.visits import one_each
from flowdb.tables import REFERENCE, VISITS, Column, stored_columns
from flowkit_base.sql_text import literal, literals
from flowmachine.building.plan import REMEMBERED, Plan, Statement
from flowmachine.building.schemas import PERIODS, is_instant
from flowmachine.building.tables import EventDays, Reference, Source, Stored, VisitDays
from flowmachine.engines import ROWS_AT_ONCE, Abilities
from flowmachine.engines.clustering import duckdb_macro
from flowmachine.engines.lake import LakeDialect, days_within
from flowmachine.engines.sql import rendered
from flowmachine.stored.directory import StoredFiles
from flowmachine.stored.files import parquet_files


@ibis.udf.scalar.builtin(name="epoch_us")
def _epoch_us(instant: dt.datetime) -> int:  # type: ignore[empty-body]
    """Microseconds since 1970."""


@ibis.udf.scalar.builtin(name="make_timestamptz", signature=((dtypes.int64,), dtypes.Timestamp(timezone="UTC")))
def _make_timestamptz(microseconds: int) -> dt.datetime:  # type: ignore[empty-body]
    """The instant so many microseconds after the beginning of 1970."""


class DuckDBDialect(LakeDialect):
    """The parts of plans that are specific to DuckDB."""

    name = "duckdb"

    def microseconds(self, instant: ir.TimestampValue) -> ir.IntegerValue:
        """Microseconds since 1970."""
        return _epoch_us(instant)

    def instant(self, microseconds: ir.IntegerValue) -> ir.TimestampValue:
        """The instant so many microseconds after the beginning of 1970."""
        return _make_timestamptz(microseconds)


class DuckDB:
    """Runs plans over a lake in this process; cursors make it safe to use from several threads."""

    dialect = DuckDBDialect()
    abilities = Abilities(reads_stored_parts=True, stores_rows=True, has_boundaries=True, has_clusters=True)

    def __init__(self, lake: Lake, *, memory_limit: str | None = None, threads: int | None = None) -> None:
        self.lake, self.timezone = lake, lake.timezone
        self._database = open_duckdb(lake.path / "spill", memory_limit=memory_limit, threads=threads)
        # A day's files never change: another version has other files.
        self._database.execute("SET GLOBAL parquet_metadata_cache = true")
        self._database.execute(duckdb_macro())
        self._interrupting = threading.Lock()
        self._writing: dict[Path, duckdb.DuckDBPyConnection] = {}
        self.storage = StoredFiles(lake.path / "stored", self.store)
        self._loading = threading.Lock()
        self._loaded: set[str] = set()

    def snapshot(self) -> Snapshot:
        """The days and reference tables of the lake now."""
        return self.lake.snapshot()

    def sql(self, plan: Statement) -> str:
        """The SQL of a plan."""
        return _sql(plan)

    def run(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, Path] | None = None) -> pa.Table:
        """The rows of a plan."""
        with reading(self.lake.path, snapshot), closing(self._bound(plan, snapshot, parts or {})) as cursor:
            return cursor.sql(self.sql(plan)).to_arrow_table().cast(plan.schema)

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, Path] | None = None) -> None:
        """Write the rows of a plan to a Parquet file."""
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_AT_ONCE}"
        # DuckDB gives sums wider types than the declared ones.
        columns = ", ".join(f'CAST("{f.name}" AS {_declared(f.type)}) AS "{f.name}"' for f in plan.schema)
        with reading(self.lake.path, snapshot), closing(self._bound(plan, snapshot, parts or {})) as cursor:
            with self._interrupting:
                self._writing[path] = cursor
            try:
                cursor.execute(f"COPY (SELECT {columns} FROM ({self.sql(plan)})) TO {literal(path)} ({options})")
            finally:
                with self._interrupting:
                    del self._writing[path]

    def interrupt(self, path: Path) -> None:
        """Stop the writing of a file, if it is being written."""
        with self._interrupting:
            if (cursor := self._writing.get(path)) is not None:
                cursor.interrupt()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def _bound(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, Path]) -> duckdb.DuckDBPyConnection:
        cursor = self._database.cursor()
        for name, source in plan.sources.items():
            cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {self._relation(source, snapshot, parts)}')
        return cursor

    def _relation(self, source: Source, snapshot: Snapshot, parts: Mapping[str, Path]) -> str:
        match source:
            case EventDays(event_type, spans):
                days = days_within(snapshot, event_type, spans)
                files = [file for stored in days for file in stored.files]
                return f"SELECT * FROM {_read(files)}" if files else _no_rows(stored_columns(event_type))
            case VisitDays(event_type, spans):
                days = days_within(snapshot, event_type, spans)
                settled = [file for stored in days for file in stored.visits]
                others = [file for stored in days for file in stored.unsettled]
                each = ", ".join(f"{sql} AS {name}" for name, sql in one_each(event_type).items())
                names = ", ".join(c.name for c in VISITS)
                selected = [f"SELECT {names} FROM {_read(settled)}"] if settled else []
                selected += [f"SELECT {each} FROM {_read(others)}"] if others else []
                return " UNION ALL ".join(selected) or _no_rows(VISITS.columns)
            case Reference(name):
                return f'SELECT * FROM "{self._reference(name, snapshot)}"'
            case Stored(query_id):
                return f"SELECT * FROM read_parquet({literals(parquet_files(parts[query_id]))})"

    def _reference(self, name: str, snapshot: Snapshot) -> str:
        """A reference table in memory, named by its version; it is small, and every query joins it."""
        stored = snapshot.reference.get(name)
        table = f"{name}_{stored.version if stored else 'empty'}"
        with self._loading:
            if table not in self._loaded:
                # By name: a file that was written before a column was declared lacks that column.
                columns = ", ".join(f"{c.name} {SQL_TYPES[c.type]}" for c in REFERENCE[name])
                self._database.execute(f'CREATE TABLE "{table}" ({columns})')
                if stored:
                    source = f"SELECT * FROM read_parquet({literals(stored.files)})"
                    self._database.execute(f'INSERT INTO "{table}" BY NAME {source}')
                self._loaded.add(table)
        return table


def open_duckdb_engine(store: str | Path, **options: Any) -> DuckDB:
    """DuckDB over a lake's directory; raises LakeError if it is not a lake."""
    return DuckDB(Lake.open(Path(store)), **options)


def _read(files: Sequence[Path]) -> str:
    """The files of days as a relation, with `day`."""
    return f"read_parquet({literals(files)}, hive_partitioning=true, hive_types={{'day': DATE}})"


def _no_rows(columns: Sequence[Column]) -> str:
    return f"SELECT {', '.join(f'CAST(NULL AS {SQL_TYPES[c.type]}) AS {c.name}' for c in columns)} WHERE false"


@lru_cache(maxsize=REMEMBERED)
def _sql(plan: Statement) -> str:
    tree = rendered(plan, DuckDBCompiler())
    for function in tree.find_all(exp.Lambda):
        # Ibis writes x -> y, which DuckDB 2 reads as a JSON operator; its lambdas are lambda x: y.
        function.set("colon", True)
    return tree.sql("duckdb", pretty=True, copy=False)


_DECLARED = {**{ARROW[kind]: sql for kind, sql in SQL_TYPES.items()}, PERIODS: "TIMESTAMP[]"}


def _declared(kind: pa.DataType) -> str:
    return "TIMESTAMPTZ" if is_instant(kind) else _DECLARED[kind]
