"""`flowkit etl`: the state of each day, and withdrawing one."""

import datetime as dt
from typing import Annotated

import typer

from flowkit import chosen, mirror
from flowkit.arguments import EventType
from flowkit.terminal import out, show, table

SECTION = "Load"
app = typer.Typer()
group = typer.Typer(help="Days of data: their states, and withdrawing a day.", no_args_is_help=True)
app.add_typer(group, name="etl")


@group.command("status")
def status() -> None:
    """Show the state of every day of every event type."""
    from flowdb import records as books

    deployment = chosen.deployment()
    with deployment.catalogue() as catalogue:
        books.mend(catalogue, deployment.lake)
        rows = table("event type", "day", "state", "since", "reason")
        for state in books.latest_states(catalogue):
            rows.add_row(
                state.event_type,
                str(state.day),
                state.state,
                f"{state.timestamp:%Y-%m-%d %H:%M} UTC",
                state.reason or "",
            )
    show(rows)


@group.command("withdraw")
def withdraw(
    event_type: EventType,
    day: Annotated[dt.datetime, typer.Argument(formats=["%Y-%m-%d"], help="The day to withdraw.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the day's history.")],
) -> None:
    """Withdraw a day; answers that used it are not given again."""
    import flowetl

    deployment = chosen.deployment()
    with deployment.catalogue() as catalogue:
        flowetl.withdraw(deployment.lake, catalogue, event_type, day.date(), reason)
    mirror.update(deployment, [event_type])
    out.print(f"The {event_type} of {day.date()} are withdrawn.")
