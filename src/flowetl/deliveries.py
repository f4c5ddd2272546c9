"""Delivered files: what they are, whole or not, and what their columns mean."""

import codecs
import csv
import difflib
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowdb.tables import DAILY, Table
from flowetl.errors import IngestError

_CHUNK = 1 << 20
_LONGEST_LINE = 16 << 20
_NOT_UTF8_AT_MOST = 10_000
_GZIP = b"\x1f\x8b"
_BINARY = {
    b"PK\x03\x04": "a zip archive: unpack it",
    b"BZh": "compressed by bzip2: give it plain or as gzip",
    b"\xfd7zXZ": "compressed by xz: give it plain or as gzip",
    b"\x28\xb5\x2f\xfd": "compressed by zstd: give it plain or as gzip",
    codecs.BOM_UTF16_LE: "UTF-16 text: save it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16 text: save it as UTF-8",
}
# What operators call our columns; only ever proposed, never taken silently.
_ALSO_CALLED = {
    "datetime": ("start_time", "timestamp", "call_datetime", "event_time", "date_time", "time"),
    "msisdn": ("a_number", "caller", "calling_number", "subscriber", "subscriber_id", "anumber"),
    "msisdn_counterpart": ("b_number", "callee", "called_number", "bnumber", "counterpart"),
    "outgoing": ("is_outgoing",),
    "cell_version": ("version",),
    "location_id": ("cell_id", "cell", "cellid", "cgi", "site_id"),
    "duration": ("call_duration", "duration_seconds"),
    "id": ("call_id", "event_id", "record_id", "transaction_id"),
}
_ALIKE = 0.8

Encoding = Literal["utf-8", "latin-1"]


@dataclass(frozen=True)
class Delivery:
    """One delivered file, read through once: it is whole, and this is how to read it."""

    path: Path
    sha256: str
    format: Literal["csv", "parquet"]
    header: tuple[str, ...]
    lines: int
    """Lines after the header, blank ones included; rows of a Parquet file."""
    gzipped: bool = False
    delimiter: str = ","
    encoding: Encoding = "utf-8"

    @property
    def name(self) -> str:
        """The file's name, by which reports call it."""
        return self.path.name

    @property
    def shape(self) -> tuple[object, ...]:
        """Files of one shape can be read in one go."""
        return self.format, self.header, self.delimiter


def inspect(path: Path, encoding: Encoding = "utf-8") -> Delivery:
    """Read a file through; raises IngestError where it is not a whole delivery."""
    try:
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if start.startswith(b"PAR1"):
            return _inspect_parquet(path, sha256)
        return _inspect_text(path, sha256, start.startswith(_GZIP), encoding)
    except OSError as error:
        # gzip says "not a gzipped file" by an OSError without a number.
        if error.strerror is None:
            raise IngestError(f"{path.name} is damaged gzip ({error}): have it delivered again.") from None
        raise IngestError(f"{path} cannot be read: {error.strerror}.") from None


def _inspect_parquet(path: Path, sha256: str) -> Delivery:
    try:
        metadata = pq.read_metadata(path)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise IngestError(f"{path.name} is damaged Parquet ({reason}): have it delivered again.") from None
    if not metadata.num_rows:
        raise IngestError(f"{path.name} is empty: it has columns but no row.")
    names = tuple(metadata.schema.to_arrow_schema().names)
    return Delivery(path, sha256, "parquet", names, metadata.num_rows)


def _inspect_text(path: Path, sha256: str, gzipped: bool, encoding: Encoding) -> Delivery:
    first, lines, not_utf8, ended = b"", 0, 0, True
    for chunk in _chunks(path, gzipped):
        if not first:
            first = chunk
            _refuse_binary(path, chunk)
        lines += chunk.count(b"\n")
        ended = chunk.endswith(b"\n")
        if encoding == "utf-8" and not chunk.isascii():
            not_utf8 += _lines_not_utf8(chunk)
            if not_utf8 > _NOT_UTF8_AT_MOST:
                raise IngestError(
                    f"{path.name} has more than {_NOT_UTF8_AT_MOST} lines that are not UTF-8: "
                    "if it is Latin-1, say so (encoding latin-1)."
                )
    if not first.strip():
        raise IngestError(f"{path.name} is empty.")
    # The first line is the header.
    lines += (not ended) - 1
    header, delimiter = _header(path, first, encoding)
    if lines < 1:
        raise IngestError(f"{path.name} is empty: it has a header but no line.")
    return Delivery(path, sha256, "csv", header, lines, gzipped, delimiter, encoding)


def batches(files: Sequence[Delivery]) -> pa.RecordBatchReader:
    """The lines of text deliveries as Arrow: file (counted from 0), line_number, line, and whether it is decodable.

    Physical lines, so that a stray quote harms its own line only; the header is left out. They stream: a piece of
    about a megabyte is in memory at a time.
    """
    return pa.RecordBatchReader.from_batches(LINES, _batches(files))


LINES = pa.schema({"file": pa.int32(), "line_number": pa.int64(), "line": pa.string(), "decodable": pa.bool_()})


def _batches(files: Sequence[Delivery]) -> Iterator[pa.RecordBatch]:
    for index, delivery in enumerate(files):
        number = 2
        for at, piece in enumerate(_chunks(delivery.path, delivery.gzipped)):
            text = piece.split(b"\n", 1)[1] if at == 0 else piece
            if not text:
                continue
            lines, decodable = _lines(text.removesuffix(b"\n"), delivery.encoding)
            count = len(lines)
            numbers = pa.array(np.arange(number, number + count))
            yield pa.record_batch([pa.repeat(pa.scalar(index, pa.int32()), count), numbers, lines, decodable], LINES)
            number += count


def _lines(text: bytes, encoding: Encoding) -> tuple[pa.Array, pa.Array]:
    if encoding == "latin-1" and not text.isascii():
        text = text.decode("latin-1").encode()
    lines = pc.call_function("split_pattern", [pa.array([text], pa.binary())], pc.SplitPatternOptions(b"\n")).flatten()
    try:
        return lines.cast(pa.string()), pa.repeat(True, len(lines))
    except pa.ArrowInvalid:
        # Rare: only a piece with a line in another encoding is looked at line by line.
        raw = lines.to_pylist()
        decodable = [_is_utf8(line) for line in raw]
        told = [r.decode("utf-8" if d else "latin-1") for r, d in zip(raw, decodable, strict=True)]
        return pa.array(told, pa.string()), pa.array(decodable, pa.bool_())


def _chunks(path: Path, gzipped: bool) -> Iterator[bytes]:
    """The file's bytes in pieces of whole lines."""
    with gzip.open(path) if gzipped else path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                rest = b"" if chunk.endswith(b"\n") else file.readline(_LONGEST_LINE)
                if len(rest) == _LONGEST_LINE:
                    raise IngestError(f"{path.name} has a line of more than {_LONGEST_LINE >> 20} MB: it is no CSV.")
                yield chunk + rest
        except (EOFError, zlib.error):
            raise IngestError(f"{path.name} is cut short or damaged gzip: have it delivered again.") from None


def _refuse_binary(path: Path, start: bytes) -> None:
    for magic, what in _BINARY.items():
        if start.startswith(magic):
            raise IngestError(f"{path.name} is {what}.")
    if b"\0" in start.split(b"\n", 1)[0]:
        raise IngestError(f"{path.name} is not text: deliveries are CSV, CSV.gz or Parquet.")
    if b"\r" in start and b"\n" not in start:
        raise IngestError(f"{path.name} ends its lines by carriage returns alone: save it with newlines.")


def _lines_not_utf8(chunk: bytes) -> int:
    try:
        chunk.decode()
    except UnicodeDecodeError:
        return sum(1 for line in chunk.split(b"\n") if not _is_utf8(line))
    return 0


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(path: Path, start: bytes, encoding: Encoding) -> tuple[tuple[str, ...], str]:
    line = start.split(b"\n", 1)[0].removeprefix(codecs.BOM_UTF8).rstrip(b"\r")
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError:
        raise IngestError(f"{path.name} has a header that is not UTF-8: if it is Latin-1, say so.") from None
    delimiter = max(",;\t|", key=text.count)
    names = tuple(n.strip() for n in next(csv.reader([text], delimiter=delimiter), []))
    if not any(names):
        raise IngestError(f"{path.name} begins with a blank line where its header should be.")
    # What stands where the header should may be a subscriber: it is not repeated.
    if any(re.fullmatch(r"[+\d][\d .:/T+-]*", n) for n in names):
        raise IngestError(f"{path.name} begins with data: its first line must name the columns.")
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise IngestError(f"{path.name} names a column twice: {', '.join(twice)}.")
    return names, delimiter


def meanings(delivery: Delivery, event_type: str, columns: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Where each column of an event type stands in a file, counted from 0, and the columns that are left out.

    `columns` gives a source column for a target one where the names differ; an empty source leaves the target out.
    Raises IngestError where a column is missing, or one is unknown that may be meant for a missing one.
    """
    table, header = DAILY[event_type], delivery.header
    for target, source in columns.items():
        if target not in table:
            raise IngestError(f"{event_type} has no column {target!r}; it has: {', '.join(table.names)}.")
        if source and source not in header:
            raise IngestError(f"{delivery.name} has no column {source!r}; it has: {', '.join(header)}.")
    taken = set(columns.values())
    found = {n: header.index(n) for n in table.names if n in header and n not in taken}
    found |= {target: header.index(source) for target, source in columns.items() if source}
    for target in (t for t, source in columns.items() if not source):
        found.pop(target, None)
    left = [n for n in header if header.index(n) not in found.values()]
    missing = [c.name for c in table if c.required and c.name not in found]
    proposed = _proposed(table, {**columns, **found}, left, missing)
    if missing or proposed:
        raise IngestError(_wrong_header(delivery, event_type, missing, left, proposed))
    return found, left


def _proposed(table: Table, found: Mapping[str, object], left: Sequence[str], missing: Sequence[str]) -> dict[str, str]:
    """Unknown columns that look as if they were meant for one that is not there."""
    proposed: dict[str, str] = {}
    open_targets = [n for n in table.names if n not in found]
    for target in open_targets:
        for source in left:
            plain = source.lower().replace(" ", "_").replace("-", "_")
            alike = difflib.SequenceMatcher(None, plain, target).ratio() >= _ALIKE
            if source not in proposed.values() and (alike or plain in _ALSO_CALLED.get(target, ())):
                proposed[target] = source
                break
    if len(missing) == 1 and len(left) == 1 and missing[0] not in proposed:
        proposed[missing[0]] = left[0]
    return proposed


def _wrong_header(
    delivery: Delivery,
    event_type: str,
    missing: Sequence[str],
    left: Sequence[str],
    proposed: Mapping[str, str],
) -> str:
    said = []
    if missing:
        said.append(f"lacks {', '.join(missing)}")
    if left:
        said.append(f"has columns that {event_type} do not have: {', '.join(left)}")
    maps = [f"--map {target}={source}" for target, source in proposed.items()]
    maps += [f"--map {target}=COLUMN" for target in missing if target not in proposed]
    return f"The header of {delivery.name} {' and '.join(said)}; try {' '.join(maps)}."
