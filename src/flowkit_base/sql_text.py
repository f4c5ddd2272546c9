"""Values as SQL text, for the statements that take no parameters there."""

from collections.abc import Iterable
from pathlib import Path


def literal(value: str | Path) -> str:
    """A text or path as an SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def literals(values: Iterable[str | Path]) -> str:
    """Texts or paths as a list of DuckDB."""
    return "[" + ", ".join(literal(value) for value in values) + "]"
