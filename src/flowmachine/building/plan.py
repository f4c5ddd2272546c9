"""A query made ready for an engine: its SQL, and what the tables in it stand for."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import ibis.expr.types as ir
import pyarrow as pa

from flowmachine.building.cdr import Cdr
from flowmachine.building.places import coded
from flowmachine.building.protocols import AnyQuery
from flowmachine.building.schemas import IBIS, arrow_columns, stored_types
from flowmachine.building.tables import Dialect, Reference, Source, Tables
from flowmachine.building.windows import Span
from flowmachine.errors import FlowMachineError
from flowmachine.questions.columns import L
from flowmachine.questions.query import Query
from flowmachine.questions.roles import ONE_ROW_EACH
from flowmachine.release import Rule, released

REMEMBERED = 128
"""Plans that are remembered: building one takes longer than a small question takes to run."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Statement:
    """Rows that an engine can read: of a query, or of reference tables alone."""

    expression: ir.Table
    schema: pa.Schema
    sources: Mapping[str, Source]
    """What each table of the expression stands for, by its name."""
    views: Mapping[str, ir.Table] = field(default_factory=dict)
    """What the expression reads by name, each after those that it reads itself."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan(Statement):
    """A query made ready for an engine; the same query gives the same object while it is remembered."""

    query: Query
    reads: tuple[tuple[AnyQuery, tuple[str, ...], tuple[Span, ...]], ...]
    """Which query in it reads which event types on which days."""


def plan(
    query: Query, dialect: Dialect, timezone: str, *, rule: Rule | None = None, stored_parts: Iterable[str] = ()
) -> Plan:
    """The plan of a query's result: `result_columns`, sorted; with a rule, only what may be published."""
    # A frozen pydantic model can be hashed, which type checkers do not see.
    return _plan(query, dialect, timezone, rule, frozenset(stored_parts))  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=REMEMBERED)
def _plan(query: Query, dialect: Dialect, timezone: str, rule: Rule | None, stored_parts: frozenset[str]) -> Plan:
    cdr = Cdr(Tables(dialect, timezone), query, stored_parts)
    # What is published is computed under the rule: stored rows of the whole query were not.
    if rule is None:
        rows = _built(cdr.rows if query.id in stored_parts else cdr.computed, query, query.part_columns)
    else:
        rows = released(_built(cdr.contributed, query, _contributed_columns(query)), query, rule)
    if rule is not None and query.counts is None and _is_of_people(cdr):
        raise FlowMachineError(
            f"{query.kind} is not published: it reads events of people, and its declaration counts none of them."
        )
    suffixes = [name.removeprefix("location") for name, kind in query.columns.items() if kind == L]
    if suffixes:
        rows = coded(cdr.tables, rows, query.unit, suffixes)
    return _finished(query, cdr, rows, query.result_columns)


def _built(build: Callable[[Query], ir.Table], query: Query, needed: Iterable[str]) -> ir.Table:
    """The expression of a query; that of a plugin may fail, and the message then names it."""
    try:
        rows = build(query)
        missing = [c for c in needed if c not in rows.columns]
    except FlowMachineError:
        raise
    except Exception as problem:
        reason = f"{type(problem).__name__}: {problem}".partition("\n")[0]
        raise FlowMachineError(f"{query.kind} cannot be computed: its expression fails with {reason}") from problem
    if missing:
        raise FlowMachineError(f"{query.kind} cannot be computed: its expression lacks {' and '.join(missing)}.")
    return rows


def _contributed_columns(query: Query) -> list[str]:
    """What the expression of a query must have for release."""
    if query.summary is not None:
        return [*query.summary.by, "subscriber", "value"]
    return [*query.part_columns, *([query.counts] if query.counts else []), *(query.contributions or ())]


def _is_of_people(cdr: Cdr) -> bool:
    return bool(cdr.reads) or any(not isinstance(source, Reference) for source in cdr.tables.sources.values())


def plan_part(query: Query, dialect: Dialect, timezone: str, *, stored_parts: Iterable[str] = ()) -> Plan:
    """The plan of a nested query's rows as they are stored for reuse: locations are numbers still."""
    return _plan_part(query, dialect, timezone, frozenset(stored_parts))  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=REMEMBERED)
def _plan_part(query: Query, dialect: Dialect, timezone: str, stored_parts: frozenset[str]) -> Plan:
    cdr = Cdr(Tables(dialect, timezone), query, stored_parts=stored_parts - {query.id})
    rows = _built(cdr.computed, query, query.part_columns)
    rows = rows.select(**{name: rows[name].cast(kind) for name, kind in stored_types(query, dialect).items()})
    return _of(query, cdr, rows, arrow_columns(query.part_columns, cdr.timezone))


def _finished(query: Query, cdr: Cdr, rows: ir.Table, columns: Mapping[str, str]) -> Plan:
    rows = rows.select(**{name: rows[name].cast(IBIS.get(kind, kind)) for name, kind in columns.items()})
    # Everything but the value identifies a row, so the order is total; values come last and need no sorting.
    keys = [name for name in columns if name not in ("value", "geom")] or list(columns)
    if query.role in ONE_ROW_EACH:
        keys = ["subscriber"]
    rows = rows.order_by([rows[k].asc(nulls_first=False) for k in keys])
    return _of(query, cdr, rows, arrow_columns(columns, cdr.timezone))


def _of(query: Query, cdr: Cdr, rows: ir.Table, schema: pa.Schema) -> Plan:
    return Plan(
        query=query,
        expression=rows,
        schema=schema,
        sources=cdr.tables.sources,
        views=cdr.views,
        reads=tuple(cdr.reads),
    )
