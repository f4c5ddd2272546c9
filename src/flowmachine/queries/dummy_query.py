"""A query without data, to test clients with."""

from typing import Annotated, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import Cdr, InUnit, Query

LONGEST_DELAY = 3600


class DummyQuery(InUnit):
    """Nothing about any data: it gives back its own parameter after a delay, to test clients.

    It runs through a server like any other question: it waits for a worker, takes `dummy_delay` seconds there, can be
    polled and cancelled meanwhile, and its result is kept. The result is one row with the `dummy_param`. It needs no
    data, and takes any unit for FlowKit's clients; in the library, nothing is waited for.
    """

    query_kind: Literal["dummy_query"] = "dummy_query"
    dummy_param: Annotated[str, Field(max_length=1000, description="Any text, which makes it another question.")]
    dummy_delay: Annotated[
        int, Field(ge=0, le=LONGEST_DELAY, description="How many seconds a server's worker takes over it.")
    ] = 0

    columns: ClassVar = {"dummy_param": "string"}
    counts: ClassVar = None
    anywhere: ClassVar = True
    example: ClassVar = {"query_kind": "dummy_query", "dummy_param": "a test", "aggregation_unit": "admin3"}

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row: dummy_param."""
        return ibis.literal(self.dummy_param).name("dummy_param").as_table()


def delay_of(query: Query) -> int:
    """How many seconds a server's worker waits before it computes a query: 0 for all but a dummy query."""
    return query.dummy_delay if isinstance(query, DummyQuery) else 0
