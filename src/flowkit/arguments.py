"""Arguments that several commands take, and how they are read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from flowdb.reference.values import ENCODINGS, Encoding
from flowdb.tables import EVENT_TYPES, TRANSACTIONS

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
EncodingName = Annotated[
    str, typer.Option("--encoding", help=f"The encoding of the file's text: {', '.join(ENCODINGS)}.")
]
Insist = Annotated[
    bool, typer.Option("--insist", help="Load it, though it looks like another kind of file than it is said to be.")
]
EventType = Annotated[
    str,
    typer.Argument(metavar="EVENT_TYPE", help=f"{', '.join(EVENT_TYPES)}, or {TRANSACTIONS.name} (mobile money)."),
]


def column_map(columns: Sequence[str]) -> dict[str, str]:
    """The file's column by FlowKit's, from TARGET=SOURCE texts; raises BadParameter for any other text.

    An empty source leaves the target out.
    """
    mapping = {}
    for text in columns:
        target, equals, source = text.partition("=")
        if not (target and equals):
            raise typer.BadParameter(f"{text!r} is not TARGET=SOURCE.", param_hint="--map")
        mapping[target] = source
    return mapping


def encoding(name: str) -> Encoding:
    """The encoding of a name; raises BadParameter if there is none."""
    if name not in ENCODINGS:
        raise typer.BadParameter(f"it is one of {', '.join(ENCODINGS)}.", param_hint="--encoding")
    return cast("Encoding", name)
