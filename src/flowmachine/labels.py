"""Scores of hours and weekdays, and the labels that clusters get by them."""

from typing import Annotated, Any, Literal, Self

import ibis
import ibis.expr.types as ir
import shapely
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    ValidationInfo,
    model_validator,
)
from shapely.geometry.base import BaseGeometry

from flowmachine.building.polygons import Edge, contains, edges

UNKNOWN = "unknown"
"""The label of scores that no polygon contains."""
MOST_CORNERS = 200
"""The most corners of all polygons together: each is compared with the score of each cluster."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

Score = Annotated[float, Field(ge=-1, le=1)]


def _each_hour(scores: tuple[float, ...]) -> tuple[float, ...]:
    if len(scores) != 24:
        raise ValueError(f"It has {len(scores)} scores. Give 24, one for each hour of the day from midnight on.")
    return scores


HourScores = Annotated[
    tuple[Score, ...],
    AfterValidator(_each_hour),
    Field(
        description="How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from midnight.",
        json_schema_extra={"minItems": 24, "maxItems": 24},
    ),
]


class WeekdayScores(BaseModel):
    """How an event scores by its day of the week: a number from -1 to 1 for each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    monday: Annotated[Score, Field(description="The score of Mondays.")]
    tuesday: Annotated[Score, Field(description="The score of Tuesdays.")]
    wednesday: Annotated[Score, Field(description="The score of Wednesdays.")]
    thursday: Annotated[Score, Field(description="The score of Thursdays.")]
    friday: Annotated[Score, Field(description="The score of Fridays.")]
    saturday: Annotated[Score, Field(description="The score of Saturdays.")]
    sunday: Annotated[Score, Field(description="The score of Sundays.")]


Position = tuple[float, float]
Ring = tuple[Position, ...]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    coordinates: Any

    @property
    def shape(self) -> BaseGeometry:
        """The polygon."""
        return shapely.geometry.shape(self.model_dump())

    @model_validator(mode="after")
    def _is_valid(self) -> Self:
        rings = self.coordinates if getattr(self, "type", "") == "Polygon" else sum(self.coordinates, ())
        if not rings or any(len(ring) < 4 for ring in rings):
            raise ValueError("It is no polygon: each ring needs at least four points, the last equal to the first.")
        if not self.shape.is_valid:
            raise ValueError(f"It is no valid polygon: {shapely.is_valid_reason(self.shape)}.")
        return self


class LabelPolygon(_Shape):
    """A GeoJSON polygon of scores: x is the score of the hour, y that of the day of the week."""

    type: Literal["Polygon"]
    coordinates: Annotated[tuple[Ring, ...], Field(description="The outer ring, then holes, of [x, y].")]


class LabelMultiPolygon(_Shape):
    """A GeoJSON multipolygon of scores: x is the score of the hour, y that of the day of the week."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[tuple[tuple[Ring, ...], ...], Field(description="The polygons, each as rings of [x, y].")]


LabelShape = Annotated[LabelPolygon | LabelMultiPolygon, Field(discriminator="type")]


class Labels(RootModel[Annotated[dict[str, LabelShape], Field(min_length=1)]]):
    """Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the day of the week."""

    model_config = ConfigDict(frozen=True)

    def __hash__(self) -> int:
        return hash(frozenset(self.root.items()))

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if UNKNOWN in self.root:
            raise ValueError(f"{UNKNOWN!r} is what no label contains; give the label another name.")
        names = list(self.root)
        for n, name in enumerate(names):
            if not name.strip():
                raise ValueError("A label has no name.")
            for other in names[:n]:
                if self.root[name].shape.intersects(self.root[other].shape):
                    raise ValueError(
                        f"The labels {other!r} and {name!r} overlap or touch, so that a score could be of both: "
                        "draw them apart."
                    )
        corners = sum(len(edges(shape.shape)) for shape in self.root.values())
        if corners > MOST_CORNERS:
            raise ValueError(f"Its polygons have {corners} corners; all labels together may have {MOST_CORNERS}.")
        return self

    def edges(self, label: str) -> list[Edge]:
        """The edges of a label's polygon."""
        return edges(self.root[label].shape)

    def matches(self, label: str, x: ir.Value, y: ir.Value) -> ir.BooleanValue:
        """Whether a score has a label: its polygon strictly contains it, or, of `unknown`, none does."""
        if label != UNKNOWN:
            return contains(self.edges(label), x, y)
        return ~ibis.or_(*(contains(self.edges(name), x, y) for name in self.root))


def _known(label: str, info: ValidationInfo) -> str:
    labels = info.data.get("labels")
    if labels is not None and label not in (*labels.root, UNKNOWN):
        raise ValueError(f"It is {label!r}. Must be one of: {', '.join([*labels.root, UNKNOWN])}.")
    return label


Label = Annotated[str, AfterValidator(_known)]
"""The name of a label, in a kind whose field `labels` comes before."""
