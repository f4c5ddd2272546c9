"""`flowkit tacs`: handset models."""

import typer

from flowkit import chosen, reference_tables
from flowkit.arguments import Columns, CsvFile, EncodingName, Insist, column_map, encoding

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="Handset models.", no_args_is_help=True)
app.add_typer(group, name="tacs")


@group.command("load")
def load(
    file: CsvFile,
    columns: Columns = [],  # noqa: B006 - Typer's way to say none
    encoding_name: EncodingName = "utf-8",
    insist: Insist = False,
) -> None:
    """Load the handset models, replacing all that were loaded."""
    from flowdb.reference import tacs

    deployment = chosen.deployment()
    loaded = tacs.load(deployment.lake, file, column_map(columns), encoding=encoding(encoding_name), insist=insist)
    reference_tables.finish(deployment, loaded, "handset model")
