"""Parameters of people: a subset of the subscribers, a random sample of them."""

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from flowmachine.questions.query import Query
from flowmachine.questions.sampling import RandomSample

if TYPE_CHECKING:
    from flowmachine.questions.slots import SubscriberQuery


def _subset(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f"No query {value!r} is known here: name the id of one that was run, or nest its spec.")
    return value


def _or_an_id(schema: dict[str, Any]) -> None:
    schema["anyOf"].insert(1, {"type": "string"})


class OfSubset(Query):
    """Which subscribers are looked at."""

    subscriber_subset: Annotated[
        "SubscriberQuery | None",
        BeforeValidator(_subset),
        Field(
            description="Look at these subscribers alone: a nested subscriber-level query, or the id of one.",
            json_schema_extra=_or_an_id,
        ),
    ] = None


class Sampled(Query):
    """Which sample of the subscribers is taken."""

    sampling: Annotated[
        RandomSample | None,
        Field(description="Keep a random sample of the subscribers alone; left out: everyone."),
    ] = None
