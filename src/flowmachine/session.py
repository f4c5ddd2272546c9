"""A connection to a FlowDB: the only thing that touches data.

>>> session = flowmachine.connect("deployment/lake")
>>> session.run(DailyLocation(date="2016-01-01", aggregation_unit="admin3", method="last"))
"""

import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from flowdb.lake import Snapshot
from flowdb.tables import EVENT_TYPES
from flowmachine.building.plan import Plan, plan, plan_part
from flowmachine.engines import Engine
from flowmachine.engines.offered import Offered, offered, require_offered
from flowmachine.engines.registry import engine_for, require_able, shown
from flowmachine.errors import MissingDates
from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.release import Rule
from flowmachine.stored.entries import StoredQuery, record
from flowmachine.stored.identity import result_id
from flowmachine.stored.parts import nested

log = logging.getLogger("flowmachine")


@dataclass
class Session:
    """Runs queries on one engine over one store."""

    engine: Engine
    timezone: str
    rule: Rule = field(default_factory=Rule)
    name: str = ""
    """The store's, as it may be shown."""
    _offered: tuple[str, Offered] | None = field(default=None, init=False, repr=False)

    def run(self, query: Query | Mapping[str, Any], *, release: bool = False) -> pa.Table:
        """The rows of a query, sorted; with `release`, only what a server would publish.

        Rows that are stored are read, of the query itself (without `release`) and of its parts. Raises MissingDates
        where there is no data on the days that the query reads, InvalidQuery where the store has no such unit or table
        of places.
        """
        with self._ready(query, release) as (prepared, snapshot, stored_rows):
            return self.engine.run(prepared, snapshot, stored_rows)

    def head(self, query: Query | Mapping[str, Any], rows: int = 5) -> pa.Table:
        """The first rows of a query, in the result's order; the others do not leave the engine."""
        with self._ready(query) as (prepared, snapshot, stored_rows):
            return self.engine.run(replace(prepared, expression=prepared.expression.limit(rows)), snapshot, stored_rows)

    def count(self, query: Query | Mapping[str, Any]) -> int:
        """How many rows a query has."""
        with self._ready(query) as (prepared, snapshot, stored_rows):
            counted = prepared.expression.aggregate(rows=prepared.expression.count().cast("int64"))
            only = replace(prepared, expression=counted, schema=pa.schema([("rows", pa.int64())]))
            return self.engine.run(only, snapshot, stored_rows)["rows"][0].as_py()

    def explain(self, query: Query | Mapping[str, Any], *, release: bool = False) -> str:
        """The SQL of a query; comments before it tell which stored rows it reads."""
        query = _query(query)
        stored_rows = self._stored_of(query, self.engine.snapshot(), release)
        rule = self.rule if release else None
        prepared = plan(query, self.engine.dialect, self.timezone, rule=rule, stored_parts=stored_rows)
        used = {f"part_{i}" for i in stored_rows} & set(prepared.sources)
        notes = [
            f"-- {name} is stored: {_described(stored_rows[name.removeprefix('part_')])}\n" for name in sorted(used)
        ]
        return "".join(notes) + self.engine.sql(prepared)

    def tree(self, query: Query | Mapping[str, Any]) -> str:
        """A query and all that it is made of, indented, and which of them are stored."""
        query = _query(query)
        return "\n".join(_branches(query, self._stored_of(query, self.engine.snapshot())))

    def store(self, query: Query | Mapping[str, Any], *, parts: bool = False) -> StoredQuery:
        """Keep the rows of a query in the store, for all sessions over it; with `parts`, those of its parts too.

        They are read by later runs of it, and of queries that it is a part of, until a day or place that it reads is
        corrected. Storing again what is stored does nothing.
        """
        query = _query(query)
        snapshot = self.engine.snapshot()
        for part in nested(query) if parts else ():
            self._store(part, snapshot)
        return self._store(query, snapshot)

    def stored(self) -> list[StoredQuery]:
        """What is stored, the oldest first; what is stale is of no use any more and may be forgotten."""
        snapshot = self.engine.snapshot()
        return [entry.seen_from(snapshot) for entry in self.engine.storage.entries()]

    def forget(self, query: Query | Mapping[str, Any] | StoredQuery) -> int:
        """Delete the stored rows of a query, stale ones too, or just those of one item of `stored()`; how many went.

        Raises FlowMachineError while they are read.
        """
        entries = self.engine.storage.entries()
        if isinstance(query, StoredQuery):
            gone = [entry for entry in entries if entry.id == query.id]
        else:
            query = _query(query)
            gone = [entry for entry in entries if entry.query_id == query.id]
        for entry in gone:
            self.engine.storage.forget(entry)
        return len(gone)

    def result_id(self, query: Query, snapshot: Snapshot | None = None) -> str:
        """The identity of a query's result: of the question, and of the versions of the days and places it reads."""
        snapshot = snapshot or self.engine.snapshot()
        prepared = plan(query, self.engine.dialect, self.timezone)
        return result_id(prepared, snapshot)

    def offered(self, snapshot: Snapshot) -> Offered:
        """The units, and the tables of places, that the store has; those of the latest version are kept."""
        version = snapshot.reference_versions()
        if self._offered is None or self._offered[0] != version:
            self._offered = version, offered(self.engine, self.timezone, snapshot)
        return self._offered[1]

    def close(self) -> None:
        """Let go of the engine."""
        self.engine.close()

    def __repr__(self) -> str:
        snapshot = self.engine.snapshot()
        days = [
            f"  {event_type}: {len(loaded)} {'day' if len(loaded) == 1 else 'days'}, {loaded[0]} to {loaded[-1]}"
            for event_type in EVENT_TYPES
            if (loaded := snapshot.dates(event_type))
        ]
        head = (
            f"FlowMachine session on {self.name or 'a store'} with {self.engine.dialect.name}, days of {self.timezone}"
        )
        return "\n".join([head, *(days or ["  no data"])])

    @contextmanager
    def _ready(
        self, query: Query | Mapping[str, Any], release: bool = False
    ) -> Iterator[tuple[Plan, Snapshot, Mapping[str, Any]]]:
        """A plan over what is there now, and the stored rows that it reads, which stay for the time of the block."""
        query = _query(query)
        snapshot = self.engine.snapshot()
        rule = self.rule if release else None
        require_able(query, self.engine)
        require_offered(query, lambda: self.offered(snapshot))
        prepared = plan(query, self.engine.dialect, self.timezone, rule=rule)
        require_dates(prepared, snapshot)
        with self.engine.storage.reading(self._stored_of(query, snapshot, release).values()) as stored_rows:
            if stored_rows:
                prepared = plan(query, self.engine.dialect, self.timezone, rule=rule, stored_parts=stored_rows)
            yield prepared, snapshot, stored_rows

    def _store(self, query: Query, snapshot: Snapshot) -> StoredQuery:
        require_able(query, self.engine)
        require_offered(query, lambda: self.offered(snapshot))
        whole = plan_part(query, self.engine.dialect, self.timezone)
        require_dates(whole, snapshot)
        entry = record(whole, snapshot)
        storage = self.engine.storage
        stored = self._stored_of(query, snapshot)
        if query.id in stored:
            with storage.reading([stored[query.id]]) as stored_rows:
                if stored_rows:
                    return stored[query.id]
            # Truncated rows are written again.
            storage.forget(stored.pop(query.id))
        with storage.reading(stored.values()) as stored_rows:
            prepared = plan_part(query, self.engine.dialect, self.timezone, stored_parts=stored_rows)
            return storage.write(entry, prepared, snapshot, stored_rows)

    def _stored_of(self, query: Query, snapshot: Snapshot, release: bool = False) -> dict[str, StoredQuery]:
        """What is stored of a query and of all that it is made of, and not stale, by the query's id."""
        entries = self.engine.storage.entries()
        if not entries:
            return {}
        ids = {part.id for part in query.walk()} - ({query.id} if release else set())
        seen = (entry.seen_from(snapshot) for entry in entries if entry.query_id in ids)
        return {entry.query_id: entry for entry in seen if not entry.stale}


def require_dates(prepared: Plan, snapshot: Snapshot) -> None:
    """Raise MissingDates where a part of a query would read days of which nothing is there; warn of gaps."""
    for query, types, spans in prepared.reads:
        for start, stop in spans:
            days = {event_type: [d for d in snapshot.dates(event_type) if start <= d < stop] for event_type in types}
            if not any(days.values()):
                loaded = sorted({d for t in types for d in snapshot.dates(t)})
                have = f"there is data from {loaded[0]} to {loaded[-1]}" if loaded else "there is none at all"
                raise MissingDates(
                    f"{query.kind} asks for {' and '.join(types)} of {_days(start, stop)}, of which there is no data: "
                    f"{have}."
                )
            if gaps := sorted(t for t, stored_rows in days.items() if 0 < len(stored_rows) < (stop - start).days):
                log.warning(
                    "%s of %s: not every day of %s is there", " and ".join(gaps), query.kind, _days(start, stop)
                )


def _query(query: Query | Mapping[str, Any]) -> Query:
    return query if isinstance(query, Query) else parse(query)


def _described(entry: StoredQuery) -> str:
    return f"{entry.kind}, {entry.rows:,} rows of {entry.when:%Y-%m-%d %H:%M} UTC"


def _branches(query: Query, stored: Mapping[str, StoredQuery]) -> Iterator[str]:
    entry = stored.get(query.id)
    yield query.plainly() + (f"  [stored: {entry.rows:,} rows]" if entry else "")
    below = list(query.named_children())
    for number, (name, child) in enumerate(below, 1):
        joint, rail = ("└─ ", "   ") if number == len(below) else ("├─ ", "│  ")
        first, *others = _branches(child, stored)
        yield f"{joint}{name}: {first}"
        yield from (rail + line for line in others)


def _days(start: dt.date, stop: dt.date) -> str:
    last = stop - dt.timedelta(days=1)
    return str(start) if start == last else f"{start} to {last}"


def connect(store: str | Path, *, engine: str | None = None, rule: Rule | None = None, **options: Any) -> Session:
    """Open a session on a lake (a directory) or on a PostgreSQL FlowDB (a URL).

    `engine` is duckdb (the default over a lake), spark, postgres, or that of another package; `options` are the
    engine's own. `rule` says what may be published: unless given, it is that of the deployment whose flowkit.toml lies
    beside the lake. Raises LakeError if the directory is no lake, FlowMachineError if the engine is not installed,
    UserError if a setting of the deployment is wrong.
    """
    opened = engine_for(store, engine, options)
    return Session(opened, opened.timezone, rule or Rule.of_store(store), shown(store))
