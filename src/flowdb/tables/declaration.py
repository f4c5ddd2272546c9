"""How a table is declared: its columns with their types, meanings and units."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Type = Literal["bool", "int16", "int32", "int64", "float64", "string", "date", "timestamp", "binary"]


@dataclass(frozen=True)
class Column:
    """One column: its name, type, meaning and unit, and whether it identifies a person."""

    name: str
    type: Type
    description: str
    unit: str = ""
    required: bool = False
    identifies: bool = False
    """True for what leads to a person: the lake holds its keyed pseudonym, never the value itself."""


@dataclass(frozen=True)
class Table:
    """One table: its name, columns and what a row stands for."""

    name: str
    description: str
    columns: tuple[Column, ...]

    def __getitem__(self, column: str) -> Column:
        return next(c for c in self.columns if c.name == column)

    def __contains__(self, column: str) -> bool:
        return any(c.name == column for c in self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in order."""
        return tuple(c.name for c in self.columns)
