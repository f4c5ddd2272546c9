"""What a file that declares a query kind imports: the blocks of parameters, and the types of a declaration.

>>> from flowmachine.kind import AtHours, Cdr, InUnit, L, OfEvents, Window

A kind of this package or of a plugin needs no other import of FlowMachine, unless it computes distances, local hours or
statistics, which are in `flowmachine.building`.
"""

from typing import TYPE_CHECKING

from flowmachine.building.cdr import Cdr
from flowmachine.building.statistic import Statistic
from flowmachine.questions.columns import L
from flowmachine.questions.events import Contacts, Directed, EventType, OfEvents, OfTopups, OfTypes
from flowmachine.questions.places import ByUnit, InUnit, Unit, require_one_unit
from flowmachine.questions.query import Query
from flowmachine.questions.roles import Role
from flowmachine.questions.subscribers import OfSubset, Sampled
from flowmachine.questions.windows import AtHours, Hours, Moment, Periods, Window

if TYPE_CHECKING:
    from flowmachine.questions.slots import (
        HistogrammableMetrics,
        InputToFlows,
        InputToModalLocation,
        JoinableMetrics,
        ReferenceLocation,
        SubscriberQuery,
        VisitableLocation,
        WeightedLocationQueries,
    )

__all__ = [
    "AtHours",
    "ByUnit",
    "Cdr",
    "Contacts",
    "Directed",
    "EventType",
    "HistogrammableMetrics",
    "Hours",
    "InUnit",
    "InputToFlows",
    "InputToModalLocation",
    "JoinableMetrics",
    "L",
    "Moment",
    "OfEvents",
    "OfSubset",
    "OfTopups",
    "OfTypes",
    "Periods",
    "Query",
    "ReferenceLocation",
    "Role",
    "Sampled",
    "Statistic",
    "SubscriberQuery",
    "Unit",
    "VisitableLocation",
    "WeightedLocationQueries",
    "Window",
    "require_one_unit",
]
