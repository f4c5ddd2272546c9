"""What the scopes of a role let somebody do, in words; and which of them let nobody do anything."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from flowkit_jwt_generator.scopes import (
    GEOGRAPHY,
    GET_CHECKS,
    GET_DATES,
    GET_RESULT,
    NO_UNIT,
    RUN,
    SUBSET,
    QueryScope,
    compose,
    split,
    unit_order,
)

SIMPLE = {
    RUN: "run queries",
    GET_RESULT: "read results",
    GET_DATES: "see which dates there is data for",
    GET_CHECKS: "read quality checks",
}


@dataclass
class Unit:
    """What can be asked at one unit: kinds of query, and for each what it may be made of."""

    name: str
    kinds: dict[str, list[str]] = field(default_factory=dict)
    boundaries: bool = False

    @property
    def title(self) -> str:
        """The unit as a heading says it."""
        return "Without places" if self.name == NO_UNIT else f"At {self.name}"


@dataclass
class Abilities:
    """What a role lets somebody do."""

    sentence: str
    units: list[Unit]
    subsets: list[str]
    others: list[str]
    warnings: list[str]

    @property
    def alike(self) -> list[tuple[str, Unit]]:
        """What can be asked, once for all units at which it is the same, below a heading that names them."""
        groups: list[list[Unit]] = []
        for unit in self.units:
            same = [each for each in groups if (each[0].kinds, each[0].boundaries) == (unit.kinds, unit.boundaries)]
            if same and unit.name != NO_UNIT and same[0][0].name != NO_UNIT:
                same[0].append(unit)
            else:
                groups.append([unit])
        return [(f"{group[0].title}{''.join(f', {unit.name}' for unit in group[1:])}", group[0]) for group in groups]


def abilities(granted: Iterable[str], offered: Iterable[str]) -> Abilities:
    """What the scopes of one role allow, beside all scopes that its server offers.

    A query needs <unit>:<kind>:<kind> and one scope for each kind that it is made of, all in one role; running needs
    `run` besides, and reading `get_result`.
    """
    granted, offered = frozenset(granted), frozenset(offered)
    units, subsets, stray = _units(granted)
    offered_units = _units(offered)[0]
    warnings = [
        f"{scope} grants nothing by itself: a query of this kind needs {scope._replace(kind=scope.top)} as well."
        for scope in stray
    ]
    for unit in units.values():
        for kind, parts in unit.kinds.items():
            possible = offered_units[unit.name].kinds.get(kind) if unit.name in offered_units else None
            if possible and not parts:
                warnings.append(
                    f"{kind} at {unit.name} is made of another query, and the role holds none that it can be made of: "
                    f"tick {_either(possible)} below it."
                )
    if not granted:
        warnings.append("No scope is ticked: a token of this role can do nothing.")
    asks = any(unit.kinds for unit in units.values())
    run, read = RUN in granted, GET_RESULT in granted
    if not asks:
        warnings += [f"{name} grants nothing by itself: the role holds no kind of query." for name in (RUN,) if run]
        if read and not any(unit.boundaries for unit in units.values()):
            warnings.append("get_result grants nothing by itself: the role holds no kind of query.")
    if any(unit.boundaries for unit in units.values()) and not read:
        warnings.append("Boundaries cannot be read without get_result.")
    if asks and not run and not read:
        warnings.append(
            "Neither run nor get_result is allowed, so that queries can be neither run nor read: the state of one "
            "that is known can be looked at, no more."
        )
    others = [words for name, words in SIMPLE.items() if name in granted and name not in (RUN, GET_RESULT)] + sorted(
        scope for scope in granted if ":" not in scope and scope not in SIMPLE
    )
    ordered = [units[name] for name in sorted(units, key=unit_order)]
    return Abilities(_sentence(asks, run, read), ordered, sorted(subsets), others, warnings)


def _sentence(asks: bool, run: bool, read: bool) -> str:
    if not asks:
        return "Queries can neither be run nor read."
    return {
        (True, True): "Queries of these kinds can be run, and their results read.",
        (True, False): "Queries of these kinds can be run; somebody else reads their results.",
        (False, True): "Results of these kinds can be read once somebody else has run the query.",
        (False, False): "Of queries of these kinds only the state can be seen.",
    }[run, read]


def _units(scopes: frozenset[str]) -> tuple[dict[str, Unit], set[str], list[QueryScope]]:
    """Sort scopes by unit and kind; give besides the kinds of subsets, and the scopes that lack their own kind."""
    units: dict[str, Unit] = {}
    subsets: set[str] = set()
    stray: list[QueryScope] = []
    for scope in sorted(scopes):
        parts = split(scope)
        if parts is None:
            continue
        if parts.top == SUBSET:
            subsets.add(parts.kind)
        elif compose(parts.unit, parts.top, parts.top) not in scopes:
            stray.append(parts)
        else:
            unit = units.setdefault(parts.unit, Unit(parts.unit))
            if parts.top == GEOGRAPHY:
                unit.boundaries = True
            else:
                component_kinds = unit.kinds.setdefault(parts.top, [])
                if not parts.is_own:
                    component_kinds.append(parts.kind)
    return units, subsets, stray


def _either(names: list[str], most: int = 4) -> str:
    shown = names[:most]
    if len(names) > most:
        return f"{', '.join(shown)} or another"
    return " or ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
