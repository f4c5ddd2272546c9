"""Sentences for requests that do not fit what an address takes, in place of those of libraries."""

from http import HTTPStatus

from fastapi.exceptions import RequestValidationError

from flowauth.errors import NotThere, Refused

UNREADABLE: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read: send a whole form, or JSON that is not nested deeply.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take requests of this method.",
}
"""What a request that is refused before it is read is answered with."""
_WORDS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such field",
    "string_type": "it must be a text",
    "string_unicode": "it holds characters that are no text",
    "string_too_long": "it has more than {max_length} characters",
    "string_pattern_mismatch": "it holds characters that cannot be printed",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_parsing_size": "it is too large a number",
    "int_from_float": "it must be a whole number",
    "greater_than_equal": "it must be {ge} or more",
    "less_than_equal": "it must be {le} or less",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "list_type": "it must be a list",
    "too_long": "it has more than {max_length} entries",
    "dict_type": "it must be an object",
    "model_type": "it must be an object",
    "model_attributes_type": "it must be an object",
    "value_error": "{error}",
}
"""What is wrong with a field, by the kind of error of pydantic."""


def misfit(error: RequestValidationError) -> Refused:
    """The refusal of what was sent, which names the first field that does not fit."""
    first = error.errors()[0]
    if first["loc"][0] == "path":
        return NotThere("There is no such page.")
    if first["type"] == "json_invalid":
        return Refused("The request is not JSON.")
    place = [str(part) for part in first["loc"][1:]]
    words = _WORDS.get(first["type"], "it is not what is expected here").format(**first.get("ctx", {}))
    return Refused(f"{'.'.join(place) or 'The request'}: {words}.", place[-1] if place else None)
