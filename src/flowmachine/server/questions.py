"""From a spec to a question: what it means, which data it is asked of, and of which stored parts it is made."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flowdb.lake import Snapshot
from flowmachine.errors import FlowMachineError, InvalidQuery
from flowmachine.geojson import Atlas
from flowmachine.plan import Plan, plan, plan_part
from flowmachine.query import SLOTS, Query, kinds, parse
from flowmachine.session import Session, require_dates, result_id

DEEPEST = 40
"""How many objects and lists of a spec may stand in each other; real questions need about ten."""

Known = Callable[[str], "tuple[str, Mapping[str, Any]] | None"]
"""Tells the kind and spec of a query that was asked before, by its id."""


@dataclass(frozen=True)
class Question:
    """A query asked of what the store held at one moment."""

    query: Query
    query_id: str
    """Covers the query and the versions of all that it reads."""
    plan: Plan
    snapshot: Snapshot
    parts: tuple["Question", ...]
    """Nested queries that are stored for themselves and reused, each after those that it needs itself."""


def published() -> list[str]:
    """The kinds that may be run."""
    return [name for name, cls in kinds().items() if cls.role == "Aggregate"]


def is_published(kind: str) -> bool:
    """Whether a kind's results may leave; unknown ones may not."""
    return kind in kinds() and kinds()[kind].role == "Aggregate"


def understand(spec: Any, known: Known) -> Query:
    """The query that a spec means; the ids of subscriber subsets are replaced by the specs that they stand for.

    Raises InvalidQuery, also for kinds that tell of single subscribers.
    """
    if _deeper_than(spec, DEEPEST):
        raise InvalidQuery({"": [f"The spec is nested too deeply: at most {DEEPEST} objects and lists in each other."]})
    kind = spec.get("query_kind") if isinstance(spec, Mapping) else None
    if isinstance(kind, str) and kind in kinds() and not is_published(kind):
        raise InvalidQuery(
            {"query_kind": [f"{kind} tells of single subscribers. Must be one of: {', '.join(published())}."]}
        )
    if isinstance(spec, Mapping) and (not isinstance(kind, str) or kind not in kinds()):
        given = "It is missing" if kind is None else f"It is {kind!r}"
        raise InvalidQuery({"query_kind": [f"{given}. Must be one of: {', '.join(published())}."]})
    return parse(_spelled_out(spec, known))


def kinds_in(query: Query) -> list[str]:
    """Every kind in a query at any depth, the query's own first."""
    return list(dict.fromkeys(q.kind for q in query.walk()))


def ask(session: Session, atlas: Atlas, query: Query, snapshot: Snapshot) -> Question:
    """A query asked of a snapshot.

    Raises MissingDates where there is no data, FlowMachineError where there is no such level.
    """
    levels = atlas.levels(snapshot)
    for part in query.walk():
        unit = getattr(part, "aggregation_unit", None)
        if unit is not None and unit not in levels:
            there = f"there are {', '.join(levels)}" if levels else "no cells or boundaries are loaded"
            raise FlowMachineError(f"There is no aggregation_unit {unit} here: {there}.")
    whole = plan(query, session.engine.dialect, session.timezone, rule=session.rule)
    require_dates(whole, snapshot)
    parts: dict[str, Question] = {}
    if session.engine.reads_stored_parts:
        for part in _parts(query):
            if part.id not in parts:
                below = [p.id for p in _parts(part)]
                made = plan_part(part, session.engine.dialect, session.timezone, stored_parts=below)
                # The id needs all that is read, stored or not.
                told = plan_part(part, session.engine.dialect, session.timezone)
                needs = tuple(parts[i] for i in dict.fromkeys(below))
                parts[part.id] = Question(part, result_id(told, snapshot), made, snapshot, needs)
    query_id = result_id(whole, snapshot)
    if parts:
        whole = plan(query, session.engine.dialect, session.timezone, rule=session.rule, stored_parts=parts)
    return Question(query, query_id, whole, snapshot, tuple(parts.values()))


def _parts(query: Query) -> Iterator[Query]:
    for part in query.parts():
        yield from _parts(part)
        yield part


def _spelled_out(value: Any, known: Known) -> Any:
    if isinstance(value, list):
        return [_spelled_out(item, known) for item in value]
    if not isinstance(value, Mapping):
        return value
    told = {key: _spelled_out(item, known) for key, item in value.items()}
    subset = told.get("subscriber_subset")
    if isinstance(subset, str) and (found := known(subset)) is not None:
        kind, spec = found
        if kind in kinds() and kinds()[kind].role in SLOTS["SubscriberQuery"]:
            told["subscriber_subset"] = dict(spec)
    return told


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, Mapping) else holder)
            if isinstance(item, Mapping | list)
        ]
        if not level:
            return False
    return True
