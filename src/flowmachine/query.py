"""What a query kind is, and the registry that holds every kind.

A kind is one class in one file of `flowmachine/queries` (or of a plugin): its fields are the wire's parameters, its
docstring is the documentation, its `columns` are the result's schema, its `counts` is what release guards. Defining the
class registers it; an incomplete declaration does not import.
"""

import datetime as dt
import hashlib
import importlib
import json
import pkgutil
import re
import typing
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias, Union

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from flowdb.tables import UNITS, is_unit_name
from flowmachine.errors import InvalidQuery

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from flowmachine.cdr import Cdr

    # To a type checker a slot holds a query; to pydantic, the union of the kinds that belong in it.
    ReferenceLocation: TypeAlias = "Query"
    InputToFlows: TypeAlias = "Query"
    InputToModalLocation: TypeAlias = "Query"
    VisitableLocation: TypeAlias = "Query"
    WeightedLocationQueries: TypeAlias = "Query"
    JoinableMetrics: TypeAlias = "Query"
    HistogrammableMetrics: TypeAlias = "Query"
    SubscriberQuery: TypeAlias = "Query"


def _unit(name: str) -> str:
    if not is_unit_name(name):
        raise ValueError(
            f"It is {name!r}. Must be one of: {', '.join(UNITS)}; or a unit of the deployment's own, named in small "
            "letters, digits, - and _."
        )
    return name


Unit = Annotated[str, AfterValidator(_unit), WithJsonSchema({"type": "string", "enum": list(UNITS)}, mode="validation")]
"""What locations are told by: one of UNITS, or a level of a deployment's own; which there are, its store knows."""

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
"""Where a kind may stand: Aggregate is what a server releases; the others say which slots accept it."""

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

REGISTRY: dict[str, type["Query"]] = {}
"""Every kind, by name; filled by defining classes."""

L = "location"
"""The type of a column that stands for the location columns of the query's unit: pcod, or lon and lat."""


class Query(BaseModel):
    """A question about the data, with named parameters; frozen, hashable, and made without a connection."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    kind: ClassVar[str] = ""
    """The kind's name on the wire: the default of its field `query_kind`."""
    role: ClassVar[Role] = "Aggregate"
    revision: ClassVar[int] = 1
    """Raised when the kind's meaning changes, so that former results are not served for the new question."""
    columns: ClassVar[Mapping[str, str]] = {}
    """Result columns and their types, in order; the type `L` stands for the location columns of the unit."""
    counts: ClassVar[str | None] = None
    """The column of the expression that counts the people behind a row; None where the rows are of nobody."""
    contributions: ClassVar[tuple[str, str] | None] = None
    """Of kinds whose value is a sum of amounts, such as money: the columns of the expression with what the greatest
    contributor contributes to a row, and what all but the two greatest do, as `release.contributed` makes them."""
    withheld_together: ClassVar[tuple[str, ...] | None] = None
    """The columns of the expression that rows share which are withheld together where one stands for too few people, or
    where such a column is empty; () for all rows, None where each row is withheld by itself."""
    example: ClassVar[Mapping[str, Any]] = {}
    """A full spec: tested, documented and shown with its result."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Enter the kind in the registry, or say what its declaration lacks."""
        super().__pydantic_init_subclass__(**kwargs)
        if "query_kind" not in cls.model_fields:
            return
        name = cls.kind = cls.model_fields["query_kind"].default
        lacks = [
            f"a description of {f!r}" for f, i in cls.model_fields.items() if f != "query_kind" and not i.description
        ]
        if not re.match(r"[^\n]+\.(\n|$)", cls.__doc__ or ""):
            lacks.append("a docstring whose first line is one sentence")
        lacks += [what for what, there in {"columns": cls.columns, "an example": cls.example}.items() if not there]
        if not any("counts" in base.__dict__ for base in cls.__mro__ if base is not Query):
            lacks.append("counts, the column that counts the people behind a row, or None where it tells of nobody")
        if cls.expression is Query.expression:
            lacks.append("an expression")
        if typing.get_args(cls.model_fields["query_kind"].annotation) != (name,):
            lacks.append("query_kind as a Literal of its name")
        if lacks:
            raise TypeError(f"The query kind {name} cannot be registered: it lacks {', '.join(lacks)}.")
        if not re.fullmatch("[a-z][a-z0-9_]*", name):
            raise TypeError(f"The query kind {name!r} cannot be registered: names are of small letters, digits and _.")
        if cls.role == "Aggregate" and "subscriber" in cls.columns:
            raise TypeError(f"The query kind {name} cannot be registered: an aggregate has no column of subscribers.")
        twin = next((c for n, c in REGISTRY.items() if c.__name__ == cls.__name__ and n != name), None)
        if twin is not None:
            raise TypeError(f"The query kind {name} cannot be registered: {twin.kind} is a class {cls.__name__} too.")
        former = REGISTRY.get(name)
        if former is not None and (former.__module__, former.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"The query kind {name} is declared twice: in {former.__module__} and {cls.__module__}.")
        REGISTRY[name] = cls

    @property
    def spec(self) -> dict[str, Any]:
        """The query as it goes over the wire, with every default filled in."""
        return self.model_dump(mode="json")

    @property
    def id(self) -> str:
        """The query's identity: a digest of its kinds, revisions and named parameters, in 32 hexadecimal digits.

        Lists keep their order; equal values spelled differently give equal ids. It does not depend on the data; a
        result's id also covers the versions of the days that it read (see `Session.result_id`).
        """
        told = {"spec": self.spec, "revisions": {q.kind: q.revision for q in self.walk()}}
        return hashlib.md5(json.dumps(told, sort_keys=True).encode(), usedforsecurity=False).hexdigest()

    @property
    def unit(self) -> str | None:
        """The level that the result's locations are of; None where it has none.

        Of nested queries, the first field that has locations tells it: labels and metrics may be of another level.
        """
        own = getattr(self, "aggregation_unit", None)
        if own or L not in self.columns.values():
            return own
        located = (child for child in self.children() if child is not getattr(self, "subscriber_subset", None))
        return next((u for child in located if (u := child.unit)), None)

    def _fields(self) -> Iterator[tuple[str, Any]]:
        for name in type(self).model_fields:
            yield name, getattr(self, name)

    def children(self) -> Iterator["Query"]:
        """The queries that this one is directly made of, in the order of its fields."""
        for _, value in self._fields():
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Query):
                    yield item

    def named_children(self) -> Iterator[tuple[str, "Query"]]:
        """The queries that this one is directly made of, each with its field's name, and its number in a list."""
        for name, value in self._fields():
            if isinstance(value, Query):
                yield name, value
            elif isinstance(value, tuple):
                yield from ((f"{name}[{n}]", item) for n, item in enumerate(value) if isinstance(item, Query))

    def parts(self) -> Iterator["Query"]:
        """The children whose rows this query reads, each a table that may be stored and reused.

        Children in a list are none: their parent reads their events itself, in one scan. Nor is an aggregate: what
        is stored of one is what may be published of it, and not what its parent needs.
        """
        for _, value in self._fields():
            if isinstance(value, Query) and value.role != "Aggregate":
                yield value

    def walk(self) -> Iterator["Query"]:
        """This query and all that it is made of, at any depth."""
        yield self
        for child in self.children():
            yield from child.walk()

    @property
    def result_columns(self) -> dict[str, str]:
        """The result's columns and types, in order."""
        columns: dict[str, str] = {}
        for name, kind in self.columns.items():
            columns |= location_columns(self.unit, name.removeprefix("location")) if kind == L else {name: kind}
        return columns

    def plainly(self) -> str:
        """The kind and its parameters on one line, without those that are as by default and without nested queries."""
        nested = {name.partition("[")[0] for name, _ in self.named_children()}
        told = [f"{name}={value!r}" for name, value in self.__repr_args__() if name not in nested]
        return f"{type(self).__name__}({', '.join(told)})"

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._fields():
            if name != "query_kind" and value != type(self).model_fields[name].get_default(call_default_factory=True):
                yield name, str(value).removesuffix(" 00:00:00") if isinstance(value, dt.date) else value

    def expression(self, cdr: "Cdr") -> "ir.Table":
        """The query as an Ibis expression: its `columns`, and `counts` where that is not one of them.

        Locations are numbers here, in columns `place`, `place_from` and `place_to`; they become codes at the end.
        """
        raise NotImplementedError


def location_columns(unit: str | None, suffix: str = "") -> dict[str, str]:
    """The columns that tell a location of a unit, and their types."""
    if unit == "lon-lat":
        return {f"lon{suffix}": "float64", f"lat{suffix}": "float64"}
    return {f"{_CODES.get(unit or '', 'pcod')}{suffix}": "string"}


_CODES = {"cell": "location_id", "site": "site_id"}


@cache
def kinds() -> Mapping[str, type[Query]]:
    """Every query kind, ours and the plugins', ready to validate; a plugin that breaks is named and left out."""
    queries = importlib.import_module("flowmachine.queries")

    for module in sorted(m.name for m in pkgutil.iter_modules(queries.__path__)):
        importlib.import_module(f"{queries.__name__}.{module}")
    _make_ready()
    for plugin in sorted(entry_points(group="flowmachine.queries"), key=lambda e: e.name):
        former = dict(REGISTRY)
        try:
            plugin.load()
            _make_ready()
            for name in REGISTRY.keys() - former.keys():
                REGISTRY[name].model_validate(REGISTRY[name].example)
                REGISTRY[name].model_json_schema()
        except (Exception, SystemExit) as problem:
            told = f"{type(problem).__name__}: {problem}".partition("\n")[0]
            warnings.warn(f"The plugin {plugin.name} ({plugin.value}) is left out: {told}", stacklevel=2)
            package = plugin.module.partition(".")[0]
            for name, cls in list(REGISTRY.items()):
                # What it imported of another plugin stays: that one's own import would not declare it again.
                if former.get(name) is not cls and cls.__module__.partition(".")[0] == package:
                    del REGISTRY[name]
            REGISTRY.update(former)
            _make_ready()
    return dict(sorted(REGISTRY.items()))


def _make_ready() -> None:
    namespace = {slot: _one_of(slot_members(slot)) for slot in SLOTS}
    for cls in REGISTRY.values():
        cls.model_rebuild(force=True, _types_namespace=namespace)


def slot_members(slot: str) -> list[str]:
    """The kinds that a slot accepts."""
    return [name for name, cls in sorted(REGISTRY.items()) if cls.role in SLOTS[slot]]


def _one_of(members: list[str]) -> Any:
    classes: Any = tuple(REGISTRY[name] for name in members)
    # A union of one class takes no discriminator.
    return Annotated[Union[classes], Field(discriminator="query_kind")] if len(classes) > 1 else classes[0]  # noqa: UP007


def parse(spec: Any) -> Query:
    """The query that a spec means; raises InvalidQuery naming each path that is wrong, and what is allowed."""
    if not isinstance(spec, Mapping):
        raise InvalidQuery({"": ["A query spec is an object with a query_kind."]})
    name = spec.get("query_kind")
    cls = kinds().get(str(name))
    if cls is None:
        given = "is missing" if name is None else f"is {name!r}"
        raise InvalidQuery({"query_kind": [f"It {given}. Must be one of: {', '.join(kinds())}."]})
    try:
        return cls.model_validate(spec)
    except ValidationError as error:
        problems: dict[str, list[str]] = {}
        for detail in error.errors(include_url=False):
            path, given = _locate(spec, detail["loc"])
            if detail["type"] == "too_short" and given:
                continue  # Items that are wrong themselves are not counted; their own messages say why.
            problems.setdefault(path, []).append(_sentence(detail, given))
        raise InvalidQuery(problems) from None


_TAGS = ("query_kind", "sampling_method", "type")
"""The fields that tell which member of a union a value is."""


def _locate(spec: Any, loc: tuple[int | str, ...]) -> tuple[str, Any]:
    """The path of an error as its reader writes it, and the value there.

    A union adds the tag of the member that it tried to an error's location; a reader knows no such step.
    """
    path, value, entered = "", spec, False
    for step in loc:
        if isinstance(step, int):
            path, entered = f"{path}[{step}]", True
            value = value[step] if isinstance(value, list | tuple) and step < len(value) else None
        elif entered and isinstance(value, Mapping) and step in [value.get(tag) for tag in _TAGS]:
            entered = False
        else:
            path, entered = f"{path}.{step}" if path else step, True
            value = value.get(step) if isinstance(value, Mapping) else None
    return path, value


def _sentence(detail: Any, given: Any) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "It is missing."
        case "extra_forbidden":
            return "There is no such parameter."
        case "literal_error":
            return f"It is {given!r}. Must be one of: {_plain(context['expected'])}."
        case "union_tag_invalid":
            tag = _plain(context["discriminator"])
            return f"Its {tag} is {context['tag']!r}. Must be one of: {_plain(context['expected_tags'])}."
        case "union_tag_not_found":
            return f"Its {_plain(context['discriminator'])} is missing."
        case "too_short":
            return "It needs at least one item."
        case "value_error":
            return str(context["error"])
        case _:
            shown = json.dumps(given, default=str)
            return f"It is {shown if len(shown) < 80 else shown[:77] + '...'}. {detail['msg']}."


def _plain(choices: str) -> str:
    return choices.replace("'", "").replace(" or ", ", ")
