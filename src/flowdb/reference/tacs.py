"""Loading of handset models."""

from collections.abc import Mapping
from pathlib import Path

from flowdb.lake import Lake
from flowdb.reference.checks import check_once
from flowdb.reference.delivered_csv import read_rows
from flowdb.reference.replacement import Loaded, arrow_table, changing
from flowdb.tables import TACS


def load(lake: Lake, file: Path, columns: Mapping[str, str] | None = None) -> Loaded:
    """Load the handset models from a CSV, in place of all former ones.

    `columns` gives a source column for a target one where the names differ. Raises LakeError naming file, line and
    field.
    """
    rows, warnings = read_rows(file, TACS, columns or {}, ("id",))
    check_once(rows, ("id",))
    with changing(lake):
        lake.replace_reference("tacs", arrow_table(rows, TACS), {"source": file.name})
    return Loaded(len(rows), tuple(warnings))
