"""How many subscribers left each location."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import Cdr, L
from flowmachine.queries.flows import EXAMPLE, Between, marginal


class Outflows(Between):
    """How many subscribers went from each location to any, those who stayed included."""

    query_kind: Literal["outflows"] = "outflows"

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {"query_kind": "outflows", **EXAMPLE}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value, subscribers."""
        return marginal(cdr, self, "from")
