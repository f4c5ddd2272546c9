"""What the declaration of a kind must have, before the kind is registered."""

import re
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from pydantic.fields import FieldInfo


class Declared(Protocol):
    """A class that declares a kind."""

    kind: ClassVar[str]
    role: ClassVar[Any]
    columns: ClassVar[Mapping[str, str]]
    example: ClassVar[Mapping[str, Any]]


def require_complete(cls: type[Declared], fields: Mapping[str, FieldInfo], base: type[Declared]) -> None:
    """Raise TypeError naming what the declaration of a kind lacks; `base` is the class that declares nothing."""
    name = cls.kind
    lacks = [f"a description of {f!r}" for f, i in fields.items() if f != "query_kind" and not i.description]
    if not re.match(r"[^\n]+\.(\n|$)", cls.__doc__ or ""):
        lacks.append("a docstring whose first line is one sentence")
    lacks += [what for what, value in {"columns": cls.columns, "an example": cls.example}.items() if not value]
    if not any("counts" in ancestor.__dict__ for ancestor in cls.__mro__ if ancestor is not base):
        lacks.append("counts, the column that counts the people behind a row, or None if its rows are of nobody")
    if not any("expression" in ancestor.__dict__ for ancestor in cls.__mro__ if ancestor is not base):
        lacks.append("an expression")
    if typing.get_args(fields["query_kind"].annotation) != (name,):
        lacks.append("query_kind as a Literal of its name")
    if lacks:
        raise TypeError(f"The query kind {name} cannot be registered: it lacks {', '.join(lacks)}.")
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        raise TypeError(f"The query kind {name!r} cannot be registered: names are of small letters, digits and _.")
    if cls.role == "Aggregate" and "subscriber" in cls.columns:
        raise TypeError(f"The query kind {name} cannot be registered: an aggregate has no column of subscribers.")
