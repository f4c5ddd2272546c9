"""What a form holds, read; what cannot be read is refused at its field."""

import datetime as dt
import hashlib
from typing import Any

from starlette.datastructures import FormData

from flowauth.access import LARGEST_NUMBER
from flowauth.errors import Refused
from flowauth.services.limits import LONGEST_LIFE_MINUTES, Limits

UNITS = {"minutes": 1, "hours": 60, "days": 24 * 60}
_MOST_DIGITS = 10


def text(form: FormData, name: str) -> str:
    """The text of a field, blanks around it left out; nothing if it is missing."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def secret(form: FormData, name: str) -> str:
    """The text of a field as it was typed."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def ticked(form: FormData, name: str) -> bool:
    """Whether a box is ticked."""
    return bool(text(form, name))


def numbers(form: FormData, name: str) -> frozenset[int]:
    """The numbers of the boxes that are ticked."""
    return _whole(form.getlist(name), name)


def listed(form: FormData, name: str) -> frozenset[int]:
    """The numbers that one field holds, between commas."""
    return _whole([part for part in text(form, name).split(",") if part], name)


def minutes(form: FormData, name: str) -> int:
    """A length of time: a number, and its unit in the field `<name>_unit`."""
    given, unit = text(form, name), UNITS.get(text(form, f"{name}_unit"), 1)
    if not given.isascii() or not given.isdecimal() or not 1 <= int(given[:10]) * unit <= LONGEST_LIFE_MINUTES:
        raise Refused("Give a whole number, from one minute to ten years.", name)
    return int(given[:10]) * unit


def when(form: FormData, name: str) -> dt.datetime | None:
    """A moment in UTC; None if the field is empty."""
    given = text(form, name)
    if not given:
        return None
    try:
        read = dt.datetime.fromisoformat(given.removesuffix("Z"))
        return read.replace(tzinfo=dt.UTC) if read.tzinfo is None else read.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Refused("Write the moment as 2027-01-31T18:00.", name) from None


def limits(form: FormData) -> Limits:
    """The limits of a server or a role."""
    return Limits(when(form, "latest_token_expiry"), minutes(form, "longest_token_life_minutes"))


def kept(form: FormData) -> dict[str, Any]:
    """What was typed, to be shown again beside the complaint; no password among it."""
    return {name: value for name, value in form.items() if isinstance(value, str) and "password" not in name}


def fingerprint(facts: object) -> str:
    """A fingerprint that differs if any of the facts differs, for a form to carry."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _whole(given: Any, field: str) -> frozenset[int]:
    texts = [value for value in given if isinstance(value, str) and value.isascii() and value.isdecimal()]
    if len(texts) < len(given) or any(len(value) > _MOST_DIGITS for value in texts):
        raise Refused("The form holds something that is no number; load the page again.", field)
    numbers = frozenset(map(int, texts))
    if numbers and max(numbers) > LARGEST_NUMBER:
        raise Refused("The form names something that is not there; load the page again.", field)
    return numbers
