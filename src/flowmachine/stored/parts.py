"""Parts: nested queries whose rows are stored, so that they and queries made of them need not be computed again."""

from collections.abc import Iterator
from dataclasses import dataclass

from flowdb.lake import Snapshot
from flowmachine.building.plan import Plan, plan_part
from flowmachine.building.tables import Dialect
from flowmachine.questions.query import Query
from flowmachine.stored.identity import Reads, reads, result_id


@dataclass(frozen=True)
class Question:
    """A query over what the store contained at one moment."""

    query: Query
    query_id: str
    """Covers the query and the versions of all that it reads."""
    plan: Plan
    reads: Reads
    """All that the query reads, its stored parts included."""
    snapshot: Snapshot
    parts: tuple["Question", ...]
    """Nested queries that are stored for themselves and reused, each after those that it needs itself."""


def nested(query: Query) -> Iterator[Query]:
    """The parts of a query at any depth, each after its own."""
    for part in query.parts():
        yield from nested(part)
        yield part


def part_questions(query: Query, dialect: Dialect, timezone: str, snapshot: Snapshot) -> dict[str, Question]:
    """The parts of a query as questions of a snapshot, by the query's id, each after those that it needs."""
    parts: dict[str, Question] = {}
    for part in nested(query):
        if part.id not in parts:
            below = [p.id for p in nested(part)]
            prepared = plan_part(part, dialect, timezone, stored_parts=below)
            # The id needs all that is read, stored or not.
            whole = plan_part(part, dialect, timezone)
            needs = tuple(parts[i] for i in dict.fromkeys(below))
            parts[part.id] = Question(part, result_id(whole, snapshot), prepared, reads(whole), snapshot, needs)
    return parts
