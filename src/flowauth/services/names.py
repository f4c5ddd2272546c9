"""What users, roles and tokens may be called."""

import re

from flowauth.errors import Refused
from flowauth.tables import LONGEST_NAME

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.@-]*[A-Za-z0-9_])?")


def valid_name(name: object, what: str) -> str:
    """The name, if it is one: letters, digits and underscores, and between them dots, hyphens and at signs."""
    field = "username" if what == "user" else "name"
    if not isinstance(name, str) or not name:
        raise Refused(f"The {what} needs a name.", field)
    if len(name) > LONGEST_NAME:
        raise Refused(f"The name of a {what} has at most {LONGEST_NAME} characters.", field)
    if not _NAME.fullmatch(name):
        raise Refused(
            f"The name of a {what} is made of letters a to z, digits and underscores, and between them dots, hyphens "
            "and at signs; no blanks.",
            field,
        )
    return name
