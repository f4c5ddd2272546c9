"""An engine of another package: Arrow tables in this process, without a lake, a database or a file."""

import hashlib

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from flowdb.lake import Snapshot, StoredDay, StoredTable
from flowdb.lake.visits import one_each
from flowdb.tables import REFERENCE, stored_columns
from flowmachine.building.tables import EventDays, Reference, VisitDays
from flowmachine.engines import Abilities
from flowmachine.engines.clustering import duckdb_macro
from flowmachine.engines.duckdb import DuckDBDialect, _no_rows, _sql
from flowmachine.engines.registry import EngineKind
from flowmachine.stored.entries import NoStorage

KIND = EngineKind(
    reads="a memory:// URL", schemes=("memory",), opens="in_memory_engine:open_memory", options=("threads",)
)
STORES = {}
"""What lies in the memory of this process: the tables and the time zone of each store, by its URL."""


def keep(url, lake):
    """Copy a lake into memory."""
    snapshot = lake.snapshot()
    events = {
        (event_type, day): pa.concat_tables([pq.read_table(file, partitioning=None) for file in stored.files])
        for event_type, days in snapshot.days.items()
        for day, stored in days.items()
    }
    STORES[url] = events, {name: lake.reference(name) for name in REFERENCE}, lake.timezone


def open_memory(store, threads=None):
    return Memory(str(store))


class MemoryDialect(DuckDBDialect):
    name = "memory"


class Memory:
    dialect = MemoryDialect()
    abilities = Abilities(reads_stored_parts=False, stores_rows=False, has_boundaries=False, has_clusters=True)
    storage = NoStorage("memory")

    def __init__(self, url):
        self._events, self._reference, self.timezone = STORES[url]
        self._database = duckdb.connect()
        self._database.execute("SET GLOBAL TimeZone = 'UTC'")
        self._database.execute(duckdb_macro())

    def snapshot(self):
        days = {}
        for (event_type, day), rows in self._events.items():
            days.setdefault(event_type, {})[day] = StoredDay(event_type, day, _version(rows))
        return Snapshot(days, {name: StoredTable(_version(rows)) for name, rows in self._reference.items()})

    def sql(self, plan):
        return _sql(plan)

    def run(self, plan, snapshot, parts=None):
        cursor = self._database.cursor()
        for name, source in plan.sources.items():
            match source:
                case Reference(table):
                    cursor.register(name, self._reference[table])
                case EventDays(event_type, spans):
                    cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS {self._days(cursor, event_type, spans)}')
                case VisitDays(event_type, spans):
                    each = ", ".join(f"{sql} AS {column}" for column, sql in one_each(event_type).items())
                    events = self._days(cursor, event_type, spans)
                    cursor.execute(f'CREATE OR REPLACE TEMP VIEW "{name}" AS SELECT {each} FROM ({events})')
        return cursor.sql(self.sql(plan)).to_arrow_table().cast(plan.schema)

    def store(self, plan, snapshot, path, parts=None):
        pq.write_table(self.run(plan, snapshot), path)

    def interrupt(self, path):
        pass

    def close(self):
        self._database.close()

    def _days(self, cursor, event_type, spans):
        selected = []
        for (kind, day), rows in self._events.items():
            if kind == event_type and any(start <= day < stop for start, stop in spans):
                cursor.register(f"held_{event_type}_{day:%Y%m%d}", rows)
                selected.append(f"SELECT *, DATE '{day}' AS day FROM held_{event_type}_{day:%Y%m%d}")
        return " UNION ALL BY NAME ".join(selected) or _no_rows(stored_columns(event_type))


def _version(rows):
    return hashlib.md5(str(rows.to_pydict()).encode(), usedforsecurity=False).hexdigest()
