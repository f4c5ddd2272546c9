"""From a spec to a question: its query, the data that it reads, and the stored parts that it uses."""

from collections.abc import Callable, Mapping
from typing import Any

from flowdb.lake import Snapshot
from flowmachine.building.plan import plan
from flowmachine.catalogue import takers
from flowmachine.engines.offered import require_offered
from flowmachine.errors import InvalidQuery
from flowmachine.questions.messages import not_one_of
from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds
from flowmachine.questions.roles import SLOTS
from flowmachine.release import is_published
from flowmachine.session import Session, require_dates
from flowmachine.stored.identity import reads, result_id
from flowmachine.stored.parts import Question, part_questions

DEEPEST = 40
"""How deep objects and lists of a spec may nest; real queries need about ten."""
MOST_QUERIES = 1000
"""How many queries a spec may contain: planning each takes some milliseconds."""
LONGEST_SPEC = 1_000_000
"""How many characters the texts of a spec may have in total, names of parameters included."""

Known = Callable[[str], "tuple[str, Mapping[str, Any]] | None"]
"""Returns the kind and spec of an earlier query by its id."""


def published() -> list[str]:
    """The kinds that may be run."""
    return [name for name, cls in kinds().items() if is_published(cls)]


def may_leave(kind: str) -> bool:
    """Whether results of this kind may be given to an analyst; those of an unknown kind may not."""
    return kind in kinds() and is_published(kinds()[kind])


def understand(spec: Any, known: Known) -> Query:
    """The query that a spec means; the ids of subscriber subsets are replaced by the specs that they stand for.

    Raises InvalidQuery, also for kinds about single subscribers.
    """
    if too_deep(spec):
        raise InvalidQuery({"": [f"The spec is nested too deeply: at most {DEEPEST} objects and lists in each other."]})
    kind = spec.get("query_kind") if isinstance(spec, Mapping) else None
    if isinstance(kind, str) and kind in kinds() and not may_leave(kind):
        taking = [name for name in takers(kind) if may_leave(name)] or published()
        message = f"{kind} is about single subscribers: it stands inside an aggregate only, as a parameter."
        raise InvalidQuery({"query_kind": [f"{message} Must be one of: {', '.join(taking)}."]})
    if isinstance(spec, Mapping) and (not isinstance(kind, str) or kind not in kinds()):
        missing = f"It is missing. Must be one of: {', '.join(published())}."
        raise InvalidQuery({"query_kind": [missing if kind is None else not_one_of(kind, published())]})
    whole = spelled_out(spec, known)
    _require_small(whole)
    return parse(whole)


def ask(session: Session, query: Query, snapshot: Snapshot) -> Question:
    """A query over the data of a snapshot.

    Raises MissingDates if there is no data, InvalidQuery if the store lacks the unit or table of places.
    """
    require_offered(query, lambda: session.offered(snapshot))
    whole = plan(query, session.engine.dialect, session.timezone, rule=session.rule)
    require_dates(whole, snapshot)
    reads_parts = session.engine.abilities.reads_stored_parts
    parts = part_questions(query, session.engine.dialect, session.timezone, snapshot) if reads_parts else {}
    query_id, read = result_id(whole, snapshot), reads(whole)
    if parts:
        whole = plan(query, session.engine.dialect, session.timezone, rule=session.rule, stored_parts=parts)
    return Question(query, query_id, whole, read, snapshot, tuple(parts.values()))


def spelled_out(value: Any, known: Known) -> Any:
    """A spec in which each id of a stored query as `subscriber_subset` is replaced by the spec of that query."""
    if isinstance(value, list):
        return [spelled_out(item, known) for item in value]
    if not isinstance(value, Mapping):
        return value
    replaced = {key: spelled_out(item, known) for key, item in value.items()}
    subset = replaced.get("subscriber_subset")
    if isinstance(subset, str) and (stored := known(subset)) is not None:
        kind, spec = stored
        if kind in kinds() and kinds()[kind].role in SLOTS["SubscriberQuery"]:
            replaced["subscriber_subset"] = dict(spec)
    return replaced


def _require_small(spec: Any) -> None:
    """Raise InvalidQuery if planning a spec would take too long: it has too many queries, or too much text."""
    queries = characters = 0
    waiting = [spec]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            queries += "query_kind" in value
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            characters += len(value)
    if queries > MOST_QUERIES:
        problem = f"The query is too large: it is made of {queries:,} queries, and {MOST_QUERIES:,} are allowed."
        raise InvalidQuery({"": [f"{problem} Ask for fewer days, or ask in parts."]})
    if characters > LONGEST_SPEC:
        problem = f"The query is too large: its texts have {characters:,} characters, and {LONGEST_SPEC:,} are allowed."
        raise InvalidQuery({"": [problem]})


def too_deep(spec: Any) -> bool:
    """Whether objects and lists of a spec nest deeper than DEEPEST."""
    level = [spec]
    for _ in range(DEEPEST):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, Mapping) else holder)
            if isinstance(item, Mapping | list)
        ]
        if not level:
            return False
    return True
