"""What an analyst stores: the record of each query's rows, and what every place for them can do."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from flowdb.lake import Snapshot
from flowmachine.building.plan import Plan
from flowmachine.errors import Unsupported
from flowmachine.stored.identity import Reads, reads, result_id, versioned_id

Where = Path | str
"""Where stored rows are: a Parquet file, a directory of Parquet files, or the name of a database's table."""


@dataclass(frozen=True)
class StoredQuery:
    """Rows that an analyst stored: of which query, when, and how many."""

    kind: str
    id: str
    """Of the result: of the query, and of the days and places that it read."""
    query_id: str
    spec: Mapping[str, Any]
    when: dt.datetime
    reads: Reads
    rows: int = 0
    bytes: int = 0
    stale: bool = False
    """Whether a day or place that it read was corrected since: it is not read any more."""

    def seen_from(self, snapshot: Snapshot) -> "StoredQuery":
        """The same, with `stale` as of a snapshot."""
        return replace(self, stale=self.id != versioned_id(self.query_id, self.reads, snapshot))

    def to_json(self) -> str:
        """As text that `from_json` reads."""
        values = asdict(self)
        del values["stale"]
        return json.dumps(values | {"when": self.when.isoformat()})

    @staticmethod
    def from_json(text: str) -> "StoredQuery":
        """What `to_json` wrote; raises ValueError where it did not."""
        try:
            values = json.loads(text)
            values = {f.name: values[f.name] for f in fields(StoredQuery) if f.name != "stale"}
            read = tuple((str(t), str(start), str(stop)) for t, start, stop in values["reads"])
            return StoredQuery(**values | {"when": dt.datetime.fromisoformat(values["when"]), "reads": read})
        except (KeyError, TypeError) as problem:
            raise ValueError(f"not a record of stored rows: {problem!r}") from None


def record(plan: Plan, snapshot: Snapshot) -> StoredQuery:
    """The record of a query's rows before they are written; `made` computes all of it, without stored parts."""
    query = plan.query
    now = dt.datetime.now(dt.UTC)
    return StoredQuery(query.kind, result_id(plan, snapshot), query.id, query.spec, now, reads(plan))


class Storage(Protocol):
    """Where rows lie that analysts store; safe for several processes at once, whole after a kill at any moment."""

    def entries(self) -> list[StoredQuery]:
        """What is stored, the oldest first."""
        ...

    def reading(self, entries: Iterable[StoredQuery]) -> AbstractContextManager[Mapping[str, Any]]:
        """A context in which stored rows cannot be forgotten: those that still exist, by the query's id."""
        ...

    def write(self, entry: StoredQuery, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Where]) -> StoredQuery:
        """Store the rows of a plan; safe if two processes store the same query at once."""
        ...

    def forget(self, entry: StoredQuery) -> None:
        """Delete stored rows; raises FlowMachineError while they are read."""
        ...


@dataclass(frozen=True)
class NoStorage:
    """The storage of an engine that stores no rows of single subscribers."""

    engine: str
    """The engine's name."""

    def entries(self) -> list[StoredQuery]:
        """Nothing is stored."""
        return []

    def reading(self, entries: Iterable[StoredQuery]) -> AbstractContextManager[dict[str, Any]]:
        """A context in which nothing is read."""
        return nullcontext({})

    def write(self, entry: StoredQuery, plan: Plan, snapshot: Snapshot, parts: Mapping[str, Where]) -> StoredQuery:
        """Raise Unsupported."""
        raise Unsupported(f"The engine {self.engine} stores no rows: run {entry.kind} without storing it.")

    def forget(self, entry: StoredQuery) -> None:
        """Nothing is stored."""
