"""FlowDB on PostgreSQL with PostGIS: FlowKit's schema, and the copy of a lake into it."""

from flowdb.postgres.database import (
    PostgresError,
    available_days,
    create,
    timezone,
    upgrade,
)
from flowdb.postgres.from_lake import Copied, copy_from_lake

__all__ = [
    "Copied",
    "PostgresError",
    "available_days",
    "copy_from_lake",
    "create",
    "timezone",
    "upgrade",
]
