"""A query made ready for an engine: its SQL, and what the tables in it stand for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import ibis.expr.types as ir
import pyarrow as pa

from flowdb.lake import ARROW
from flowmachine.cdr import IBIS, Cdr, Dialect, Reference, Source, Span, part_schema, stored_types
from flowmachine.errors import FlowMachineError
from flowmachine.query import ONE_ROW_EACH, L, Query
from flowmachine.release import Rule, released

PERIODS = pa.list_(pa.timestamp("us"))
"""The type of a column of lists of local times, which tell when each of several periods begins."""

REMEMBERED = 128
"""Plans that are remembered: building one takes longer than a small question takes to run."""


@dataclass(frozen=True, eq=False)
class Plan:
    """What an engine runs; the same question gives the same object while it is remembered."""

    query: Query
    expression: ir.Table
    schema: pa.Schema
    sources: Mapping[str, Source]
    reads: tuple[tuple[Query, tuple[str, ...], tuple[Span, ...]], ...]
    views: Mapping[str, ir.Table] = field(default_factory=dict)
    """What the expression reads by name, each after those that it reads itself."""


def plan(
    query: Query, dialect: Dialect, timezone: str, *, rule: Rule | None = None, stored_parts: Iterable[str] = ()
) -> Plan:
    """The plan of a query's result: `result_columns`, sorted; with a rule, only what may be published."""
    # A frozen pydantic model can be hashed, which type checkers do not see.
    return _plan(query, dialect, timezone, rule, frozenset(stored_parts))  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=REMEMBERED)
def _plan(query: Query, dialect: Dialect, timezone: str, rule: Rule | None, stored_parts: frozenset[str]) -> Plan:
    cdr = Cdr(dialect, timezone, query, rule.smallest if rule else None, stored_parts)
    # What is published is computed under the rule: stored rows of the whole query were not.
    if rule is None:
        rows = _built(cdr.rows if query.id in stored_parts else cdr.computed, query)
    else:
        rows = released(_built(cdr.computed, query, published=True), query, rule)
    if rule is not None and query.counts is None and _is_of_people(cdr):
        raise FlowMachineError(
            f"{query.kind} is not published: it reads events of people, and its declaration counts none of them."
        )
    suffixes = [name.removeprefix("location") for name, kind in query.columns.items() if kind == L]
    if suffixes:
        rows = cdr.coded(rows, query.unit, suffixes)
    return _finished(query, cdr, rows, query.result_columns)


def _built(build: Callable[[Query], ir.Table], query: Query, *, published: bool = False) -> ir.Table:
    """The expression of a query; that of a plugin may fail, and is then told by its name."""
    try:
        rows = build(query)
        needed = [*part_schema(query)]
        if published:
            # The people may be left out where nobody asks for them.
            needed += [*([query.counts] if query.counts else []), *(query.contributions or ())]
        missing = [c for c in needed if c not in rows.columns]
    except FlowMachineError:
        raise
    except Exception as problem:
        told = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        raise FlowMachineError(f"{query.kind} cannot be computed: its expression fails with {told}") from problem
    if missing:
        raise FlowMachineError(f"{query.kind} cannot be computed: its expression lacks {' and '.join(missing)}.")
    return rows


def _is_of_people(cdr: Cdr) -> bool:
    return bool(cdr.reads) or any(not isinstance(source, Reference) for source in cdr.sources.values())


def plan_part(query: Query, dialect: Dialect, timezone: str, *, stored_parts: Iterable[str] = ()) -> Plan:
    """The plan of a nested query's rows as they are stored for reuse: locations are numbers still."""
    cdr = Cdr(dialect, timezone, query, stored_parts=frozenset(stored_parts) - {query.id})
    rows = _built(cdr.computed, query)
    rows = rows.select(**{name: rows[name].cast(kind) for name, kind in stored_types(query, dialect).items()})
    return Plan(query, rows, _arrow(part_schema(query)), cdr.sources, tuple(cdr.reads), cdr.views)


def _finished(query: Query, cdr: Cdr, rows: ir.Table, columns: Mapping[str, str]) -> Plan:
    rows = rows.select(**{name: rows[name].cast(IBIS.get(kind, kind)) for name, kind in columns.items()})
    # Everything but the value identifies a row, so the order is total; values come last and need no sorting.
    keys = [name for name in columns if name not in ("value", "geom")] or list(columns)
    if query.role in ONE_ROW_EACH:
        keys = ["subscriber"]
    rows = rows.order_by([rows[k].asc(nulls_first=False) for k in keys])
    return Plan(query, rows, _arrow(columns), cdr.sources, tuple(cdr.reads), cdr.views)


_ARROW = {**ARROW, "periods": PERIODS}


def _arrow(columns: Mapping[str, str]) -> pa.Schema:
    return pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
