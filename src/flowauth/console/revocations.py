"""`flowkit auth revocations`."""

from pathlib import Path
from typing import Annotated

import typer

from flowauth.console import named
from flowauth.console.named import ServerName
from flowauth.console.terminal import opened, say
from flowkit_base.files import write_whole

app = typer.Typer(help="Revocation lists, for FlowAPIs without a connection.", no_args_is_help=True)


@app.command("export")
def export_revocations(
    server: ServerName, file: Annotated[Path, typer.Argument(metavar="FILE", help="What FLOWAPI_REVOCATIONS names.")]
) -> None:
    """Write a server's signed revocation list into a file, to be carried to a FlowAPI without a connection."""
    from flowauth.services.revocations import signed_list

    with opened() as flowauth, flowauth.database.read() as session:
        text = signed_list(session, flowauth.vault, named.server(session, server))
    write_whole(file, text + "\n")
    say(f"The revocation list of '{server}' is in {file}.")
