"""Loading of sites."""

from collections.abc import Mapping
from pathlib import Path

from flowdb.lake import Lake
from flowdb.reference.loading import load_csv
from flowdb.reference.replacement import Loaded
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
    return load_csv(lake, file, SITES, columns, encoding=encoding, insist=insist)
