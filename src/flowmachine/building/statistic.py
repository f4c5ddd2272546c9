"""How many values become one: the statistics that kinds offer, the same on every engine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import ibis.expr.types as ir

Statistic = Literal["count", "sum", "avg", "max", "min", "median", "stddev", "variance", "mode"]
"""How the values of many subscribers become one."""

STATISTICS: Mapping[str, Callable[[Any], Any]] = {
    "count": lambda value: value.count(),
    "sum": lambda value: value.sum(),
    "avg": lambda value: value.mean(),
    "max": lambda value: value.max(),
    "min": lambda value: value.min(),
    "median": lambda value: value.median(),
    "stddev": lambda value: value.std(how="sample"),
    "variance": lambda value: value.var(how="sample"),
}
"""The statistics that are an aggregate; `stddev` and `variance` are of the sample, so one value has none."""


def summarised(rows: ir.Table, by: Sequence[str], method: Statistic) -> ir.Table:
    """The statistic of the column `value` for each `by`; of equally common values, `mode` is the smallest."""
    if method != "mode":
        return rows.group_by(list(by)).agg(value=STATISTICS[method](rows.value))
    return commonest(rows.group_by([*by, "value"]).agg(times=rows.count()), by).drop("times")


def commonest(rows: ir.Table, by: Sequence[str]) -> ir.Table:
    """Of each `by`, the `value` whose `times` is greatest, of equals the smallest, with its times: by, value, times.

    A value stands once in each `by`.
    """
    most = rows.mutate(most=rows.times.max().over(group_by=list(by)))
    most = most.filter(most.times == most.most)
    return most.group_by(list(by)).agg(value=most.value.min(), times=most.times.max())


def weighted(rows: ir.Table, by: Sequence[str], method: Statistic, *, once: int = 1) -> ir.Table:
    """A statistic of the `value` of each `by`, each value as often as its integer `weight` says: by, value.

    `once` is the weight of a value that occurs once, which sum, count and the sample's variance are counted in.
    """
    keys = list(by)
    total, product = rows.weight.sum(), (rows.value * rows.weight).sum()
    match method:
        case "max" | "min":
            return rows.group_by(keys).agg(value=STATISTICS[method](rows.value))
        case "count":
            return rows.group_by(keys).agg(value=(total / once).cast("float64"))
        case "sum":
            return rows.group_by(keys).agg(value=product / once)
        case "avg":
            return rows.group_by(keys).agg(value=product / total)
        case "mode":
            return commonest(rows.group_by([*keys, "value"]).agg(times=total), by).drop("times")
        case "median":
            return _median(rows, keys)
    # Squares of distances from the mean: the difference of two large sums would leave noise where all are equal.
    centred = rows.mutate(off=rows.value - product.over(group_by=keys) / total.over(group_by=keys))
    spread = centred.group_by(keys).agg(
        squares=(centred.off * centred.off * centred.weight).sum(), weight=centred.weight.sum()
    )
    spread = spread.filter(spread.weight > once)
    variance = spread.squares / (spread.weight - once)
    return spread.select(*keys, value=variance.sqrt() if method == "stddev" else variance)


def _median(rows: ir.Table, keys: list[str]) -> ir.Table:
    """The middle of the values in order; where the middle falls between two, the mean of both."""
    # The middle does not depend on how equal values are ordered.
    upto = rows.mutate(upto=rows.weight.sum().over(group_by=keys, order_by="value", rows=(None, 0)).cast("int64"))
    upto = upto.mutate(total=upto.weight.sum().over(group_by=keys).cast("int64"))
    before = upto.upto - upto.weight
    lower, upper = (upto.total - 1) // 2, upto.total // 2
    middle = upto.filter(
        ((before <= lower) & (lower < upto.upto)) | ((before <= upper) & (upper < upto.upto)),
    )
    return middle.group_by(keys).agg(value=middle.value.mean())
