"""The one way out: what is published of a query's rows.

A kind declares which column counts the people behind a row; release keeps the rows that stand for enough of them.
Nothing computed from people leaves a server except through `released`.
"""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from flowmachine.query import Query

SMALLEST = 16
"""The fewest people that a published row stands for, unless a deployment asks for more: more than 15."""


@dataclass(frozen=True)
class Rule:
    """A deployment's rule of release."""

    smallest: int = SMALLEST

    def __post_init__(self) -> None:
        if self.smallest < SMALLEST:
            raise ValueError(f"A published row must stand for at least {SMALLEST} people, not {self.smallest}.")


def released(rows: ir.Table, query: Query, rule: Rule) -> ir.Table:
    """The rows of a query's expression that may be published.

    Raises PermissionError for kinds whose rows are about single subscribers.
    """
    if query.role != "Aggregate":
        raise PermissionError(f"{query.kind} tells of single subscribers; only aggregates of it are published.")
    if query.counts is None:
        return rows
    enough = rows[query.counts] >= rule.smallest
    if query.withheld_together is None:
        return rows.filter(enough)
    if not query.withheld_together:
        return _whole_or_nothing(rows, enough.all())
    fewest = rows[query.counts].min().over(group_by=list(query.withheld_together))
    return rows.filter(fewest >= rule.smallest)


def _whole_or_nothing(rows: ir.Table, all_enough: ir.BooleanScalar) -> ir.Table:
    # A withheld table is one row of nothing, as in FlowKit: its reader sees that it was withheld.
    verdict = rows.aggregate(fit=all_enough)
    judged = rows.cross_join(verdict)
    kept = judged.filter(judged.fit).drop("fit")
    nothing = verdict.filter(~verdict.fit).select(
        **{name: ibis.null().cast(kind) for name, kind in rows.schema().items()}
    )
    return kept.union(nothing)
