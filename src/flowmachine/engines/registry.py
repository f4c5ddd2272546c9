"""The engines as data: those of this package, and those of other packages by an entry point.

A package adds an engine by an entry point in the group `flowmachine.engines` whose object is an `EngineKind`. Nothing
else names it: a session, the server and its settings read what is declared here.
"""

import importlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from flowmachine.engines import Engine
from flowmachine.errors import FlowMachineError, Unsupported
from flowmachine.questions.messages import perhaps
from flowmachine.questions.query import Query

GROUP = "flowmachine.engines"
"""The group of entry points."""


@dataclass(frozen=True, kw_only=True)
class EngineKind:
    """One engine, before it is opened: what it reads and can do, and where its code is."""

    reads: str
    """What it reads, for messages: a lake, a postgresql:// URL."""
    schemes: tuple[str, ...] = ()
    """The schemes of the URLs that it reads; none for directories."""
    opens: str
    """The function that opens it over a store, as `module:name`; imported when it is needed, and the driver with it."""
    options: tuple[str, ...] = ()
    """The options that it takes: `memory_limit` (text such as 4GB), `master` (where Spark computes), and others."""
    extra: str | None = None
    """What to install if its driver is missing."""

    def reads_store(self, store: str | Path) -> bool:
        """Whether it reads such a store."""
        scheme, separator, _ = str(store).partition("://")
        return scheme in self.schemes if separator else not self.schemes


OURS: Mapping[str, EngineKind] = {
    "duckdb": EngineKind(
        reads="a lake",
        opens="flowmachine.engines.duckdb:open_duckdb_engine",
        options=("memory_limit", "threads"),
    ),
    "spark": EngineKind(
        reads="a lake",
        opens="flowmachine.engines.spark:open_spark_engine",
        options=("master", "session"),
        extra="flowkit[spark]",
    ),
    "postgres": EngineKind(
        reads="a postgresql:// URL",
        schemes=("postgresql", "postgres"),
        opens="flowmachine.engines.postgres:open_postgres_engine",
        extra="flowkit[postgres]",
    ),
}
"""The engines of this package; of several that read a store, the first is the default."""


def engine_kinds() -> dict[str, EngineKind]:
    """Every engine by name: ours first, then those of other packages; one that cannot be loaded is left out."""
    kinds = dict(OURS)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            kinds.setdefault(entry.name, entry.load())
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}".partition("\n")[0]
            warnings.warn(f"The engine {entry.name} ({entry.value}) is left out: {reason}", stacklevel=2)
    return kinds


def engine_for(store: str | Path, name: str | None, options: Mapping[str, Any]) -> Engine:
    """The engine for a store, opened; without a name, the first that reads such a store.

    Raises FlowMachineError if there is no such engine, it does not read such a store, or its driver is not installed.
    """
    kinds = engine_kinds()
    fit = [known for known, kind in kinds.items() if kind.reads_store(store)]
    chosen = name or next(iter(fit), None)
    if chosen not in fit:
        given = "No engine" if chosen is None else f"No engine {chosen!r}"
        what = "; ".join(f"{known} reads {kind.reads}" for known, kind in kinds.items())
        raise FlowMachineError(f"{given} over {shown(store)}: {what}.{perhaps(chosen, kinds) if chosen else ''}")
    kind = kinds[chosen]
    module, _, function = kind.opens.partition(":")
    try:
        open_engine: Callable[..., Engine] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as missing:
        way = f": install {kind.extra}" if kind.extra else ", which is not installed"
        raise FlowMachineError(f"The engine {chosen} needs {missing.name}{way}.") from None
    return open_engine(store, **options)


def options_of(store: str | Path, name: str | None, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Of the options that a server offers, those that the engine for a store takes and that are set."""
    fit = (kind for known, kind in engine_kinds().items() if kind.reads_store(store) and name in (None, known))
    kind = next(fit, None)
    return {option: offered[option] for option in (kind.options if kind else ()) if offered.get(option) is not None}


def shown(store: str | Path) -> str:
    """A store's directory or URL, without the password that the URL may hold."""
    _, scheme, rest = str(store).rpartition("://")
    return re.sub(r"^.*@", "", rest) if scheme else str(store)


def require_able(query: Query, engine: Engine) -> None:
    """Raise Unsupported if a query, at any depth, needs an ability that the engine lacks."""
    for part in query.walk():
        for ability in part.needs_of_engine:
            if not getattr(engine.abilities, ability):
                raise Unsupported(
                    f"{part.kind} needs {_ABILITIES[ability]}, which the engine {engine.dialect.name} lacks: run it on "
                    f"another engine."
                )


_ABILITIES = {
    "has_boundaries": "the boundaries of places",
    "has_clusters": "clusters of sites",
}
