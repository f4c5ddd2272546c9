"""CSV files that appear only when they are complete."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

# No value here contains a comma or a quote; pyarrow refuses one that does.
_OPTIONS = csv.WriteOptions(include_header=False, quoting_style="none")


@contextmanager
def csv_writer(path: Path, schema: pa.Schema) -> Iterator[csv.CSVWriter]:
    """Open a file for tables of one schema; it gets its name when all of them are written."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        # pyarrow puts quotes around every column name; operators do not.
        file.write((",".join(schema.names) + "\n").encode())
        with csv.CSVWriter(file, schema, write_options=_OPTIONS) as writer:
            yield writer
    part.replace(path)


def write_table(table: pa.Table, path: Path) -> None:
    """Write one table with its header."""
    with csv_writer(path, table.schema) as writer:
        writer.write_table(table)
