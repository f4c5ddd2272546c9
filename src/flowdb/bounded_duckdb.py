"""DuckDB as every part of FlowKit opens it: within a memory limit, without a network, in UTC."""

from pathlib import Path
from typing import Any

import duckdb

SQL_TYPES = {
    "bool": "BOOLEAN",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "binary": "BLOB",
}
"""The SQL type of each declared type."""


def open_duckdb(
    spill: Path, *, memory_limit: str | None = None, threads: int | None = None, **settings: Any
) -> duckdb.DuckDBPyConnection:
    """An in-memory database that spills into the folder `spill` and never loads an extension.

    Without a memory limit DuckDB takes its own, 80 % of the machine. Raises duckdb.Error for a setting that DuckDB
    does not take.
    """
    config: dict[str, Any] = {
        "temp_directory": str(spill),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        **settings,
    }
    if memory_limit:
        config["memory_limit"] = memory_limit
    if threads:
        config["threads"] = threads
    connection = duckdb.connect(config=config)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection
