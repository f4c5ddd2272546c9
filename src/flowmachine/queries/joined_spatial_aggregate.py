"""A metric of the subscribers at each location."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.building.contributions import Summary
from flowmachine.building.statistic import STATISTICS
from flowmachine.kind import Cdr, L, Query, Statistic

if TYPE_CHECKING:
    from flowmachine.kind import JoinableMetrics, ReferenceLocation

OF_CATEGORIES = ("distr", "mode")
"""The methods for a metric that is no number."""


class JoinedSpatialAggregate(Query):
    """A statistic of a metric of the subscribers who have each location as theirs.

    Subscribers without the metric or a known location do not count. `stddev` and `variance` are of the sample; of
    equally common values, `mode` is the smallest. One person's value is never published: a published `max` is the
    greatest value that 16 people reach (or as many as the deployment asks for), a published `min` the least that 16
    stay within, a `mode` is published where 16 people share it. A `sum` is published where no one makes up too much of
    it, and so are `avg`, `stddev` and `variance`, which tell the sum to whoever knows the number of people.

    A metric that is no number, a handset, has a `mode`, and a `distr`: the share of each value among the subscribers,
    with `key` the value. A share is published where 16 people make it up. As the shares of a location sum to 1, one
    that is withheld could be computed from the others: at least two are withheld, of 16 people together, the next
    smallest too if needed.
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
        """The level of the locations; the metric may have another."""
        return self.locations.unit

    @property
    def result_columns(self) -> dict[str, str]:
        """The result's columns: shares have the category as `key`, and the most common category is text."""
        columns = super().result_columns
        if self.method == "distr":
            columns.pop("value")
            return {**columns, "metric": "string", "key": "string", "value": "float64"}
        return {**columns, "value": "string"} if self._of_categories else columns

    @property
    def summary(self) -> Summary:
        """The method, of the metrics of the subscribers at each place."""
        return Summary(("place",), self.method)

    @property
    def shares(self) -> tuple[str, ...] | None:
        """The shares of a place add up to 1."""
        return ("place", "key") if self.method == "distr" else None

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: place, subscriber, value."""
        located, metric = cdr.rows(self.locations), cdr.rows(self.metric)
        joined = located.join(metric, "subscriber").select("subscriber", "place", "value")
        return joined.filter(joined.place.notnull(), joined.value.notnull())
