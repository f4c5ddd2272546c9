"""`flowkit sites`: sites of the network."""

import typer

from flowkit import chosen, reference_tables
from flowkit.arguments import Columns, CsvFile, column_map

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="Sites of the network.", no_args_is_help=True)
app.add_typer(group, name="sites")


@group.command("load")
def load(file: CsvFile, columns: Columns = []) -> None:  # noqa: B006 - Typer's way to say none
    """Load the sites, in place of all former ones."""
    from flowdb.reference import sites

    deployment = chosen.deployment()
    loaded = sites.load(deployment.lake, file, column_map(columns))
    reference_tables.finish(deployment, loaded, "version of a site", "versions of sites")
