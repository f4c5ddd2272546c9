"""The lake's directory: its marker, its tables, and how days and reference tables are read and written."""

import datetime as dt
import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from flowdb.lake import delta, visits
from flowdb.lake.delta import ActiveFile, LakeError
from flowdb.lake.locks import locked
from flowdb.lake.schema import arrow_schema
from flowdb.lake.snapshot import Snapshot, StoredDay, StoredTable, version_of
from flowdb.tables import DAILY, REFERENCE, stored_columns
from flowkit_base.files import sync, write_whole
from flowkit_base.zones import is_zone

if TYPE_CHECKING:
    import duckdb

MARKER = "flowdb.json"
FORMAT = 2
"""2: `unit_edges` is settled with the places; lakes of format 1 may lack it, or other tables of TOGETHER."""

TOGETHER = ("places", "cell_units", "cell_positions", "unit_edges")
"""Reference tables that are settled from one state of cells and boundaries, and read as one."""
_SET = "set-"
_PATIENCE = 10.0
_PATIENCE_OF_COMMITS = 120.0


@dataclass(frozen=True)
class Lake:
    """A lake in a directory, in one time zone.

    Create one with `Lake.create`, open one with `Lake.open`.
    """

    path: Path
    timezone: str

    @staticmethod
    def create(path: Path, timezone: str) -> "Lake":
        """Create an empty lake; raises LakeError if the directory is not empty or the zone is unknown."""
        if not is_zone(timezone):
            raise LakeError(
                f"{timezone!r} is not a time zone: name one of the tz database, such as Asia/Kathmandu or UTC."
            )
        if path.exists() and any(path.iterdir()):
            raise LakeError(f"{path} is not empty: choose another directory for a new lake.")
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        _write_marker(path, timezone)
        return Lake.open(path)

    @staticmethod
    def open(path: Path) -> "Lake":
        """Open a lake; raises LakeError if the directory is not a lake or is of another format."""
        version, timezone = _read_marker(path)
        if version < FORMAT:
            raise LakeError(
                f"{path} is a lake of format {version}, of an older FlowKit, and this one reads format {FORMAT}: "
                "bring it up to date with `flowkit lake upgrade`."
            )
        return Lake(path, timezone)

    @staticmethod
    def upgrade(path: Path, settle: "Callable[[Lake], object]") -> "Lake":
        """Open a lake, after bringing one of an older format up to date; safe to repeat, and beside other processes.

        `settle` settles its reference tables, as `flowdb.reference.settling.settle` does.
        """
        version, timezone = _read_marker(path)
        if version < FORMAT:
            settle(Lake(path, timezone))
            _write_marker(path, timezone)
        return Lake.open(path)

    def events_path(self, event_type: str) -> Path:
        """The folder of the Delta table of an event type."""
        return self.path / "events" / event_type

    def visits_path(self, event_type: str) -> Path:
        """The folder of the settled visits of an event type, by day."""
        return self.path / "visits" / event_type

    def reference_path(self, name: str) -> Path:
        """The folder of the Delta table of a reference table."""
        return self.path / "reference" / name

    def snapshot(self) -> Snapshot:
        """What the lake holds now."""
        taken = time.time()
        days = {event_type: days for event_type in DAILY if (days := self.days(event_type))}
        return Snapshot(days, self._reference(), taken)

    def stage(self, event_type: str, day: dt.date) -> Path:
        """Where to write a Parquet file of a day before it is committed; readers do not see it until then.

        The file's columns are `stored_columns(event_type)` without `day`, sorted by msisdn and datetime.
        """
        directory = self.events_path(event_type) / f"day={day}"
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{uuid.uuid4().hex}.parquet"

    def commit_day(
        self,
        event_type: str,
        day: dt.date,
        staged: Sequence[Path],
        facts: Mapping[str, Any],
        connection: "duckdb.DuckDBPyConnection | None" = None,
    ) -> dict[str, Any]:
        """Atomically publish the staged files of a day, replacing any earlier version.

        Its visits are settled first, by `connection` and within its memory limit if one is given. `facts` (sources,
        counts, checks; JSON) are kept with the commit; `facts` reads them. Returns the commit's record, as `history`
        gives it.
        """
        return self.commit_days(event_type, {day: staged}, {day: facts}, connection)[0]

    def commit_days(
        self,
        event_type: str,
        staged: Mapping[dt.date, Sequence[Path]],
        facts: Mapping[dt.date, Mapping[str, Any]],
        connection: "duckdb.DuckDBPyConnection | None" = None,
    ) -> list[dict[str, Any]]:
        """Atomically publish the staged files of several days as one; see `commit_day`. Returns a record a day."""
        path, files = self.events_path(event_type), []
        for day, parts in staged.items():
            for file in parts:
                sync(file)
                visits.settle(event_type, file, connection)
                files.append(delta.added(path, file, ("day", str(day))))
        with self._committing(event_type):
            # Within the lock, so that timestamps and commits are in one order.
            records = [_record(day, "ingested", facts[day]) for day in staged]
            schema = arrow_schema(stored_columns(event_type))
            delta.replace_files(path, schema, files, records, ("day", list(map(str, staged))))
        return records

    def withdraw_day(self, event_type: str, day: dt.date, reason: str) -> dict[str, Any]:
        """Withdraw a day; its history stays. Raises LakeError if the day is not published.

        Returns the commit's record, as `history` gives it.
        """
        with self._committing(event_type):
            if day not in self.days(event_type):
                raise LakeError(f"There are no {event_type} of {day} to withdraw.")
            record = _record(day, "withdrawn", {"reason": reason})
            delta.remove_partition(self.events_path(event_type), ("day", str(day)), record)
        return record

    def history(self, event_type: str) -> list[dict[str, Any]]:
        """Every change of the days of an event type, the oldest first: day, state, timestamp and facts."""
        return delta.commits(self.events_path(event_type))

    def facts(self, event_type: str, day: dt.date) -> dict[str, Any] | None:
        """The facts of a published day; None for any other."""
        records = [record for record in self.history(event_type) if record["day"] == str(day)]
        return records[-1]["facts"] if records and records[-1]["state"] == "ingested" else None

    def replace_together(self, tables: Mapping[str, pa.Table], facts: Mapping[str, Any] | None = None) -> None:
        """Replace the rows of the tables of TOGETHER, as one for every reader."""
        version = f"{_SET}{uuid.uuid4().hex}"
        for name in TOGETHER:
            self.replace_reference(name, tables[name], facts, version)

    def replace_reference(
        self, name: str, rows: pa.Table, facts: Mapping[str, Any] | None = None, version: str | None = None
    ) -> None:
        """Atomically replace the rows of a reference table; `version` names the new file."""
        schema = arrow_schema(REFERENCE[name].columns)
        path = self.reference_path(name)
        path.mkdir(parents=True, exist_ok=True)
        file = path / f"{version or uuid.uuid4().hex}.parquet"
        pq.write_table(rows.select(schema.names).cast(schema), file, compression="zstd")
        sync(file)
        files = [delta.added(path, file)]
        with self._committing(name):
            delta.replace_files(path, schema, files, [{"facts": dict(facts or {})}])

    def reference(self, name: str) -> pa.Table:
        """The rows of a reference table; none if it was never loaded."""
        schema = arrow_schema(REFERENCE[name].columns)
        files = self.reference_files(name)
        return pa.concat_tables([pq.read_table(f, schema=schema) for f in files]) if files else schema.empty_table()

    def reference_files(self, name: str) -> tuple[Path, ...]:
        """The files of a reference table's current rows."""
        return tuple(file.path for file in delta.active_files(self.reference_path(name)))

    def reference_facts(self, name: str) -> dict[str, Any] | None:
        """The facts given with a reference table's current rows; None if it was never loaded."""
        records = delta.commits(self.reference_path(name))
        return records[-1]["facts"] if records else None

    def discard(self, staged: Path) -> None:
        """Delete a staged file that was not committed, and its visits."""
        visits.discard(staged)
        staged.unlink(missing_ok=True)

    def settle_visits(self) -> int:
        """Settle the visits of files without any, as in a lake of an older FlowKit; returns how many files."""
        stored = [day for days in self.snapshot().days.values() for day in days.values()]
        return sum(visits.settle(day.event_type, file) is not None for day in stored for file in day.unsettled)

    def _committing(self, table: str) -> AbstractContextManager[None]:
        """Lock a table while it is opened and committed to: Delta Lake refuses all but one of concurrent commits."""
        refusal = f"Other loads have kept {table} busy for {_PATIENCE_OF_COMMITS:.0f} seconds: run it again later."
        return locked(self, f"commit_{table}", refusal, _PATIENCE_OF_COMMITS)

    def days(self, event_type: str) -> dict[dt.date, StoredDay]:
        """The published days of an event type."""
        files: dict[dt.date, list[ActiveFile]] = {}
        for file in delta.active_files(self.events_path(event_type)):
            files.setdefault(dt.date.fromisoformat(str(file.partition["day"])), []).append(file)
        return {day: StoredDay.of_files(event_type, day, parts) for day, parts in files.items()}

    def _reference(self) -> dict[str, StoredTable]:
        """The current reference tables; waits while tables that belong together are being replaced."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            files = {name: paths for name in REFERENCE if (paths := self.reference_files(name))}
            together = {path.name for name in TOGETHER for path in files.get(name, ()) if path.name.startswith(_SET)}
            if not together or all([p.name for p in files.get(name, ())] == [*together] for name in TOGETHER):
                return {name: StoredTable(version_of(paths), paths) for name, paths in files.items()}
            if time.monotonic() > deadline:
                raise LakeError(
                    f"The places of {self.path} are half replaced by a load that was ended: "
                    "load the cells or boundaries again, or ingest a file, which mends them."
                )
            time.sleep(0.05)


def _read_marker(path: Path) -> tuple[int, str]:
    """The format and time zone of a lake; raises LakeError if the directory is none, or of a newer FlowKit."""
    try:
        marker = json.loads((path / MARKER).read_text())
        version, timezone = int(marker["flowdb"]), str(marker["timezone"])
    except (OSError, ValueError, KeyError, TypeError):
        raise LakeError(
            f"{path} is not a lake: it has no readable {MARKER}. Name the directory that `flowkit init` made."
        ) from None
    if version > FORMAT:
        raise LakeError(
            f"{path} is a lake of format {version}, of a newer FlowKit, and this one reads format {FORMAT}: "
            "upgrade FlowKit."
        )
    return version, timezone


def _write_marker(path: Path, timezone: str) -> None:
    write_whole(path / MARKER, json.dumps({"flowdb": FORMAT, "timezone": timezone}, indent=2))


def _record(day: dt.date, state: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "day": str(day),
        "state": state,
        "timestamp": dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds"),
        "facts": dict(facts),
    }
