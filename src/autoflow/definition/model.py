"""What workflows.yml defines: workflows of notebooks, and the entries that the sensor runs."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoflow.definition.grammar import RESERVED
from autoflow.definition.stencil import DateStencil


@dataclass(frozen=True)
class Notebook:
    """One notebook of a workflow: `parameters` maps a name inside the notebook to the name of its value.

    `format` is that of its report ("pdf", "html", or None for no report), which shows the code cells if `code`.
    `places` gives the places of its filename, its output and each parameter in the file.
    """

    key: str
    path: Path
    parameters: Mapping[str, str]
    format: str | None = None
    code: bool = False
    template: Path | None = None
    places: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class Workflow:
    """Notebooks that run together, in an order in which each comes after those whose output it reads."""

    name: str
    notebooks: tuple[Notebook, ...]

    def dependencies(self) -> dict[str, set[str]]:
        """Give, for each notebook key, the keys of the notebooks that it reads."""
        keys = {notebook.key for notebook in self.notebooks}
        return {notebook.key: keys & set(notebook.parameters.values()) for notebook in self.notebooks}

    def required_parameters(self) -> set[str]:
        """Give the names that an entry of the sensor must supply for this workflow."""
        known = {notebook.key for notebook in self.notebooks} | set(RESERVED)
        return {name for notebook in self.notebooks for name in notebook.parameters.values()} - known


@dataclass(frozen=True)
class Entry:
    """A workflow that the sensor starts for each date, with the parameters that it gets.

    `cdr_types` None means those of the sensor; a day counts as available if `require` ("any" or "all") of them have it.
    `every` ("day", "week", "month") picks reference dates; `on_change` ("notebooks", "data") names the changes that
    cause another run.
    """

    workflow: Workflow
    parameters: Mapping[str, Any]
    earliest_date: dt.date | None = None
    date_stencil: DateStencil = field(default_factory=lambda: DateStencil([0]))
    cdr_types: tuple[str, ...] | None = None
    require: str = "any"
    every: str = "day"
    on_change: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Definition:
    """What workflows.yml says; `schedule` None means once, `cdr_types` None means all that FlowAPI knows."""

    path: Path
    workflows: Mapping[str, Workflow]
    schedule: str | None
    cdr_types: tuple[str, ...] | None
    entries: tuple[Entry, ...]
