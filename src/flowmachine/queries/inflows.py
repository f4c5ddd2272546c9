"""How many subscribers came to each location."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import Cdr, L
from flowmachine.queries.flows import EXAMPLE, Between, marginal


class Inflows(Between):
    """How many subscribers came to each location from any, those who stayed included."""

    query_kind: Literal["inflows"] = "inflows"

    columns: ClassVar = {"location": L, "value": "int64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {"query_kind": "inflows", **EXAMPLE}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value, subscribers."""
        return marginal(cdr, self, "to")
