"""Loading of sites."""

from collections.abc import Mapping
from pathlib import Path

from flowdb.lake import Lake
from flowdb.reference.checks import check_once, check_places, check_service_dates
from flowdb.reference.delivered_csv import read_rows
from flowdb.reference.replacement import Loaded, arrow_table, changing
from flowdb.reference.settling import settle_held
from flowdb.tables import SITES


def load(lake: Lake, file: Path, columns: Mapping[str, str] | None = None) -> Loaded:
    """Load the sites from a CSV, in place of all former ones, and settle where the sites of cells stand.

    `columns` gives a source column for a target one where the names differ. Raises LakeError naming file, line and
    field.
    """
    rows, warnings = read_rows(file, SITES, columns or {}, ("id", "version", "longitude", "latitude"))
    check_places(rows)
    check_service_dates(rows)
    check_once(rows, ("id", "version"))
    with changing(lake):
        lake.replace_reference("sites", arrow_table(rows, SITES), {"source": file.name})
        warnings += settle_held(lake)
    return Loaded(len(rows), tuple(warnings))
