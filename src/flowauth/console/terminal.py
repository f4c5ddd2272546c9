"""What the commands share: FlowAuth opened, who acts, and how things are asked for and printed."""

import datetime as dt
import getpass
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from flowauth.errors import Refused

if TYPE_CHECKING:
    from flowauth.database import Database
    from flowauth.services.keys import Vault
    from flowauth.settings import Settings

_UNWATCHED = 10_000
"""Columns of a table that is not printed at a terminal, so that no line is broken."""

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@dataclass(frozen=True)
class Opened:
    """FlowAuth's settings, database and keys, for the length of a command."""

    settings: "Settings"
    database: "Database"
    vault: "Vault"


@contextmanager
def opened() -> Iterator[Opened]:
    """Open FlowAuth's database as the settings say; raises UserError if that cannot be."""
    from flowauth import opening
    from flowauth.settings import Settings

    settings = Settings.read()
    database, vault = opening.opened(settings)
    try:
        yield Opened(settings, database, vault)
    finally:
        database.close()


def actor() -> str:
    """Who acts, as the audit log calls them."""
    from flowauth.tables import LONGEST_NAME

    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"command line ({name})"[:LONGEST_NAME]


def ask(yes: bool, question: str) -> None:
    """Ask for confirmation, unless it was given on the command line."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Refused(f"{question} Give --yes to say so.")
    if not typer.confirm(question):
        raise Refused("Nothing was changed.")


def say(text: str) -> None:
    """Print a text as it is."""
    Console(highlight=False, markup=False, emoji=False, soft_wrap=True).print(text)


def show(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print a table."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*map(str, row))
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNWATCHED
    console.print(table)


def moment(when: dt.datetime | None) -> str:
    """A moment for people."""
    return f"{when.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC" if when else "none"
