"""A metric of the subscribers at each location."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.cdr import Cdr
from flowmachine.parameters import Statistic
from flowmachine.query import L, Query

if TYPE_CHECKING:
    from flowmachine.query import JoinableMetrics, ReferenceLocation


class JoinedSpatialAggregate(Query):
    """A statistic of a metric of the subscribers who have each location as theirs.

    Subscribers without the metric do not count. `stddev` and `variance` are of the sample; of equally common values,
    `mode` is the smallest. One person's value is never published: a published `max` is the greatest value that 16
    people reach (or as many as the deployment asks for), a published `min` the least that 16 stay within, and a
    `mode` is published where 16 people share it.
    """

    query_kind: Literal["joined_spatial_aggregate"] = "joined_spatial_aggregate"
    locations: Annotated["ReferenceLocation", Field(description="Where each subscriber is.")]
    metric: Annotated["JoinableMetrics", Field(description="A number for each subscriber.")]
    method: Annotated[Statistic, Field(description="The statistic of the metric at each location.")]

    columns: ClassVar = {"location": L, "value": "float64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "joined_spatial_aggregate",
        "locations": {
            "query_kind": "daily_location",
            "date": "2016-01-01",
            "aggregation_unit": "admin1",
            "method": "last",
        },
        "metric": {"query_kind": "radius_of_gyration", "start_date": "2016-01-01", "end_date": "2016-01-08"},
        "method": "avg",
    }

    @property
    def unit(self) -> str | None:
        """The level of the locations; the metric may have one of its own."""
        return self.locations.unit

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: place, value, subscribers."""
        located, metric = cdr.rows(self.locations), cdr.rows(self.metric)
        joined = located.join(metric, "subscriber").select("subscriber", "place", "value")
        if self.method == "mode":
            return _mode(cdr, joined)
        if self.method in ("max", "min") and cdr.smallest is not None:
            return _guarded_extreme(joined, self.method, cdr.smallest)
        return joined.group_by("place").agg(value=_STATISTICS[self.method](joined.value), subscribers=joined.count())


_STATISTICS: dict[str, Any] = {
    "count": lambda value: value.count(),
    "sum": lambda value: value.sum(),
    "avg": lambda value: value.mean(),
    "max": lambda value: value.max(),
    "min": lambda value: value.min(),
    "median": lambda value: value.median(),
    "stddev": lambda value: value.std(how="sample"),
    "variance": lambda value: value.var(how="sample"),
}


def _mode(cdr: Cdr, joined: ir.Table) -> ir.Table:
    times = joined.group_by("place", "value").agg(times=joined.count())
    times = times.mutate(smallest_first=-times.value)
    commonest = cdr.best(times, ["place"], ["times", "smallest_first"], keep="value")
    shared = times.join(commonest, ["place", "value"])
    if cdr.smallest is not None:
        return shared.select("place", "value", subscribers=shared.times)
    people = joined.group_by("place").agg(subscribers=joined.count())
    return shared.join(people, "place").select("place", "value", "subscribers")


def _guarded_extreme(joined: ir.Table, method: str, smallest: int) -> ir.Table:
    order = joined.value.desc() if method == "max" else joined.value.asc()
    ranked = joined.mutate(rank=ibis.row_number().over(group_by="place", order_by=[order, joined.subscriber]))
    reached = ranked.filter(ranked["rank"] == smallest - 1)
    return reached.select("place", "value", subscribers=ibis.literal(smallest))
