"""The grammar of workflows.yml as pydantic models: they read the file, and their JSON Schema is for editors.

Each rule is written once, at the key that it is about, so that a complaint carries the place of its mistake. Rules
about files and names need the context `Known`.
"""

import datetime as dt
import graphlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from croniter import croniter
from croniter.croniter import CroniterBadDateError
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema

from autoflow.definition.stencil import FURTHEST, DateStencil
from flowclient.event_types import EVENT_TYPES

AUTOMATIC = ("reference_date", "date_ranges")
RESERVED = (*AUTOMATIC, "flowapi_url")
CRON = 'write five fields in quotes, such as "0 0 * * *" for midnight, or null to run once'
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

Place = tuple[str | int, ...]


def listed(words: Iterable[str]) -> str:
    """Words as a list within a sentence."""
    return ", ".join(f"'{word}'" for word in words)


@dataclass
class Known:
    """What rules need beside the file: the directory of the notebooks, and the workflows read so far."""

    inputs_dir: Path
    names: list[str] = field(default_factory=list)
    workflows: dict[str, "WorkflowSection"] = field(default_factory=dict)
    """Those without a mistake, by name."""


def _known(info: ValidationInfo) -> Known:
    if not isinstance(info.context, Known):
        raise TypeError("The grammar of workflows.yml needs the context `Known`.")
    return info.context


# Rules for one value. A message is a sentence without its full stop.


def _text(complaint: str, blank: str = "") -> BeforeValidator:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(complaint.format(value))
        if blank and not value.strip():
            raise ValueError(blank)
        return value

    return BeforeValidator(read)


def _one_of(complaint: str, words: tuple[str, ...]) -> BeforeValidator:
    def read(value: object) -> object:
        if value not in words:
            raise ValueError(complaint.format(value, listed(words)))
        return value

    return BeforeValidator(read)


def _mapping(complaint: str, at_least: int = 0) -> BeforeValidator:
    def read(value: object) -> object:
        if not isinstance(value, dict) or len(value) < at_least:
            raise ValueError(complaint)
        return value

    return BeforeValidator(read)


def _key(complaint: str, taken: tuple[str, ...] = (), taken_complaint: str = "") -> BeforeValidator:
    def read(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(complaint.format(value))
        if value in taken:
            raise ValueError(taken_complaint.format(value))
        return value

    return BeforeValidator(read)


_NOT_BLANK, _INSIDE, _NOTEBOOK_NAME = r"\S", r"^(?!/)(?!(.*/)?\.\.(/|$))", r"[^/]\.ipynb$"


def _file(kind: str, *more: str) -> tuple[BeforeValidator, WithJsonSchema]:
    def read(value: object, info: ValidationInfo) -> str:
        if not isinstance(value, str) or not re.search(_NOT_BLANK, value):
            given = "" if isinstance(value, str) else f", not {value!r}"
            raise ValueError(f"this must be the name of {kind} in the directory of workflows.yml{given}")
        if not re.search(_INSIDE, value):
            raise ValueError(f"'{value}' lies outside the directory of workflows.yml; copy the file into it")
        if kind == "a notebook" and not re.search(_NOTEBOOK_NAME, value):
            raise ValueError(f"'{value}' is not a notebook; its name must end in .ipynb")
        folder = _known(info).inputs_dir
        if not (folder / value).is_file():
            raise ValueError(f"there is no file '{value}' in {folder}; copy it there or correct the name")
        return value

    patterns = [{"pattern": pattern} for pattern in (_NOT_BLANK, _INSIDE, *more)]
    return BeforeValidator(read), WithJsonSchema({"type": "string", "allOf": patterns})


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"this must be true or false, not {value!r}")
    return value


def _date(value: Any) -> dt.date:
    if isinstance(value, str) and re.search(DAY, value):
        return dt.date.fromisoformat(value)
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date):
        raise ValueError(f"{value!r} is not a date; write it as 2016-01-01")
    return value


def _stencil(value: Any) -> DateStencil:
    def dates(element: Any) -> Any:
        """Turn quoted dates into dates."""
        if isinstance(element, list):
            return [dates(part) for part in element]
        return _date(element) if isinstance(element, str) else element

    try:
        return DateStencil([dates(element) for element in value] if isinstance(value, list) else value)
    except (TypeError, OverflowError) as error:
        raise ValueError(str(error)) from error


def _json(value: Any) -> Any:
    """Refuse what a notebook cannot be given: parameters travel, and are compared, as JSON."""
    if isinstance(value, Mapping):
        return {str(_json(key)): _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    if isinstance(value, float) and value - value != 0:
        raise ValueError(f"{value} is not a number that a notebook can be given; write a finite one or null")
    if value is not None and not isinstance(value, (str, int, float, dt.date)):
        raise ValueError(f"a notebook cannot be given a {type(value).__name__}; write text, numbers, lists or mappings")
    return value


def _schedule(value: object) -> str:
    if not isinstance(value, str) or not croniter.is_valid(value):
        raise ValueError(f"{value!r} is not a cron schedule; {CRON}")
    try:
        croniter(value, dt.datetime.now(dt.UTC)).get_next()
    except CroniterBadDateError:
        raise ValueError(f"'{value}' names a time that never comes; {CRON}") from None
    return value


# Types of values.

Day = Annotated[dt.date, BeforeValidator(_date), WithJsonSchema({"type": "string", "format": "date", "pattern": DAY})]
CdrType = Annotated[
    str,
    _one_of("{0!r} is not a type of CDR; the types are {1}", EVENT_TYPES),
    WithJsonSchema({"enum": list(EVENT_TYPES)}),
]
CdrTypes = Annotated[list[CdrType], Field(min_length=1)]
Format = Literal["pdf", "html"]

_EDGE = {
    "anyOf": [
        {
            "description": "Days from the reference date: -1 is the day before it.",
            "type": "integer",
            "minimum": -FURTHEST,
            "maximum": FURTHEST,
        },
        {"description": "A day, such as 2016-01-01.", "type": "string", "pattern": DAY},
    ]
}
_RANGE = {
    "description": "A range: its first day, and the day after its last.",
    "type": "array",
    "items": _EDGE,
    "minItems": 2,
    "maxItems": 2,
}
Stencil = Annotated[
    DateStencil,
    PlainValidator(_stencil),
    WithJsonSchema({"type": "array", "items": {"anyOf": [*_EDGE["anyOf"], _RANGE]}}),
]


class Section(BaseModel):
    """A mapping with known keys. A key that is not required may be null, which means its default."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class OutputSection(Section):
    """The report that is made from an executed notebook."""

    format: Annotated[Format, _one_of("the format must be one of {1}, not {0!r}", get_args(Format))] = Field(
        description="The kind of report."
    )
    template: Annotated[str, *_file("a template")] | None = Field(
        None,
        description="An AsciiDoc template (.tpl or .j2) in the directory of workflows.yml; "
        "asciidoctor-pdf makes the report.",
    )
    code: Annotated[bool, BeforeValidator(_truth)] | None = Field(
        False, description="Whether the report shows the code of the cells."
    )

    @field_validator("template")
    @classmethod
    def _of_a_pdf(cls, template: str | None, info: ValidationInfo) -> str | None:
        if template is not None and info.data.get("format") == "html":
            raise ValueError("an AsciiDoc template makes a PDF; write format: pdf, or leave the template out")
        return template


class NotebookSection(Section):
    """A notebook of a workflow."""

    filename: Annotated[str, *_file("a notebook", _NOTEBOOK_NAME)] = Field(
        description="The notebook, in the directory of workflows.yml."
    )
    parameters: (
        Annotated[
            dict[
                Annotated[str, _key("a parameter's name must be text, not {!r}")],
                Annotated[
                    str,
                    _text(
                        "this must be a name, not the value {!r}: write the name of a workflow parameter here, and its "
                        "value under available_dates_sensor"
                    ),
                ],
            ],
            _mapping("this must be a mapping from a name in the notebook to the name of its value"),
        ]
        | None
    ) = Field(
        {},
        description="For each parameter of the notebook the name of its value: the key of another notebook (its "
        "executed file), reference_date, date_ranges, flowapi_url, or any other name, which becomes a workflow "
        "parameter.",
    )
    output: OutputSection | None = Field(None, description="The report that is made from the executed notebook.")


class WorkflowSection(Section):
    """Notebooks that run together."""

    name: Annotated[str, _text("the name must be text, not {!r}; put it in quotes", "the name must not be blank")] = (
        Field(description="The name of the workflow, unlike any other here.", pattern=_NOT_BLANK)
    )
    notebooks: Annotated[
        dict[
            Annotated[
                str,
                _key(
                    "the key of a notebook must be text, not {!r}; put it in quotes",
                    RESERVED,
                    "'{}' is given to notebooks automatically; choose another key for this notebook",
                ),
            ],
            NotebookSection,
        ],
        _mapping("this must be a mapping from a key for each notebook to its filename, parameters and output", 1),
    ] = Field(
        description="The notebooks that run together, each under a key by which others can name it.",
        min_length=1,
        json_schema_extra={"propertyNames": {"not": {"enum": list(RESERVED)}}},
    )

    def dependencies(self) -> dict[str, set[str]]:
        """The keys of the notebooks that each notebook reads, by its key."""
        return _dependencies(self.notebooks)

    def required_parameters(self) -> set[str]:
        """The names that an entry of the sensor must supply for this workflow."""
        sources = {name for notebook in self.notebooks.values() for name in (notebook.parameters or {}).values()}
        return sources - self.notebooks.keys() - set(RESERVED)

    @field_validator("name")
    @classmethod
    def _new(cls, name: str, info: ValidationInfo) -> str:
        known = _known(info)
        if name in known.names:
            raise ValueError(f"a workflow above is called '{name}' already; give each its own name")
        known.names.append(name)
        return name

    @field_validator("notebooks")
    @classmethod
    def _in_order(cls, notebooks: dict[str, NotebookSection]) -> dict[str, NotebookSection]:
        """Order the notebooks so that each comes after those that it reads."""
        try:
            order = graphlib.TopologicalSorter(_dependencies(notebooks)).static_order()
            return {key: notebooks[key] for key in order}
        except graphlib.CycleError as error:
            circle = " -> ".join(reversed(error.args[1]))
            raise ValueError(f"these notebooks wait for each other: {circle}; break the circle") from None

    @model_validator(mode="after")
    def _remembered(self, info: ValidationInfo) -> Self:
        known = _known(info)
        known.workflows[self.name] = self
        return self


def _dependencies(notebooks: Mapping[str, NotebookSection]) -> dict[str, set[str]]:
    return {key: set(notebooks) & set((notebook.parameters or {}).values()) for key, notebook in notebooks.items()}


class EntrySection(Section):
    """A workflow that is run for each date."""

    workflow_name: Annotated[str, _text("this must be the name of a workflow, not {!r}")] = Field(
        description="A workflow from above."
    )
    parameters: (
        Annotated[
            dict[
                Annotated[
                    str,
                    _key(
                        "the name of a parameter must be text, not {!r}; put it in quotes",
                        AUTOMATIC,
                        "'{}' is given automatically; leave it out",
                    ),
                ],
                Annotated[Any, BeforeValidator(_json)],
            ],
            _mapping("this must be a mapping from the names of parameters (text) to their values"),
        ]
        | None
    ) = Field(
        {},
        description="The values of exactly those parameters that the workflow needs.",
        json_schema_extra={"propertyNames": {"not": {"enum": list(AUTOMATIC)}}},
        validate_default=True,
    )
    earliest_date: Day | None = Field(None, description="The first reference date.")
    date_stencil: Stencil | None = Field(
        None,
        description="The days that must be available: offsets from the reference date, dates, and pairs of these, "
        "each the first day of a range and the day after its last; [0], the reference date itself, if left out.",
        json_schema_extra={"default": [0]},
    )
    cdr_types: CdrTypes | None = Field(
        None, description="The types of CDR whose days count for this entry; as for the sensor if left out."
    )
    require: Literal["any", "all"] | None = Field(
        "any", description="Whether a day counts once any of the types has it, or only when all have."
    )
    every: Literal["day", "week", "month"] | None = Field(
        "day", description="Which days are reference dates: every day, Sundays, or the last days of months."
    )
    on_change: list[Literal["notebooks", "data"]] | None = Field(
        [],
        description="What makes a date run again after it has succeeded: changed notebooks or templates, "
        "replaced data.",
    )

    @field_validator("workflow_name")
    @classmethod
    def _defined(cls, name: str, info: ValidationInfo) -> str:
        known = _known(info)
        if name not in known.names:
            raise ValueError(f"no workflow is called '{name}'; those above are {listed(known.names) or 'none'}")
        return name

    @field_validator("parameters")
    @classmethod
    def _exactly_those_needed(cls, given: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any]:
        known = _known(info)
        workflow = known.workflows.get(info.data.get("workflow_name", ""))
        if workflow is None:
            return given or {}
        required, names = workflow.required_parameters(), set(given or {})
        sentences = []
        if missing := sorted(required - names):
            sentences.append(f"workflow '{workflow.name}' needs {listed(missing)} as well; add the value")
        if unexpected := sorted(names - required):
            sentences.append(f"workflow '{workflow.name}' has no parameter {listed(unexpected)}; leave it out")
        if sentences:
            raise ValueError("; ".join(sentences))
        return given or {}


class SensorSection(Section):
    """When to look for new dates, and what to run for them."""

    schedule: Annotated[str, BeforeValidator(_schedule)] | None = Field(
        description='When to look for new dates, as a cron line such as "0 0 * * *", in the time zone of '
        "AUTOFLOW_TIMEZONE. Null means once."
    )
    cdr_types: CdrTypes | None = Field(
        None, description="The types of CDR whose days count; all that FlowAPI reports if left out."
    )
    workflows: list[EntrySection] = Field(description="What is run for each date.")


class Document(Section):
    """Notebooks that run on each new day of data."""

    model_config = ConfigDict(title="AutoFlow's workflows.yml")

    workflows: list[WorkflowSection] = Field(description="The workflows: notebooks that run together.")
    available_dates_sensor: SensorSection = Field(
        description="When to look for new dates of data, and which workflows run for each."
    )


def sentences_of(error: ValidationError) -> list[tuple[Place, str]]:
    """What a validation of `Document` complained of: the place of each mistake, and a sentence."""
    return [_sentence(problem) for problem in error.errors(include_url=False)]


def _sentence(problem: Any) -> tuple[Place, str]:
    # pydantic marks the place of a mapping's key by one element more.
    place: Place = tuple(part for part in problem["loc"] if part != "[key]")
    match problem["type"]:
        case "value_error":
            said = str(problem["ctx"]["error"])
        case "missing":
            return place[:-1], f"the key '{place[-1]}' is missing; add it."
        case "extra_forbidden" | "invalid_key":
            said = f"this key is not known here; the keys are {listed(_keys_at(place[:-1]))}"
        case "list_type":
            said = "this must be a list; begin each element with '- '"
        case "too_short":
            said = "this list is empty; name at least one, or leave the key out"
        case "model_type" | "model_attributes_type":
            said = f"this must be a mapping with the keys {listed(_keys_at(place))}"
        case "literal_error":
            words = problem["ctx"]["expected"].replace(" or ", ", ")
            said = f"this must be one of {words}, not {problem['input']!r}"
        case _:
            said = problem["msg"]
    return place, f"{said}."


def _keys_at(place: Place) -> list[str]:
    """The keys that the section at a place may have."""
    section: type[BaseModel] = Document
    for part in place:
        known = section.model_fields.get(str(part))
        section = (_section_of(known.annotation) if known else None) or section
    return list(section.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The section that a type holds, as an element or value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((section for part in get_args(annotation) if (section := _section_of(part))), None)


class _Schema(GenerateJsonSchema):
    """Pydantic's JSON Schema without a title for each key, which would say what the key says."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The grammar as JSON Schema (draft 2020-12), for editors.

    It says what can be said of a file alone. Whether files and names exist, a schedule is one, and notebooks
    wait for each other, only reading the file shows.
    """
    schema = Document.model_json_schema(schema_generator=_Schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
