"""`flowkit synth`: a synthetic country's deliveries."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from flowkit.terminal import out, progress

SECTION = "Set up"
app = typer.Typer()
FirstDay = Annotated[dt.datetime, typer.Option(formats=["%Y-%m-%d"], show_default="2016-01-01", help="The first day.")]


@app.command(epilog="Example: flowkit synth delivery --subscribers 5000 --days 28")
def synth(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty directory.")],
    subscribers: Annotated[int, typer.Option(help="How many people.")] = 20_000,
    days: Annotated[int, typer.Option(help="How many days.")] = 14,
    start: FirstDay = dt.datetime(2016, 1, 1),  # noqa: DTZ001 - a date without a time
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    events_per_day: Annotated[float, typer.Option(help="Mean rows of a subscriber a day.")] = 18.0,
    mobile_money: Annotated[float, typer.Option(help="The share of people who have mobile money.")] = 0.0,
    calm: Annotated[bool, typer.Option("--calm", help="Without the flood that the country otherwise suffers.")] = False,
) -> None:
    """Write a synthetic country and its operator's daily deliveries as files."""
    import flowsynth

    with progress("Making a country") as tell:
        country = flowsynth.synthesise(
            directory,
            subscribers=subscribers,
            days=days,
            start=start.date(),
            seed=seed,
            events_per_day=events_per_day,
            crisis=None if calm else flowsynth.Crisis(),
            mobile_money=mobile_money,
            progress=tell,
        )
    events = sum(country.rows.values())
    out.print(f"Wrote {events:,} events of {subscribers:,} subscribers on {days} days to {directory}.")
    out.print(f"Next: flowkit init DIR --timezone UTC, then load {directory} into it as README.md shows.")
