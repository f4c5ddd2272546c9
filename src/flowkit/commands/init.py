"""`flowkit init`: a new deployment."""

from pathlib import Path
from typing import Annotated

import typer

from flowkit.deployment import ADMINISTRATOR, creation, valid_name
from flowkit.errors import DeploymentError
from flowkit.terminal import out

SECTION = "Set up"
app = typer.Typer()


@app.command(epilog="Example: flowkit init nepal --timezone Asia/Kathmandu")
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
    timezone: Annotated[str, typer.Option(help="The time zone whose days are counted, such as Asia/Kathmandu.")],
    store: Annotated[str | None, typer.Option(metavar="URL", help="Answer from this PostgreSQL database.")] = None,
    name: Annotated[str | None, typer.Option(help="The deployment's name; default: the directory's.")] = None,
) -> None:
    """Make a new empty deployment: settings, keys and a store."""
    chosen = name or directory.resolve().name
    if not valid_name(chosen):
        raise DeploymentError(f"{chosen!r} cannot name a deployment: use letters, digits and _.- in --name.")
    deployment = creation.create(directory, timezone, store, chosen)
    out.print(f"Made the deployment {deployment.name} in {deployment.path}, with days of {deployment.lake.timezone}.")
    out.print(
        f"FlowAuth's first administrator is {ADMINISTRATOR}, with the password in "
        f"{deployment.path / 'secrets' / 'FLOWAUTH_ADMIN_PASSWORD'}, which only you can read."
    )
    out.print(f"Next: flowkit --deployment {directory} geography load FILE --unit admin3 --code FIELD --name FIELD")
