"""What is wrong with a query, in sentences for whoever wrote it, by the path of each parameter."""

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

_TAGS = ("query_kind", "sampling_method", "type")
"""The fields that say which member of a union a value is."""


def problems(error: ValidationError, given: Any, parameters: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    """The sentences of each path that is wrong in what was given; `parameters` are the names that a kind has."""
    by_path: dict[str, list[str]] = {}
    for detail in error.errors(include_url=False):
        path, value, around = _locate(given, detail["loc"])
        if detail["type"] == "too_short" and value:
            continue  # Items that are wrong themselves are not counted; their own messages say why.
        if detail["type"] == "extra_forbidden":
            kind = around.get("query_kind") if isinstance(around, Mapping) else None
            sentence = f"There is no such parameter.{perhaps(detail['loc'][-1], parameters(str(kind)))}"
        else:
            sentence = _sentence(detail, value)
        by_path.setdefault(path, []).append(sentence)
    return by_path


def perhaps(given: Any, choices: Iterable[str]) -> str:
    """A sentence, after a space, with the choice that is perhaps meant; nothing if none looks like what was given."""
    alike = difflib.get_close_matches(str(given).lower(), list(choices), n=1)
    return f" Perhaps {alike[0]} is meant." if alike else ""


def not_one_of(given: Any, choices: Iterable[str]) -> str:
    """The sentence that something is none of the choices, with the one that is perhaps meant."""
    choices = list(choices)
    return f"It is {given!r}. Must be one of: {', '.join(choices)}.{perhaps(given, choices)}"


def _locate(given: Any, loc: tuple[int | str, ...]) -> tuple[str, Any, Any]:
    """The path of an error as its reader writes it, the value there, and what the value is a part of.

    A union adds the tag of the member that it tried to an error's location; a reader knows no such step.
    """
    path, value, around, entered = "", given, None, False
    for step in loc:
        if isinstance(step, int):
            path, entered, around = f"{path}[{step}]", True, value
            value = value[step] if isinstance(value, list | tuple) and step < len(value) else None
        elif entered and isinstance(value, Mapping) and step in [value.get(tag) for tag in _TAGS]:
            entered = False
        else:
            path, entered, around = f"{path}.{step}" if path else step, True, value
            value = value.get(step) if isinstance(value, Mapping) else None
    return path, value, around


def _sentence(detail: Any, given: Any) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return "It is missing."
        case "literal_error":
            return not_one_of(given, _choices(context["expected"]))
        case "union_tag_invalid":
            (tag,), choices = _choices(context["discriminator"]), _choices(context["expected_tags"])
            wrong = context["tag"]
            return f"Its {tag} is {wrong!r}. Must be one of: {', '.join(choices)}.{perhaps(wrong, choices)}"
        case "union_tag_not_found":
            return f"Its {_choices(context['discriminator'])[0]} is missing."
        case "too_short":
            return "It needs at least one item."
        case "value_error":
            return str(context["error"])
        case _:
            shown = json.dumps(given, default=str)
            return f"It is {shown if len(shown) < 80 else shown[:77] + '...'}. {detail['msg']}."


def _choices(written: str) -> list[str]:
    """The words of a list as pydantic writes it: 'a', 'b' or 'c'."""
    return written.replace("'", "").replace(" or ", ", ").split(", ")
