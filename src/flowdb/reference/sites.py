"""Loading of sites."""

from collections.abc import Mapping
from pathlib import Path

from flowdb.lake import Lake
from flowdb.reference.checks import check_once, check_places, check_service_dates
from flowdb.reference.delivered_csv import read_csv, refuse_other_table, typed_rows
from flowdb.reference.replacement import Loaded, arrow_table, changing, refuse_other_ids
from flowdb.reference.settling import settle_locked
from flowdb.reference.values import Encoding
from flowdb.tables import SITES


def load(
    lake: Lake,
    file: Path,
    columns: Mapping[str, str] | None = None,
    *,
    encoding: Encoding = "utf-8",
    insist: bool = False,
) -> Loaded:
    """Load the sites from a CSV, replacing all former ones, and settle where the sites of cells stand.

    `columns` gives a source column for a target one if the names differ. Raises LakeError naming file, line and
    field.
    """
    content = read_csv(file, encoding)
    if not insist:
        refuse_other_table(content, SITES, columns or {})
    rows, warnings = typed_rows(
        content, SITES, columns, required=("id", "longitude", "latitude"), assumed={"version": 0}
    )
    check_places(rows)
    check_service_dates(rows)
    check_once(rows, ("id", "version"))
    with changing(lake):
        if not insist:
            refuse_other_ids("sites", lake.reference("sites")["id"].to_pylist(), [row["id"] for row in rows])
        lake.replace_reference("sites", arrow_table(rows, SITES), {"source": file.name})
        warnings += settle_locked(lake)
    return Loaded(len(rows), tuple(warnings))
