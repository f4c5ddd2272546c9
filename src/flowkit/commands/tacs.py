"""`flowkit tacs`: handset models."""

import typer

from flowkit import chosen, reference_tables
from flowkit.arguments import Columns, CsvFile, column_map

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="Handset models.", no_args_is_help=True)
app.add_typer(group, name="tacs")


@group.command("load")
def load(file: CsvFile, columns: Columns = []) -> None:  # noqa: B006 - Typer's way to say none
    """Load the handset models, in place of all former ones."""
    from flowdb.reference import tacs

    deployment = chosen.deployment()
    loaded = tacs.load(deployment.lake, file, column_map(columns))
    reference_tables.finish(deployment, loaded, "handset model")
