"""From a plan to SQL, for every engine."""

from typing import Any

import ibis
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.base import SQLGlotCompiler

from flowmachine.building.plan import Statement

# Every engine merges nested SELECTs itself; doing it here would take a fifth of the time of rendering.
ibis.options.sql.fuse_selects = False


def rendered(plan: Statement, compiler: SQLGlotCompiler) -> sge.Query:
    """A plan as SQL: each of its views as a common table expression, in their order, before those of the rest."""
    whole: Any = compiler.to_sqlglot(plan.expression)
    common = []
    for number, (name, rows) in enumerate(plan.views.items()):
        view: Any = compiler.to_sqlglot(rows)
        # All at the top level: Spark's SQL has no nested common table expressions.
        common += _taken_out(view, f"v{number}_")
        common.append(sge.CTE(this=view, alias=sge.TableAlias(this=sge.to_identifier(name, quoted=True))))
    if common:
        whole.set("with_", sge.With(expressions=common + _taken_out(whole, "")))
    return whole


def _taken_out(query: Any, prefix: str) -> list[sge.CTE]:
    """The common table expressions of a query, taken out of it, with a prefix before their names."""
    own = list(query.ctes)
    names = {cte.alias for cte in own}
    for table in query.find_all(sge.Table):
        if table.name in names and not table.db:
            table.set("alias", table.args.get("alias") or sge.TableAlias(this=table.this.copy()))
            table.set("this", sge.to_identifier(prefix + table.name, quoted=True))
    for cte in own:
        cte.set("alias", sge.TableAlias(this=sge.to_identifier(prefix + cte.alias, quoted=True)))
    query.set("with_", None)
    return own
