"""Why a query has no rows."""

from typing import TYPE_CHECKING

from flowkit import unknown_cells
from flowkit.deployment import Deployment
from flowkit.terminal import counted

if TYPE_CHECKING:
    from flowmachine import Session
    from flowmachine.questions.query import Query

MANY = 0.5
"""From which share of events at cells that are not loaded on these are named as the reason."""


def reason(deployment: Deployment, session: "Session", query: "Query", *, released: bool) -> str:
    """A sentence that says why a query has no rows; `released` says that its rows went through release."""
    if released and (rows := session.count(query)):
        return (
            f"{counted(rows, 'row is', 'rows are')} suppressed: a published row stands for at least "
            f"{session.rule.smallest} people, and no one person makes up most of a sum."
        )
    if query.unit is not None:
        lake = deployment.lake
        if lake.reference("cells").num_rows == 0:
            return "No cells are loaded: flowkit cells load FILE."
        many = [unknown for unknown in unknown_cells.newest_days(deployment) if unknown.share >= MANY]
        if many:
            return f"{'; '.join(map(str, many))}: load the right cells with `flowkit cells load FILE`."
        units = set(lake.reference("cell_units")["unit"].to_pylist())
        if query.unit not in units:
            return f"No cell lies in a unit of {query.unit}: see `flowkit doctor`."
    return "There is data on these days, but no event of it matches the query."
