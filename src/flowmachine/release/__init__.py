"""Release: what of a query's rows may leave the operator. The stage after the expression, and the only way out.

`rules` is the rule of a deployment, `publication` says whose results are published at all, and `stage` applies the
rule, one file an idea: `threshold`, `dominance`, `shares`. No query kind knows whether it is published.
"""

from flowmachine.building.contributions import contributed
from flowmachine.release.publication import ANALYST, OPERATOR, Caller, is_published
from flowmachine.release.rules import PERCENT, SMALLEST, Rule
from flowmachine.release.stage import released

__all__ = [
    "ANALYST",
    "OPERATOR",
    "PERCENT",
    "SMALLEST",
    "Caller",
    "Rule",
    "contributed",
    "is_published",
    "released",
]
