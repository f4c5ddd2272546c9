"""The engines that run plans: DuckDB, PostgreSQL and Spark."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from flowdb.lake import Lake, Snapshot
from flowmachine.building.plan import Plan, Statement
from flowmachine.building.tables import Dialect
from flowmachine.errors import FlowMachineError
from flowmachine.stored.entries import Storage

ROWS_AT_ONCE = 49_152
"""Rows of a row group of stored rows, and of a batch that the server sends."""


class Engine(Protocol):
    """Runs plans over one store."""

    @property
    def dialect(self) -> Dialect:
        """What is the engine's own when a plan is built."""
        ...

    @property
    def reads_stored_parts(self) -> bool:
        """True where rows stored as Parquet can stand for a nested query."""
        ...

    @property
    def storage(self) -> Storage:
        """Where rows lie that analysts store."""
        ...

    def snapshot(self) -> Snapshot:
        """What the store holds now."""
        ...

    def sql(self, plan: Statement) -> str:
        """The SQL of a plan."""
        ...

    def run(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of a plan; `parts` are the stored rows that it reads, by the query's id."""
        ...

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, Any] | None = None) -> None:
        """Write the rows of a plan to a Parquet file, or a directory of them; what is there is replaced."""
        ...

    def interrupt(self, path: Path) -> None:
        """Stop the writing of a file, if it is being written."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


def engine_for(store: str | Path, engine: str | None, options: Mapping[str, Any]) -> tuple[Engine, str]:
    """The engine for a store, and the store's time zone."""
    # Each engine's module imports its driver, so only the one that is asked for is imported.
    remote = str(store).startswith(("postgres://", "postgresql://"))
    name = engine or ("postgres" if remote else "duckdb")
    try:
        if name == "postgres" and remote:
            from flowmachine.engines.postgres import Postgres  # noqa: PLC0415

            database = Postgres(str(store), **options)
            return database, database.timezone
        if name == "duckdb" and not remote:
            from flowmachine.engines.duckdb import DuckDB  # noqa: PLC0415

            lake = Lake.open(Path(store))
            return DuckDB(lake, **options), lake.timezone
        if name == "spark" and not remote:
            from flowmachine.engines.spark import Spark  # noqa: PLC0415

            lake = Lake.open(Path(store))
            return Spark(lake, **options), lake.timezone
    except ModuleNotFoundError as missing:
        raise FlowMachineError(f"The engine {name} needs {missing.name}: install flowkit[{name}].") from None
    raise FlowMachineError(
        f"No engine {name!r} over {store}: duckdb and spark read a lake, postgres reads a postgresql:// URL."
    )
