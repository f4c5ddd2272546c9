"""What runs plans: DuckDB, PostgreSQL and Spark, and engines of other packages."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from flowdb.lake import Snapshot
from flowmachine.building.plan import Plan, Statement
from flowmachine.building.tables import Dialect
from flowmachine.stored.entries import Storage

ROWS_AT_ONCE = 49_152
"""Rows of a row group of stored rows, and of a batch that the server sends."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What an engine can do; a query that needs what its engine lacks is refused in a sentence."""

    reads_stored_parts: bool
    """Rows stored as Parquet files can replace a nested query."""
    stores_rows: bool
    """Rows of single subscribers can be stored for analysts: `session.store`."""
    has_boundaries: bool
    """It has the boundaries of places: `geography`, and results as GeoJSON."""
    has_clusters: bool
    """It can group a subscriber's sites into clusters: meaningful locations."""
    starts_slowly: bool = False
    """Its first answer takes long: a server computes one before it is ready."""


class Engine(Protocol):
    """Runs plans over one store."""

    @property
    def abilities(self) -> Abilities:
        """What it can do."""
        ...

    @property
    def dialect(self) -> Dialect:
        """The parts of plans that are specific to an engine."""
        ...

    @property
    def timezone(self) -> str:
        """The time zone of the store's days."""
        ...

    @property
    def storage(self) -> Storage:
        """The storage of rows that analysts store; of an engine that stores none, `stored.entries.NoStorage`."""
        ...

    def snapshot(self) -> Snapshot:
        """The days and reference tables of the store now, each with its version, a text that the engine chooses."""
        ...

    def sql(self, plan: Statement) -> str:
        """The SQL of a plan."""
        ...

    def run(self, plan: Statement, snapshot: Snapshot, parts: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows of a plan; `parts` are the stored rows that it reads, by the query's id."""
        ...

    def store(self, plan: Plan, snapshot: Snapshot, path: Path, parts: Mapping[str, Any] | None = None) -> None:
        """Write the rows of a plan to a Parquet file, or a directory of them; existing files are replaced."""
        ...

    def interrupt(self, path: Path) -> None:
        """Stop the writing of a file, if it is being written."""
        ...

    def close(self) -> None:
        """Release its resources."""
        ...
