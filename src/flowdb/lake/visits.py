"""Settled visits: the events of a day counted by subscriber and cell, in a file that belongs to the day's file.

Most queries need no single event, and a day has several times fewer visits than events. Each file of events has its own
file of visits, of the same name, so that visits belong to one version of the day. They are never the only copy of
anything: if they are missing or incomplete, readers count each event as one visit, with the same answers.
"""

# ruff: noqa: S608 - SQL is made of declared names and own paths

from contextlib import nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from flowdb.tables import DAY, EVENTS, VISITS
from flowkit_base.files import put
from flowkit_base.sql_text import literal

if TYPE_CHECKING:
    import duckdb

REVISION = "1"
"""Increased when the same events would give other visits than before; files of another revision are not read."""

MEMORY = "1GB"
"""The memory limit if the caller gives no connection; more is spilled to the disk."""

_PART = ".part"
_MARK, _COUNTED = b"flowdb_visits", b"flowdb_events"
_COLUMNS = tuple(c.name for c in VISITS if c != DAY)
_MERGED = {"events": "sum", "outgoing": "sum", "incoming": "sum", "first": "min", "last": "max"}
"""How the columns of several visits of a subscriber to a cell become one's; by the others they are grouped."""


def one_each(event_type: str) -> dict[str, str]:
    """The columns of one event counted as one visit, as SQL that DuckDB and Spark read alike."""
    directed = "outgoing" in EVENTS[event_type]
    return {
        "msisdn": "msisdn",
        "location_id": "location_id",
        "events": "CAST(1 AS INTEGER)",
        "outgoing": "CAST(coalesce(outgoing, false) AS INTEGER)" if directed else "CAST(0 AS INTEGER)",
        "incoming": "CAST(coalesce(NOT outgoing, false) AS INTEGER)" if directed else "CAST(0 AS INTEGER)",
        "first": "datetime",
        "last": "datetime",
        "day": "day",
    }


def visits_file(events: Path) -> Path:
    """The file of visits of a file of events: under `visits` instead of `events`, by the same name."""
    day = events.parent
    return day.parents[2] / "visits" / day.parent.name / day.name / events.name


def is_settled(events: Path, rows: int) -> bool:
    """Whether a file of so many events has complete visits of this revision."""
    file = visits_file(events)
    try:
        state = file.stat()
    except OSError:
        return False
    return _is_whole(file, rows, state.st_size, state.st_mtime_ns)


def settle(event_type: str, events: Path, connection: "duckdb.DuckDBPyConnection | None" = None) -> Path | None:
    """Atomically write the visits of a file of events; None for tables that have no visits.

    The connection's memory limit bounds the work; without one, MEMORY does.
    """
    if event_type not in EVENTS:
        return None
    file = visits_file(events)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(file.name + _PART)
    each = one_each(event_type)
    # Sums of whole numbers are wider in DuckDB than the numbers.
    counted = ", ".join(
        f"CAST({_MERGED[name]}({each[name]}) AS {'TIMESTAMPTZ' if name in ('first', 'last') else 'INTEGER'}) AS {name}"
        for name in _COLUMNS
        if name in _MERGED
    )
    by = ", ".join(name for name in _COLUMNS if name not in _MERGED)
    marks = f"{{{_MARK.decode()}: '{REVISION}', {_COUNTED.decode()}: '{pq.read_metadata(events).num_rows}'}}"
    with nullcontext(connection) if connection is not None else _bounded(file.parent) as settling:
        try:
            settling.execute(
                f"COPY (SELECT {by}, {counted} FROM read_parquet({literal(events)}, hive_partitioning = false) "
                f"GROUP BY {by} ORDER BY msisdn, first, location_id) "
                f"TO {literal(part)} (FORMAT parquet, COMPRESSION zstd, KV_METADATA {marks})"
            )
            put(part, file)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return file


def discard(events: Path) -> None:
    """Delete the visits of a file of events, incomplete ones too; does nothing if there are none."""
    file = visits_file(events)
    for path in (file, file.with_name(file.name + _PART)):
        with suppress(FileNotFoundError):
            path.unlink()


def events_name(visits: Path) -> str:
    """The name of the file of events that a file under `visits` belongs to, incomplete ones too."""
    return visits.name.removesuffix(_PART)


@lru_cache(maxsize=16_384)
def _is_whole(file: Path, rows: int, *_state: int) -> bool:
    """Whether the end of the file, which is written last, names these events; read once for each state of the file."""
    try:
        metadata = pq.read_metadata(file)
    except (OSError, pa.ArrowException):
        return False
    marks = metadata.metadata or {}
    return marks.get(_MARK) == REVISION.encode() and marks.get(_COUNTED) == str(rows).encode()


def _bounded(directory: Path) -> "duckdb.DuckDBPyConnection":
    # A process that only builds queries needs no engine.
    from flowdb.bounded_duckdb import open_duckdb  # noqa: PLC0415

    return open_duckdb(directory / "spill", memory_limit=MEMORY)
