"""`flowkit token`: a token for the deployment's API."""

import sys
from typing import Annotated

import typer

from flowkit import chosen
from flowkit.deployment import tokens

SECTION = "Ask"
app = typer.Typer()


@app.command()
def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom the token is for.")],
    role: Annotated[
        list[str], typer.Option("--role", help="A role of flowkit.toml; default: everything is allowed.")
    ] = [],  # noqa: B006 - Typer's way to say none
    days: Annotated[float, typer.Option(min=0.001, max=365, help="How long it holds.")] = 1,
) -> None:
    """Print a token for this deployment's API, alone on standard output."""
    sys.stdout.write(tokens.token(chosen.deployment(), user, role, days) + "\n")
