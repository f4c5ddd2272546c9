"""Slots: the named sets of kinds that a field may hold.

To a type checker a slot holds a query; to pydantic, the union of the kinds that belong in it, which `namespace` gives.
"""

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Field

from flowmachine.questions.query import REGISTRY, Query
from flowmachine.questions.roles import SLOTS

if TYPE_CHECKING:
    ReferenceLocation: TypeAlias = Query
    InputToFlows: TypeAlias = Query
    InputToModalLocation: TypeAlias = Query
    VisitableLocation: TypeAlias = Query
    WeightedLocationQueries: TypeAlias = Query
    JoinableMetrics: TypeAlias = Query
    HistogrammableMetrics: TypeAlias = Query
    SubscriberQuery: TypeAlias = Query


def namespace() -> dict[str, Any]:
    """What the name of each slot means to pydantic: the kinds that belong in it now."""
    return {slot: _one_of(slot_members(slot)) for slot in SLOTS}


def slot_members(slot: str) -> list[str]:
    """The kinds that a slot accepts."""
    return [name for name, cls in sorted(REGISTRY.items()) if cls.role in SLOTS[slot]]


def _one_of(members: list[str]) -> Any:
    classes: Any = tuple(REGISTRY[name] for name in members)
    # A union of one class takes no discriminator.
    return Annotated[Union[classes], Field(discriminator="query_kind")] if len(classes) > 1 else classes[0]  # noqa: UP007
