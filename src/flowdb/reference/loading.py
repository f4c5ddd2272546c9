"""Loading of network objects and handset models: a delivered CSV replaces the rows of a reference table."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flowdb.lake import Lake
from flowdb.reference.checks import check_once, check_places, check_service_dates
from flowdb.reference.delivered_csv import read_csv, refuse_other_table, typed_rows
from flowdb.reference.replacement import Loaded, arrow_table, changing, refuse_other_ids
from flowdb.reference.settling import settle_locked
from flowdb.reference.values import Encoding
from flowdb.tables import Table

Rows = list[dict[str, Any]]


def load_csv(
    lake: Lake,
    file: Path,
    table: Table,
    columns: Mapping[str, str] | None,
    *,
    encoding: Encoding,
    insist: bool,
    check: Callable[[Rows], list[str]] = lambda _: [],
) -> Loaded:
    """Load a table from a CSV, replacing all its rows; if it has places, settle what derives from them.

    `columns` gives a source column for a target one if the names differ. `check` gives warnings about the rows, or
    raises LakeError. Raises LakeError naming file, line and field.
    """
    content = read_csv(file, encoding)
    if not insist:
        refuse_other_table(content, table, columns or {})
    versioned, placed = "version" in table, "longitude" in table
    required = ("id", "longitude", "latitude") if placed else ("id",)
    rows, warnings = typed_rows(
        content, table, columns, required=required, assumed={"version": 0} if versioned else None
    )
    if placed:
        check_places(rows)
        check_service_dates(rows)
    check_once(rows, ("id", "version") if versioned else ("id",))
    warnings += check(rows)
    with changing(lake):
        if not insist:
            refuse_other_ids(table.name, lake.reference(table.name)["id"].to_pylist(), [row["id"] for row in rows])
        lake.replace_reference(table.name, arrow_table(rows, table), {"source": file.name})
        if placed:
            warnings += settle_locked(lake)
    return Loaded(len(rows), tuple(warnings))
