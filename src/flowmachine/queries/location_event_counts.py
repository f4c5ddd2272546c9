"""How many events there were at each location in each interval."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import BeforeValidator, Field

from flowmachine.cdr import Cdr
from flowmachine.parameters import AtHours, Directed, InUnit, Window
from flowmachine.query import L

INTERVALS: dict[str, tuple[str, ...]] = {"day": ("date",), "hour": ("date", "hour"), "min": ("date", "hour", "min")}


def _as_min(interval: Any) -> Any:
    # The published client's help says minute, which its server never took.
    return "min" if interval == "minute" else interval


class LocationEventCounts(Window, InUnit, Directed, AtHours):
    """How many events there were at each location, each day, hour or minute.

    Intervals are of local time. A row is published where enough different subscribers stand behind it.
    """

    query_kind: Literal["location_event_counts"] = "location_event_counts"
    interval: Annotated[
        Literal["day", "hour", "min"], BeforeValidator(_as_min), Field(description="Count by day, hour or minute.")
    ]

    columns: ClassVar = {"location": L, "date": "string", "hour": "int32", "min": "int32", "value": "int64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "location_event_counts",
        "start_date": "2016-01-01",
        "end_date": "2016-01-03",
        "interval": "day",
        "aggregation_unit": "admin3",
    }

    @property
    def result_columns(self) -> dict[str, str]:
        """The result's columns: the interval says how far time is told."""
        told = {"date", *INTERVALS[self.interval]}
        return {
            name: kind for name, kind in super().result_columns.items() if name in told or name not in ("hour", "min")
        }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place and interval: place, date, hour, min, value, and subscribers where rows are published."""
        keys = INTERVALS[self.interval]
        times = ["day", *(["minute"] if len(keys) > 1 else [])]
        if cdr.smallest is not None:
            # By subscriber first: counting people is then a plain count.
            seen = _told(cdr.located(self, *times), keys, "subscriber")
            each = seen.group_by("subscriber", "place", *keys).agg(events=seen.count())
            people = {"subscribers": each.count()}
        else:
            # By cell first, as no people need be counted: few rows are left to place.
            seen = cdr.events(self, "location_id", *times)
            at_cells = seen.group_by("location_id", *times).agg(events=seen.count())
            each = _told(cdr.placed(at_cells, self.aggregation_unit, self.windows), keys, "events")
            people = {}
        counted = each.group_by("place", *keys).agg(value=each.events.sum(), **people)
        return counted.mutate(date=counted.date.cast("string"))


def _told(seen: ir.Table, keys: Sequence[str], also: str) -> ir.Table:
    """Rows with the interval's columns in place of day and minute."""
    told: dict[str, Any] = {"date": seen.day}
    if "hour" in keys:
        told["hour"] = (seen.minute // 60).cast("int32")
    if "min" in keys:
        told["min"] = (seen.minute % 60).cast("int32")
    return seen.select(also, "place", **told)
