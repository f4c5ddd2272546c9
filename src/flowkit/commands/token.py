"""`flowkit token`: a token for the deployment's API."""

import sys
from typing import Annotated

import typer

from flowkit import chosen
from flowkit.deployment import tokens
from flowkit.errors import DeploymentError
from flowkit.terminal import note

SECTION = "Ask"
app = typer.Typer()
USUAL_HEADER_BYTES = 8_000
"""What nginx and Apache take of a header line unless they are set otherwise is 192 bytes more."""


@app.command(epilog="Example: flowkit token ann@example.org --role viewer --days 30")
def token(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom the token is for.")],
    role: Annotated[
        list[str], typer.Option("--role", help="A role of flowkit.toml; default: every question that the API answers.")
    ] = [],  # noqa: B006 - Typer's way to say none
    days: Annotated[float, typer.Option(min=0.001, max=365, help="How long it holds.")] = 1,
) -> None:
    """Print a token for this deployment's API, alone on standard output.

    Whatever the token permits, rows about single people never leave the server: kinds about them stand inside an
    aggregate.
    """
    if not user.strip() or not user.isprintable():
        raise DeploymentError("A token names the person whom it is for: flowkit token USER, such as ann@example.org.")
    text = tokens.token(chosen.deployment(), user, role, days)
    sys.stdout.write(text + "\n")
    if len(text) > USUAL_HEADER_BYTES:
        note(
            f"The token has {len(text):,} bytes, more than a proxy usually takes in a header. FlowAPI takes it; in a "
            "proxy before it set large_client_header_buffers 4 64k (nginx) or LimitRequestFieldSize 65536 (Apache), or "
            "make a token with fewer scopes by --role."
        )
