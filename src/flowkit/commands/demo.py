"""`flowkit demo`: a whole FlowKit with a synthetic country."""

from pathlib import Path
from typing import Annotated

import typer

SECTION = "Set up"
app = typer.Typer()


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to make it.")] = Path("demo"),
    once: Annotated[bool, typer.Option("--once", help="Stop when the report is there.")] = False,
    subscribers: Annotated[int, typer.Option(help="How many people.")] = 20_000,
    days: Annotated[int, typer.Option(min=9, help="How many days; the flood comes on the eighth.")] = 14,
) -> None:
    """Make a whole FlowKit with a synthetic country, from delivery to PDF report, and leave it running.

    It runs only in a new folder, or in one that it made.
    """
    from flowkit.demo import run

    run(directory, subscribers=subscribers, days=days, once=once)
