"""Shares: parts of a whole, of which one that is suppressed could be computed from the others."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir


def suppress_shares(rows: ir.Table, counts: str, by: Sequence[str], key: str, smallest: int) -> ir.Table:
    """Suppress no share of a `by`, or its smallest: at least two of them, that together cover enough people.

    Shares of equally many people are suppressed in the order of `key`.
    """
    group = list(by)
    ascending = ibis.window(group_by=group, order_by=[counts, key])
    before = ibis.window(group_by=group, order_by=[counts, key], rows=(None, -1))
    ranked = rows.mutate(
        fewest=rows[counts].min().over(group_by=group),
        smaller=ibis.row_number().over(ascending),
        hidden=ibis.coalesce(rows[counts].sum().over(before), 0),
    )
    # Those before a share are suppressed if it is published: they must be two, and enough people together.
    covered = (ranked[counts] >= smallest) & (ranked.smaller >= 2) & (ranked.hidden >= smallest)
    return ranked.filter((ranked.fewest >= smallest) | covered).drop("fewest", "smaller", "hidden")
