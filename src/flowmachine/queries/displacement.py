"""How far each subscriber's events are from the subscriber's reference location."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.building.geodesy import distance
from flowmachine.building.statistic import weighted
from flowmachine.kind import AtHours, Cdr, OfEvents, Role, Sampled, Statistic, Window

if TYPE_CHECKING:
    from flowmachine.kind import ReferenceLocation

DECIMALS = 6
"""Kilometres are rounded to the millimetre, so that equal distances are equal on every engine."""


class Displacement(Window, OfEvents, AtHours, Sampled):
    """A statistic of how far each subscriber's events are from the subscriber's reference location, in km.

    Every event at a known place counts, with the geodesic distance on WGS84 of its cell. Subscribers without a
    reference location are absent; those whose reference location is recorded as nowhere are at no distance from it, as
    in FlowKit. `stddev` and `variance` are of the sample: a subscriber with one event has none and is absent. Of
    equally common distances, `mode` is the smallest.
    """

    query_kind: Literal["displacement"] = "displacement"
    statistic: Annotated[Statistic, Field(description="The statistic of each subscriber's distances.")]
    reference_location: Annotated[
        "ReferenceLocation", Field(description="Where each subscriber is at home; its unit is lon-lat.")
    ]

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "float64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "displacement",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "statistic": "avg",
        "reference_location": {
            "query_kind": "daily_location",
            "date": "2016-01-01",
            "aggregation_unit": "lon-lat",
            "method": "last",
        },
    }

    @model_validator(mode="after")
    def _at_points(self) -> Self:
        if self.reference_location.unit != "lon-lat":
            raise ValueError(
                f"reference_location is of {self.reference_location.unit}: distances are between points, "
                "so its aggregation_unit must be lon-lat."
            )
        return self

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        # A distance is computed once per subscriber and place, and weighted by the number of events.
        visits = cdr.visited_points(self).rename(weight="events")
        home = cdr.rows(self.reference_location).rename(home="place").select("subscriber", "home")
        places = cdr.tables.reference("places")
        points = places.filter(places.unit == "lon-lat").select("place", "lon", "lat")
        homes = points.rename(home="place", home_lon="lon", home_lat="lat")
        apart = visits.join(home, "subscriber").join(points, "place").left_join(homes, "home")
        apart = apart.select("subscriber", "weight", "home_lon", "home_lat", "lon", "lat")
        # Without a reference place, `distance` is 0 too. No condition is around it: DuckDB would repeat its terms.
        far = distance(apart.home_lon, apart.home_lat, apart.lon, apart.lat) / 1000
        if self.statistic == "mode":
            far = far.round(DECIMALS)
        return weighted(apart.select("subscriber", "weight", value=far), ["subscriber"], self.statistic)
