"""Whether the cells that events name are loaded."""

import datetime as dt
from dataclasses import dataclass

from flowkit.deployment import Deployment


@dataclass(frozen=True)
class UnknownCells:
    """The events of one day at cells that are not loaded: no answer that has a place counts them."""

    event_type: str
    day: dt.date
    share: float
    """The share of the day's events, from 0 to 1."""

    def __str__(self) -> str:
        return f"{self.share:.0%} of the {self.event_type} of {self.day} are at cells that are not loaded"


def newest_days(deployment: Deployment) -> list[UnknownCells]:
    """The newest day of each event type in the lake that has events."""
    lake = deployment.lake
    days = [lake_days[max(lake_days)] for lake_days in lake.snapshot().days.values() if lake_days]
    if not any(day.rows for day in days):
        return []
    from flowdb.bounded_duckdb import open_duckdb

    connection = open_duckdb(lake.path / "tmp", memory_limit="1GB")
    try:
        connection.register("cells", lake.reference("cells").select(["id"]))
        shares = []
        for day in days:
            if day.rows:
                # Settled visits are the same events at the same cells, in far fewer rows.
                visits = len(day.visits) == len(day.files)
                files, events = (day.visits, "sum(events)") if visits else (day.files, "count(*)")
                (share,) = connection.execute(
                    f"SELECT coalesce({events} FILTER (location_id NOT IN (SELECT id FROM cells)), 0) / {events} "  # noqa: S608 - fixed text
                    "FROM read_parquet($files)",
                    {"files": [str(file) for file in files]},
                ).fetchone() or (0,)
                shares.append(UnknownCells(day.event_type, day.day, float(share or 0)))
        return shares
    finally:
        connection.close()
