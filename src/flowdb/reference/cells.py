"""Loading of cells."""

import datetime as dt
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from flowdb.lake import Lake, LakeError
from flowdb.reference.checks import SINCE_EVER, STILL, check_once, check_places, check_service_dates
from flowdb.reference.delivered_csv import read_csv, refuse_other_table, typed_rows
from flowdb.reference.replacement import Loaded, arrow_table, changing, refuse_other_ids
from flowdb.reference.settling import settle_locked
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
    content = read_csv(file, encoding)
    if not insist:
        refuse_other_table(content, CELLS, columns or {})
    rows, warnings = typed_rows(
        content, CELLS, columns, required=("id", "longitude", "latitude"), assumed={"version": 0}
    )
    check_places(rows)
    check_service_dates(rows)
    check_once(rows, ("id", "version"))
    warnings += _part_versions(file, rows, overlaps)
    with changing(lake):
        if not insist:
            refuse_other_ids("cells", lake.reference("cells")["id"].to_pylist(), [row["id"] for row in rows])
        lake.replace_reference("cells", arrow_table(rows, CELLS), {"source": file.name})
        warnings += settle_locked(lake)
    return Loaded(len(rows), tuple(warnings))


def _part_versions(file: Path, rows: list[dict[str, Any]], overlaps: Literal["refuse", "cut"]) -> list[str]:
    """See that no two versions of a cell serve on one day; cut the earlier ones where told so."""

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
