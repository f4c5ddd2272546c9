"""Where a kind may stand: its role, and the slots of other kinds that accept it."""

import typing
from typing import Literal

Role = Literal[
    "Aggregate",
    "DailyLocation",
    "ModalLocation",
    "ReferenceLocation",
    "Locations",
    "WeightedLocations",
    "Label",
    "Metric",
    "CategoricalMetric",
]
"""Aggregate is what a server publishes; the others say which slots accept the kind."""

SLOTS: dict[str, tuple[Role, ...]] = {
    "ReferenceLocation": ("DailyLocation", "ModalLocation", "ReferenceLocation"),
    "InputToFlows": ("DailyLocation", "ModalLocation", "ReferenceLocation", "Locations"),
    "InputToModalLocation": ("DailyLocation",),
    "VisitableLocation": ("DailyLocation", "ModalLocation"),
    "WeightedLocationQueries": ("WeightedLocations",),
    "JoinableMetrics": ("Metric", "CategoricalMetric"),
    "HistogrammableMetrics": ("Metric",),
    "SubscriberQuery": tuple(role for role in typing.get_args(Role) if role != "Aggregate"),
}
"""The named sets of kinds that a field may hold, as the roles that belong to each."""

ONE_ROW_EACH: tuple[Role, ...] = (
    *SLOTS["ReferenceLocation"],
    "Label",
    *SLOTS["JoinableMetrics"],
)
"""The roles whose rows are one a subscriber."""
