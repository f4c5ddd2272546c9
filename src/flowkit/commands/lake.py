"""`flowkit lake`: the store's own files and their format."""

import datetime as dt
from typing import Annotated

import typer

from flowkit import chosen
from flowkit.terminal import out

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="The lake: its format, and deleting files that are no longer needed.", no_args_is_help=True)
app.add_typer(group, name="lake")


@group.command("upgrade")
def upgrade() -> None:
    """Bring a lake of an older FlowKit up to date; every other command of the deployment does so as well."""
    from flowdb.lake.directory import FORMAT

    lake = chosen.deployment().lake
    out.print(f"The lake {lake.path} has format {FORMAT}.")


@group.command("clean")
def clean(
    older_than: Annotated[
        int | None,
        typer.Option(metavar="DAYS", min=1, help="Default: lake_retention_days of flowkit.toml, or else 30."),
    ] = None,
) -> None:
    """Delete the files of days that were replaced or withdrawn some days ago; `flowkit up` does so once a day."""
    from flowdb import lake

    deployment = chosen.deployment()
    age = deployment.retention if older_than is None else dt.timedelta(days=older_than)
    cleaned = lake.clean(deployment.lake, age)
    out.print(
        f"Deleted {cleaned.files} files ({cleaned.bytes / 1e6:.1f} MB). Kept {cleaned.kept} files of days that were "
        f"replaced or withdrawn in the last {age.days} days, or that a running query may read."
    )
