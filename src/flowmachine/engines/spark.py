"""Spark over the lake, for what one machine cannot hold."""

import datetime as dt
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.compilers import PySparkCompiler
from pyspark.sql import DataFrame, SparkSession

from flowdb.lake import Lake, Snapshot
from flowdb.tables import REFERENCE, Column, stored_columns
from flowmachine.cdr import EventDays, Reference, Source, Stored
from flowmachine.engines.lake import LakeDialect
from flowmachine.plan import Plan

# Naming the backend registers its options, which the compiler reads.
_ = ibis.pyspark


@ibis.udf.scalar.builtin(name="unix_micros")
def _unix_micros(instant: dt.datetime) -> int:  # type: ignore[empty-body]
    """Microseconds since 1970."""


class SparkDialect(LakeDialect):
    """What is Spark's own when a plan is built."""

    name = "spark"

    def microseconds(self, instant: ir.TimestampValue) -> ir.IntegerValue:
        """Microseconds since 1970."""
        return _unix_micros(instant)


class Spark:
    """Runs plans over a lake on Spark; only aggregated rows come to the driver unless a caller asks for others."""

    dialect = SparkDialect()
    reads_stored_parts = True

    def __init__(self, lake: Lake, *, session: SparkSession | None = None, master: str = "local[*]") -> None:
        self.lake = lake
        self._own = session is None
        self._spark = session or local_session(master)
        self._running = threading.Lock()
        self._writing: Path | None = None

    def snapshot(self) -> Snapshot:
        """What the lake holds now."""
        return self.lake.snapshot()

    def sql(self, plan: Plan) -> str:
        """The SQL of a plan."""
        return PySparkCompiler().to_sqlglot(plan.expression).sql("spark", pretty=True)

    def run(self, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Path] | None = None) -> pa.Table:
        """The rows of a plan."""
        with self._running:
            return self._bound(plan, snapshot, parts or {}).toArrow().cast(plan.schema)

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, Path] | None = None) -> None:
        """Write the rows of a plan to a Parquet file."""
        with self._running:
            self._writing = path
            try:
                rows = self._bound(plan, snapshot, parts or {}).toArrow().cast(plan.schema)
            finally:
                self._writing = None
        pq.write_table(rows, path, compression="zstd")

    def interrupt(self, path: Path) -> None:
        """Stop the query whose rows are to be written to a file, if it runs: it is then the only one."""
        if self._writing == path:
            self._spark.sparkContext.cancelAllJobs()

    def close(self) -> None:
        """Stop the Spark session, if it was started here."""
        if self._own:
            self._spark.stop()

    def _bound(self, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Path]) -> DataFrame:
        # A view is bound to its data when it is made, so two runs may use one name for two snapshots in turn.
        for name, source in plan.sources.items():
            self._frame(source, snapshot, parts).createOrReplaceTempView(name)
        return self._spark.sql(self.sql(plan))

    def _frame(self, source: Source, snapshot: Snapshot, parts: Mapping[str, Path]) -> DataFrame:
        match source:
            case EventDays(event_type, spans):
                held = snapshot.days.get(event_type, {})
                files = [str(held[d].file) for d in sorted(held) if any(a <= d < b for a, b in spans)]
                return self._read(files, stored_columns(event_type), self.lake.events_path(event_type))
            case Reference(name):
                files = [str(f) for f in snapshot.reference.get(name, ())]
                return self._read(files, REFERENCE[name].columns, self.lake.reference_path(name))
            case Stored(query):
                return self._spark.read.parquet(str(parts[query.id]))

    def _read(self, files: list[str], columns: tuple[Column, ...], base: Path) -> DataFrame:
        schema = ", ".join(f"{c.name} {_SQL[c.type]}" for c in columns)
        if not files:
            return self._spark.createDataFrame([], schema)
        return self._spark.read.schema(schema).option("basePath", str(base)).parquet(*files)


def local_session(master: str = "local[*]", settings: Mapping[str, Any] | None = None) -> SparkSession:
    """A Spark session that binds to loopback only, in UTC, without a web page."""
    builder = SparkSession.builder.appName("flowmachine").master(master)
    for name, value in {**_SETTINGS, **(settings or {})}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


_SETTINGS = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}

_SQL = {
    "bool": "BOOLEAN",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "string": "STRING",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "binary": "BINARY",
}
