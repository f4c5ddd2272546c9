"""`flowkit ingest`: deliveries of one event type become stored days."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowkit import chosen, mirror
from flowkit.arguments import Columns, EncodingName, EventType, Insist, column_map, encoding
from flowkit.terminal import note, progress, show, table

if TYPE_CHECKING:
    from flowetl import DayReport

SECTION = "Load"
app = typer.Typer()


@app.command(epilog="Example: flowkit ingest calls delivery/calls/*.csv.gz --map msisdn=subscriber")
def ingest(
    event_type: EventType,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, gzipped CSV or Parquet.")],
    columns: Columns = [],  # noqa: B006 - Typer's way to say none
    timezone: Annotated[
        str | None, typer.Option(help="The zone of times without an offset; default: the deployment's.")
    ] = None,
    encoding_name: EncodingName = "utf-8",
    max_bad_lines: Annotated[
        int | None, typer.Option(min=0, help="Refuse a file with more bad lines; default: quarantine any number.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let a day be replaced by less than half of it.")] = False,
    add: Annotated[bool, typer.Option("--add", help="Add late rows to days that are in already.")] = False,
    keep_duplicates: Annotated[
        bool, typer.Option("--keep-duplicates", help="Load rows that are identical to others in all columns too.")
    ] = False,
    insist: Insist = False,
) -> None:
    """Load deliveries of one event type; days are found in the data, each loaded completely or not at all."""
    import flowetl

    deployment = chosen.deployment()
    with deployment.catalogue() as catalogue, progress(f"Loading {event_type}") as tell:
        reports = flowetl.ingest(
            deployment.lake,
            catalogue,
            event_type,
            files,
            key=deployment.pseudonym_key,
            columns=column_map(columns),
            timezone_of_source=timezone,
            encoding=encoding(encoding_name),
            max_bad_lines=max_bad_lines,
            replace=replace,
            late="add" if add else "refuse",
            keep_duplicates=keep_duplicates,
            insist=insist,
            progress=tell,
        )
    mirror.update(deployment, [event_type])
    _print(reports)


def _print(reports: Sequence["DayReport"]) -> None:
    rows = table("day", "state", "delivered", "loaded", "duplicates", "quarantined", "at unknown cells")
    for r in reports:
        numbers = (r.delivered, r.loaded, r.duplicates, r.quarantined, r.unknown_cells)
        rows.add_row(str(r.day), r.state, *(f"{number:,}" for number in numbers))
    show(rows)
    for warning in dict.fromkeys(warning for report in reports for warning in report.warnings):
        note(warning)
