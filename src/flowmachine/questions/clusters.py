"""Parameters of meaningful locations: how sites become clusters, and clusters get labels."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from flowdb.tables import LEVELS, POINTS
from flowmachine.labels import HourScores, Labels, WeekdayScores
from flowmachine.questions.columns import L
from flowmachine.questions.events import OfEvents
from flowmachine.questions.places import InUnit


class OfClusters(InUnit, OfEvents):
    """How sites become clusters, and clusters get labels."""

    needs_of_engine: ClassVar[tuple[str, ...]] = ("has_clusters",)

    labels: Annotated[
        Labels,
        Field(
            description="Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the "
            "day of the week. They lie apart; a score in none of them is labelled unknown."
        ),
    ]
    tower_hour_of_day_scores: HourScores
    tower_day_of_week_scores: Annotated[
        WeekdayScores, Field(description="How an event scores by its day of the week: a number from -1 to 1 for each.")
    ]
    tower_cluster_radius: Annotated[
        float, Field(ge=0, le=1000, description="How near to a cluster's centre a site must be to join it, in km.")
    ] = 1.0
    tower_cluster_call_threshold: Annotated[
        int, Field(ge=0, lt=2**31, description="On how many days a cluster's sites must be called from, each added up.")
    ] = 0

    @field_validator("aggregation_unit")
    @classmethod
    def _an_area(cls, unit: str) -> str:
        if unit in POINTS:
            raise ValueError(
                f"It is {unit!r}, which are points, and a cluster lies in an area. Must be one of: "
                f"{', '.join(LEVELS)}, or a level of the deployment's own."
            )
        return unit

    @field_validator("mapping_table")
    @classmethod
    def _no_mapping(cls, table: str | None) -> str | None:
        if table is not None:
            raise ValueError("A cluster of sites is no cell, so a table of cells cannot place it; leave it out.")
        return table


EXAMPLE: dict[str, Any] = {
    "aggregation_unit": "admin1",
    "labels": {
        "evening": {"type": "Polygon", "coordinates": [[[-2, -2], [0, -2], [0, 2], [-2, 2], [-2, -2]]]},
        "day": {"type": "Polygon", "coordinates": [[[0.1, -2], [2, -2], [2, 2], [0.1, 2], [0.1, -2]]]},
    },
    "tower_hour_of_day_scores": [*[-1] * 7, *[0] * 2, *[1] * 8, *[0] * 2, *[-1] * 5],
    "tower_day_of_week_scores": {
        **dict.fromkeys(("monday", "tuesday", "wednesday", "thursday", "friday"), 1),
        **dict.fromkeys(("saturday", "sunday"), -1),
    },
    "tower_cluster_radius": 1.0,
    "tower_cluster_call_threshold": 0,
}

BETWEEN = {
    "label_from": "string",
    "label_to": "string",
    "location_from": L,
    "location_to": L,
    "value": "float64",
}
"""The columns of a matrix of places between which subscribers have clusters."""
