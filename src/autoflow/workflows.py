"""workflows.yml: its grammar, and every mistake in it at once, with the line and the way out."""

import datetime as dt
import graphlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeVar

import yaml
from croniter import croniter
from croniter.croniter import CroniterBadDateError

from autoflow.stencil import DateStencil

FILENAME = "workflows.yml"
AUTOMATIC = ("reference_date", "date_ranges")
RESERVED = (*AUTOMATIC, "flowapi_url")
CDR_TYPES = ("calls", "sms", "mds", "topups")

Path_ = tuple[str | int, ...]
T = TypeVar("T")


@dataclass(frozen=True)
class Notebook:
    """One notebook of a workflow: `parameters` maps a name inside the notebook to the name of its value."""

    key: str
    path: Path
    parameters: Mapping[str, str]
    pdf: bool = False
    template: Path | None = None


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
    """A workflow that the sensor starts for each date, with the parameters that it gets."""

    workflow: Workflow
    parameters: Mapping[str, Any]
    earliest_date: dt.date | None
    date_stencil: DateStencil


@dataclass(frozen=True)
class Definition:
    """What workflows.yml says; `schedule` None means once, `cdr_types` None means all that FlowAPI knows."""

    path: Path
    workflows: Mapping[str, Workflow]
    schedule: str | None
    cdr_types: tuple[str, ...] | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Problem:
    """One mistake: where it stands (key path, line from 1) and what to do."""

    where: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = f"{FILENAME}, line {self.line}" if self.line else FILENAME
        return f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"


class WorkflowsError(ValueError):
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

    def keys(self, path: Path_, value: Any, known: tuple[str, ...], required: tuple[str, ...]) -> dict[str, Any]:
        """Give a section's known keys, having complained of missing and unknown ones."""
        if not isinstance(value, dict):
            self.problem(path, f"this must be a mapping with the keys {_listed(known)}.")
            return {}
        for key in value:
            if key not in known:
                self.problem((*path, key), f"this key is not known here; the keys are {_listed(known)}.")
        for key in required:
            if key not in value:
                self.problem(path, f"the key '{key}' is missing; add it.")
        return {key: value[key] for key in known if key in value}

    def items(self, path: Path_, value: Any) -> list[tuple[Path_, Any]]:
        if not isinstance(value, list):
            self.problem(path, "this must be a list; begin each element with '- '.")
            return []
        return [((*path, n), element) for n, element in enumerate(value)]

    def file(self, path: Path_, value: Any, kind: str) -> Path | None:
        """Give a file of the inputs directory, or complain."""
        if not isinstance(value, str) or not value:
            self.problem(path, f"this must be the name of {kind} in the directory of {FILENAME}.")
        elif PurePath(value).is_absolute() or ".." in PurePath(value).parts:
            self.problem(path, f"'{value}' lies outside the directory of {FILENAME}; copy the file into it.")
        elif not (self.inputs_dir / value).is_file():
            self.problem(path, f"there is no file '{value}' in {self.inputs_dir}; copy it there or mend the name.")
        else:
            return self.inputs_dir / value
        return None


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
    document = _load(reader, text)
    top = reader.keys((), document, ("workflows", "available_dates_sensor"), ("workflows", "available_dates_sensor"))
    workflows: dict[str, Workflow | None] = {}
    if "workflows" in top:
        workflows = _workflows(reader, top["workflows"])
    schedule, cdr_types, entries = None, None, ()
    if "available_dates_sensor" in top:
        schedule, cdr_types, entries = _sensor(reader, top["available_dates_sensor"], workflows)
    if reader.problems:
        raise WorkflowsError(sorted(reader.problems, key=lambda problem: problem.line or 0))
    return Definition(
        path, {name: workflow for name, workflow in workflows.items() if workflow}, schedule, cdr_types, entries
    )


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


def _workflows(reader: _Reader, value: Any) -> dict[str, Workflow | None]:
    """Give the workflows by name; None for one that has a mistake of its own."""
    workflows: dict[str, Workflow | None] = {}
    for path, element in reader.items(("workflows",), value):
        before = len(reader.problems)
        section = reader.keys(path, element, ("name", "notebooks"), ("name", "notebooks"))
        name = section.get("name")
        if "name" in section and (not isinstance(name, str) or not name.strip()):
            reader.problem((*path, "name"), f"the name must be text, not {name!r}; put it in quotes.")
        elif name in workflows:
            reader.problem((*path, "name"), f"a workflow above is called '{name}' already; give each its own name.")
        notebooks = _notebooks(reader, (*path, "notebooks"), section["notebooks"]) if "notebooks" in section else ()
        if isinstance(name, str):
            sound = len(reader.problems) == before
            workflows.setdefault(name, Workflow(name, notebooks) if sound else None)
    return workflows


def _notebooks(reader: _Reader, path: Path_, value: Any) -> tuple[Notebook, ...]:
    if not isinstance(value, dict) or not value:
        reader.problem(
            path, "this must be a mapping from a key for each notebook to its filename, parameters and output."
        )
        return ()
    notebooks: dict[str, Notebook] = {}
    for key, element in value.items():
        here = (*path, key)
        if not isinstance(key, str):
            reader.problem(here, f"the key of a notebook must be text, not {key!r}; put it in quotes.")
        elif key in RESERVED:
            reader.problem(here, f"'{key}' is given to notebooks automatically; choose another key for this notebook.")
        notebook = _notebook(reader, here, str(key), element)
        if notebook:
            notebooks[str(key)] = notebook
    graph = Workflow("", tuple(notebooks.values())).dependencies()
    try:
        order = list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        reader.problem(
            path, f"these notebooks wait for each other: {' -> '.join(reversed(error.args[1]))}; break the circle."
        )
        return ()
    return tuple(notebooks[key] for key in order)


def _notebook(reader: _Reader, path: Path_, key: str, value: Any) -> Notebook | None:
    section = reader.keys(path, value, ("filename", "parameters", "output"), ("filename",))
    file = None
    if "filename" in section:
        filename = section["filename"]
        if isinstance(filename, str) and PurePath(filename).suffix != ".ipynb":
            reader.problem((*path, "filename"), f"'{filename}' is not a notebook; its name must end in .ipynb.")
        else:
            file = reader.file((*path, "filename"), filename, "a notebook")
    parameters = section.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        reader.problem(
            (*path, "parameters"), "this must be a mapping from a name in the notebook to the name of its value."
        )
        parameters = {}
    for name, source in parameters.items():
        if not isinstance(name, str):
            reader.problem((*path, "parameters", name), f"a parameter's name must be text, not {name!r}.")
        if not isinstance(source, str):
            reader.problem(
                (*path, "parameters", name),
                f"this must be a name, not the value {source!r}: write the name of a workflow parameter here, and "
                "its value under available_dates_sensor.",
            )
    pdf, template = False, None
    if section.get("output") is not None:
        output = reader.keys((*path, "output"), section["output"], ("format", "template"), ("format",))
        pdf = output.get("format") == "pdf"
        if "format" in output and not pdf:
            reader.problem((*path, "output", "format"), f"the format must be pdf, not {output['format']!r}.")
        if output.get("template") is not None:
            template = reader.file((*path, "output", "template"), output["template"], "a template")
    texts = {name: source for name, source in parameters.items() if isinstance(source, str)}
    return Notebook(key, file or reader.inputs_dir, texts, pdf, template)


def _sensor(
    reader: _Reader, value: Any, workflows: Mapping[str, Workflow | None]
) -> tuple[str | None, tuple[str, ...] | None, tuple[Entry, ...]]:
    root: Path_ = ("available_dates_sensor",)
    section = reader.keys(root, value, ("schedule", "cdr_types", "workflows"), ("schedule", "workflows"))
    schedule = section.get("schedule")
    if schedule is not None:
        complaint = _cron_complaint(schedule)
        if complaint:
            reader.problem((*root, "schedule"), complaint)
    types = section.get("cdr_types")
    if types is not None:
        for path, element in reader.items((*root, "cdr_types"), types):
            if element not in CDR_TYPES:
                reader.problem(path, f"{element!r} is not a type of CDR; the types are {_listed(CDR_TYPES)}.")
    entries = []
    if "workflows" in section:
        for path, element in reader.items((*root, "workflows"), section["workflows"]):
            entry = _entry(reader, path, element, workflows)
            if entry:
                entries.append(entry)
    return schedule, tuple(types) if isinstance(types, list) else None, tuple(entries)


def _entry(reader: _Reader, path: Path_, value: Any, workflows: Mapping[str, Workflow | None]) -> Entry | None:
    known = ("workflow_name", "parameters", "earliest_date", "date_stencil")
    section = reader.keys(path, value, known, ("workflow_name",))
    name = section.get("workflow_name")
    workflow = None
    if "workflow_name" in section:
        if not isinstance(name, str):
            reader.problem((*path, "workflow_name"), f"this must be the name of a workflow, not {name!r}.")
        elif name not in workflows:
            reader.problem(
                (*path, "workflow_name"),
                f"no workflow is called '{name}'; those above are {_listed(tuple(workflows)) or 'none'}.",
            )
        else:
            workflow = workflows[name]
    parameters = section.get("parameters")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict) or not all(isinstance(key, str) for key in parameters):
        reader.problem(
            (*path, "parameters"), "this must be a mapping from the names of parameters (text) to their values."
        )
    else:
        automatic = [key for key in AUTOMATIC if key in parameters]
        if automatic:
            reader.problem((*path, "parameters"), f"{_listed(tuple(automatic))}: given automatically; leave it out.")
        if workflow:
            _compare_parameters(reader, path, parameters, workflow)
    earliest = _parsed(reader, (*path, "earliest_date"), section.get("earliest_date"), _date)
    stencil = _parsed(reader, (*path, "date_stencil"), section.get("date_stencil"), _stencil)
    if workflow is None or not isinstance(parameters, dict):
        return None
    return Entry(workflow, parameters, earliest, stencil or DateStencil([0]))


def _compare_parameters(reader: _Reader, path: Path_, given: Mapping[str, Any], workflow: Workflow) -> None:
    required = workflow.required_parameters()
    missing = sorted(required - set(given))
    unexpected = sorted(set(given) - required - set(AUTOMATIC))
    sentences = []
    if missing:
        sentences.append(f"workflow '{workflow.name}' needs {_listed(tuple(missing))} as well; add the value")
    if unexpected:
        sentences.append(f"workflow '{workflow.name}' has no parameter {_listed(tuple(unexpected))}; leave it out")
    if sentences:
        reader.problem((*path, "parameters"), "; ".join(sentences) + ".")


def _parsed(reader: _Reader, path: Path_, value: Any, parse: Callable[[Any], T]) -> T | None:
    if value is None:
        return None
    try:
        return parse(value)
    except (TypeError, ValueError, OverflowError) as error:
        reader.problem(path, f"{error}.")
        return None


def _date(value: Any) -> dt.date:
    if isinstance(value, str):
        return dt.date.fromisoformat(value)
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date):
        raise TypeError(f"{value!r} is not a date; write it as 2016-01-01")
    return value


def _stencil(value: Any) -> DateStencil:
    def dates(element: Any) -> Any:
        """Turn dates that stand in quotes into dates."""
        if isinstance(element, list):
            return [dates(part) for part in element]
        return dt.date.fromisoformat(element) if isinstance(element, str) else element

    return DateStencil([dates(element) for element in value] if isinstance(value, list) else value)


def _cron_complaint(schedule: Any) -> str | None:
    way_out = 'write five fields in quotes, such as "0 0 * * *" for midnight UTC, or null to run once'
    if not isinstance(schedule, str) or not croniter.is_valid(schedule):
        return f"{schedule!r} is not a cron schedule; {way_out}."
    try:
        croniter(schedule, dt.datetime.now(dt.UTC)).get_next()
    except CroniterBadDateError:
        return f"'{schedule}' names a time that never comes; {way_out}."
    return None


def _dotted(path: Path_) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)
