"""What must hold of delivered rows: each key once, positions on earth, service dates in order."""

import datetime as dt
from typing import Any

from flowdb.lake import LakeError

SINCE_EVER = dt.date(1, 1, 1)
"""The first day in service where none is delivered."""
STILL = dt.date(9999, 12, 31)
"""The last day in service where none is delivered."""


def check_places(rows: list[dict[str, Any]]) -> None:
    """Raise LakeError where longitude and latitude are not on earth, or only one of them is given."""
    for row in rows:
        for name, limit in (("longitude", 180), ("latitude", 90)):
            value = row[name]
            if value is not None and abs(value) > limit:
                raise LakeError(
                    f"{row['where']}: {name} {value:g} is not between -{limit} and {limit}; "
                    "if the two are exchanged, load it with --map longitude=latitude --map latitude=longitude."
                )
        if (row["longitude"] is None) != (row["latitude"] is None):
            given, empty = sorted(("longitude", "latitude"), key=lambda n: row[n] is None)
            raise LakeError(f"{row['where']}: {given} is given but {empty} is empty.")


def check_service_dates(rows: list[dict[str, Any]]) -> None:
    """Raise LakeError if a row's last day in service is before its first."""
    for row in rows:
        first, last = row.get("date_of_first_service"), row.get("date_of_last_service")
        if first and last and last < first:
            raise LakeError(f"{row['where']}: date_of_last_service {last} is before date_of_first_service {first}.")


def check_once(rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Raise LakeError where two rows have the same values of these columns."""
    seen: dict[tuple[Any, ...], int] = {}
    for row in rows:
        values = tuple(row[n] for n in names)
        if values in seen:
            what = ", ".join(f"{n} {v}" for n, v in zip(names, values, strict=True))
            raise LakeError(f"{row['where']}: {what} stands in line {seen[values]} already.")
        seen[values] = row["line"]
