"""Delivered files of events: whole or not, how to read them, and what their columns mean."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flowdb.reference.column_names import locate
from flowdb.reference.delivered_csv import (
    GZIP,
    header_of,
    not_decodable,
    open_errors,
    refuse_other_formats,
    text_chunks,
)
from flowdb.reference.errors import DeliveryError
from flowdb.reference.values import Encoding
from flowdb.tables import DAILY

_NOT_UTF8_AT_MOST = 10_000


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


def inspect(path: Path, encoding: Encoding = "utf-8", advance: Callable[[int], None] = lambda _: None) -> Delivery:
    """Read a file through; raises DeliveryError if it is not a whole delivery.

    `advance` is called with the number of bytes of each piece; they are the file's in the end.
    """
    with open_errors(path):
        with path.open("rb") as file:
            start = file.read(8)
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if start.startswith(b"PAR1"):
            delivery = _inspect_parquet(path, sha256)
            advance(path.stat().st_size)
            return delivery
        return _inspect_text(path, sha256, start.startswith(GZIP), encoding, advance)


def _inspect_parquet(path: Path, sha256: str) -> Delivery:
    try:
        metadata = pq.read_metadata(path)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise DeliveryError(f"{path.name} is damaged Parquet ({reason}): have it delivered again.") from None
    if not metadata.num_rows:
        raise DeliveryError(f"{path.name} is empty: it has columns but no row.")
    names = tuple(metadata.schema.to_arrow_schema().names)
    return Delivery(path, sha256, "parquet", names, metadata.num_rows)


def _inspect_text(
    path: Path, sha256: str, gzipped: bool, encoding: Encoding, advance: Callable[[int], None]
) -> Delivery:
    first, lines, not_utf8, ended = b"", 0, 0, True
    left = path.stat().st_size
    for chunk in text_chunks(path, gzipped):
        # Of a packed file, the size of a piece in the file is not known.
        read = 0 if gzipped else min(len(chunk), left)
        left -= read
        advance(read)
        if not first:
            first = chunk
            refuse_other_formats(path, chunk)
        lines += chunk.count(b"\n")
        ended = chunk.endswith(b"\n")
        if encoding == "utf-8" and not chunk.isascii():
            not_utf8 += _lines_not_utf8(chunk)
            if not_utf8 > _NOT_UTF8_AT_MOST:
                raise DeliveryError(f"{path.name}: in more than {_NOT_UTF8_AT_MOST:,} lines {not_decodable(encoding)}")
    advance(left)
    if not first.strip():
        raise DeliveryError(f"{path.name} is empty.")
    # The first line is the header.
    lines += (not ended) - 1
    header, delimiter = header_of(path, first, encoding)
    if lines < 1:
        raise DeliveryError(f"{path.name} is empty: it has a header but no line.")
    return Delivery(path, sha256, "csv", header, lines, gzipped, delimiter, encoding)


def batches(files: Sequence[Delivery], advance: Callable[[int], None] = lambda _: None) -> pa.RecordBatchReader:
    """The lines of text deliveries as Arrow: file (counted from 0), line_number, line, and whether it is decodable.

    Physical lines, so that a stray quote harms its own line only; the header is left out. They stream: a piece of
    about a megabyte is in memory at a time. `advance` is called with the number of lines of each piece.
    """
    return pa.RecordBatchReader.from_batches(LINES, _batches(files, advance))


LINES = pa.schema({"file": pa.int32(), "line_number": pa.int64(), "line": pa.string(), "decodable": pa.bool_()})


def _batches(files: Sequence[Delivery], advance: Callable[[int], None]) -> Iterator[pa.RecordBatch]:
    for index, delivery in enumerate(files):
        number = 2
        for at, piece in enumerate(text_chunks(delivery.path, delivery.gzipped)):
            text = piece.split(b"\n", 1)[1] if at == 0 else piece
            if not text:
                continue
            lines, decodable = _lines(text.removesuffix(b"\n"), delivery.encoding)
            count = len(lines)
            numbers = pa.array(np.arange(number, number + count))
            yield pa.record_batch([pa.repeat(pa.scalar(index, pa.int32()), count), numbers, lines, decodable], LINES)
            number += count
            advance(count)


def _lines(text: bytes, encoding: Encoding) -> tuple[pa.Array, pa.Array]:
    if encoding != "utf-8" and not text.isascii():
        text = text.decode(encoding, errors="replace").encode()
    lines = pc.call_function("split_pattern", [pa.array([text], pa.binary())], pc.SplitPatternOptions(b"\n")).flatten()
    try:
        return lines.cast(pa.string()), pa.repeat(True, len(lines))
    except pa.ArrowInvalid:
        # Rare: only a piece with a line in another encoding is looked at line by line.
        raw = lines.to_pylist()
        decodable = [_is_utf8(line) for line in raw]
        decoded = [r.decode("utf-8" if d else "latin-1") for r, d in zip(raw, decodable, strict=True)]
        return pa.array(decoded, pa.string()), pa.array(decodable, pa.bool_())


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


def meanings(delivery: Delivery, event_type: str, columns: Mapping[str, str]) -> tuple[dict[str, int], list[str]]:
    """Where each column of an event type stands in a file, counted from 0, and the columns that are left out.

    `columns` gives a source column for a target one if the names differ; an empty source leaves the target out.
    Raises DeliveryError if a column is missing, or one is unknown that may be meant for a missing one.
    """
    table = DAILY[event_type]
    return locate(delivery.name, delivery.header, table, columns, [c.name for c in table if c.required])
