"""A query made ready for an engine: its SQL, and what the tables in it stand for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import ibis.expr.types as ir
import pyarrow as pa

from flowdb.lake import ARROW
from flowmachine.cdr import Cdr, Dialect, Source, Span, part_schema
from flowmachine.query import ONE_ROW_EACH, L, Query
from flowmachine.release import Rule, released

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


def plan(
    query: Query, dialect: Dialect, timezone: str, *, rule: Rule | None = None, stored_parts: Iterable[str] = ()
) -> Plan:
    """The plan of a query's result: `result_columns`, sorted; with a rule, only what may be published."""
    # A frozen pydantic model can be hashed, which type checkers do not see.
    return _plan(query, dialect, timezone, rule, frozenset(stored_parts))  # pyright: ignore[reportArgumentType]


@lru_cache(maxsize=REMEMBERED)
def _plan(query: Query, dialect: Dialect, timezone: str, rule: Rule | None, stored_parts: frozenset[str]) -> Plan:
    cdr = Cdr(dialect, timezone, rule.smallest if rule else None, stored_parts)
    rows = cdr.computed(query)
    if rule is not None:
        rows = released(rows, query, rule)
    suffixes = [name.removeprefix("location") for name, kind in query.columns.items() if kind == L]
    if suffixes:
        rows = cdr.coded(rows, query.unit, suffixes)
    return _finished(query, cdr, rows, query.result_columns)


def plan_part(query: Query, dialect: Dialect, timezone: str, *, stored_parts: Iterable[str] = ()) -> Plan:
    """The plan of a nested query's rows as they are stored for reuse: locations are numbers still."""
    cdr = Cdr(dialect, timezone, stored_parts=frozenset(stored_parts) - {query.id})
    rows = cdr.computed(query)
    schema = part_schema(query)
    rows = rows.select(**{name: rows[name].cast(kind) for name, kind in schema.items()})
    return Plan(query, rows, _arrow(schema), cdr.sources, tuple(cdr.reads))


def _finished(query: Query, cdr: Cdr, rows: ir.Table, columns: Mapping[str, str]) -> Plan:
    rows = rows.select(**{name: rows[name].cast(kind) for name, kind in columns.items()})
    # Everything but the value identifies a row, so the order is total; values come last and need no sorting.
    keys = [name for name in columns if name not in ("value", "geom")] or list(columns)
    if query.role in ONE_ROW_EACH:
        keys = ["subscriber"]
    rows = rows.order_by([rows[k].asc(nulls_first=False) for k in keys])
    return Plan(query, rows, _arrow(columns), cdr.sources, tuple(cdr.reads))


def _arrow(columns: Mapping[str, str]) -> pa.Schema:
    return pa.schema([(name, ARROW[kind]) for name, kind in columns.items()])
