"""Loading of handset models."""

from collections.abc import Mapping
from pathlib import Path

from flowdb.lake import Lake
from flowdb.reference.checks import check_once
from flowdb.reference.delivered_csv import read_csv, refuse_other_table, typed_rows
from flowdb.reference.replacement import Loaded, arrow_table, changing, refuse_other_ids
from flowdb.reference.values import Encoding
from flowdb.tables import TACS


def load(
    lake: Lake,
    file: Path,
    columns: Mapping[str, str] | None = None,
    *,
    encoding: Encoding = "utf-8",
    insist: bool = False,
) -> Loaded:
    """Load the handset models from a CSV, replacing all former ones.

    `columns` gives a source column for a target one if the names differ. Raises LakeError naming file, line and
    field.
    """
    content = read_csv(file, encoding)
    if not insist:
        refuse_other_table(content, TACS, columns or {})
    rows, warnings = typed_rows(content, TACS, columns, required=("id",))
    check_once(rows, ("id",))
    with changing(lake):
        if not insist:
            refuse_other_ids("tacs", lake.reference("tacs")["id"].to_pylist(), [row["id"] for row in rows])
        lake.replace_reference("tacs", arrow_table(rows, TACS), {"source": file.name})
    return Loaded(len(rows), tuple(warnings))
