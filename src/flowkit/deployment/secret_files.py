"""Secrets of a deployment: files that only their owner can read, in the folder `secrets`."""

import base64
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

FOLDER = "secrets"
FLOWAUTH_SECRETS: Mapping[str, Callable[[], bytes]] = {
    "FLOWAUTH_FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)),
    "SECRET_KEY": lambda: secrets.token_urlsafe(32).encode(),
    "FLOWAUTH_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(15).encode(),
}
"""The secrets that FlowAuth alone needs, and how each is made."""


def read(directory: Path, name: str) -> str | None:
    """The secret of this name below a directory; None if it is missing, empty or cannot be read."""
    try:
        return (directory / FOLDER / name).read_text().strip() or None
    except (OSError, UnicodeError):
        return None


def of_machine(name: str) -> str | None:
    """The secret or setting that the machine gives in /run/secrets or the environment; it wins over a deployment's."""
    return read(Path("/run"), name) or os.environ.get(name)


def write(directory: Path, name: str, value: bytes) -> None:
    """Write a new secret below a directory, readable by its owner only; raises FileExistsError if there is one."""
    path = directory / FOLDER / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - born 0600
        file.write(value)


def write_flowauth(directory: Path, name: str) -> None:
    """Make one of FLOWAUTH_SECRETS and write it below a directory."""
    write(directory, name, FLOWAUTH_SECRETS[name]())
