"""Results as bytes: Arrow record batches to JSON, CSV, GeoJSON, Arrow and Parquet, batch by batch."""

# pyarrow.compute makes its functions while it is imported, where type checkers do not see them.
# pyright: reportAttributeAccessIssue=false

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


class Writer(Protocol):
    """Writes one result; the bytes of `begin`, of each `rows` and of `end`, joined, are the file."""

    def begin(self) -> bytes:
        """Write what stands before the first row."""
        ...

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write the rows of a batch."""
        ...

    def end(self) -> bytes:
        """Write what stands after the last row."""
        ...


@dataclass(frozen=True)
class Format:
    """A form of results: its media type, which rows it takes ("rows" or "geo"), and its writer."""

    media_type: str
    source: str
    writer: Callable[[str, pa.Schema], Writer]


def batches_of(stream: bytes) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Read an Arrow IPC stream; numbers that are not finite become null, which every format can say."""
    with pa.ipc.open_stream(stream) as reader:
        return reader.schema, [_finite(batch) for batch in reader]


class Json:
    """{"query_id": "...", "query_result": [{...}, ...]}."""

    def __init__(self, query_id: str, schema: pa.Schema) -> None:
        self._query_id = query_id
        self._names = [json.dumps(name) for name in schema.names]
        self._first = True

    def begin(self) -> bytes:
        """Open the list of rows."""
        return f'{{"query_id":{json.dumps(self._query_id)},"query_result":['.encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write the rows as objects whose keys stand in the order of the columns."""
        if not batch.num_rows:
            return b""
        pieces: list[Any] = []
        for position, (name, column) in enumerate(zip(self._names, batch.columns, strict=True)):
            pieces += [f"{',' if position else '{'}{name}:", _json_text(column)]
        text = _joined(pc.binary_join_element_wise(*pieces, "}", ""), ",")
        start, self._first = ("" if self._first else ","), False
        return start.encode() + text

    def end(self) -> bytes:
        """Close the list."""
        return b"]}"


class Csv:
    """RFC 4180: a header line, always there, then the rows; lines end in CR LF, null is an empty field."""

    def __init__(self, query_id: str, schema: pa.Schema) -> None:
        self._names = schema.names

    def begin(self) -> bytes:
        """Write the header."""
        line = io.StringIO()
        csv.writer(line).writerow(self._names)
        return line.getvalue().encode()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write the rows."""
        if not batch.num_rows:
            return b""
        columns = [_csv_text(column) for column in batch.columns]
        return _joined(pc.binary_join_element_wise(*columns, ","), "\r\n") + b"\r\n"

    def end(self) -> bytes:
        """Write nothing."""
        return b""


class GeoJson:
    """A FeatureCollection of the features in the column `feature`, which are GeoJSON text already."""

    def __init__(self, query_id: str, schema: pa.Schema) -> None:
        self._column = schema.get_field_index("feature")
        if self._column < 0:
            raise ValueError("The result holds no column named feature.")
        self._first = True

    def begin(self) -> bytes:
        """Open the list of features."""
        return b'{"type":"FeatureCollection","features":['

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write the features."""
        if not batch.num_rows:
            return b""
        start, self._first = (b"" if self._first else b","), False
        return start + _joined(batch.column(self._column), ",")

    def end(self) -> bytes:
        """Close the list."""
        return b"]}"


class Arrow:
    """An Arrow IPC stream."""

    def __init__(self, query_id: str, schema: pa.Schema) -> None:
        self._sink = _Drain()
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._sink, mode="w"), schema)

    def begin(self) -> bytes:
        """Write the schema, as far as Arrow has."""
        return self._sink.taken()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write one record batch."""
        self._writer.write_batch(batch)
        return self._sink.taken()

    def end(self) -> bytes:
        """Write the end mark."""
        self._writer.close()
        return self._sink.taken()


class Parquet:
    """A Parquet file (zstd), one row group a batch."""

    def __init__(self, query_id: str, schema: pa.Schema) -> None:
        self._sink = _Drain()
        self._writer = pq.ParquetWriter(pa.PythonFile(self._sink, mode="w"), schema, compression="zstd")

    def begin(self) -> bytes:
        """Write the magic number."""
        return self._sink.taken()

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """Write one row group."""
        if batch.num_rows:
            self._writer.write_batch(batch)
        return self._sink.taken()

    def end(self) -> bytes:
        """Write the footer."""
        self._writer.close()
        return self._sink.taken()


FORMATS: dict[str, Format] = {
    "json": Format("application/json", "rows", Json),
    "csv": Format("text/csv; charset=utf-8", "rows", Csv),
    "geojson": Format("application/geo+json", "geo", GeoJson),
    "arrow": Format("application/vnd.apache.arrow.stream", "rows", Arrow),
    "parquet": Format("application/vnd.apache.parquet", "rows", Parquet),
}


class _Drain(io.RawIOBase):
    """A file that is emptied while it is written, so that a large one is never whole in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _finite(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        pc.if_else(pc.is_finite(column), column, pa.scalar(None, column.type))
        if pa.types.is_floating(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _joined(column: pa.Array, separator: str) -> bytes:
    whole = pa.ListArray.from_arrays(pa.array([0, len(column)], pa.int32()), pc.cast(column, pa.string()))
    return pc.binary_join(whole, separator)[0].as_buffer().to_pybytes()


def _free_of(marks: str, column: pa.Array) -> bool:
    """Tell whether a column is text in which no value holds what must be written with care."""
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return text and not pc.any(pc.match_substring_regex(column, marks)).as_py()


def _number_text(column: pa.Array) -> pa.Array | None:
    kind = column.type
    if pa.types.is_floating(kind):
        # Arrow writes 1.0 as 1; a column of floats must stay one for whoever reads the text.
        return pc.replace_substring_regex(pc.cast(column, pa.string()), r"^(-?\d+)$", r"\1.0")
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.string())
    return None


def _json_text(column: pa.Array) -> pa.Array:
    text = _number_text(column)
    if text is None and _free_of(r'["\\\x00-\x1f]', column):
        text = pc.binary_join_element_wise('"', pc.cast(column, pa.string()), '"', "")
    if text is None:
        text = _by_value(column, lambda value: json.dumps(_plain(value), separators=(",", ":")))
    return pc.fill_null(text, "null")


def _csv_text(column: pa.Array) -> pa.Array:
    text = _number_text(column)
    if text is None and _free_of(r'[",\r\n]|^$', column):
        text = pc.cast(column, pa.string())
    if text is None:
        text = _by_value(column, _csv_cell)
    return pc.fill_null(text, "")


def _by_value(column: pa.Array, write: Callable[[Any], str]) -> pa.Array:
    # Places and dates come again and again: each distinct value is written once.
    if pa.types.is_nested(column.type):
        return pa.array([None if value is None else write(value) for value in column.to_pylist()], pa.string())
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    written = [None if value is None else write(value) for value in coded.dictionary.to_pylist()]
    return pa.array(written, pa.string()).take(coded.indices)


def _csv_cell(value: Any) -> str:
    plain = _plain(value)
    text = plain if isinstance(plain, str) else json.dumps(plain)
    if text == "" or any(mark in text for mark in '",\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, bytes):
        # Boundaries as text are WKB in hexadecimal digits, as PostGIS writes them.
        return value.hex().upper()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and value - value != 0:
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
