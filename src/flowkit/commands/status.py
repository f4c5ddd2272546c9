"""`flowkit status`: the contents of a deployment, and whether it is up."""

from collections import Counter

import typer

from flowkit import chosen, query_states
from flowkit.terminal import counted, show, table

SECTION = "Run"
app = typer.Typer()


@app.command()
def status() -> None:
    """Show what the deployment holds, how AutoFlow's runs and the queries stand, and whether it is up."""
    from flowkit.checks import is_up
    from flowkit.deployment import autoflow

    deployment = chosen.deployment()
    lake = deployment.lake
    rows = table("what", "holds")
    for event_type, stored in sorted(lake.snapshot().days.items()):
        days = sorted(stored)
        total = counted(sum(day.rows for day in stored.values()), "row")
        rows.add_row(event_type, f"{total}, {counted(len(days), 'day')}, {days[0]} to {days[-1]}")
    for unit, number in sorted(Counter(lake.reference("geography")["unit"].to_pylist()).items()):
        rows.add_row(unit, counted(number, "unit"))
    for name in ("cells", "sites", "tacs"):
        rows.add_row(name, counted(lake.reference(name).num_rows, "row"))
    rows.add_row("time zone", lake.timezone)
    rows.add_row("store", "PostgreSQL, mirroring the lake" if deployment.mirrored else str(deployment.store))
    if runs := autoflow.runs(deployment):
        rows.add_row("AutoFlow", runs)
    up = is_up(deployment)
    rows.add_row("API", f"{deployment.api_url} is up" if up else "not up: flowkit up")
    if up:
        rows.add_row("queries", query_states.summary(deployment))
    show(rows)
