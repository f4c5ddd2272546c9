"""Arguments that several commands take, and how they are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

Columns = Annotated[
    list[str],
    typer.Option("--map", metavar="TARGET=SOURCE", help="Read FlowKit's column TARGET from the file's column SOURCE."),
]
TableName = Annotated[
    str, typer.Option("--table", metavar="SCHEMA.TABLE", help="What questions name it, such as geography.by_hand.")
]
CsvFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A CSV file.")
]
EventType = Annotated[
    str,
    typer.Argument(metavar="EVENT_TYPE", help="calls, sms, mds, topups, forwards, or transactions (mobile money)."),
]


def column_map(columns: Sequence[str]) -> dict[str, str]:
    """The file's column by FlowKit's, from TARGET=SOURCE texts; raises BadParameter for any other text."""
    mapping = {}
    for text in columns:
        target, equals, source = text.partition("=")
        if not (target and equals and source):
            raise typer.BadParameter(f"{text!r} is not TARGET=SOURCE.", param_hint="--map")
        mapping[target] = source
    return mapping
