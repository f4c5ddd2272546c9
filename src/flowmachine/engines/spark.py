"""Spark over the lake, for what one machine cannot hold."""

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dtypes
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.sql.compilers import PySparkCompiler
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession

from flowdb.lake import ARROW, Lake, Snapshot, reading
from flowdb.lake.visits import one_each
from flowdb.tables import REFERENCE, VISITS, Column, stored_columns
from flowmachine.building.plan import Plan, Statement
from flowmachine.building.schemas import PERIODS, is_instant
from flowmachine.building.tables import EventDays, Reference, Source, Stored, VisitDays
from flowmachine.engines import Abilities
from flowmachine.engines.clustering import spark_function
from flowmachine.engines.lake import LakeDialect, days_within
from flowmachine.engines.sql import rendered
from flowmachine.stored.directory import StoredFiles

# Naming the backend registers its options, which the compiler reads.
_ = ibis.pyspark


@ibis.udf.scalar.builtin(name="unix_micros")
def _unix_micros(instant: dt.datetime) -> int:  # type: ignore[empty-body]
    """Microseconds since 1970."""


@ibis.udf.scalar.builtin(name="timestamp_micros", signature=((dtypes.int64,), dtypes.Timestamp(timezone="UTC")))
def _timestamp_micros(microseconds: int) -> dt.datetime:  # type: ignore[empty-body]
    """The instant so many microseconds after the beginning of 1970."""


class SparkDialect(LakeDialect):
    """The parts of plans that are specific to Spark."""

    name = "spark"

    def microseconds(self, instant: ir.TimestampValue) -> ir.IntegerValue:
        """Microseconds since 1970."""
        return _unix_micros(instant)

    def instant(self, microseconds: ir.IntegerValue) -> ir.TimestampValue:
        """The instant so many microseconds after the beginning of 1970."""
        return _timestamp_micros(microseconds)


class Spark:
    """Runs plans over a lake on Spark.

    Rows of single subscribers are written by the executors, and come to the driver only where a caller runs such a
    query. On a cluster, every machine must see the lake and the directory of stored rows under the same path.
    """

    dialect = SparkDialect()
    abilities = Abilities(
        reads_stored_parts=True, stores_rows=True, has_boundaries=True, has_clusters=True, starts_slowly=True
    )

    def __init__(self, lake: Lake, *, session: SparkSession | None = None, master: str = "local[*]") -> None:
        self.lake, self.timezone = lake, lake.timezone
        self._own = session is None
        self._spark = session or spark_session(master)
        self._writing: dict[Path, str] = {}
        self.storage = StoredFiles(lake.path / "stored", self.store)

    def snapshot(self) -> Snapshot:
        """The days and reference tables of the lake now."""
        return self.lake.snapshot()

    def sql(self, plan: Statement) -> str:
        """The SQL of a plan."""
        return rendered(plan, PySparkCompiler()).sql("spark", pretty=True, copy=False)

    def run(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, Path] | None = None) -> pa.Table:
        """The rows of a plan."""
        with reading(self.lake.path, snapshot):
            return self._bound(plan, snapshot, parts or {}).toArrow().cast(plan.schema)

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, Path] | None = None) -> None:
        """Write the rows of a plan: of an aggregate, to a Parquet file in their order; of others, to a directory."""
        group = self._writing[path] = uuid.uuid4().hex
        context = self._spark.sparkContext
        context.setJobGroup(group, plan.query.kind, interruptOnCancel=True)
        try:
            with reading(self.lake.path, snapshot):
                rows = self._bound(plan, snapshot, parts or {})
                if plan.query.role == "Aggregate":
                    pq.write_table(rows.toArrow().cast(plan.schema), path, compression="zstd")
                else:
                    # Spark's types of sums and counts are not always the declared ones.
                    columns = [rows[f.name].cast(_declared(f.type)).alias(f.name) for f in plan.schema]
                    rows.select(*columns).write.mode("overwrite").parquet(str(path), compression="zstd")
        finally:
            del self._writing[path]
            # Otherwise the next job of this thread would be cancelled together with this one.
            context.setLocalProperty("spark.jobGroup.id", None)  # pyright: ignore[reportArgumentType]

    def interrupt(self, path: Path) -> None:
        """Stop the writing of a file or directory, if it is being written."""
        if (group := self._writing.get(path)) is not None:
            self._spark.sparkContext.cancelJobGroup(group)

    def close(self) -> None:
        """Stop the Spark session, if it was started here."""
        if self._own:
            # The Java process may have been stopped together with this one.
            with suppress(Py4JError, OSError):
                self._spark.stop()

    def _bound(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, Path]) -> DataFrame:
        # Views belong to a session: with one session per run, several runs can use different files at once.
        session = self._spark.newSession()
        session.conf.set("spark.sql.session.timeZone", "UTC")
        for name, source in plan.sources.items():
            self._frame(session, source, snapshot, parts).createOrReplaceTempView(name)
        sql = self.sql(plan)
        if "hartigan(" in sql.lower():
            session.sql(spark_function())
        return session.sql(sql)

    def _frame(self, session: SparkSession, source: Source, snapshot: Snapshot, parts: Mapping[str, Path]) -> DataFrame:
        match source:
            case EventDays(event_type, spans):
                days = days_within(snapshot, event_type, spans)
                files = [str(file) for stored in days for file in stored.files]
                return self._read(session, files, stored_columns(event_type), self.lake.events_path(event_type))
            case VisitDays(event_type, spans):
                days = days_within(snapshot, event_type, spans)
                settled = [str(file) for stored in days for file in stored.visits]
                rest = [str(file) for stored in days for file in stored.unsettled]
                visits = self._read(session, settled, VISITS.columns, self.lake.visits_path(event_type))
                if not rest:
                    return visits
                others = self._read(session, rest, stored_columns(event_type), self.lake.events_path(event_type))
                each = [f"{sql} AS {name}" for name, sql in one_each(event_type).items()]
                return visits.union(others.selectExpr(*each))
            case Reference(name):
                table = snapshot.reference.get(name)
                files = [str(file) for file in table.files] if table else []
                return self._read(session, files, REFERENCE[name].columns, self.lake.reference_path(name))
            case Stored(query_id):
                return session.read.parquet(str(parts[query_id]))

    def _read(self, session: SparkSession, files: list[str], columns: tuple[Column, ...], base: Path) -> DataFrame:
        schema = ", ".join(f"{c.name} {_SQL[c.type]}" for c in columns)
        if not files:
            return session.createDataFrame([], schema)
        return session.read.schema(schema).option("basePath", str(base)).parquet(*files)


def open_spark_engine(store: str | Path, **options: Any) -> Spark:
    """Spark over a lake's directory; raises LakeError if it is not a lake."""
    return Spark(Lake.open(Path(store)), **options)


def spark_session(master: str = "local[*]") -> SparkSession:
    """A Spark session on this machine or on a cluster, in UTC.

    On this machine it listens on loopback only, without a web page; a cluster's addresses, memory and web pages are as
    Spark's own configuration (`SPARK_CONF_DIR`) says.
    """
    on_this_machine = re.match(r"local|spark://(127\.0\.0\.1|localhost)\b", master)
    builder = SparkSession.builder.appName("flowmachine").master(master)
    for name, value in {**_SETTINGS, **(_ON_THIS_MACHINE if on_this_machine else {})}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


_SETTINGS = {
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
_ON_THIS_MACHINE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
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
_DECLARED = {**{ARROW[kind]: sql for kind, sql in _SQL.items()}, PERIODS: "ARRAY<TIMESTAMP_NTZ>"}


def _declared(kind: pa.DataType) -> str:
    return "TIMESTAMP" if is_instant(kind) else _DECLARED[kind]
