"""`flowkit geography`: boundaries of units, grids, and points."""

from pathlib import Path
from typing import Annotated

import typer

from flowdb.reference.values import ENCODINGS
from flowkit import chosen, reference_tables
from flowkit.arguments import Columns, EncodingName, Insist, TableName, column_map, encoding

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="Boundaries of units, grids, and points.", no_args_is_help=True)
app.add_typer(group, name="geography")


@group.command(
    "load",
    epilog="Example: flowkit geography load districts.geojson --unit admin3 --code pcode --name district",
)
def load(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="GeoJSON, GeoPackage, Shapefile or CSV with wkt.")
    ],
    unit: Annotated[str, typer.Option(help="The level: admin0 to admin3, or a custom name.")],
    code: Annotated[str, typer.Option(metavar="FIELD", help="The field that holds a unit's code.")],
    name: Annotated[str | None, typer.Option(metavar="FIELD", help="The field that holds a unit's name.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer, of a file that has several.")] = None,
    encoding_name: Annotated[
        str | None,
        typer.Option("--encoding", help=f"Its text's encoding, if it says it wrongly: {', '.join(ENCODINGS)}."),
    ] = None,
    insist: Insist = False,
) -> None:
    """Load the boundaries of a level; features that share a code become one unit."""
    from flowdb.reference import geography

    deployment = chosen.deployment()
    loaded = geography.load(
        deployment.lake,
        files,
        unit=unit,
        code=code,
        name=name,
        layer=layer,
        encoding=encoding(encoding_name) if encoding_name else None,
        insist=insist,
    )
    reference_tables.finish(deployment, loaded, f"unit of {unit}", f"units of {unit}")


@group.command("grid")
def grid(
    km: Annotated[float, typer.Option(metavar="KM", help="How wide a square is, in km.")],
    unit: Annotated[
        str | None, typer.Option(help="The level's name, which begins with grid-; default: such as grid-10km.")
    ] = None,
) -> None:
    """Make a level of equal squares that cover the country whose boundaries are loaded."""
    from flowdb.reference import grids

    deployment = chosen.deployment()
    reference_tables.finish(deployment, grids.make(deployment.lake, km, unit=unit), "square")


@group.command("points")
def points(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, GeoJSON, GeoPackage or Shapefile.")],
    table: TableName,
    columns: Columns = [],  # noqa: B006 - Typer's way to say none
    encoding_name: EncodingName = "utf-8",
) -> None:
    """Load a table of points that questions of lon-lat can name as their geom_table."""
    from flowdb.reference import mappings

    deployment = chosen.deployment()
    loaded = mappings.load_points(
        deployment.lake, file, table=table, columns=column_map(columns), encoding=encoding(encoding_name)
    )
    reference_tables.finish(deployment, loaded, "point")
