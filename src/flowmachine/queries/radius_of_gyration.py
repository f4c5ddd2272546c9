"""How far each subscriber's events spread."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.building.geodesy import centres, distance
from flowmachine.building.places import points
from flowmachine.kind import AtHours, Cdr, OfEvents, Role, Sampled, Window


class RadiusOfGyration(Window, OfEvents, AtHours, Sampled):
    """How far each subscriber's events spread: the root mean square distance from their centre, in km.

    The centre is the mean longitude and latitude of the subscriber's events, across the meridian of 180 degrees too;
    distances are geodesic on WGS84. Source: González, Hidalgo and Barabási (2008), doi:10.1038/nature06958, with
    FlowKit's centre.
    """

    query_kind: Literal["radius_of_gyration"] = "radius_of_gyration"

    revision: ClassVar[int] = 2
    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "float64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "radius_of_gyration",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        # Many events are at few places: distances are computed once per place, weighted by its events.
        visits = cdr.visited_points(self)
        visits = visits.mutate(events=visits.events.cast("float64"))
        at = cdr.once(points(cdr.tables, visits))
        far = at.join(centres(at, ["subscriber"], "events"), "subscriber")
        far = far.mutate(km=distance(far.lon, far.lat, far.lon0, far.lat0) / 1000)
        return far.group_by("subscriber").agg(value=((far.km * far.km * far.events).sum() / far.events.sum()).sqrt())
