"""From a spec to a query, or to sentences about what is wrong with the spec."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from flowmachine.errors import InvalidQuery
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds


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
