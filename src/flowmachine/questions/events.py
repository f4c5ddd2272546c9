"""Parameters of events: their types, and which side of an interaction."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from flowdb.tables import DEFAULT_TYPES, EVENTS, QUERYABLE
from flowmachine.questions.query import Query
from flowmachine.questions.subscribers import OfSubset

# A checker of types cannot know what a table declares.
if TYPE_CHECKING:
    EventType = str
else:
    EventType = Literal[QUERYABLE]


def _distinct(event_types: tuple[EventType, ...] | None) -> tuple[EventType, ...] | None:
    return tuple(sorted(set(event_types))) if event_types else event_types


class OfTypes(Query):
    """Which types of events are looked at."""

    event_types: Annotated[
        Annotated[tuple[EventType, ...], Field(min_length=1)] | None,
        AfterValidator(_distinct),
        Field(description=f"The event types to look at; left out: {' and '.join(DEFAULT_TYPES)}."),
    ] = None

    @property
    def types(self) -> tuple[EventType, ...]:
        """The event types to look at."""
        return self.event_types or DEFAULT_TYPES

    @property
    def needs(self) -> Mapping[str, str]:
        """The columns that not every event type has, and what to tell whoever asks of `{types}` without one."""
        return {}

    @model_validator(mode="after")
    def _have_what_is_needed(self) -> Self:
        for column, sentence in self.needs.items():
            lack = [t for t in self.types if column not in EVENTS[t]]
            if lack:
                raise ValueError(sentence.format(types=" and ".join(lack)))
        return self


class OfEvents(OfSubset, OfTypes):
    """Which events are looked at."""


class OfTopups(OfSubset):
    """Recharges are looked at."""

    @property
    def types(self) -> tuple[EventType, ...]:
        """The one event type to look at."""
        return ("topups",)


class Directed(OfEvents):
    """Which side of an interaction is looked at."""

    direction: Annotated[
        Literal["in", "out", "both"], Field(description="Incoming events, outgoing ones, or both.")
    ] = "both"

    @property
    def needs(self) -> Mapping[str, str]:
        """A direction, if one is given."""
        required = (
            {"outgoing": "direction must be both: {types} have no direction."} if self.direction != "both" else {}
        )
        return {**super().needs, **required}


class Contacts(OfEvents):
    """Events with another party are looked at."""

    @property
    def needs(self) -> Mapping[str, str]:
        """A counterpart."""
        required = {"msisdn_counterpart": "Leave {types} out of event_types: they have no counterpart."}
        return {**super().needs, **required}
