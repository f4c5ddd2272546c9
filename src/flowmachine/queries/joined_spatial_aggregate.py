"""A metric of the subscribers at each location."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.building.statistic import STATISTICS, commonest
from flowmachine.kind import Cdr, L, Query, Statistic
from flowmachine.release import contributed

if TYPE_CHECKING:
    from flowmachine.kind import JoinableMetrics, ReferenceLocation

OF_CATEGORIES = ("distr", "mode")
"""What can be asked of a metric that is no number."""


class JoinedSpatialAggregate(Query):
    """A statistic of a metric of the subscribers who have each location as theirs.

    Subscribers without the metric or a known location do not count. `stddev` and `variance` are of the sample; of
    equally common values, `mode` is the smallest. One person's value is never published: a published `max` is the
    greatest value that 16 people reach (or as many as the deployment asks for), a published `min` the least that 16
    stay within, a `mode` is published where 16 people share it, and a `sum` where no one makes up too much of it.

    A metric that is no number, a handset, has a `mode`, and a `distr`: the share of each value among the subscribers,
    with `key` the value. A share is published where 16 people make it up. As the shares of a location sum to 1, one
    that is withheld could be told from the others: at least two are withheld, of 16 people together, the next smallest
    too where need be.
    """

    query_kind: Literal["joined_spatial_aggregate"] = "joined_spatial_aggregate"
    locations: Annotated["ReferenceLocation", Field(description="Where each subscriber is.")]
    metric: Annotated["JoinableMetrics", Field(description="A number, or a category, for each subscriber.")]
    method: Annotated[
        Statistic | Literal["distr"],
        Field(description="The statistic of the metric at each location; of a category, distr or mode."),
    ]

    columns: ClassVar = {"location": L, "value": "float64"}
    counts: ClassVar = "subscribers"
    contributions: ClassVar = ("greatest", "rest")
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

    @model_validator(mode="after")
    def _method_fits(self) -> Self:
        if self._of_categories and self.method not in OF_CATEGORIES:
            raise ValueError(
                f"method is {self.method}, but {self.metric.kind} is no number: "
                f"it must be {' or '.join(OF_CATEGORIES)}."
            )
        if not self._of_categories and self.method == "distr":
            raise ValueError(
                f"method is distr, but {self.metric.kind} is a number: "
                f"it must be mode or one of {', '.join(STATISTICS)}."
            )
        return self

    @property
    def _of_categories(self) -> bool:
        return self.metric.role == "CategoricalMetric"

    @property
    def unit(self) -> str | None:
        """The level of the locations; the metric may have one of its own."""
        return self.locations.unit

    @property
    def result_columns(self) -> dict[str, str]:
        """The result's columns: shares are told by category, and the commonest category is text."""
        columns = super().result_columns
        if self.method == "distr":
            columns.pop("value")
            return {**columns, "metric": "string", "key": "string", "value": "float64"}
        return {**columns, "value": "string"} if self._of_categories else columns

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place, or place and category: place, value, subscribers; of shares also metric and key.

        Where rows are published, also what the p-percent rule asks of sums: greatest and rest.
        """
        rows = self._told(cdr)
        if cdr.smallest is None or "rest" in rows.columns:
            return rows
        # Only a sum is made up of what each person brings.
        return rows.mutate(greatest=ibis.literal(0), rest=ibis.literal(0))

    def _told(self, cdr: Cdr) -> ir.Table:
        located, metric = cdr.rows(self.locations), cdr.rows(self.metric)
        joined = located.join(metric, "subscriber").select("subscriber", "place", "value")
        joined = joined.filter(joined.place.notnull(), joined.value.notnull())
        if self.method == "distr":
            return _shares(joined, cdr.smallest)
        if self.method == "mode":
            times = joined.group_by("place", "value").agg(times=joined.count())
            return commonest(times, ["place"]).rename(subscribers="times")
        if self.method == "sum" and cdr.smallest is not None:
            return contributed(joined, ["place"], "value")
        if self.method in ("max", "min") and cdr.smallest is not None:
            return _guarded_extreme(joined, self.method, cdr.smallest)
        return joined.group_by("place").agg(value=STATISTICS[self.method](joined.value), subscribers=joined.count())


def _shares(joined: ir.Table, smallest: int | None) -> ir.Table:
    people = joined.group_by("place", "value").agg(subscribers=joined.count())
    in_place = ibis.window(group_by="place")
    shares = people.mutate(share=people.subscribers / people.subscribers.sum().over(in_place))
    if smallest is not None:
        shares = _withheld_in_twos(shares, smallest)
    return shares.select(
        "place", "subscribers", metric=ibis.literal("value"), key=shares["value"].cast("string"), value=shares.share
    )


def _withheld_in_twos(shares: ir.Table, smallest: int) -> ir.Table:
    """The categories that may be told: withheld are, from the smallest on, none, or at least two of enough people."""
    ascending = ibis.window(group_by="place", order_by=["subscribers", "value"])
    before = ibis.window(group_by="place", order_by=["subscribers", "value"], rows=(None, -1))
    ranked = shares.mutate(
        fewest=shares.subscribers.min().over(group_by="place"),
        smaller=ibis.row_number().over(ascending),
        hidden=ibis.coalesce(shares.subscribers.sum().over(before), 0),
    )
    # Those before a category are withheld if it is told: they must be two, and enough together.
    covered = (ranked.subscribers >= smallest) & (ranked.smaller >= 2) & (ranked.hidden >= smallest)
    return ranked.filter((ranked.fewest >= smallest) | covered)


def _guarded_extreme(joined: ir.Table, method: str, smallest: int) -> ir.Table:
    order = joined.value.desc() if method == "max" else joined.value.asc()
    ranked = joined.mutate(rank=ibis.row_number().over(group_by="place", order_by=[order, joined.subscriber]))
    reached = ranked.filter(ranked["rank"] == smallest - 1)
    return reached.select("place", "value", subscribers=ibis.literal(smallest))
