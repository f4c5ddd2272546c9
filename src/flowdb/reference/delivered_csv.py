"""Delivered CSV files: what they are, how they are written, and their rows.

One reader for all of them: delimiters `,` `;` tab and `|`, UTF-8 or an encoding that is named, gzip, byte order marks,
decimal commas, and sentences for what is no CSV.
"""

import codecs
import csv
import gzip
import io
import re
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flowdb.reference.column_names import better_fit, locate
from flowdb.reference.errors import DeliveryError
from flowdb.reference.values import ENCODINGS, NOUNS, Encoding, value_of, without_blanks
from flowdb.tables import CELLS, SITES, TACS, Table

GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_LONGEST_LINE = 16 << 20
_DELIMITERS = ",;\t|"
_OTHERS = {
    b"BZh": "is compressed by bzip2: give it plain or as gzip",
    b"\xfd7zXZ": "is compressed by xz: give it plain or as gzip",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd: give it plain or as gzip",
    codecs.BOM_UTF16_LE: "is UTF-16 text: save it as UTF-8",
    codecs.BOM_UTF16_BE: "is UTF-16 text: save it as UTF-8",
    b"\xd0\xcf\x11\xe0": "is an Excel workbook or another Office file: save it as CSV",
    b"PAR1": "is Parquet: save it as CSV",
    b"%PDF": "is a PDF: ask for the table as CSV",
    b"SQLite format 3": "is a database (such as a GeoPackage): save its table as CSV",
    b"<": "is a web page or XML: download the CSV file itself",
    b"{": "is JSON: save it as CSV",
    b"[": "is JSON: save it as CSV",
}
"""What a file that begins so is; it is no CSV."""


@dataclass(frozen=True)
class CsvTable:
    """A CSV file as text: its header, and its rows with the number of the line on which each ends."""

    name: str
    header: tuple[str, ...]
    delimiter: str
    rows: list[tuple[int, list[str]]]


def refuse_other_table(content: CsvTable, table: Table, columns: Mapping[str, str]) -> None:
    """Raise DeliveryError if a CSV's header fits another reference table better."""
    if fit := better_fit(content.header, table, columns, (CELLS, SITES, TACS)):
        raise DeliveryError(f"{content.name} {fit}. If it is {table.name} all the same, say --insist.")


def typed_rows(
    content: CsvTable,
    table: Table,
    columns: Mapping[str, str] | None = None,
    *,
    required: tuple[str, ...],
    assumed: Mapping[str, Any] | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a CSV as values of a table's types, and sentences that someone should read.

    Each row has its line number under `line` and its place in words under `where`. `columns` gives a source column for
    a target one if the names differ. `assumed` gives the values of columns that the file may lack. Raises DeliveryError
    naming file, line and field.
    """
    assumed = assumed or {}
    needed = [n for n in required if n not in assumed]
    positions, left_out = locate(content.name, content.header, table, columns or {}, needed)
    absent = {n: value for n, value in assumed.items() if n not in positions}
    rows = [absent | _row(content, number, texts, table, positions) for number, texts in content.rows]
    notes = [f"{content.name} has no column {n}: {value} is taken." for n, value in absent.items()]
    return rows, notes + ([left_out_note(content.name, left_out)] if left_out else [])


def left_out_note(file: str, left_out: list[str]) -> str:
    """The sentence that names the columns of a file that are not loaded; of many, the first ones."""
    shown, more = left_out[:_SHOWN], len(left_out) - _SHOWN
    return f"{file}: columns left out: {', '.join(shown)}{f' and {more} more' if more > 0 else ''}."


_SHOWN = 8


def read_csv(file: Path, encoding: Encoding = "utf-8") -> CsvTable:
    """Read a CSV file; raises DeliveryError if it is none, or has no row."""
    with open_errors(file):
        with file.open("rb") as opened:
            gzipped = opened.read(2) == GZIP
        content = b"".join(text_chunks(file, gzipped))
    refuse_other_formats(file, content[:_CHUNK])
    if not content.strip():
        raise DeliveryError(f"{file.name} is empty.")
    header, delimiter = header_of(file, content, encoding)
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DeliveryError(f"{file.name}, line {line}: {not_decodable(encoding)}") from None
    csv.field_size_limit(sys.maxsize)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(reader)
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise DeliveryError(f"{file.name}, line {reader.line_num} is not CSV: {error}.") from None
    if not rows:
        raise DeliveryError(f"{file.name} has a header but no row.")
    for number, row in rows:
        if len(row) != len(header):
            raise DeliveryError(f"{file.name}, line {number}: {len(row)} fields where the header has {len(header)}.")
    return CsvTable(file.name, header, delimiter, rows)


def not_decodable(encoding: str) -> str:
    """The end of a sentence about text in another encoding than `encoding`."""
    if encoding == "utf-8":
        return "the text is not UTF-8; if it is Latin-1, load it with --encoding latin-1, if Windows', cp1252."
    return f"the text is not {encoding}; load it with another --encoding: {', '.join(ENCODINGS)}."


@contextmanager
def open_errors(file: Path) -> Iterator[None]:
    """Turn what opening and reading a file raises into a DeliveryError."""
    try:
        yield
    except OSError as error:
        # gzip says "not a gzipped file" by an OSError without a number.
        if error.strerror is None:
            raise DeliveryError(f"{file.name} is damaged gzip ({error}): have it delivered again.") from None
        raise DeliveryError(f"{file} cannot be read: {error.strerror}.") from None


def text_chunks(file: Path, gzipped: bool) -> Iterator[bytes]:
    """The bytes of a text file, unpacked, in pieces of whole lines."""
    with gzip.open(file) if gzipped else file.open("rb") as opened:
        try:
            while chunk := opened.read(_CHUNK):
                rest = b"" if chunk.endswith(b"\n") else opened.readline(_LONGEST_LINE)
                if len(rest) == _LONGEST_LINE:
                    raise DeliveryError(f"{file.name} has a line of more than {_LONGEST_LINE >> 20} MB: it is no CSV.")
                yield chunk + rest
        except (EOFError, zlib.error):
            raise DeliveryError(f"{file.name} is cut short or damaged gzip: have it delivered again.") from None


def refuse_other_formats(file: Path, start: bytes) -> None:
    """Raise DeliveryError if a file that begins with these bytes is no text, or no CSV."""
    if start.startswith(b"PK\x03\x04"):
        raise DeliveryError(f"{file.name} is {_archive(file)}.")
    for magic, what in _OTHERS.items():
        if start.removeprefix(codecs.BOM_UTF8).startswith(magic):
            raise DeliveryError(f"{file.name} {what}.")
    if b"\0" in start.split(b"\n", 1)[0]:
        raise DeliveryError(f"{file.name} is not text: deliveries are CSV, gzipped CSV or, for events, Parquet.")
    if b"\r" in start and b"\n" not in start:
        raise DeliveryError(f"{file.name} ends its lines by carriage returns alone: save it with newlines.")


def _archive(file: Path) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        names = []
    if file.suffix.lower() in (".xlsx", ".xlsm", ".ods") or any(n.startswith("xl/") for n in names):
        return "a workbook of a spreadsheet: save it as CSV"
    return "a zip archive: unpack it"


def header_of(file: Path, start: bytes, encoding: Encoding) -> tuple[tuple[str, ...], str]:
    """The names in a file's first line, and the delimiter between them; raises DeliveryError if it is no header."""
    line = start.split(b"\n", 1)[0].removeprefix(codecs.BOM_UTF8).rstrip(b"\r")
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        raise DeliveryError(f"{file.name}, line 1: {not_decodable(encoding)}") from None
    delimiter = max(_DELIMITERS, key=text.count)
    try:
        names = tuple(without_blanks(n) for n in next(csv.reader([text], delimiter=delimiter), []))
    except csv.Error as error:
        raise DeliveryError(f"{file.name}, line 1 is not CSV: {error}.") from None
    if not any(names):
        raise DeliveryError(f"{file.name} begins with a blank line where its header should be.")
    # What stands where the header should may be a subscriber: it is not repeated.
    if any(re.fullmatch(r"[+-]?\d[\d .:/T+-]*", n) for n in names):
        raise DeliveryError(f"{file.name} begins with data: its first line must name the columns.")
    twice = sorted({n for n in names if n and names.count(n) > 1})
    if twice:
        raise DeliveryError(f"{file.name} names a column twice: {', '.join(twice)}.")
    return names, delimiter


def _row(
    content: CsvTable, number: int, texts: list[str], table: Table, positions: Mapping[str, int]
) -> dict[str, Any]:
    where = f"{content.name}, line {number}"
    row: dict[str, Any] = {"where": where, "line": number}
    for name, at in positions.items():
        column = table[name]
        try:
            row[name] = value_of(texts[at], column.type, decimal_comma=content.delimiter != ",")
        except ValueError:
            text = without_blanks(texts[at])
            raise DeliveryError(f"{where}: {name} {text!r} is not {NOUNS[column.type]}.") from None
        if column.required and row[name] is None:
            raise DeliveryError(f"{where}: {name} is empty.")
    return row
