"""The grammar of workflows.yml, declared once: what the reader refuses by it, the JSON Schema for editors shows."""

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from autoflow.definition.stencil import FURTHEST, DateStencil

AUTOMATIC = ("reference_date", "date_ranges")
RESERVED = (*AUTOMATIC, "flowapi_url")
CRON = 'write five fields in quotes, such as "0 0 * * *" for midnight, or null to run once'
CDR_TYPES = ("calls", "sms", "mds", "topups")

Place = tuple[str | int, ...]
Complain = Callable[[Place, str], None]


class _Unsound:
    def __repr__(self) -> str:
        return "UNSOUND"


UNSOUND = _Unsound()
"""Stands in a document for a part that the grammar refuses."""


class Shape(Protocol):
    """What a part of the document may be."""

    def schema(self) -> dict[str, Any]:
        """Give the shape as JSON Schema."""
        ...

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give the value, with UNSOUND for each part that does not fit, having complained of it."""
        ...


@dataclass(frozen=True)
class Text:
    """Text that fits each of some patterns, given with what is to be said of one that it does not fit."""

    complaint: str
    patterns: Mapping[str, str]

    def schema(self) -> dict[str, Any]:
        """Give the patterns."""
        patterns = [{"pattern": pattern} for pattern in self.patterns]
        return {"type": "string", **(patterns[0] if len(patterns) == 1 else {"allOf": patterns} if patterns else {})}

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give the text."""
        said = self.complaint if not isinstance(value, str) else None
        for pattern, complaint in self.patterns.items():
            if said is None and not re.search(pattern, value):
                said = complaint
        if said is None:
            return value
        complain(place, said.format(value))
        return UNSOUND


@dataclass(frozen=True)
class OneOf:
    """One of a few words."""

    words: tuple[str, ...]
    complaint: str

    def schema(self) -> dict[str, Any]:
        """Give the words."""
        return {"enum": list(self.words)}

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give the word."""
        if isinstance(value, str) and value in self.words:
            return value
        complain(place, self.complaint.format(value, listed(self.words)))
        return UNSOUND


@dataclass(frozen=True)
class Parsed:
    """A value that a function makes of what is written, with what JSON Schema can say of it.

    The function raises TypeError, ValueError or OverflowError with a sentence, less its full stop.
    """

    parse: Callable[[Any], Any]
    written: Mapping[str, Any]

    def schema(self) -> dict[str, Any]:
        """Give what the schema can say."""
        return dict(self.written)

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give what the function makes of the value."""
        try:
            return self.parse(value)
        except (TypeError, ValueError, OverflowError) as error:
            complain(place, f"{error}.")
            return UNSOUND


@dataclass(frozen=True)
class ListOf:
    """A list of parts of one shape."""

    shape: Shape
    at_least: int = 0

    def schema(self) -> dict[str, Any]:
        """Give the shape of the elements."""
        return {
            "type": "array",
            "items": self.shape.schema(),
            **({"minItems": self.at_least} if self.at_least else {}),
        }

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give the list, as long as it was."""
        if not isinstance(value, list):
            complain(place, "this must be a list; begin each element with '- '.")
            return UNSOUND
        if len(value) < self.at_least:
            complain(place, "this list is empty; name at least one, or leave the key out.")
            return UNSOUND
        return [self.shape.read((*place, n), element, complain) for n, element in enumerate(value)]


@dataclass(frozen=True)
class MapOf:
    """A mapping whose keys the user chooses, but for some that are taken."""

    shape: Shape
    complaint: str
    key_complaint: str
    taken: tuple[str, ...] = ()
    taken_complaint: str = ""
    at_least: int = 0

    def schema(self) -> dict[str, Any]:
        """Give the shape of the values, and the keys that are taken."""
        return {
            "type": "object",
            "additionalProperties": self.shape.schema(),
            **({"propertyNames": {"not": {"enum": list(self.taken)}}} if self.taken else {}),
            **({"minProperties": self.at_least} if self.at_least else {}),
        }

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give the mapping, with UNSOUND under each key that is refused."""
        if not isinstance(value, dict) or len(value) < self.at_least:
            complain(place, self.complaint)
            return UNSOUND
        read = {}
        for key, part in value.items():
            read[key] = self.shape.read((*place, key), part, complain)
            if not isinstance(key, str):
                complain((*place, key), self.key_complaint.format(key))
                read[key] = UNSOUND
            elif key in self.taken:
                complain((*place, key), self.taken_complaint.format(key))
                read[key] = UNSOUND
        return read


@dataclass(frozen=True)
class Key:
    """One key of a section: its shape, and what it is for.

    A key that is not required may be null; `or_null` says what that means for one that is.
    """

    shape: Shape
    description: str
    required: bool = False
    default: Any = None
    or_null: str | None = None


@dataclass(frozen=True)
class Section:
    """A mapping with keys that the grammar knows."""

    keys: Mapping[str, Key]

    def schema(self) -> dict[str, Any]:
        """Give each key with its description."""
        properties = {}
        for name, key in self.keys.items():
            shape = key.shape.schema()
            if not key.required or key.or_null:
                shape = _or_null(shape)
            default = {} if key.default is None else {"default": key.default}
            described = key.description + (f" Null means {key.or_null}." if key.or_null else "")
            properties[name] = {"description": described, **shape, **default}
        required = [name for name, key in self.keys.items() if key.required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def read(self, place: Place, value: Any, complain: Complain) -> Any:
        """Give a mapping with every key of the section: defaults filled in, UNSOUND where one is missing."""
        if not isinstance(value, dict):
            complain(place, f"this must be a mapping with the keys {listed(tuple(self.keys))}.")
            return UNSOUND
        for key in value:
            if key not in self.keys:
                complain((*place, key), f"this key is not known here; the keys are {listed(tuple(self.keys))}.")
        read = {}
        for name, key in self.keys.items():
            given = value.get(name)
            if name not in value and key.required:
                complain(place, f"the key '{name}' is missing; add it.")
                read[name] = UNSOUND
            elif given is None and (not key.required or key.or_null):
                given = key.default
                read[name] = None if given is None else key.shape.read((*place, name), given, complain)
            else:
                read[name] = key.shape.read((*place, name), given, complain)
        return read


def _or_null(shape: dict[str, Any]) -> dict[str, Any]:
    if "enum" in shape:
        return {"enum": [*shape["enum"], None]}
    if isinstance(shape.get("type"), str):
        return {**shape, "type": [shape["type"], "null"]}
    return {"anyOf": [shape, {"type": "null"}]}


def _file(kind: str) -> Text:
    return Text(
        f"this must be the name of {kind} in the directory of workflows.yml, not {{!r}}.",
        {
            r"\S": f"this must be the name of {kind} in the directory of workflows.yml.",
            r"^(?!/)(?!(.*/)?\.\.(/|$))": "'{}' lies outside the directory of workflows.yml; copy the file into it.",
            **(
                {r"[^/]\.ipynb$": "'{}' is not a notebook; its name must end in .ipynb."}
                if kind == "a notebook"
                else {}
            ),
        },
    )


DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def _date(value: Any) -> dt.date:
    if isinstance(value, str) and re.search(DAY, value):
        return dt.date.fromisoformat(value)
    if isinstance(value, dt.datetime) or not isinstance(value, dt.date):
        raise TypeError(f"{value!r} is not a date; write it as 2016-01-01")
    return value


def _stencil(value: Any) -> DateStencil:
    def dates(element: Any) -> Any:
        """Turn dates that stand in quotes into dates."""
        if isinstance(element, list):
            return [dates(part) for part in element]
        return _date(element) if isinstance(element, str) else element

    return DateStencil([dates(element) for element in value] if isinstance(value, list) else value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"this must be true or false, not {value!r}")
    return value


def _json(value: Any) -> Any:
    """Refuse what a notebook cannot be given: parameters travel, and are compared, as JSON."""
    if isinstance(value, Mapping):
        return {str(_json(key)): _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    if isinstance(value, float) and value - value != 0:
        raise ValueError(f"{value} is not a number that a notebook can be given; write a finite one or null")
    if value is not None and not isinstance(value, (str, int, float, dt.date)):
        raise TypeError(f"a notebook cannot be given a {type(value).__name__}; write text, numbers, lists or mappings")
    return value


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

_STENCIL = {
    "type": "array",
    "items": {
        "anyOf": [
            *_EDGE["anyOf"],
            {
                "description": "A range: its first day, and the day after its last.",
                "type": "array",
                "items": _EDGE,
                "minItems": 2,
                "maxItems": 2,
            },
        ]
    },
}

_OUTPUT = Section(
    {
        "format": Key(
            OneOf(("pdf", "html"), "the format must be one of {1}, not {0!r}."), "The kind of report.", required=True
        ),
        "template": Key(
            _file("a template"),
            "An AsciiDoc template (.tpl or .j2) in the directory of workflows.yml; asciidoctor-pdf makes the report.",
        ),
        "code": Key(
            Parsed(_truth, {"type": "boolean"}), "Whether the report shows the code of the cells.", default=False
        ),
    }
)

_NOTEBOOK = Section(
    {
        "filename": Key(_file("a notebook"), "The notebook, in the directory of workflows.yml.", required=True),
        "parameters": Key(
            MapOf(
                Text(
                    "this must be a name, not the value {!r}: write the name of a workflow parameter here, and its "
                    "value under available_dates_sensor.",
                    {},
                ),
                "this must be a mapping from a name in the notebook to the name of its value.",
                "a parameter's name must be text, not {!r}.",
            ),
            "For each parameter of the notebook the name of its value: the key of another notebook (its executed "
            "file), reference_date, date_ranges, flowapi_url, or any other name, which becomes a workflow parameter.",
            default={},
        ),
        "output": Key(_OUTPUT, "The report that is made of the executed notebook."),
    }
)

_WORKFLOW = Section(
    {
        "name": Key(
            Text("the name must be text, not {!r}; put it in quotes.", {r"\S": "the name must not be blank."}),
            "The name of the workflow, unlike any other here.",
            required=True,
        ),
        "notebooks": Key(
            MapOf(
                _NOTEBOOK,
                "this must be a mapping from a key for each notebook to its filename, parameters and output.",
                "the key of a notebook must be text, not {!r}; put it in quotes.",
                RESERVED,
                "'{}' is given to notebooks automatically; choose another key for this notebook.",
                at_least=1,
            ),
            "The notebooks that run together, each under a key by which others can name it.",
            required=True,
        ),
    }
)

_TYPES = ListOf(OneOf(CDR_TYPES, "{0!r} is not a type of CDR; the types are {1}."), at_least=1)

_ENTRY = Section(
    {
        "workflow_name": Key(
            Text("this must be the name of a workflow, not {!r}.", {}), "A workflow from above.", required=True
        ),
        "parameters": Key(
            MapOf(
                Parsed(_json, {}),
                "this must be a mapping from the names of parameters (text) to their values.",
                "the name of a parameter must be text, not {!r}; put it in quotes.",
                AUTOMATIC,
                "'{}' is given automatically; leave it out.",
            ),
            "The values of exactly those parameters that the workflow needs.",
            default={},
        ),
        "earliest_date": Key(
            Parsed(_date, {"type": "string", "format": "date", "pattern": DAY}), "The first reference date."
        ),
        "date_stencil": Key(
            Parsed(_stencil, _STENCIL),
            "The days that must be there: offsets from the reference date, dates, and pairs of these, each the first "
            "day of a range and the day after its last.",
            default=[0],
        ),
        "cdr_types": Key(_TYPES, "The types of CDR whose days count for this entry; as for the sensor if left out."),
        "require": Key(
            OneOf(("any", "all"), "this must be one of {1}, not {0!r}."),
            "Whether a day counts once any of the types has it, or only when all have.",
            default="any",
        ),
        "every": Key(
            OneOf(("day", "week", "month"), "this must be one of {1}, not {0!r}."),
            "Which days are reference dates: every day, Sundays, or the last days of months.",
            default="day",
        ),
        "on_change": Key(
            ListOf(OneOf(("notebooks", "data"), "this must be one of {1}, not {0!r}.")),
            "What makes a date run again after it has succeeded: changed notebooks or templates, replaced data.",
            default=[],
        ),
    }
)

_SENSOR = Section(
    {
        "schedule": Key(
            Text(f"{{!r}} is not a cron schedule; {CRON}.", {}),
            'When to look for new dates, as a cron line such as "0 0 * * *", in the time zone of AUTOFLOW_TIMEZONE.',
            required=True,
            or_null="once",
        ),
        "cdr_types": Key(_TYPES, "The types of CDR whose days count; all that FlowAPI reports if left out."),
        "workflows": Key(ListOf(_ENTRY), "What is run for each date.", required=True),
    }
)

GRAMMAR = Section(
    {
        "workflows": Key(ListOf(_WORKFLOW), "The workflows: notebooks that run together.", required=True),
        "available_dates_sensor": Key(
            _SENSOR, "When to look for new dates of data, and which workflows run for each.", required=True
        ),
    }
)
"""The whole of workflows.yml."""


def json_schema() -> dict[str, Any]:
    """Give the grammar as JSON Schema (draft 2020-12), for editors.

    It says what can be said of a file alone. Whether files and names exist, a schedule is one, and notebooks
    wait for each other, the reader alone can tell.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "AutoFlow's workflows.yml",
        "description": "Notebooks that run on each new day of data.",
        **GRAMMAR.schema(),
    }


def listed(words: Iterable[str]) -> str:
    """Give words as they stand in a sentence."""
    return ", ".join(f"'{word}'" for word in words)
