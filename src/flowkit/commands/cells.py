"""`flowkit cells`: cells of the network, and tables of the unit that each belongs to."""

from typing import Annotated

import typer

from flowkit import chosen, reference_tables
from flowkit.arguments import Columns, CsvFile, EncodingName, Insist, TableName, column_map, encoding

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="Cells of the network.", no_args_is_help=True)
app.add_typer(group, name="cells")


@group.command("load", epilog="Example: flowkit cells load cells.csv --map id=cell_id --map site_id=site")
def load(
    file: CsvFile,
    columns: Columns = [],  # noqa: B006 - Typer's way to say none
    overlaps: Annotated[str, typer.Option(help="Versions of a cell that overlap in time: refuse, or cut.")] = "refuse",
    encoding_name: EncodingName = "utf-8",
    insist: Insist = False,
) -> None:
    """Load the cells, replacing all that were loaded."""
    from flowdb.reference import cells

    if overlaps not in ("refuse", "cut"):
        raise typer.BadParameter("it is refuse or cut.", param_hint="--overlaps")
    deployment = chosen.deployment()
    loaded = cells.load(
        deployment.lake,
        file,
        column_map(columns),
        encoding=encoding(encoding_name),
        overlaps=overlaps,  # type: ignore[arg-type]
        insist=insist,
    )
    reference_tables.finish(deployment, loaded, "version of a cell", "versions of cells")


@group.command("map")
def map_to_units(
    file: CsvFile,
    table: TableName,
    columns: Columns = [],  # noqa: B006
    encoding_name: EncodingName = "utf-8",
) -> None:
    """Load a table of which unit each cell belongs to, that questions can name as their mapping_table."""
    from flowdb.reference import mappings

    deployment = chosen.deployment()
    loaded = mappings.load_mapping(
        deployment.lake, file, table=table, columns=column_map(columns), encoding=encoding(encoding_name)
    )
    reference_tables.finish(deployment, loaded, "cell")
