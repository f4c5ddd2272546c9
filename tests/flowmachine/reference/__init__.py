"""Every query kind once more, in loops and dicts: slow, plain, and readable as its definition.

Each definition is a function of the kind's name: it takes a query (a `flowmachine` object, read for its parameters
alone) and a `World`, and gives the rows that the kind means, unreleased. What tells who is behind an aggregate's rows
stands beside it. A file of this folder is found by existing.
"""

import importlib
import pkgutil

from tests.flowmachine.reference.events import KINDS, PEOPLE, answer, people

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["KINDS", "PEOPLE", "answer", "people"]
