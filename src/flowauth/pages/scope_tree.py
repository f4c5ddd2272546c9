"""The scopes of a server as a tree of boxes: ticked are those that a role holds, or those that are switched on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData

from flowauth.pages import forms
from flowauth.pages.abilities import SIMPLE
from flowauth.pages.lists import query_text
from flowauth.tables import Scope
from flowkit_jwt_generator.scopes import split, unit_order

MOST_SCOPES = 700
"""Scopes that a page shows at once; of a server that offers more, one unit is shown at a time."""

FEW_SCOPES = 120
"""Scopes whose branches are unfolded if something in them is of interest; of more, people unfold what they want."""


@dataclass(frozen=True)
class Box:
    """One scope as a box to tick, and what is said beside it."""

    id: int
    name: str
    ticked: bool
    note: str


@dataclass
class Branch:
    """Part of the tree of scopes: its boxes, and the branches below it."""

    path: str
    name: str
    boxes: list[Box] = field(default_factory=list)
    branches: "dict[str, Branch]" = field(default_factory=dict)

    @property
    def all(self) -> int:
        """How many scopes there are in it."""
        return len(self.boxes) + sum(branch.all for branch in self.branches.values())

    @property
    def ticked(self) -> int:
        """How many of them are ticked."""
        return sum(box.ticked for box in self.boxes) + sum(branch.ticked for branch in self.branches.values())


def turned(form: FormData) -> bool:
    """Whether a form asks for the tree again: for another unit, or with a whole branch ticked."""
    return bool(forms.text(form, "unit") or forms.text(form, "mark"))


def chosen(scopes: Sequence[Scope], before: frozenset[int], form: FormData) -> frozenset[int]:
    """The scopes that are to be ticked: those that the form ticks, and those ticked before that it did not show."""
    shown, _ = _shown(scopes, forms.text(form, "find"), forms.text(form, "here"))
    numbers = frozenset(scope.id for scope in shown)
    if "others" in form:
        before = forms.listed(form, "others") & frozenset(scope.id for scope in scopes)
    ticked = (before - numbers) | (forms.numbers(form, "s") & numbers)
    if mark := forms.text(form, "mark"):
        branch = frozenset(scope.id for scope in shown if scope.name.startswith(f"{mark}:"))
        ticked = ticked - branch if branch <= ticked else ticked | branch
    return ticked


def shown(
    request: Request,
    scopes: Sequence[Scope],
    ticked: frozenset[int],
    notes: Mapping[int, str],
    form: FormData | None = None,
) -> dict[str, Any]:
    """What the templates need of the tree: a page of it, how many scopes there are, and how they were searched."""
    if form is None:
        find, unit = query_text(request), request.query_params.get("unit", "")
    else:
        find, unit = forms.text(form, "find"), forms.text(form, "unit") or forms.text(form, "here")
    here, unit = _shown(scopes, find, unit)
    simple, branches = _tree(here, ticked, notes)
    units = sorted({parts.unit for scope in scopes if (parts := split(scope.name))})
    return {
        "others": ",".join(map(str, sorted(ticked - {scope.id for scope in here}))),
        "simple": simple,
        "branches": branches,
        "words": SIMPLE,
        "chosen": len(ticked),
        "shown": len(here),
        "total": len(scopes),
        "units": units if len(scopes) > MOST_SCOPES else [],
        "unit": unit,
        "find": find,
        "few": len(here) <= FEW_SCOPES,
        "open": bool((find and len(here) <= FEW_SCOPES) or unit or len(branches) == 1),
    }


def _tree(scopes: Sequence[Scope], ticked: frozenset[int], notes: Mapping[int, str]) -> tuple[list[Box], list[Branch]]:
    """Order scopes: those without a unit, then unit by unit, kind by kind."""
    simple: list[Box] = []
    units: dict[str, Branch] = {}
    for scope in scopes:
        parts = split(scope.name)
        box = Box(scope.id, parts.kind if parts else scope.name, scope.id in ticked, notes.get(scope.id, ""))
        if parts is None:
            simple.append(box)
            continue
        unit, top, _ = parts
        branch = units.setdefault(unit, Branch(unit, unit)).branches.setdefault(top, Branch(f"{unit}:{top}", top))
        # The kind itself comes first: nothing below it counts without.
        branch.boxes.insert(0 if parts.is_own else len(branch.boxes), box)
    return simple, [units[name] for name in sorted(units, key=unit_order)]


def _shown(scopes: Sequence[Scope], find: str, unit: str) -> tuple[list[Scope], str]:
    """Give the scopes that a page shows, and the unit that it is narrowed to."""
    if not unit and not find and len(scopes) > MOST_SCOPES:
        unit = min((parts.unit for scope in scopes if (parts := split(scope.name))), default="")
    words = find.lower().split()
    here = [
        scope
        for scope in scopes
        if all(word in scope.name.lower() for word in words)
        and (not unit or scope.name.startswith(f"{unit}:") or (":" not in scope.name and not find))
    ]
    return here[:MOST_SCOPES], unit
