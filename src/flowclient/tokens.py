"""Reading a FlowKit token: the text itself, or the file that holds it."""

from __future__ import annotations

import base64
import binascii
import json
import os
from pathlib import Path
from typing import Any

from flowclient.errors import FlowclientTokenError
from flowclient.json_objects import is_object

# Longer than any file path that an operating system takes.
LONGEST_PATH = 4096


def read_token(token: str | os.PathLike[str]) -> str:
    """Return the token, read from a file if `token` names one.

    Raises `FlowclientTokenError` if it is neither; the message never holds the token.
    """
    if isinstance(token, str) and claims_of(token.strip()) is not None:
        return token.strip()
    path = Path(token) if isinstance(token, os.PathLike) or 0 < len(token) < LONGEST_PATH else None
    try:
        text = path.read_text(encoding="utf-8").strip() if path is not None else None
    except (OSError, UnicodeDecodeError, ValueError):
        text = None
    if text is None:
        raise FlowclientTokenError(
            "Unable to decode token: it is neither a FlowKit token nor a readable file that holds one. "
            "Copy the whole token from FlowAuth."
        )
    if claims_of(text) is None:
        raise FlowclientTokenError(
            f"Unable to decode token: the file {path} does not hold a FlowKit token. "
            "Save the whole token from FlowAuth there."
        )
    return text


def user_of(token: str) -> str:
    """Return the user that a token names in its claim `sub`.

    The signature is not checked: that is FlowAPI's business, and only FlowAPI's word counts.
    """
    user = (claims_of(token) or {}).get("sub")
    if not user:
        raise FlowclientTokenError(
            "Token does not contain user identity: it has no claim 'sub'. Make a new token in FlowAuth."
        )
    return str(user)


def claims_of(token: str) -> dict[str, Any] | None:
    """Return the claims of a token without checking its signature, None if it is not a token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except (binascii.Error, ValueError):
        return None
    return claims if is_object(header) and is_object(claims) else None
