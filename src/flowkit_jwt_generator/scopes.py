"""The grammar of scopes: the one place that composes, splits, matches and orders them.

A scope is the name of an action, such as `run`, or `<unit>:<top kind>:<kind>`: queries of the top kind at the unit
may contain queries of the kind. The top kind itself is granted by `<unit>:<top kind>:<top kind>`.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

RUN, GET_RESULT, GET_DATES, GET_CHECKS = "run", "get_result", "get_available_dates", "get_qa_checks"
ACTIONS = (GET_DATES, GET_CHECKS, GET_RESULT, RUN)
"""The scopes of actions."""
NO_UNIT = "nonspatial"
"""Stands for the unit in the scopes of queries without locations."""
SUBSET = "subscriber_subset"
"""The parameter that chooses subscribers by another query. Which kinds may do so is granted once, for no unit and for
every query, as `nonspatial:subscriber_subset:<kind>`: one scope for each unit and query would make tokens larger than
proxies accept."""
GEOGRAPHY = "geography"
"""The kind of boundaries."""
ANY = "*"
"""Stands in patterns, and in refusals, for what is not known."""


class QueryScope(NamedTuple):
    """The parts of a scope of queries."""

    unit: str
    top: str
    kind: str

    def __str__(self) -> str:
        """The scope as tokens carry it."""
        return ":".join(self)

    @property
    def is_own(self) -> bool:
        """Whether the scope grants its top kind itself; without it, the other scopes of the top kind grant nothing."""
        return self.kind == self.top


def compose(unit: str | None, top: str, kind: str) -> str:
    """The scope of a kind in queries of a top kind; None is the unit of queries without locations."""
    return str(QueryScope(unit or NO_UNIT, top, kind))


def split(scope: str) -> QueryScope | None:
    """The parts of a scope of queries; None for actions and for what is no scope."""
    parts = scope.split(":")
    return QueryScope(*parts) if len(parts) == 3 and all(parts) else None


def query_scopes(unit: str | None, top: str, kinds: Iterable[str], in_subsets: Iterable[str] = ()) -> frozenset[str]:
    """The scopes that a query needs, by the kinds in it and the kinds by which it chooses subscribers."""
    return frozenset(compose(unit, top, kind) for kind in {top, *kinds}) | subset_scopes(in_subsets)


def subset_scopes(kinds: Iterable[str]) -> frozenset[str]:
    """The scopes of choosing subscribers by queries of these kinds."""
    return frozenset(compose(None, SUBSET, kind) for kind in kinds)


def geography_scope(unit: str | None) -> str:
    """The scope of the boundaries of a unit."""
    return compose(unit, GEOGRAPHY, GEOGRAPHY)


def matches(scope: str, patterns: Iterable[str]) -> bool:
    """Whether a scope fits any of the patterns, in which * stands for any text, colons included.

    Patterns are for people who choose scopes. A token holds whole scopes, and FlowAPI compares them as they are: so a
    token grants no kind that is added after it was signed, and FlowKit's own FlowAPI can read it.
    """
    return any(fnmatchcase(scope, pattern) for pattern in patterns)


def matching(scopes: Iterable[str], patterns: Iterable[str]) -> list[str]:
    """The scopes that fit any of the patterns, in their own order."""
    given = tuple(patterns)
    return [scope for scope in scopes if matches(scope, given)]


def in_order(scopes: Iterable[str]) -> list[str]:
    """Scopes as people read them: actions, then unit by unit (`nonspatial` last), and a kind before its parts."""
    return sorted(scopes, key=order)


def order(scope: str) -> tuple[object, ...]:
    """The key by which `in_order` sorts."""
    parts = split(scope)
    if parts is None:
        return (0, scope)
    return (1, *unit_order(parts.unit), parts.top, not parts.is_own, parts.kind, scope)


def unit_order(unit: str) -> tuple[bool, str]:
    """The key that sorts units by name, and queries without locations last."""
    return unit == NO_UNIT, unit
