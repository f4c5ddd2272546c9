"""From a plan to SQL, for every engine."""

from typing import Any

import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import SQLGlotCompiler

from flowmachine.plan import Plan


def rendered(plan: Plan, compiler: SQLGlotCompiler) -> sge.Query:
    """A plan as SQL: each of its views as a common table expression, in their order, before those of the rest."""
    whole: Any = compiler.to_sqlglot(plan.expression)
    own = list(whole.ctes)
    for name, rows in plan.views.items():
        whole.with_(sge.to_identifier(name, quoted=True), as_=compiler.to_sqlglot(rows), copy=False)
    if own and plan.views:
        # A common table expression may read those before it alone.
        views = [cte for cte in whole.ctes if cte not in own]
        whole.args["with_"].set("expressions", views + own)
    return whole
