"""Delivered CSV files of reference data, as typed rows."""

import csv
import datetime as dt
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowdb.lake import LakeError
from flowdb.tables import Table

_BLANKS = " \t\r\n\u00a0\ufeff"


def without_traps(text: str) -> str:
    """A delivered text without the blanks around it, no-break spaces and byte order marks included."""
    return text.strip(_BLANKS)


def read_rows(
    file: Path, table: Table, columns: Mapping[str, str], needed: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a CSV as the table's types, each with its line number under `line`."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            reader = csv.reader(text)
            header = [h.strip(_BLANKS) for h in next(reader, [])]
            sources = _sources(file, table, header, columns, needed)
            rows = [
                _row(f"{file.name}, line {reader.line_num}", values, len(header), table, sources)
                for values in reader
                if any(map(str.strip, values))
            ]
    except OSError as error:
        raise LakeError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise LakeError(f"{file.name} is not UTF-8 text: save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise LakeError(f"{file.name} is not CSV: {error}.") from None
    if not rows:
        raise LakeError(f"{file.name} has a header but no row.")
    left = [h for i, h in enumerate(header) if i not in sources.values() and h]
    return rows, [f"{file.name}: columns left out: {', '.join(left)}."] if left else []


def _sources(
    file: Path, table: Table, header: list[str], columns: Mapping[str, str], needed: tuple[str, ...]
) -> dict[str, int]:
    twice = sorted({h for h in header if h and header.count(h) > 1})
    if twice:
        raise LakeError(f"{file.name} names a column twice: {', '.join(twice)}.")
    for target, source in columns.items():
        if target not in table:
            raise LakeError(f"{table.name} has no column {target!r}; it has: {', '.join(table.names)}.")
        if source not in header:
            raise LakeError(f"{file.name} has no column {source!r}; it has: {', '.join(header)}.")
    taken = set(columns.values())
    sources = {n: header.index(n) for n in table.names if n in header and n not in taken}
    sources |= {target: header.index(source) for target, source in columns.items()}
    missing = [n for n in needed if n not in sources]
    if missing:
        raise LakeError(
            f"{file.name} has no column {', '.join(missing)}; it has: {', '.join(header)}. "
            f"Name its column with --map {missing[0]}=COLUMN."
        )
    return sources


def _row(where: str, values: list[str], width: int, table: Table, sources: Mapping[str, int]) -> dict[str, Any]:
    if len(values) != width:
        raise LakeError(f"{where}: {len(values)} fields where the header has {width}.")
    row: dict[str, Any] = {"where": where, "line": int(where.rsplit(" ", 1)[1])}
    for name, at in sources.items():
        text, column = values[at].strip(_BLANKS), table[name]
        try:
            row[name] = _PARSED[column.type](text) if text else None
        except (ValueError, KeyError):
            raise LakeError(f"{where}: {name} {text!r} is not {_NOUN[column.type]}.") from None
        if column.required and row[name] is None:
            raise LakeError(f"{where}: {name} is empty.")
    return row


def _whole(text: str) -> int:
    number = _number(text)
    if not number.is_integer() or abs(number) >= 2**31:
        raise ValueError(text)
    return int(number)


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _truth(text: str) -> bool:
    return _TRUTHS[text.lower()]


_TRUTHS = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
_PARSED: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int32": _whole,
    "float64": _number,
    "bool": _truth,
    "date": dt.date.fromisoformat,
}
_NOUN = {
    "int32": "a whole number",
    "float64": "a number",
    "bool": "true or false",
    "date": "a date such as 2016-01-31",
}
