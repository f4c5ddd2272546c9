"""What a store holds at one moment: its days, its reference tables, and the version of each."""

import datetime as dt
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flowdb.lake import visits
from flowdb.lake.delta import ActiveFile


def version_of(files: Sequence[Path]) -> str:
    """The version of rows that lie in these files: the file's name, or a digest of several names."""
    names = sorted(file.name for file in files)
    return names[0] if len(names) == 1 else hashlib.md5("\n".join(names).encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class StoredDay:
    """A day of one event type in a store.

    `version` changes when the day is corrected. A store without files, such as PostgreSQL, names versions in its own
    way. `rows` counts the rows of each file.
    """

    event_type: str
    day: dt.date
    version: str
    files: tuple[Path, ...] = ()
    rows_of_files: tuple[int, ...] = ()

    @staticmethod
    def of_files(event_type: str, day: dt.date, files: Sequence[ActiveFile]) -> "StoredDay":
        """A day that lies in files."""
        paths = tuple(file.path for file in files)
        return StoredDay(event_type, day, version_of(paths), paths, tuple(file.rows for file in files))

    @property
    def rows(self) -> int:
        """How many events the day has."""
        return sum(self.rows_of_files)

    @property
    def visits(self) -> tuple[Path, ...]:
        """The files of the day's settled visits, one for each file of events that has them."""
        return tuple(visits.visits_file(file) for file, settled in self._settled() if settled)

    @property
    def unsettled(self) -> tuple[Path, ...]:
        """The files of events without settled visits, as in a lake of an older FlowKit."""
        return tuple(file for file, settled in self._settled() if not settled)

    def _settled(self) -> list[tuple[Path, bool]]:
        counted = zip(self.files, self.rows_of_files, strict=True)
        return [(file, visits.is_settled(file, rows)) for file, rows in counted]


@dataclass(frozen=True)
class StoredTable:
    """A reference table in a store; `version` changes when its rows do."""

    version: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """What a store holds at one moment: every stored day and every reference table that was loaded."""

    days: Mapping[str, Mapping[dt.date, StoredDay]]
    reference: Mapping[str, StoredTable]
    taken: float = field(default_factory=time.time, compare=False)
    """When it was taken, in seconds since 1970."""

    def dates(self, event_type: str) -> list[dt.date]:
        """The stored days of an event type, in order."""
        return sorted(self.days.get(event_type, {}))

    def versions(self, event_types: list[str], start: dt.date, stop: dt.date) -> str:
        """A digest of the days of these types in [start, stop), which changes when one of them is corrected."""
        versions = [
            f"{event_type}:{day}:{stored.version}"
            for event_type in sorted(set(event_types))
            for day, stored in sorted(self.days.get(event_type, {}).items())
            if start <= day < stop
        ]
        return hashlib.md5("\n".join(versions).encode(), usedforsecurity=False).hexdigest()

    def reference_versions(self) -> str:
        """A digest of the reference tables, which changes when cells or boundaries are loaded again."""
        versions = [f"{name}:{table.version}" for name, table in sorted(self.reference.items())]
        return hashlib.md5("\n".join(versions).encode(), usedforsecurity=False).hexdigest()
