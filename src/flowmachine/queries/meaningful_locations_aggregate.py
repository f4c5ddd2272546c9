"""How many subscribers have a meaningful location in each area."""

from typing import Annotated, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building.clusters import clusters, placed
from flowmachine.kind import Cdr, L, Window
from flowmachine.labels import Label
from flowmachine.questions.clusters import EXAMPLE, OfClusters


class MeaningfulLocationsAggregate(Window, OfClusters):
    """How many subscribers have a cluster of sites with a label, such as their home, in each area.

    Sites that a subscriber was seen at are drawn together: in the order of the days with an event there, of equals by
    the site's id and version, each joins the first cluster whose centre is nearer than the radius, or founds a new
    one. A cell without a site is one by itself. A cluster's centre is the mean position of its sites weighted by days;
    its score the mean of its sites' scores, and a site's score the mean of its events', one by the hour and one by the
    day of the week. Clusters with fewer days than the threshold are left out. A cluster has the label whose polygon
    strictly contains its score, to six decimals; `unknown` is that of all others. A subscriber with several clusters
    of the label counts in parts that add up to one. A centre in no area, or exactly on a border, is counted where the
    location is empty. Source: Isaacman et al. (2011), doi:10.1007/978-3-642-21726-5_9, with FlowKit's scores.
    """

    query_kind: Literal["meaningful_locations_aggregate"] = "meaningful_locations_aggregate"
    label: Annotated[Label, Field(description="The label to count: one of labels, or unknown.")]

    revision: ClassVar[int] = 2
    columns: ClassVar = {"label": "string", "location": L, "value": "float64"}
    counts: ClassVar = "subscribers"
    example: ClassVar = {
        "query_kind": "meaningful_locations_aggregate",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "label": "evening",
        **EXAMPLE,
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a place: label, place, value, subscribers."""
        rows = clusters(cdr, self, self.windows)
        rows = placed(cdr, self, rows.filter(self.labels.matches(self.label, rows.hour, rows.weekday)))
        counted = rows.group_by("place").agg(value=rows.share.sum(), subscribers=rows.count())
        return counted.mutate(label=ibis.literal(self.label))
