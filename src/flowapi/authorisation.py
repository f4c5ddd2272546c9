"""Who may do what: the one role of a token that must hold all scopes that an action needs."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flowapi.errors import ApiError
from flowkit_jwt_generator import scopes
from flowkit_jwt_generator.scopes import ANY, NO_UNIT, SUBSET

Roles = Mapping[str, frozenset[str]]


def has_query_scope(roles: Roles) -> bool:
    """Whether any role holds a scope of queries."""
    return any(scopes.split(scope) for granted in roles.values() for scope in granted)


def roles_together_hold(roles: Roles, needed: Iterable[str]) -> bool:
    """Whether the roles hold the scopes if taken together, which grants nothing."""
    return frozenset(needed) <= frozenset().union(*roles.values())


def granting_roles(roles: Roles, needed: Iterable[str]) -> list[str]:
    """Name the roles that hold all needed scopes; roles are not combined.

    Raises
    ------
    ApiError
        403, naming the role that comes closest and the scopes it lacks, when there is no such role.
    """
    required = frozenset(needed)
    granting = sorted(name for name, granted in roles.items() if required <= granted)
    if granting:
        return granting
    raise _refusal({name: required - granted for name, granted in roles.items()}, required)


def may_run_kinds(roles: Roles, top_kind: str, kinds: Iterable[str], in_subsets: Iterable[str] = ()) -> None:
    """Refuse kinds that no role may run at any unit, whatever is wrong with the query.

    Raises
    ------
    ApiError
        403, when no role holds `run` and, at some unit, the scope of each kind.
    """
    # A kind that does not exist, or cannot be run, has no scope.
    of_query = scopes.query_scopes(ANY, top_kind, named) if (named := frozenset(kinds)) else frozenset[str]()
    required = of_query | {scopes.RUN} | scopes.subset_scopes(in_subsets)
    lacking: dict[str, frozenset[str]] = {}
    for name, granted in roles.items():
        units = {parts.unit for parts in map(scopes.split, granted) if parts}
        at_best = max((_at_unit(of_query, unit, granted) for unit in units), key=len, default=frozenset[str]())
        lacking[name] = required - at_best - granted
        if not lacking[name]:
            return
    raise _refusal(lacking, required)


def _at_unit(of_query: frozenset[str], unit: str, granted: frozenset[str]) -> frozenset[str]:
    """The scopes of a query, written for any unit, that a role grants at one unit."""
    return frozenset(
        scope
        for scope in of_query
        if (parts := scopes.split(scope)) and scopes.compose(unit, parts.top, parts.kind) in granted
    )


def _refusal(lacking: Mapping[str, frozenset[str]], required: frozenset[str]) -> ApiError:
    closest = min(lacking, key=lambda name: (len(lacking[name]), name), default=None)
    missing = sorted(required if closest is None else lacking[closest])
    if closest is None:
        reason = f"the token holds no role, and needs one with {', '.join(missing)}"
    else:
        reason = f"no single role holds all scopes; role '{closest}' comes closest and lacks {', '.join(missing)}"
    return ApiError(
        403,
        "scopes_missing",
        f"User claims verification failed: {reason}. Ask your administrator for a token with them.",
        missing_scopes=missing,
        closest_role=closest,
    )


def scopes_of_schemas(schemas: Mapping[str, Any]) -> list[str]:
    """List every scope that a server's query schemas give rise to, sorted.

    Parameters
    ----------
    schemas : mapping
        The components of an OpenAPI document; `FlowmachineQuerySchema` is the choice of all queries.
    """
    listed = set(scopes.ACTIONS)
    reach = _Reach(schemas)
    for member in schemas.get("FlowmachineQuerySchema", {}).get("oneOf", []):
        top = reach.resolve(member)
        listed |= scopes.subset_scopes(reach.subset_kinds(member))
        own_kinds = set(_choices(reach, top.get("properties", {}).get("query_kind", {})))
        units = set(_choices(reach, top.get("properties", {}).get("aggregation_unit", {}))) or {NO_UNIT}
        for top_kind in own_kinds:
            for unit in units:
                listed |= scopes.query_scopes(unit, top_kind, reach.kinds(member))
    return sorted(listed)


class _Reach:
    """The kinds that can be met below a schema, through references that may form circles."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas

    def resolve(self, schema: Any) -> dict[str, Any]:
        for _ in range(len(self._schemas) + 1):
            name = _reference(schema)
            if name is None:
                return schema if isinstance(schema, dict) else {}
            schema = self._schemas.get(name, {})
        return {}

    def kinds(self, schema: Any) -> set[str]:
        """The kinds below a schema, those of subsets left aside."""
        return self._walked(schema)[0]

    def subset_kinds(self, schema: Any) -> set[str]:
        """The kinds below the subsets below a schema."""
        _, subsets = self._walked(schema)
        kinds, deeper = self._walked(subsets)
        return kinds | (self._walked(deeper)[0] if deeper else set())

    def _walked(self, schema: Any) -> tuple[set[str], list[Any]]:
        """The kinds below a schema, and the schemas of subsets that were met and not entered."""
        kinds: set[str] = set()
        seen: set[str] = set()
        subsets: list[Any] = []
        waiting = [schema]
        while waiting:
            node = waiting.pop()
            if isinstance(node, list):
                waiting.extend(node)
            elif isinstance(node, dict):
                name = _reference(node)
                if name is not None:
                    if name not in seen:
                        seen.add(name)
                        waiting.append(self._schemas.get(name, {}))
                    continue
                properties = node.get("properties")
                if isinstance(properties, dict) and "query_kind" in properties:
                    kinds.update(_choices(self, properties["query_kind"]))
                    subsets.extend(inner for name, inner in properties.items() if name == SUBSET)
                    waiting.extend(inner for name, inner in properties.items() if name != SUBSET)
                    waiting.extend(inner for name, inner in node.items() if name != "properties")
                else:
                    waiting.extend(node.values())
        return kinds, subsets


def _reference(schema: Any) -> str | None:
    target = schema.get("$ref") if isinstance(schema, dict) else None
    prefix = "#/components/schemas/"
    return target.removeprefix(prefix) if isinstance(target, str) and target.startswith(prefix) else None


def _choices(reach: _Reach, schema: Any) -> Iterator[str]:
    # A property may name its choices itself, by reference, or inside anyOf (when it may also be null).
    node = reach.resolve(schema)
    if isinstance(node.get("const"), str):
        yield node["const"]
    yield from (choice for choice in node.get("enum", []) if isinstance(choice, str))
    for branch in ("anyOf", "oneOf", "allOf"):
        for inner in node.get(branch, []):
            yield from _choices(reach, inner)
