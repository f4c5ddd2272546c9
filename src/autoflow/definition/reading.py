"""Reading workflows.yml: every mistake with its line, its key and the way out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from autoflow.definition.grammar import Document, EntrySection, Known, NotebookSection, Place, sentences_of
from autoflow.definition.model import Definition, Entry, Notebook, Workflow
from autoflow.definition.stencil import DateStencil
from flowkit_base.errors import UserError

FILENAME = "workflows.yml"


@dataclass(frozen=True)
class Problem:
    """One mistake: its place (key path, line from 1) and what to do."""

    where: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{FILENAME}, line {self.line}" if self.line else FILENAME
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class WorkflowsError(UserError, ValueError):
    """workflows.yml cannot be used; `problems` holds every mistake in it."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class MissingFileError(UserError, FileNotFoundError):
    """There is no workflows.yml in the directory of the inputs."""


@dataclass
class _Lines:
    """The line of each part of the file, and the mistakes that its YAML has."""

    lines: dict[Place, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, place: Place, message: str) -> Problem:
        line = next((self.lines[place[:n]] for n in range(len(place), -1, -1) if place[:n] in self.lines), None)
        return Problem(_dotted(place), line, message)

    def named(self, place: Place) -> str:
        """Give the place of a key in the file."""
        return str(self.problem(place, "")).rstrip(": ")


def read_workflows(inputs_dir: Path) -> Definition:
    """Read and check workflows.yml of a directory.

    Raises WorkflowsError with every mistake, and MissingFileError (a FileNotFoundError) if there is no such file.
    """
    path = inputs_dir / FILENAME
    if not path.is_file():
        raise MissingFileError(
            f"There is no {FILENAME} in {inputs_dir}; put it there or set AUTOFLOW_INPUTS_DIR to its directory."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WorkflowsError(
            [Problem("", None, f"this is not UTF-8 text ({error.reason}); save it as UTF-8.")]
        ) from error
    lines = _Lines()
    return _definition(inputs_dir, _load(lines, text), lines)


def definition_of(inputs_dir: Path, document: Any) -> Definition:
    """Check what workflows.yml could hold, given as values: its files are those of the inputs directory.

    Raises WorkflowsError with every mistake.
    """
    return _definition(inputs_dir, document, _Lines())


def _definition(inputs_dir: Path, written: Any, lines: _Lines) -> Definition:
    try:
        document = Document.model_validate(written, context=Known(inputs_dir))
    except ValidationError as error:
        problems = [*lines.problems, *(lines.problem(place, said) for place, said in sentences_of(error))]
        raise WorkflowsError(sorted(problems, key=lambda problem: problem.line or 0)) from None
    if lines.problems:
        raise WorkflowsError(lines.problems)
    workflows = {
        section.name: Workflow(
            section.name,
            tuple(
                _notebook(inputs_dir, key, notebook, ("workflows", n, "notebooks", key), lines)
                for key, notebook in section.notebooks.items()
            ),
        )
        for n, section in enumerate(document.workflows)
    }
    sensor = document.available_dates_sensor
    entries = tuple(_entry(section, workflows[section.workflow_name]) for section in sensor.workflows)
    return Definition(inputs_dir / FILENAME, workflows, sensor.schedule, _types(sensor.cdr_types), entries)


def _notebook(inputs_dir: Path, key: str, section: NotebookSection, place: Place, lines: _Lines) -> Notebook:
    parameters, output = section.parameters or {}, section.output
    places = {name: lines.named((*place, "parameters", name)) for name in parameters}
    places |= {name: lines.named((*place, name)) for name in ("filename", "parameters", "output")}
    file = inputs_dir / section.filename
    if output is None:
        return Notebook(key, file, parameters, places=places)
    template = inputs_dir / output.template if output.template else None
    return Notebook(key, file, parameters, output.format, output.code is True, template, places)


def _entry(section: EntrySection, workflow: Workflow) -> Entry:
    return Entry(
        workflow,
        section.parameters or {},
        section.earliest_date,
        section.date_stencil or DateStencil([0]),
        _types(section.cdr_types),
        section.require or "any",
        section.every or "day",
        frozenset(section.on_change or ()),
    )


def _types(types: list[str] | None) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(types)) if types else None


def _load(lines: _Lines, text: str) -> Any:
    """Give the document as plain values, with the line of each part noted in `lines`."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return {}
        _note_lines(lines, loader, node, (), set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise WorkflowsError([Problem("", line, f"this is not YAML: {error.problem}.")]) from error
    except yaml.YAMLError as error:
        raise WorkflowsError([Problem("", None, f"this is not YAML: {str(error).splitlines()[0]}.")]) from error
    except RecursionError as error:
        raise WorkflowsError([Problem("", None, "this is nested too deeply, or contains itself.")]) from error


def _note_lines(lines: _Lines, loader: yaml.SafeLoader, node: yaml.Node, place: Place, above: set[int]) -> None:
    lines.lines.setdefault(place, node.start_mark.line + 1)
    if id(node) in above:
        raise WorkflowsError([Problem(_dotted(place), node.start_mark.line + 1, "this alias contains itself.")])
    above = above | {id(node)}
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:timestamp":
        try:
            yaml.SafeLoader.construct_yaml_timestamp(loader, node)
        except ValueError as error:
            lines.problems.append(lines.problem(place, f"'{node.value}' is not a day of the calendar ({error})."))
            node.tag = "tag:yaml.org,2002:null"
    elif isinstance(node, yaml.SequenceNode):
        for n, child in enumerate(node.value):
            _note_lines(lines, loader, child, (*place, n), above)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                twice = Problem(
                    _dotted((*place, key.value)), key.start_mark.line + 1, "this key is used twice here; keep one."
                )
                lines.problems.append(twice)
            # "<<" merges another mapping and has no value itself.
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                seen.add(key.value)
                here = (*place, loader.construct_object(key))
                lines.lines[here] = key.start_mark.line + 1
                _note_lines(lines, loader, child, here, above)


def _dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
