"""How a metric is distributed over all subscribers."""

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from flowmachine.kind import Cdr, Query

if TYPE_CHECKING:
    from flowmachine.kind import HistogrammableMetrics


class Bounds(BaseModel):
    """The lowest and the highest value that are counted."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    lower_bound: Annotated[float, Field(description="The lowest value.")]
    upper_bound: Annotated[float, Field(description="The highest value, inclusive.")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.lower_bound >= self.upper_bound:
            raise ValueError("lower_bound must be less than upper_bound.")
        return self


class HistogramBins(BaseModel):
    """The bins: a number of equal ones, or a list of edges."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    n_bins: Annotated[int | None, Field(ge=1, le=1000, description="How many bins of equal width.")] = None
    bin_list: Annotated[
        tuple[float, ...] | None, Field(min_length=2, max_length=1001, description="The edges of the bins, ascending.")
    ] = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.n_bins is None) == (self.bin_list is None):
            raise ValueError("Give either n_bins or bin_list.")
        if self.bin_list and any(a >= b for a, b in zip(self.bin_list, self.bin_list[1:], strict=False)):
            raise ValueError("The edges of bin_list must ascend.")
        return self


def _as_bounds(bounds: Any) -> Any:
    # The published client sends a pair, which FlowKit's server does not accept.
    if isinstance(bounds, list | tuple) and len(bounds) == 2:
        return {"lower_bound": bounds[0], "upper_bound": bounds[1]}
    return bounds


class HistogramAggregate(Query):
    """How many subscribers have a metric in each bin.

    A bin holds its lower edge and not its upper one; the last bin holds both. Without a range, equal bins span the
    metric's least to greatest value. If one bin stands for too few people, all are suppressed.
    """

    query_kind: Literal["histogram_aggregate"] = "histogram_aggregate"
    metric: Annotated["HistogrammableMetrics", Field(description="A number for each subscriber.")]
    bins: Annotated[HistogramBins, Field(description="The bins.")]
    range: Annotated[
        Bounds | None, BeforeValidator(_as_bounds), Field(description="What equal bins span; left out: all values.")
    ] = None

    columns: ClassVar = {"value": "int64", "lower_edge": "float64", "upper_edge": "float64"}
    counts: ClassVar = "value"
    suppressed_together: ClassVar = ()
    example: ClassVar = {
        "query_kind": "histogram_aggregate",
        "metric": {"query_kind": "event_count", "start_date": "2016-01-01", "end_date": "2016-01-08"},
        "bins": {"n_bins": 5},
        "range": {"lower_bound": 0, "upper_bound": 100},
    }

    @property
    def unit(self) -> str | None:
        """None: people are counted without regard to locations."""
        return None

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a bin: value, lower_edge, upper_edge."""
        metric = cdr.rows(self.metric)
        metric = metric.select(x=metric.value.cast("float64"))
        edges = self._listed() if self.bins.bin_list else self._equal(metric)
        last = len(self.bins.bin_list) - 2 if self.bins.bin_list else (self.bins.n_bins or 0) - 1
        counted = metric.join(
            edges,
            [
                metric.x >= edges.lower_edge,
                (metric.x < edges.upper_edge) | ((edges.bin == last) & (metric.x <= edges.upper_edge)),
            ],
        )
        counted = counted.group_by("bin").agg(value=counted.count())
        binned = edges.left_join(counted, "bin")
        return binned.select(
            value=ibis.coalesce(binned.value, 0), lower_edge=binned.lower_edge, upper_edge=binned.upper_edge
        )

    def _listed(self) -> ir.Table:
        edges = self.bins.bin_list or ()
        bins = [
            ibis.literal(n).name("bin").as_table().mutate(lower_edge=ibis.literal(low), upper_edge=ibis.literal(high))
            for n, (low, high) in enumerate(pairwise(edges))
        ]
        return ibis.union(*bins) if len(bins) > 1 else bins[0]

    def _equal(self, metric: ir.Table) -> ir.Table:
        n = self.bins.n_bins or 0
        bins = ibis.range(0, n).unnest().name("bin").as_table()
        if self.range:
            bins = bins.mutate(lo=ibis.literal(self.range.lower_bound), hi=ibis.literal(self.range.upper_bound))
        else:
            bins = bins.cross_join(metric.aggregate(lo=metric.x.min(), hi=metric.x.max()))
            bins = bins.filter(bins.lo.notnull())
        width = (bins.hi - bins.lo) / n
        return bins.select(
            bin=bins.bin,
            lower_edge=bins.lo + bins.bin * width,
            # The last edge is the bound itself: a computed edge could be smaller and exclude the greatest value.
            upper_edge=(bins.bin == n - 1).ifelse(bins.hi, bins.lo + (bins.bin + 1) * width),
        )
