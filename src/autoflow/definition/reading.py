"""Reading workflows.yml: every mistake with its line, key and remedy."""

import datetime as dt
import graphlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from croniter import croniter
from croniter.croniter import CroniterBadDateError

from autoflow.definition.grammar import AUTOMATIC, CRON, GRAMMAR, UNSOUND, listed
from autoflow.definition.model import Definition, Entry, Notebook, Workflow
from flowkit_base.errors import UserError

FILENAME = "workflows.yml"


Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One mistake: where it stands (key path, line from 1) and what to do."""

    where: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{FILENAME}, line {self.line}" if self.line else FILENAME
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class WorkflowsError(UserError, ValueError):
    """workflows.yml cannot be used; `problems` holds every mistake that was found."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


@dataclass
class _Reader:
    """The lines of the document's parts, and the problems found so far."""

    inputs_dir: Path
    lines: dict[Path_, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, path: Path_, message: str) -> None:
        line = next((self.lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in self.lines), None)
        self.problems.append(Problem(_dotted(path), line, message))

    def file(self, path: Path_, name: str) -> Path:
        """Give a file of the inputs directory, having complained if it is not there."""
        if not (self.inputs_dir / name).is_file():
            self.problem(path, f"there is no file '{name}' in {self.inputs_dir}; copy it there or mend the name.")
        return self.inputs_dir / name

    def place(self, path: Path_) -> str:
        """Say where something stands in the file."""
        self.problem(path, "")
        return str(self.problems.pop()).rstrip(": ")


def read_workflows(inputs_dir: Path) -> Definition:
    """Read and check workflows.yml of a directory.

    Raises WorkflowsError with every mistake, and FileNotFoundError with a sentence if there is no such file.
    """
    path = inputs_dir / FILENAME
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no {FILENAME} in {inputs_dir}; put it there or set AUTOFLOW_INPUTS_DIR to its directory."
        )
    reader = _Reader(inputs_dir)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise WorkflowsError(
            [Problem("", None, f"this is not UTF-8 text ({error.reason}); save it as UTF-8.")]
        ) from error
    return _definition(reader, _load(reader, text))


def definition_of(inputs_dir: Path, document: Any) -> Definition:
    """Check what workflows.yml could hold, given as values: its files are those of the inputs directory.

    Raises WorkflowsError with every mistake.
    """
    return _definition(_Reader(inputs_dir), document)


def _definition(reader: _Reader, written: Any) -> Definition:
    document = GRAMMAR.read((), written, reader.problem)
    if document is UNSOUND:
        raise WorkflowsError(reader.problems)
    workflows = _workflows(reader, document["workflows"])
    schedule, cdr_types, entries = _sensor(reader, document["available_dates_sensor"], workflows)
    if reader.problems:
        raise WorkflowsError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    sound = {name: workflow for name, workflow in workflows.items() if workflow}
    return Definition(reader.inputs_dir / FILENAME, sound, schedule, cdr_types, entries)


def _load(reader: _Reader, text: str) -> Any:
    """Give the document as plain values, with the line of each part noted in `reader`."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return {}
        _note_lines(reader, loader, node, (), set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise WorkflowsError([Problem("", line, f"this is not YAML: {error.problem}.")]) from error
    except yaml.YAMLError as error:
        raise WorkflowsError([Problem("", None, f"this is not YAML: {str(error).splitlines()[0]}.")]) from error
    except RecursionError as error:
        raise WorkflowsError([Problem("", None, "this is nested too deeply, or contains itself.")]) from error


def _note_lines(reader: _Reader, loader: yaml.SafeLoader, node: yaml.Node, path: Path_, above: set[int]) -> None:
    reader.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in above:
        raise WorkflowsError([Problem(_dotted(path), node.start_mark.line + 1, "this alias contains itself.")])
    above = above | {id(node)}
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:timestamp":
        try:
            yaml.SafeLoader.construct_yaml_timestamp(loader, node)
        except ValueError as error:
            reader.problem(path, f"'{node.value}' is not a day of the calendar ({error}).")
            node.tag = "tag:yaml.org,2002:null"
    elif isinstance(node, yaml.SequenceNode):
        for n, child in enumerate(node.value):
            _note_lines(reader, loader, child, (*path, n), above)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                twice = Problem(
                    _dotted((*path, key.value)), key.start_mark.line + 1, "this key stands here twice; keep one."
                )
                reader.problems.append(twice)
            # "<<" merges another mapping in and has no value of its own.
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                seen.add(key.value)
                here = (*path, loader.construct_object(key))
                reader.lines[here] = key.start_mark.line + 1
                _note_lines(reader, loader, child, here, above)


def _is_sound(part: Any) -> bool:
    """Tell whether the grammar refused nothing in a part of the document."""
    if isinstance(part, dict):
        return all(map(_is_sound, part.values()))
    return all(map(_is_sound, part)) if isinstance(part, list) else part is not UNSOUND


def _workflows(reader: _Reader, sections: Any) -> dict[str, Workflow | None]:
    """Give the workflows by name; None for one that has a mistake of its own."""
    workflows: dict[str, Workflow | None] = {}
    for n, section in enumerate(sections if sections is not UNSOUND else ()):
        if section is UNSOUND:
            continue
        path: Path_ = ("workflows", n)
        before = len(reader.problems)
        name = section["name"]
        if name in workflows:
            reader.problem((*path, "name"), f"a workflow above is called '{name}' already; give each its own name.")
        notebooks = _notebooks(reader, (*path, "notebooks"), section["notebooks"])
        if name is not UNSOUND:
            sound = _is_sound(section) and len(reader.problems) == before
            workflows.setdefault(name, Workflow(name, notebooks) if sound else None)
    return workflows


def _notebooks(reader: _Reader, path: Path_, sections: Any) -> tuple[Notebook, ...]:
    if sections is UNSOUND:
        return ()
    notebooks = {
        key: _notebook(reader, (*path, key), key, section)
        for key, section in sections.items()
        if section is not UNSOUND
    }
    graph = Workflow("", tuple(notebooks.values())).dependencies()
    try:
        order = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        reader.problem(
            path, f"these notebooks wait for each other: {' -> '.join(reversed(error.args[1]))}; break the circle."
        )
        return ()
    return tuple(notebooks[key] for key in order)


def _notebook(reader: _Reader, path: Path_, key: str, section: Mapping[str, Any]) -> Notebook:
    file = reader.inputs_dir
    if section["filename"] is not UNSOUND:
        file = reader.file((*path, "filename"), section["filename"])
    given = section["parameters"] if section["parameters"] is not UNSOUND else {}
    parameters = {name: source for name, source in given.items() if source is not UNSOUND}
    places = {name: reader.place((*path, "parameters", name)) for name in parameters}
    places |= {name: reader.place((*path, name)) for name in ("filename", "parameters", "output")}
    output = section["output"]
    if output is None or output is UNSOUND:
        return Notebook(key, file, parameters, places=places)
    template = None
    if output["template"] not in (None, UNSOUND):
        template = reader.file((*path, "output", "template"), output["template"])
        if output["format"] == "html":
            reader.problem(
                (*path, "output", "template"),
                "an AsciiDoc template makes a PDF; write format: pdf, or leave the template out.",
            )
    return Notebook(key, file, parameters, output["format"], output["code"] is True, template, places)


def _sensor(
    reader: _Reader, section: Any, workflows: Mapping[str, Workflow | None]
) -> tuple[str | None, tuple[str, ...] | None, tuple[Entry, ...]]:
    if section is UNSOUND:
        return None, None, ()
    root: Path_ = ("available_dates_sensor",)
    if isinstance(section["schedule"], str) and (complaint := _cron_complaint(section["schedule"])):
        reader.problem((*root, "schedule"), complaint)
    entries = []
    if section["workflows"] is not UNSOUND:
        for n, part in enumerate(section["workflows"]):
            entry = _entry(reader, (*root, "workflows", n), part, workflows)
            if entry:
                entries.append(entry)
    return section["schedule"], _types(section["cdr_types"]), tuple(entries)


def _types(types: Any) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(types)) if isinstance(types, list) else None


def _entry(reader: _Reader, path: Path_, section: Any, workflows: Mapping[str, Workflow | None]) -> Entry | None:
    if section is UNSOUND:
        return None
    name = section["workflow_name"]
    if name is not UNSOUND and name not in workflows:
        reader.problem(
            (*path, "workflow_name"), f"no workflow is called '{name}'; those above are {listed(workflows) or 'none'}."
        )
    workflow = workflows.get(name)
    if workflow and section["parameters"] is not UNSOUND:
        _compare_parameters(reader, path, section["parameters"], workflow)
    if workflow is None or not _is_sound(section):
        return None
    return Entry(
        workflow,
        section["parameters"],
        section["earliest_date"],
        section["date_stencil"],
        _types(section["cdr_types"]),
        section["require"],
        section["every"],
        frozenset(section["on_change"]),
    )


def _compare_parameters(reader: _Reader, path: Path_, given: Mapping[str, Any], workflow: Workflow) -> None:
    required = workflow.required_parameters()
    missing = sorted(required - set(given))
    unexpected = sorted(set(given) - required - set(AUTOMATIC))
    sentences = []
    if missing:
        sentences.append(f"workflow '{workflow.name}' needs {listed(missing)} as well; add the value")
    if unexpected:
        sentences.append(f"workflow '{workflow.name}' has no parameter {listed(unexpected)}; leave it out")
    if sentences:
        reader.problem((*path, "parameters"), "; ".join(sentences) + ".")


def _cron_complaint(schedule: str) -> str | None:
    if not croniter.is_valid(schedule):
        return f"{schedule!r} is not a cron schedule; {CRON}."
    try:
        croniter(schedule, dt.datetime.now(dt.UTC)).get_next()
    except CroniterBadDateError:
        return f"'{schedule}' names a time that never comes; {CRON}."
    return None


def _dotted(path: Path_) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
