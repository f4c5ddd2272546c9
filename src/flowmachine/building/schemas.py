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


def arrow_columns(columns: Mapping[str, str], timezone: str) -> pa.Schema:
    """Declared columns as an Arrow schema; instants are of the deployment's zone, and so are read with its offset."""
    own = {"timestamp": pa.timestamp("us", tz=timezone)}
    return pa.schema([(name, own.get(kind) or _ARROW[kind]) for name, kind in columns.items()])


def is_instant(kind: pa.DataType) -> bool:
    """Whether an Arrow type is that of instants, in whatever zone."""
    return pa.types.is_timestamp(kind) and kind.tz is not None


def in_zone(rows: pa.Table, timezone: str) -> pa.Table:
    """Rows whose instants are of a zone: files of rows hold instants without one."""
    schema = [f.with_type(pa.timestamp("us", tz=timezone)) if is_instant(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(schema))
