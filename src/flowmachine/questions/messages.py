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
    shown = repr(given) if isinstance(given, str) else json.dumps(given, default=repr)
    return f"It is {shown}. Must be one of: {', '.join(choices)}.{perhaps(given, choices)}"


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
            words = _WORDS.get(detail["type"], "Something else is expected here").format(**context)
            return f"It is {shown if len(shown) < 80 else shown[:77] + '...'}. {words}."


_WORDS = {
    "int_type": "It must be a whole number",
    "int_parsing": "It must be a whole number",
    "int_parsing_size": "It must be a smaller number",
    "int_from_float": "It must be a whole number",
    "float_type": "It must be a number",
    "float_parsing": "It must be a number",
    "finite_number": "It must be a finite number",
    "greater_than": "It must be greater than {gt}",
    "greater_than_equal": "It must be greater than or equal to {ge}",
    "less_than": "It must be less than {lt}",
    "less_than_equal": "It must be less than or equal to {le}",
    "multiple_of": "It must be a multiple of {multiple_of}",
    "bool_type": "It must be true or false",
    "bool_parsing": "It must be true or false",
    "string_type": "It must be a text",
    "string_unicode": "It must be a text",
    "string_too_short": "It must have at least {min_length} characters",
    "string_too_long": "It must have at most {max_length} characters",
    "string_pattern_mismatch": "It must have the form {pattern}",
    "list_type": "It must be a list",
    "tuple_type": "It must be a list",
    "set_type": "It must be a list",
    "frozen_set_type": "It must be a list",
    "too_long": "It must have at most {max_length} items",
    "dict_type": "It must be an object",
    "mapping_type": "It must be an object",
    "model_type": "It must be an object",
    "model_attributes_type": "It must be an object",
    "date_type": "It must be a day: YYYY-MM-DD",
    "date_parsing": "It must be a day: YYYY-MM-DD",
    "date_from_datetime_parsing": "It must be a day: YYYY-MM-DD",
    "date_from_datetime_inexact": "It must be a day: YYYY-MM-DD, without a time",
    "datetime_type": "It must be a time: YYYY-MM-DD hh:mm:ss",
    "datetime_parsing": "It must be a time: YYYY-MM-DD hh:mm:ss",
    "datetime_from_date_parsing": "It must be a time: YYYY-MM-DD hh:mm:ss",
    "none_required": "It must be null",
}
"""What a value must be, by the kind of error of pydantic."""


def _choices(written: str) -> list[str]:
    """The words of a list as pydantic writes it: 'a', 'b' or 'c'."""
    return written.replace("'", "").replace(" or ", ", ").split(", ")
