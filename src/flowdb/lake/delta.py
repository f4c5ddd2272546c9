"""Delta tables: their current files, their commits, and the history that the commits carry.

A commit's own metadata, under the key `flowdb`, says what was committed; see `Lake.history`. The log is therefore
never cleaned up.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction

from flowkit_base.errors import UserError

_CONFIGURATION = {"delta.logRetentionDuration": "interval 36500 days"}
_TRIES = 10


class LakeError(UserError):
    """Says what is wrong with a lake and what to do."""


class ActiveFile(NamedTuple):
    """A file of the current version of a Delta table, with its rows and partition values."""

    path: Path
    rows: int
    partition: dict[str, Any]


def active_files(path: Path) -> tuple[ActiveFile, ...]:
    """The files of the current version of a Delta table, ordered by path; none if there is no table."""
    log = path / "_delta_log"
    try:
        # Every commit adds a name; the inode tells a table from a new one in its place.
        return _files_of(path, log.stat().st_ino, log.stat().st_mtime_ns, frozenset(os.listdir(log)))  # noqa: PTH208
    except (FileNotFoundError, TableNotFoundError):
        return ()


def commits(path: Path) -> list[dict[str, Any]]:
    """What the commits of a Delta table say of themselves, the oldest first; none if there is no table."""
    try:
        history = DeltaTable(path).history()
    except TableNotFoundError:
        return []
    records = [json.loads(commit["flowdb"]) for commit in reversed(history) if "flowdb" in commit]
    return [each for record in records for each in (record if isinstance(record, list) else [record])]


def added(path: Path, file: Path, partition: tuple[str, str] | None = None) -> AddAction:
    """How a commit names a Parquet file in the folder of a Delta table; read before the table is locked."""
    state = file.stat()
    return AddAction(
        path=file.relative_to(path).as_posix(),
        size=state.st_size,
        partition_values=dict([partition] if partition else []),
        modification_time=int(state.st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": pq.read_metadata(file).num_rows}),
    )


def replace_files(
    path: Path,
    schema: pa.Schema,
    files: Sequence[AddAction],
    records: Sequence[Mapping[str, Any]],
    partitions: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Atomically replace the files of a table, or of some partitions of it, by others (see `added`).

    The table is created if it does not exist. `records` are what the commit says of itself.
    """
    columns = [partitions[0]] if partitions else []
    # A record by itself is what older releases read.
    record = records[0] if len(records) == 1 else records

    def commit() -> None:
        # Opening a table takes a third of the time of creating it where it already is.
        try:
            table = DeltaTable(path)
        except TableNotFoundError:
            table = DeltaTable.create(path, schema, mode="ignore", partition_by=columns, configuration=_CONFIGURATION)
        table.create_write_transaction(
            list(files),
            mode="overwrite",
            schema=schema,
            partition_by=columns,
            partition_filters=[(partitions[0], "in", list(partitions[1]))] if partitions else None,
            commit_properties=_properties(record),
        )

    _tried_again(commit)


def remove_partition(path: Path, partition: tuple[str, str], record: Mapping[str, Any]) -> None:
    """Atomically remove the files of one partition; they stay on the disk."""
    name, value = partition
    _tried_again(lambda: DeltaTable(path).delete(f"{name} = '{value}'", commit_properties=_properties(record)))


def ever_added(path: Path) -> tuple[set[str], dict[str, float]]:
    """The files that any commit of a Delta table added, and when those that are no longer active were removed.

    Files are named relative to the table; times are seconds since 1970.
    """
    added: set[str] = set()
    removed: dict[str, float] = {}
    for log in sorted((path / "_delta_log").glob("*.json")):
        for line in log.read_text().splitlines():
            with suppress(ValueError):
                action = json.loads(line)
                if "add" in action:
                    added.add(action["add"]["path"])
                    removed.pop(action["add"]["path"], None)
                elif "remove" in action:
                    removed[action["remove"]["path"]] = action["remove"].get("deletionTimestamp", 0) / 1000
    return added, removed


def _tried_again(commit: Callable[[], object]) -> None:
    """Commit; again on a newer version of the table if a writer that takes no lock of ours came first."""
    for _ in range(_TRIES - 1):
        with suppress(CommitFailedError):
            commit()
            return
    commit()


@lru_cache(maxsize=64)
def _files_of(path: Path, *log: object) -> tuple[ActiveFile, ...]:
    """The files of a Delta table whose log is in a given state: read once a state, as reading takes milliseconds."""
    actions = pa.table(DeltaTable(path).get_add_actions(flatten=False)).to_pylist()
    files = [ActiveFile(path / a["path"], a["num_records"], a.get("partition") or {}) for a in actions]
    return tuple(sorted(files, key=lambda file: file.path))


def _properties(record: Any) -> CommitProperties:
    return CommitProperties(custom_metadata={"flowdb": json.dumps(record)})
