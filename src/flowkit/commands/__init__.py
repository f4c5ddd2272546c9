"""The commands of `flowkit`: one file a subject, registered by existing.

A module of this package declares `app`, a Typer with its commands or groups, and `SECTION`, one of SECTIONS, under
which `flowkit --help` lists them. What a command needs it imports when it is called, so that `--help` loads little.
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

SECTIONS = ("Set up", "Load", "Ask", "Run")


def modules() -> Iterator[ModuleType]:
    """The modules with commands, in the order of their sections and names."""
    imported = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    return iter(sorted(imported, key=lambda module: (SECTIONS.index(module.SECTION), module.__name__)))
