"""What a query is: a model whose fields are the wire's parameters, and what follows from them.

A kind is one class in one file of `flowmachine/queries` (or of a plugin): its fields are the wire's parameters, its
docstring is the documentation, its `columns` are the result's schema, its `counts` is what release guards. Defining the
class registers it; an incomplete declaration does not import.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from flowmachine.errors import InvalidQuery
from flowmachine.questions.columns import L, location_columns
from flowmachine.questions.declarations import require_complete
from flowmachine.questions.messages import problems
from flowmachine.questions.roles import Role

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from flowmachine.building.cdr import Cdr
    from flowmachine.building.contributions import Summary

REGISTRY: dict[str, type["Query"]] = {}
"""Every declared kind, by name; filled by defining classes. `registry.kinds` gives those that are ready."""


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
    suppressed_together: ClassVar[tuple[str, ...] | None] = None
    """The columns of the expression that rows share which are suppressed together if one stands for too few people, or
    if such a column is empty; () for all rows, None if each row is suppressed by itself."""
    needs_of_engine: ClassVar[tuple[str, ...]] = ()
    """The abilities of an engine, as `engines.Abilities` names them, without which it cannot be computed."""
    example: ClassVar[Mapping[str, Any]] = {}
    """A full spec: tested, documented and shown with its result."""

    def __init__(self, /, **given: Any) -> None:
        """Make a query of its parameters; raises InvalidQuery naming each one that is wrong, and what is allowed."""
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InvalidQuery(problems(error, {"query_kind": self.kind, **given}, parameters)) from None

    # Pydantic then validates nested queries without calling it: they are problems of the whole, by their path.
    __init__.__pydantic_base_init__ = True  # pyright: ignore[reportFunctionMemberAccess]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Enter a kind in the registry, or raise TypeError naming what its declaration lacks."""
        super().__pydantic_init_subclass__(**kwargs)
        if "query_kind" in cls.model_fields:
            cls.kind = cls.model_fields["query_kind"].default
            require_complete(cls, cls.model_fields, Query)
            _register(cls)

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
        identity = {"spec": self.spec, "revisions": {q.kind: q.revision for q in self.walk()}}
        return hashlib.md5(json.dumps(identity, sort_keys=True).encode(), usedforsecurity=False).hexdigest()

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

    @property
    def part_columns(self) -> dict[str, str]:
        """The columns and types of the rows before places become codes: `place` columns are numbers."""
        columns, result = {}, self.result_columns
        for name, kind in self.columns.items():
            if kind == L:
                columns[f"place{name.removeprefix('location')}"] = "int32"
            elif name in result:
                columns[name] = kind
        return columns

    @property
    def summary(self) -> "Summary | None":
        """How the rows of the expression, one a person, become the result's; None if they are the result's rows."""
        return None

    @property
    def shares(self) -> tuple[str, ...] | None:
        """If rows are parts of a whole: the columns of the expression that name the whole, and last the part; or None.

        A part that is suppressed could be computed from the others.
        """
        return None

    def plainly(self) -> str:
        """The kind and its parameters on one line, without those that are as by default and without nested queries."""
        nested = {name.partition("[")[0] for name, _ in self.named_children()}
        parameters = [f"{name}={value!r}" for name, value in self.__repr_args__() if name not in nested]
        return f"{type(self).__name__}({', '.join(parameters)})"

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._fields():
            if name != "query_kind" and value != type(self).model_fields[name].get_default(call_default_factory=True):
                yield name, str(value).removesuffix(" 00:00:00") if isinstance(value, dt.date) else value

    def expression(self, cdr: "Cdr") -> "ir.Table":
        """The query as an Ibis expression: its `columns`, and `counts` where that is not one of them.

        Locations are numbers here, in columns `place`, `place_from` and `place_to`; they become codes at the end.
        """
        raise NotImplementedError


def parameters(kind: str) -> list[str]:
    """The names of a kind's parameters; none of an unknown kind."""
    return [name for name in REGISTRY[kind].model_fields if name != "query_kind"] if kind in REGISTRY else []


def _register(cls: type[Query]) -> None:
    name = cls.kind
    twin = next((c for n, c in REGISTRY.items() if c.__name__ == cls.__name__ and n != name), None)
    if twin is not None:
        raise TypeError(f"The query kind {name} cannot be registered: {twin.kind} is a class {cls.__name__} too.")
    former = REGISTRY.get(name)
    if former is not None and (former.__module__, former.__qualname__) != (cls.__module__, cls.__qualname__):
        raise TypeError(f"The query kind {name} is declared twice: in {former.__module__} and {cls.__module__}.")
    REGISTRY[name] = cls
