"""The tables of FlowDB, declared once.

Names and meanings are FlowKit's. The lake's schema, PostgreSQL's, the queries' Ibis tables, the checks and the
data dictionary derive from these declarations; nothing else spells a column.
"""

from flowdb.tables.declaration import Column, Table, Type
from flowdb.tables.events import (
    DAILY,
    DAY,
    EVENT_TYPES,
    EVENTS,
    MINUTE,
    SETTLED,
    TRANSACTIONS,
    VISITS,
    stored_columns,
)
from flowdb.tables.reference import (
    BANDS_PER_DEGREE,
    CELL_MAPPINGS,
    CELL_POSITIONS,
    CELL_UNITS,
    CELLS,
    GEOGRAPHY,
    GEOM_POINTS,
    MOST_PLACES,
    PLACES,
    REFERENCE,
    SITES,
    TACS,
    UNIT_EDGES,
    mapping_key,
)
from flowdb.tables.units import (
    GRID,
    LEVELS,
    POINTS,
    RESERVED,
    UNITS,
    is_column_name,
    is_table_name,
    is_unit_name,
)

__all__ = [
    "BANDS_PER_DEGREE",
    "CELLS",
    "CELL_MAPPINGS",
    "CELL_POSITIONS",
    "CELL_UNITS",
    "DAILY",
    "DAY",
    "EVENTS",
    "EVENT_TYPES",
    "GEOGRAPHY",
    "GEOM_POINTS",
    "GRID",
    "LEVELS",
    "MINUTE",
    "MOST_PLACES",
    "PLACES",
    "POINTS",
    "REFERENCE",
    "RESERVED",
    "SETTLED",
    "SITES",
    "TACS",
    "TRANSACTIONS",
    "UNITS",
    "UNIT_EDGES",
    "VISITS",
    "Column",
    "Table",
    "Type",
    "is_column_name",
    "is_table_name",
    "is_unit_name",
    "mapping_key",
    "stored_columns",
]
