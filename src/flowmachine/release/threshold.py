"""The threshold: a published row stands for enough people; rows that tell of each other are suppressed together."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir


def enough_people(rows: ir.Table, counts: str, smallest: int) -> ir.BooleanValue:
    """Whether each row stands for so many people."""
    return rows[counts] >= smallest


def suppress_together(rows: ir.Table, passes: ir.BooleanValue, by: Sequence[str]) -> ir.Table:
    """The rows of each `by` of which every row passes; rows without a location are suppressed too, as in FlowKit."""
    # In a column of its own: PostgreSQL takes no filter by a window, and casts no boolean to an int8.
    marked = rows.mutate(all_pass=passes.cast("int32").min().over(group_by=list(by)))
    return marked.filter(marked.all_pass == 1, *(marked[name].notnull() for name in by)).drop("all_pass")


def suppress_table(rows: ir.Table, passes: ir.BooleanValue) -> ir.Table:
    """All rows if every row passes; else one row of nulls, as in FlowKit: its reader sees that it was suppressed."""
    # Of no rows, all pass.
    verdict = rows.aggregate(fit=passes.all())
    judged = rows.cross_join(verdict)
    kept = judged.filter(judged.fit).drop("fit")
    nothing = verdict.filter(~verdict.fit).select(
        **{name: ibis.null().cast(kind) for name, kind in rows.schema().items()}
    )
    return kept.union(nothing)
