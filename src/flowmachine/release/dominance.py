"""Dominance: no one person makes up too much of a published sum, nor of a mean or variance, which tell the sum."""

from collections.abc import Sequence

import ibis.expr.types as ir


def nobody_dominates(rows: ir.Table, contributions: Sequence[str], percent: int) -> ir.BooleanValue:
    """Whether all but the two greatest contributors contribute at least `percent` % of what the greatest one does.

    The p-percent rule: see `rules.PERCENT`. `contributions` names the columns `greatest` and `rest`.
    """
    greatest, rest = (rows[name] for name in contributions)
    # As floats: a hundred times a country's money need not fit 64 bits.
    return rest.cast("float64") * 100 >= greatest.cast("float64") * percent
