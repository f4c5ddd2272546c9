"""What delivered texts mean: encodings; words for no value, for true and for false; numbers and dates."""

import datetime as dt
import math
import re
from collections.abc import Callable
from typing import Any, Literal, get_args

Encoding = Literal["utf-8", "latin-1", "cp1252"]
ENCODINGS: tuple[str, ...] = get_args(Encoding)
"""The encodings in which text is delivered."""
NO_VALUE = ("NULL", "null", "None", "none", "NaN", "nan", "\\N")
"""Texts that stand for no value, as an empty one does."""
TRUE_WORDS = ("true", "t", "1", "1.0", "yes", "y")
FALSE_WORDS = ("false", "f", "0", "0.0", "no", "n")
NOUNS = {
    "int16": "a whole number",
    "int32": "a whole number",
    "float64": "a number",
    "bool": "true or false",
    "date": "a date such as 2016-01-31",
}
"""What a text should have been, by the type of its column."""
DECIMAL_COMMA = r"[+-]?\d+,\d+"
"""The numbers that a decimal comma makes; they are read if the delimiter is another character."""

_BLANKS = " \t\r\n\u00a0\ufeff"


def without_blanks(text: str) -> str:
    """A delivered text without the blanks around it, no-break spaces and byte order marks included."""
    return text.strip(_BLANKS)


def value_of(text: str, column_type: str, *, decimal_comma: bool = False) -> Any:
    """The value of a delivered text in a column of a type; None if it stands for no value.

    Raises ValueError if the text is not of that type.
    """
    text = without_blanks(text)
    if not text or text in NO_VALUE:
        return None
    if decimal_comma and re.fullmatch(DECIMAL_COMMA, text):
        text = text.replace(",", ".")
    return _PARSED[column_type](text)


def _whole(text: str) -> int:
    number = _number(text)
    if not number.is_integer() or abs(number) >= 2**31:
        raise ValueError(text)
    return int(number)


def _number(text: str) -> float:
    # Python takes 1_000 for a thousand.
    if "_" in text or not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number


def _truth(text: str) -> bool:
    word = text.lower()
    if word not in (*TRUE_WORDS, *FALSE_WORDS):
        raise ValueError(text)
    return word in TRUE_WORDS


_PARSED: dict[str, Callable[[str], Any]] = {
    "string": str,
    "int32": _whole,
    "float64": _number,
    "bool": _truth,
    "date": dt.date.fromisoformat,
}
