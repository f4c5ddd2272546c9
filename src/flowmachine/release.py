"""The one way out: what is published of a query's rows.

A kind declares which column counts the people behind a row; release keeps the rows that stand for enough of them. A
kind whose value is a sum of amounts declares who contributes how much, too: release keeps the rows that no one person
makes up. Nothing computed from people leaves a server except through `released`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from flowmachine.questions.query import Query

SMALLEST = 16
"""The fewest people that a published row stands for, unless a deployment asks for more: more than 15."""

PERCENT = 10
"""The p of the p-percent rule for sums of amounts, unless a deployment asks for more: the second greatest contributor
to a published sum, who knows what he contributes, cannot tell the greatest one's part to within p percent.

Source: A. Hundepool et al. (2012), Statistical Disclosure Control, Wiley, chapter 4.
"""


@dataclass(frozen=True)
class Rule:
    """A deployment's rule of release."""

    smallest: int = SMALLEST
    percent: int = PERCENT

    def __post_init__(self) -> None:
        if self.smallest < SMALLEST:
            raise ValueError(f"A published row must stand for at least {SMALLEST} people, not {self.smallest}.")
        if self.percent < PERCENT:
            raise ValueError(f"The p of the p-percent rule must be at least {PERCENT}, not {self.percent}.")


def released(rows: ir.Table, query: Query, rule: Rule) -> ir.Table:
    """The rows of a query's expression that may be published.

    Raises PermissionError for kinds whose rows are about single subscribers.
    """
    if query.role != "Aggregate":
        raise PermissionError(f"{query.kind} tells of single subscribers; only aggregates of it are published.")
    if query.counts is None:
        return rows
    enough = rows[query.counts] >= rule.smallest
    if query.contributions is not None:
        greatest, rest = (rows[name] for name in query.contributions)
        # As floats: a hundred times a country's money need not fit 64 bits.
        enough &= rest.cast("float64") * 100 >= greatest.cast("float64") * rule.percent
    if query.withheld_together is None:
        return rows.filter(enough)
    if not query.withheld_together:
        return _whole_or_nothing(rows, enough.all())
    # In a column of its own: a filter by a window is SQL that PostgreSQL does not take, as is a truth cast to an int8.
    told = rows.mutate(told=enough.cast("int32").min().over(group_by=list(query.withheld_together)))
    # People of no known location share none that could be told: they are withheld too, as in FlowKit.
    known = [told[name].notnull() for name in query.withheld_together]
    return told.filter(told.told == 1, *known).drop("told")


def contributed(each: ir.Table, by: Sequence[str], amount: str) -> ir.Table:
    """Sums of amounts with what release asks of them: by, value, subscribers, greatest, rest.

    `each` has one row a `by` and subscriber, and his amount. `greatest` is what the greatest contributor contributes
    and `rest` what all but the two greatest do, both without their sign.
    """
    size = each[amount].abs()
    ranked = each.mutate(size=size, rank=ibis.row_number().over(group_by=list(by), order_by=[size.desc()]))
    return ranked.group_by(list(by)).agg(
        value=ranked[amount].sum(),
        subscribers=ranked.count(),
        greatest=ranked["size"].max(),
        rest=ibis.coalesce(ranked["size"].sum(where=ranked["rank"] >= 2), 0),
    )


def _whole_or_nothing(rows: ir.Table, all_enough: ir.BooleanScalar) -> ir.Table:
    # A withheld table is one row of nothing, as in FlowKit: its reader sees that it was withheld.
    verdict = rows.aggregate(fit=all_enough)
    judged = rows.cross_join(verdict)
    kept = judged.filter(judged.fit).drop("fit")
    nothing = verdict.filter(~verdict.fit).select(
        **{name: ibis.null().cast(kind) for name, kind in rows.schema().items()}
    )
    return kept.union(nothing)
