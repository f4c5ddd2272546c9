"""Whose results are published: what a caller may get of a kind, decided here and nowhere else."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from flowmachine.questions.roles import Role


class HasRole(Protocol):
    """A query, or the class of a kind."""

    role: ClassVar[Role]
    """Where the kind may stand."""


@dataclass(frozen=True)
class Caller:
    """Who gets a result."""

    inside: bool = False
    """Whether the caller works inside the operator, where rows about single people may be read."""


ANALYST = Caller()
"""Whoever is answered over the API: gets what release lets through of aggregates, and nothing else."""
OPERATOR = Caller(inside=True)
"""Whoever runs the library or the command line on the operator's machine."""


def is_published(kind: HasRole | type[HasRole], caller: Caller = ANALYST) -> bool:
    """Whether results of a kind may be given to a caller; those of aggregates go through the rule first."""
    return caller.inside or kind.role == "Aggregate"
