"""The columns and types of a query's rows: while a plan is built, as they are stored, and in a result."""

from collections.abc import Mapping

import pyarrow as pa

from flowdb.lake import ARROW
from flowmachine.building.protocols import AnyQuery
from flowmachine.building.tables import Dialect

PERIODS = pa.list_(pa.timestamp("us"))
"""The type of a column of lists of local times, the beginnings of several periods."""

IBIS = {"timestamp": "timestamp('UTC')", "periods": "array<timestamp>"}
"""The types that Ibis has another name for: an instant is one in UTC; periods are local times."""

_ARROW = {**ARROW, "periods": PERIODS}


def stored_types(query: AnyQuery, dialect: Dialect) -> dict[str, str]:
    """Columns of a nested query's rows and their types, as an engine stores them."""
    own = {"subscriber": dialect.subscriber}
    return {name: own.get(name) or IBIS.get(kind, kind) for name, kind in query.part_columns.items()}


def arrow_columns(columns: Mapping[str, str]) -> pa.Schema:
    """Declared columns as an Arrow schema."""
    return pa.schema([(name, _ARROW[kind]) for name, kind in columns.items()])
