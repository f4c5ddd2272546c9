"""The lake: FlowDB as Delta Lake tables in a directory.

One Delta table an event type, one partition a local day, one file a partition, rows sorted by subscriber and time.
A day is in when its Delta commit is in; the commit carries the day's own facts. Any engine that reads Delta Lake
can read it.
"""

import datetime as dt
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import TableNotFoundError
from deltalake.transaction import AddAction

from flowdb import visits
from flowdb.tables import DAILY, REFERENCE, Column, stored_columns
from flowkit_base.errors import UserError

if TYPE_CHECKING:
    import duckdb

MARKER = "flowdb.json"
FORMAT = 1

TOGETHER = ("places", "cell_units", "cell_positions", "unit_edges")
"""Reference tables that are settled from one state of cells and boundaries, and read as one."""
_SET = "set-"
_PATIENCE = 10.0

ARROW: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "binary": pa.binary(),
}
# Commits carry a day's facts, so the log is the day's history and is never cleaned up.
_KEEP_LOG = {"delta.logRetentionDuration": "interval 36500 days"}

_File = tuple[Path, int, dict[str, Any]]
"""A file of a Delta table, its rows and partition values."""


class LakeError(UserError):
    """Says what is wrong with a lake and what to do."""


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of declared columns."""
    return pa.schema([pa.field(c.name, ARROW[c.type], nullable=not c.required) for c in columns])


@dataclass(frozen=True)
class StoredDay:
    """A day of one event type as the lake holds it: its file is its version."""

    event_type: str
    day: dt.date
    file: Path
    rows: int

    @property
    def version(self) -> str:
        """What changes when the day is corrected."""
        return self.file.name

    @property
    def visits(self) -> Path | None:
        """The file of the day's settled visits; None where there is none that is whole, as of an older lake."""
        return visits.visits_file(self.file) if visits.is_settled(self.file, self.rows) else None


@dataclass(frozen=True)
class Snapshot:
    """What the lake held at one moment: every stored day, and the version of each reference table."""

    days: Mapping[str, Mapping[dt.date, StoredDay]]
    reference: Mapping[str, tuple[Path, ...]]

    def dates(self, event_type: str) -> list[dt.date]:
        """The stored days of an event type, in order."""
        return sorted(self.days.get(event_type, {}))

    def versions(self, event_types: list[str], start: dt.date, stop: dt.date) -> str:
        """A digest of the days of these types in [start, stop); another one once any of them is corrected."""
        held = [
            f"{event_type}:{day}:{stored.version}"
            for event_type in sorted(set(event_types))
            for day, stored in sorted(self.days.get(event_type, {}).items())
            if start <= day < stop
        ]
        return hashlib.md5("\n".join(held).encode(), usedforsecurity=False).hexdigest()

    def reference_versions(self) -> str:
        """A digest of the reference tables; another one once cells or boundaries are loaded again."""
        held = [f"{name}:{path.name}" for name, paths in sorted(self.reference.items()) for path in paths]
        return hashlib.md5("\n".join(held).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class Lake:
    """A lake in a directory, in one time zone.

    Make one with `Lake.create`, open one with `Lake.open`.
    """

    path: Path
    timezone: str

    @staticmethod
    def create(path: Path, timezone: str) -> "Lake":
        """Make an empty lake; raises LakeError where something is there already or the zone is unknown."""
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise LakeError(
                f"{timezone!r} is not a time zone: name one of the tz database, such as Asia/Kathmandu or UTC."
            ) from None
        if path.exists() and any(path.iterdir()):
            raise LakeError(f"{path} is not empty: choose another directory for a new lake.")
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        marker = {"flowdb": FORMAT, "timezone": timezone}
        _write_whole(path / MARKER, json.dumps(marker, indent=2).encode())
        return Lake.open(path)

    @staticmethod
    def open(path: Path) -> "Lake":
        """Open a lake; raises LakeError where the directory is none or is of another format."""
        try:
            marker = json.loads((path / MARKER).read_text())
            version, timezone = marker["flowdb"], marker["timezone"]
        except (OSError, ValueError, KeyError, TypeError):
            raise LakeError(
                f"{path} is not a lake: it has no readable {MARKER}. Name the directory that `flowkit init` made."
            ) from None
        if version != FORMAT:
            raise LakeError(f"{path} is a lake of format {version}; this FlowKit reads format {FORMAT}.")
        return Lake(path, timezone)

    def events_path(self, event_type: str) -> Path:
        """Where the Delta table of an event type lies."""
        return self.path / "events" / event_type

    def visits_path(self, event_type: str) -> Path:
        """Where the settled visits of an event type lie, by day."""
        return self.path / "visits" / event_type

    def reference_path(self, name: str) -> Path:
        """Where the Delta table of a reference table lies."""
        return self.path / "reference" / name

    def snapshot(self) -> Snapshot:
        """What the lake holds now."""
        days = {}
        for event_type in DAILY:
            if held := {s.day: s for s in self._stored(event_type)}:
                days[event_type] = held
        return Snapshot(days, self._reference())

    def _reference(self) -> dict[str, tuple[Path, ...]]:
        """The files of each reference table; waits while tables that belong together are being replaced."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            files = {name: found for name in REFERENCE if (found := self.reference_files(name))}
            together = {path.name for name in TOGETHER for path in files.get(name, ()) if path.name.startswith(_SET)}
            if not together or all([p.name for p in files.get(name, ())] == [*together] for name in TOGETHER):
                return files
            if time.monotonic() > deadline:
                raise LakeError(
                    f"The places of {self.path} are half replaced by a load that was ended: "
                    "load the cells or boundaries again, or ingest a file, which mends them."
                )
            time.sleep(0.05)

    def _stored(self, event_type: str) -> Iterator[StoredDay]:
        for path, rows, values in _active(self.events_path(event_type)):
            yield StoredDay(event_type, dt.date.fromisoformat(str(values["day"])), path, rows)

    def reference_files(self, name: str) -> tuple[Path, ...]:
        """The files that hold a reference table's rows now."""
        return tuple(sorted(path for path, _, _ in _active(self.reference_path(name))))

    def stage(self, event_type: str, day: dt.date) -> Path:
        """Where to write the Parquet file of a day before it is committed; unseen by readers until then.

        The file's columns are `stored_columns(event_type)` without `day`, sorted by msisdn and datetime.
        """
        directory = self.events_path(event_type) / f"day={day}"
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{uuid.uuid4().hex}.parquet"

    def commit_day(
        self,
        event_type: str,
        day: dt.date,
        staged: Path,
        facts: Mapping[str, Any],
        connection: "duckdb.DuckDBPyConnection | None" = None,
    ) -> dict[str, Any]:
        """Make a staged day the day that is in, in place of any former one: wholly, or not at all.

        Its visits are settled first, with `connection` and its memory limit where one is given. `facts` (sources,
        counts, checks; JSON) are kept with the commit and read back by `facts`. Returns what the commit says, as
        `history` tells it.
        """
        told = _told(day, "ingested", facts)
        sync(staged)
        visits.settle(event_type, staged, connection)
        schema = arrow_schema(stored_columns(event_type))
        table = self._events_table(event_type, schema)
        stat = staged.stat()
        action = AddAction(
            path=f"day={day}/{staged.name}",
            size=stat.st_size,
            partition_values={"day": str(day)},
            modification_time=int(stat.st_mtime * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": pq.read_metadata(staged).num_rows}),
        )
        table.create_write_transaction(
            [action],
            mode="overwrite",
            schema=schema,
            partition_by=["day"],
            partition_filters=[("day", "=", str(day))],
            commit_properties=_properties(told),
        )
        return told

    def withdraw_day(self, event_type: str, day: dt.date, reason: str) -> dict[str, Any]:
        """Take a day out; its history stays. Raises LakeError where the day is not in.

        Returns what the commit says, as `history` tells it.
        """
        if day not in {s.day for s in self._stored(event_type)}:
            raise LakeError(f"There are no {event_type} of {day} to withdraw.")
        told = _told(day, "withdrawn", {"reason": reason})
        DeltaTable(self.events_path(event_type)).delete(f"day = '{day}'", commit_properties=_properties(told))
        return told

    def history(self, event_type: str) -> list[dict[str, Any]]:
        """Every change of the days of an event type, oldest first: day, state, time and the facts given with it."""
        try:
            commits = DeltaTable(self.events_path(event_type)).history()
        except TableNotFoundError:
            return []
        told = [json.loads(c["flowdb"]) for c in commits if "flowdb" in c]
        return list(reversed(told))

    def facts(self, event_type: str, day: dt.date) -> dict[str, Any] | None:
        """The facts of a day that is in; None where it is not."""
        told = [h for h in self.history(event_type) if h["day"] == str(day)]
        return told[-1]["facts"] if told and told[-1]["state"] == "ingested" else None

    def replace_together(self, tables: Mapping[str, pa.Table], facts: Mapping[str, Any] | None = None) -> None:
        """Put the rows of the tables of TOGETHER in place of their former ones, as one for every reader."""
        version = f"{_SET}{uuid.uuid4().hex}"
        for name in TOGETHER:
            self.replace_reference(name, tables[name], facts, version)

    def replace_reference(
        self, name: str, rows: pa.Table, facts: Mapping[str, Any] | None = None, version: str | None = None
    ) -> None:
        """Put a reference table's rows in place of its former ones, atomically; `version` names the new file."""
        schema = arrow_schema(REFERENCE[name].columns)
        path = self.reference_path(name)
        path.mkdir(parents=True, exist_ok=True)
        file = path / f"{version or uuid.uuid4().hex}.parquet"
        pq.write_table(rows.select(schema.names).cast(schema), file, compression="zstd")
        sync(file)
        table = DeltaTable.create(path, schema, mode="ignore", configuration=_KEEP_LOG)
        stat = file.stat()
        action = AddAction(
            file.name,
            stat.st_size,
            {},
            int(stat.st_mtime * 1000),
            True,
            json.dumps({"numRecords": rows.num_rows}),
        )
        table.create_write_transaction(
            [action],
            mode="overwrite",
            schema=schema,
            commit_properties=_properties({"facts": dict(facts or {})}),
        )

    def reference(self, name: str) -> pa.Table:
        """The rows of a reference table; none where it was never loaded."""
        schema = arrow_schema(REFERENCE[name].columns)
        files = self.reference_files(name)
        return pa.concat_tables([pq.read_table(f, schema=schema) for f in files]) if files else schema.empty_table()

    def reference_facts(self, name: str) -> dict[str, Any] | None:
        """The facts given with a reference table's present rows; None where it was never loaded."""
        try:
            commits = DeltaTable(self.reference_path(name)).history()
        except TableNotFoundError:
            return None
        told = next((c["flowdb"] for c in commits if "flowdb" in c), None)
        return json.loads(told)["facts"] if told else None

    def discard(self, staged: Path) -> None:
        """Delete a staged day that was not committed, and its visits."""
        visits.discard(staged)
        staged.unlink(missing_ok=True)

    def settle_visits(self) -> int:
        """Settle the visits of days that have none, as those of a lake of an older FlowKit; returns of how many."""
        settled = 0
        for event_type, held in self.snapshot().days.items():
            for stored in held.values():
                if stored.visits is None and visits.settle(event_type, stored.file):
                    settled += 1
        return settled

    def sweep(self, older_than: dt.timedelta = dt.timedelta(days=1), event_type: str | None = None) -> int:
        """Delete what nobody reads any more, of one event type or of all; returns how many files.

        Staged days that no commit of any version names, left by a killed load; and visits of days that are not in, or
        were replaced or withdrawn long enough ago for no question to read them still.
        """
        swept = 0
        for each in [event_type] if event_type else DAILY:
            root = self.events_path(each)
            named, removed = _ever_named(root)
            held = [(file, False) for file in root.glob("day=*/*.parquet")]
            held += [(file, True) for file in self.visits_path(each).glob("day=*/*.parquet*")]
            for file, derived in held:
                path = f"{file.parent.name}/{visits.events_name(file)}"
                unread = path not in named or (derived and (path in removed or file.suffix != ".parquet"))
                # Another process may be sweeping too.
                with suppress(FileNotFoundError):
                    since = max(file.stat().st_mtime, removed.get(path, 0))
                    if unread and time.time() - since > older_than.total_seconds():
                        file.unlink()
                        swept += 1
        return swept

    def _events_table(self, event_type: str, schema: pa.Schema) -> DeltaTable:
        path = self.events_path(event_type)
        path.mkdir(parents=True, exist_ok=True)
        return DeltaTable.create(path, schema, mode="ignore", partition_by=["day"], configuration=_KEEP_LOG)


@contextmanager
def held(lake: Lake, name: str, refusal: str, wait: float = 0) -> Iterator[None]:
    """Hold a named part of a lake against other processes; a dead holder's lock is free at once.

    Raises LakeError with `refusal` where another still holds it after `wait` seconds.
    """
    import fcntl  # noqa: PLC0415 - POSIX only; the client must import on Windows

    directory = lake.path / "locks"
    directory.mkdir(exist_ok=True)
    until = time.monotonic() + wait
    with (directory / name).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise LakeError(refusal) from None
                time.sleep(0.05)
        yield


@contextmanager
def day_lock(lake: Lake, event_type: str, day: dt.date) -> Iterator[None]:
    """Hold a day against other loads of it; a dead holder's lock is free at once."""
    refusal = f"Another load of the {event_type} of {day} is running: wait for it to end."
    with held(lake, f"{event_type}_{day}", refusal):
        yield


def _active(path: Path) -> tuple[_File, ...]:
    """The files of the current version of a Delta table: path, rows and partition values."""
    log = path / "_delta_log"
    try:
        # Every commit adds a name; the inode tells a table from a new one in its place.
        return _files_of(path, log.stat().st_ino, log.stat().st_mtime_ns, frozenset(os.listdir(log)))  # noqa: PTH208
    except (FileNotFoundError, TableNotFoundError):
        return ()


@lru_cache(maxsize=64)
def _files_of(path: Path, *log: object) -> tuple[_File, ...]:
    """The files of a Delta table whose log is in a given state: read once a state, as reading takes milliseconds."""
    actions = pa.table(DeltaTable(path).get_add_actions(flatten=False))
    return tuple((path / a["path"], a["num_records"], a.get("partition") or {}) for a in actions.to_pylist())


def _ever_named(path: Path) -> tuple[set[str], dict[str, float]]:
    """The files that any commit of a Delta table names, and when those that are not in any more were taken out."""
    named: set[str] = set()
    removed: dict[str, float] = {}
    for log in sorted((path / "_delta_log").glob("*.json")):
        for line in log.read_text().splitlines():
            with suppress(ValueError):
                action = json.loads(line)
                if "add" in action:
                    named.add(action["add"]["path"])
                    removed.pop(action["add"]["path"], None)
                elif "remove" in action:
                    removed[action["remove"]["path"]] = action["remove"].get("deletionTimestamp", 0) / 1000
    return named, removed


def _told(day: dt.date, state: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "day": str(day),
        "state": state,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "facts": dict(facts),
    }


def _properties(told: Mapping[str, Any]) -> CommitProperties:
    return CommitProperties(custom_metadata={"flowdb": json.dumps(told)})


def _write_whole(path: Path, content: bytes) -> None:
    staged = path.with_suffix(".part")
    staged.write_bytes(content)
    sync(staged)
    staged.rename(path)


def sync(path: Path) -> None:
    """Bring a file, or the names in a directory, to the disk."""
    # After a power cut a name must not outlive the bytes that it names.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
