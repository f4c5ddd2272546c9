"""The kinds in a spec, by which the API decides who may run it and who may see its errors."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from flowmachine.questions.registry import kinds

SUBSET = "subscriber_subset"


def kinds_in(spec: Any) -> dict[str, list[str]]:
    """The known kinds in a spec at any depth, its own first; apart from them those that choose subscribers.

    The spec may be wrong: kinds that do not exist are left out.
    """
    known = kinds()
    named: dict[str, dict[str, None]] = {"query_kinds": {}, "subset_kinds": {}}
    # Without recursion: specs that nest too deeply are checked here too.
    waiting: deque[tuple[Any, str]] = deque([(spec, "query_kinds")])
    while waiting:
        value, place = waiting.popleft()
        if isinstance(value, Mapping):
            kind = value.get("query_kind")
            if isinstance(kind, str) and kind in known:
                named[place][kind] = None
            waiting += [(inner, "subset_kinds" if name == SUBSET else place) for name, inner in value.items()]
        elif isinstance(value, list | tuple):
            waiting += [(inner, place) for inner in value]
    return {place: list(names) for place, names in named.items()}


def names_stored_queries(spec: Any) -> bool:
    """Whether a spec chooses subscribers by the id of a query, at any depth."""
    waiting = deque([spec])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, Mapping):
            if isinstance(value.get(SUBSET), str):
                return True
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return False
