"""A connection to a FlowDB: the only thing that touches data.

>>> session = flowmachine.connect("deployment/lake")
>>> session.run(DailyLocation(date="2016-01-01", aggregation_unit="admin3", method="last"))
"""

import datetime as dt
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from flowdb.lake import Snapshot
from flowmachine.engines import Engine, engine_for
from flowmachine.errors import MissingDates
from flowmachine.plan import Plan, plan
from flowmachine.query import Query, parse
from flowmachine.release import Rule

log = logging.getLogger("flowmachine")


@dataclass
class Session:
    """Runs queries on one engine over one store."""

    engine: Engine
    timezone: str
    rule: Rule = field(default_factory=Rule)

    def run(self, query: Query | Mapping[str, Any], *, release: bool = False) -> pa.Table:
        """The rows of a query, sorted; with `release`, only what a server would publish.

        Raises MissingDates where there is no data on the days that the query reads.
        """
        query = query if isinstance(query, Query) else parse(query)
        snapshot = self.engine.snapshot()
        made = plan(query, self.engine.dialect, self.timezone, rule=self.rule if release else None)
        require_dates(made, snapshot)
        return self.engine.run(made, snapshot)

    def explain(self, query: Query | Mapping[str, Any], *, release: bool = False) -> str:
        """The SQL of a query."""
        query = query if isinstance(query, Query) else parse(query)
        return self.engine.sql(plan(query, self.engine.dialect, self.timezone, rule=self.rule if release else None))

    def result_id(self, query: Query, snapshot: Snapshot | None = None) -> str:
        """The identity of a query's result: of the question, and of the versions of the days and places it reads."""
        snapshot = snapshot or self.engine.snapshot()
        made = plan(query, self.engine.dialect, self.timezone)
        return result_id(made, snapshot)

    def close(self) -> None:
        """Let go of the engine."""
        self.engine.close()


def result_id(made: Plan, snapshot: Snapshot) -> str:
    """The identity of a plan's result over a snapshot, in 32 hexadecimal digits."""
    read = sorted(
        {
            (event_type, str(start), str(stop), snapshot.versions([event_type], start, stop))
            for _, types, spans in made.reads
            for event_type in types
            for start, stop in spans
        }
    )
    told = f"{made.query.id} {read} {snapshot.reference_versions()}"
    return hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()


def require_dates(made: Plan, snapshot: Snapshot) -> None:
    """Raise MissingDates where a part of a query would read days of which nothing is there; warn of gaps."""
    for query, types, spans in made.reads:
        for start, stop in spans:
            days = {event_type: [d for d in snapshot.dates(event_type) if start <= d < stop] for event_type in types}
            if not any(days.values()):
                there = sorted({d for t in types for d in snapshot.dates(t)})
                have = f"there is data from {there[0]} to {there[-1]}" if there else "there is none at all"
                raise MissingDates(
                    f"{query.kind} asks for {' and '.join(types)} of {_days(start, stop)}, of which there is no data: "
                    f"{have}."
                )
            if gaps := sorted(t for t, found in days.items() if 0 < len(found) < (stop - start).days):
                log.warning(
                    "%s of %s: not every day of %s is there", " and ".join(gaps), query.kind, _days(start, stop)
                )


def _days(start: dt.date, stop: dt.date) -> str:
    last = stop - dt.timedelta(days=1)
    return str(start) if start == last else f"{start} to {last}"


def connect(store: str | Path, *, engine: str | None = None, rule: Rule | None = None, **options: Any) -> Session:
    """Open a session on a lake (a directory) or on a PostgreSQL FlowDB (a URL).

    `engine` is duckdb (the default over a lake), spark, or postgres; `options` are the engine's own. Raises LakeError
    where the directory is no lake, FlowMachineError where the engine is not installed.
    """
    made, timezone = engine_for(store, engine, options)
    return Session(made, timezone, rule or Rule())
