"""Parameters of places: the unit of locations, and the tables that say where cells are."""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, WithJsonSchema

from flowdb.tables import UNITS, is_column_name, is_table_name, is_unit_name, mapping_key
from flowmachine.questions.query import Query


def _unit(name: str) -> str:
    if not is_unit_name(name):
        raise ValueError(
            f"It is {name!r}. Must be one of: {', '.join(UNITS)}; or a unit of the deployment's own, named in small "
            "letters, digits, - and _."
        )
    return name


Unit = Annotated[str, AfterValidator(_unit), WithJsonSchema({"type": "string", "enum": list(UNITS)}, mode="validation")]
"""The unit of locations: one of UNITS, or a level of a deployment's own, which its store lists."""


def _table_name(value: str) -> str:
    if not is_table_name(value):
        raise ValueError(f"It is {value!r}. Tables are named as schema.table, such as geography.cells_by_hand.")
    return value


def _column_name(value: str) -> str:
    if not is_column_name(value):
        raise ValueError(f"It is {value!r}, which cannot name a column.")
    return value


_TableName = Annotated[str, AfterValidator(_table_name)]
_ColumnName = Annotated[str, AfterValidator(_column_name)]


class ByUnit(Query):
    """The unit of locations; a cell lies where it stands."""

    anywhere: ClassVar[bool] = False
    """True of a kind that takes any unit, whether the store has it or not, as it looks at no place."""

    aggregation_unit: Annotated[Unit, Field(description="The level to tell locations by.")]

    @property
    def mapping(self) -> str | None:
        """How cells are placed, as `cell_units.mapping` has it; None for by their own position."""
        return None


class InUnit(ByUnit):
    """The unit of locations, and the table that says where cells lie."""

    mapping_table: Annotated[
        _TableName | None,
        Field(
            description="A table of the deployment's that says which unit each cell belongs to; left out: the one that "
            "it stands in. Cells that are not in the table are left out."
        ),
    ] = None
    geom_table: Annotated[
        _TableName | None,
        Field(
            description="With lon-lat, a table of the deployment's that says where cells stand; left out: where the "
            "network's own table says. Other units do not look at it."
        ),
    ] = None
    geom_table_join_column: Annotated[
        _ColumnName | None,
        Field(
            description="The column of geom_table that names cells, or that is also a column of mapping_table; left "
            "out: id."
        ),
    ] = None

    @property
    def mapping(self) -> str | None:
        """How cells are placed, as `cell_units.mapping` has it; None for by their own position."""
        if self.aggregation_unit != "lon-lat":
            return self.mapping_table
        return mapping_key(self.mapping_table, self.geom_table, self.geom_table_join_column)


def require_one_unit(what: str, units: Iterable[str | None]) -> None:
    """Raise ValueError where nested queries tell locations by different units."""
    distinct = list(dict.fromkeys(map(str, units)))
    if len(distinct) > 1:
        raise ValueError(f"{what} must be in one unit, not in {' and '.join(distinct)}.")
