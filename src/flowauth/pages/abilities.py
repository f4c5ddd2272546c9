"""What the scopes of a role let somebody do, in words; and which of them let nobody do anything."""

from collections.abc import Iterable
from dataclasses import dataclass, field

SIMPLE = {
    "run": "run queries",
    "get_result": "read results",
    "get_available_dates": "see which dates there is data for",
    "get_qa_checks": "read quality checks",
}
SUBSET = "subscriber_subset"
GEOGRAPHY = "geography"
NO_UNIT = "nonspatial"


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


def abilities(held: Iterable[str], offered: Iterable[str]) -> Abilities:
    """Tell what the scopes of one role allow, beside all scopes that its server offers.

    A query needs <unit>:<kind>:<kind> and one scope for each kind that it is made of, all in one role; running needs
    `run` besides, and reading `get_result`.
    """
    held, offered = frozenset(held), frozenset(offered)
    units, subsets, stray = _units(held)
    can_be_made_of = _units(offered)[0]
    warnings = [
        f"{scope} grants nothing by itself: a query of this kind needs {scope.rpartition(':')[0]}:"
        f"{scope.split(':')[1]} as well."
        for scope in stray
    ]
    for unit in units.values():
        for kind, parts in unit.kinds.items():
            possible = can_be_made_of[unit.name].kinds.get(kind) if unit.name in can_be_made_of else None
            if possible and not parts:
                warnings.append(
                    f"{kind} at {unit.name} is made of another query, and the role holds none that it can be made of: "
                    f"tick {_either(possible)} below it."
                )
    if not held:
        warnings.append("No scope is ticked: a token of this role can do nothing.")
    asks = any(unit.kinds for unit in units.values())
    run, read = "run" in held, "get_result" in held
    if not asks:
        warnings += [f"{name} grants nothing by itself: the role holds no kind of query." for name in ("run",) if run]
        if read and not any(unit.boundaries for unit in units.values()):
            warnings.append("get_result grants nothing by itself: the role holds no kind of query.")
    if any(unit.boundaries for unit in units.values()) and not read:
        warnings.append("Boundaries cannot be read without get_result.")
    if asks and not run and not read:
        warnings.append(
            "Neither run nor get_result is held, so that queries can be neither run nor read: the state of one that "
            "is known can be looked at, no more."
        )
    others = [words for name, words in SIMPLE.items() if name in held and name not in ("run", "get_result")] + sorted(
        scope for scope in held if ":" not in scope and scope not in SIMPLE
    )
    ordered = [units[name] for name in sorted(units, key=unit_order)]
    return Abilities(_sentence(asks, run, read), ordered, sorted(subsets), others, warnings)


def unit_order(name: str) -> tuple[bool, str]:
    """Units are told by name, and what has none last."""
    return name == NO_UNIT, name


def _sentence(asks: bool, run: bool, read: bool) -> str:
    if not asks:
        return "Queries can neither be run nor read."
    return {
        (True, True): "Queries of these kinds can be run, and their results read.",
        (True, False): "Queries of these kinds can be run; somebody else reads their results.",
        (False, True): "Results of these kinds can be read once somebody else has run the query.",
        (False, False): "Of queries of these kinds only the state can be seen.",
    }[run, read]


def _units(scopes: frozenset[str]) -> tuple[dict[str, Unit], set[str], list[str]]:
    """Sort scopes by unit and kind; give besides the kinds of subsets, and the scopes that lack their own kind."""
    units: dict[str, Unit] = {}
    subsets: set[str] = set()
    stray: list[str] = []
    for scope in sorted(scopes):
        parts = scope.split(":")
        if len(parts) != 3:
            continue
        unit, top, kind = parts
        if top == SUBSET:
            subsets.add(kind)
        elif f"{unit}:{top}:{top}" not in scopes:
            stray.append(scope)
        else:
            there = units.setdefault(unit, Unit(unit))
            if top == GEOGRAPHY:
                there.boundaries = True
            else:
                made_of = there.kinds.setdefault(top, [])
                if kind != top:
                    made_of.append(kind)
    return units, subsets, stray


def _either(names: list[str], most: int = 4) -> str:
    told = names[:most]
    if len(names) > most:
        return f"{', '.join(told)} or another"
    return " or ".join(filter(None, [", ".join(told[:-1]), told[-1]]))
