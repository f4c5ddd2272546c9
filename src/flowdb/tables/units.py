"""The units that queries count by, and the names that a deployment may give its own levels and tables."""

import re

LEVELS = ("admin0", "admin1", "admin2", "admin3")
"""The administrative levels that every deployment may have."""
POINTS = ("lon-lat", "cell", "site")
"""The units that are points: where cells stand, the cells, and their sites."""
UNITS = (*LEVELS, *POINTS)
"""The units that have a meaning everywhere; a deployment may load others."""
GRID = "grid-"
"""What the name of a grid of squares begins with."""
RESERVED = (*POINTS, "nonspatial")
"""Names that no boundaries can be loaded under; `nonspatial` stands for no unit in permissions."""


def is_unit_name(name: str) -> bool:
    """Whether a custom level may have this name, which is part of scopes, addresses and table names."""
    return re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name) is not None and name != "nonspatial"


def is_table_name(name: str) -> bool:
    """Whether this names a custom table, as schema.table."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}", name) is not None


def is_column_name(name: str) -> bool:
    """Whether a column of a custom table may have this name."""
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", name) is not None
