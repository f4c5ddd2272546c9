"""Loading of cells."""

import datetime as dt
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from flowdb.lake import Lake, LakeError
from flowdb.reference.checks import SINCE_EVER, STILL
from flowdb.reference.loading import load_csv
from flowdb.reference.replacement import Loaded
from flowdb.reference.values import Encoding
from flowdb.tables import CELLS


def load(
    lake: Lake,
    file: Path,
    columns: Mapping[str, str] | None = None,
    *,
    encoding: Encoding = "utf-8",
    overlaps: Literal["refuse", "cut"] = "refuse",
    insist: bool = False,
) -> Loaded:
    """Load the cells from a CSV, replacing all former ones, and settle their positions and units.

    `columns` gives a source column for a target one if the names differ. Service dates of versions of one cell
    that overlap are refused, or, with `overlaps="cut"`, the earlier version ends the day before the later begins.
    Raises LakeError naming file, line and field.
    """
    return load_csv(
        lake,
        file,
        CELLS,
        columns,
        encoding=encoding,
        insist=insist,
        check=lambda rows: _part_versions(file, rows, overlaps),
    )


def _part_versions(file: Path, rows: list[dict[str, Any]], overlaps: Literal["refuse", "cut"]) -> list[str]:
    """Check that no two versions of a cell serve on one day; with `overlaps="cut"`, end the earlier ones sooner."""

    def start(row: dict[str, Any]) -> dt.date:
        return row.get("date_of_first_service") or SINCE_EVER

    cut = 0
    ordered = sorted(rows, key=lambda r: (r["id"], start(r), r["version"]))
    for earlier, later in itertools.pairwise(ordered):
        if earlier["id"] != later["id"] or (earlier.get("date_of_last_service") or STILL) < start(later):
            continue
        what = f"{later['where']}: versions {earlier['version']} and {later['version']}"
        if start(earlier) == start(later):
            since = later.get("date_of_first_service") or "no first day of service"
            raise LakeError(f"{what} of cell {later['id']} both begin on {since}: give each version its own days.")
        if overlaps == "refuse":
            raise LakeError(
                f"{what} of cell {later['id']} are both in service on {start(later)}: mend the dates, or let the "
                "earlier version end where the later begins (overlaps: cut)."
            )
        earlier["date_of_last_service"] = start(later) - dt.timedelta(days=1)
        cut += 1
    return [f"{file.name}: {cut} versions of cells were cut short where the next begins."] if cut else []
