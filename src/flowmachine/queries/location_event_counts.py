"""How many events there were at each location in each interval."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import AliasChoices, BeforeValidator, Field

from flowmachine.kind import AtHours, Cdr, Directed, InUnit, L, Window

INTERVALS: dict[str, tuple[str, ...]] = {"day": ("date",), "hour": ("date", "hour"), "min": ("date", "hour", "min")}


def _as_min(interval: Any) -> Any:
    # The published client's help says minute, which FlowKit's server does not accept.
    return "min" if interval == "minute" else interval


class LocationEventCounts(Window, InUnit, Directed, AtHours):
    """How many events there were at each location, each day, hour or minute.

    Intervals are of local time. A row is published where enough different subscribers stand behind it.
    """

    query_kind: Literal["location_event_counts"] = "location_event_counts"
    interval: Annotated[
        Literal["day", "hour", "min"],
        BeforeValidator(_as_min),
        # FlowKit's client calls it count_interval, its server interval.
        Field(description="Count by day, hour or minute.", validation_alias=AliasChoices("interval", "count_interval")),
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
        """The result's columns: the interval decides which columns of time there are."""
        shown = {"date", *INTERVALS[self.interval]}
        return {
            name: kind for name, kind in super().result_columns.items() if name in shown or name not in ("hour", "min")
        }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place and interval: place, date, hour, min, value, subscribers."""
        keys = INTERVALS[self.interval]
        if keys == INTERVALS["day"]:
            times = ["day"]
            seen = cdr.visits(self, "location_id", "day", "events")
        else:
            times = ["day", "minute"]
            seen = cdr.events(self, "location_id", *times).mutate(events=ibis.literal(1, "int32"))
        each = _by_interval(cdr.placed(seen, self), keys, "events", "subscriber")
        counted = each.group_by("place", *keys).agg(value=each.events.sum(), subscribers=each.subscriber.nunique())
        return counted.mutate(date=counted.date.cast("string"))


def _by_interval(seen: ir.Table, keys: Sequence[str], *also: str) -> ir.Table:
    """Rows with the interval's columns in place of day and minute."""
    times: dict[str, Any] = {"date": seen.day}
    if "hour" in keys:
        times["hour"] = (seen.minute // 60).cast("int32")
    if "min" in keys:
        times["min"] = (seen.minute % 60).cast("int32")
    return seen.select(*also, "place", **times)
