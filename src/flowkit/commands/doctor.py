"""`flowkit doctor`: what is wrong with a deployment."""

import typer
from rich.text import Text

from flowkit import chosen
from flowkit.terminal import out

SECTION = "Run"
app = typer.Typer()


@app.command()
def doctor() -> None:
    """Say what is wrong with the deployment and how to mend it."""
    from flowkit.checks import CHECKS

    deployment = chosen.deployment()
    failed = False
    for check in CHECKS:
        problem = check(deployment)
        failed |= problem is not None
        mark = ("✗", "red") if problem else ("✓", "green")
        out.print(Text.assemble(mark, " ", problem or (check.__doc__ or "").rstrip(".")))
    if failed:
        raise typer.Exit(1)
