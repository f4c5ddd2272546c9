"""What people contribute to a row: their values become one value, with what release asks of it beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import ibis
import ibis.expr.types as ir

from flowmachine.building.statistic import STATISTICS, Statistic, commonest

OF_SUMS: frozenset[Statistic] = frozenset({"sum", "avg", "stddev", "variance"})
"""The statistics that tell the sum of the values, or nearly: with the number of people an average does."""


@dataclass(frozen=True)
class Summary:
    """How the rows of an expression, one for each person, become the rows of a result."""

    by: tuple[str, ...]
    """The columns that the persons of a row share."""
    statistic: Statistic | Literal["distr"]
    """What becomes of their values; of `distr`, the share of each value."""


def summed_up(each: ir.Table, summary: Summary, *, reach: int = 1) -> ir.Table:
    """The statistic of what each person contributes: `by`, value, subscribers, greatest, rest; of shares, metric, key.

    `each` has one row a person: `by`, subscriber, value. An extreme is the greatest value that `reach` people reach,
    or the least that they stay within, and absent if there are fewer.
    """
    by, statistic = list(summary.by), summary.statistic
    if statistic in OF_SUMS:
        return contributed(each, by, "value", statistic)
    return _of_no_sum(each, by, statistic, reach).mutate(greatest=ibis.literal(0), rest=ibis.literal(0))


def contributed(each: ir.Table, by: Sequence[str], amount: str, statistic: Statistic = "sum") -> ir.Table:
    """Sums of amounts with what release asks of them: by, value, subscribers, greatest, rest.

    `each` has one row a `by` and subscriber, with the amount. `greatest` is what the greatest contributor contributes
    and `rest` what all but the two greatest do, both without their sign.
    """
    size = each[amount].abs()
    ranked = each.mutate(size=size, rank=ibis.row_number().over(group_by=list(by), order_by=[size.desc()]))
    return ranked.group_by(list(by)).agg(
        value=STATISTICS[statistic](ranked[amount]),
        subscribers=ranked.count(),
        greatest=ranked["size"].max(),
        rest=ibis.coalesce(ranked["size"].sum(where=ranked["rank"] >= 2), 0),
    )


def _of_no_sum(each: ir.Table, by: list[str], statistic: Statistic | Literal["distr"], reach: int) -> ir.Table:
    if statistic == "distr":
        return _shares(each, by)
    if statistic == "mode":
        times = each.group_by([*by, "value"]).agg(times=each.count())
        return commonest(times, by).rename(subscribers="times")
    if statistic in ("max", "min") and reach > 1:
        return _reached(each, by, statistic, reach)
    return each.group_by(by).agg(value=STATISTICS[statistic](each.value), subscribers=each.count())


def _shares(each: ir.Table, by: list[str]) -> ir.Table:
    people = each.group_by([*by, "value"]).agg(subscribers=each.count())
    share = people.subscribers / people.subscribers.sum().over(group_by=by)
    return people.select(
        *by, "subscribers", metric=ibis.literal("value"), key=people["value"].cast("string"), value=share
    )


def _reached(each: ir.Table, by: list[str], statistic: str, reach: int) -> ir.Table:
    order = each.value.desc() if statistic == "max" else each.value.asc()
    ranked = each.mutate(rank=ibis.row_number().over(group_by=by, order_by=[order, each.subscriber]))
    return ranked.filter(ranked["rank"] == reach - 1).select(*by, "value", subscribers=ibis.literal(reach))
