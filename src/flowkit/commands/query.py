"""`flowkit query`: a query on this machine, without the services."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from flowkit import chosen
from flowkit.errors import DeploymentError
from flowkit.terminal import counted, out, show, table

SECTION = "Ask"
app = typer.Typer()
_SHOWN = 40
"""The most rows that are printed as a table."""


@app.command()
def query(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A query spec as JSON, a file that holds one, or - .")],
    released: Annotated[bool, typer.Option(help="Only what the server would publish.")] = True,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Run a query here, inside, and print its rows."""
    from flowmachine import parse

    parsed = parse(_spec(spec))
    session = chosen.deployment().session()
    try:
        release = released and parsed.role == "Aggregate"
        if explain:
            sys.stdout.write(session.explain(parsed, release=release) + "\n")
            return
        result = session.run(parsed, release=release)
    finally:
        session.close()
    if csv:
        result.to_pandas().to_csv(sys.stdout, index=False)
        return
    rows = table(*result.column_names)
    for row in result.slice(0, _SHOWN).to_pylist():
        rows.add_row(*("" if value is None else str(value) for value in row.values()))
    show(rows)
    more = f", of which {_SHOWN} are shown (--csv prints all)" if result.num_rows > _SHOWN else ""
    out.print(f"{counted(result.num_rows, 'row')}{more}.")


def _spec(argument: str) -> Any:
    try:
        if argument == "-":
            text = sys.stdin.read()
        elif argument.lstrip()[:1] in ("{", "[", '"'):
            text = argument
        else:
            text = Path(argument).read_text()
    except OSError as problem:
        raise DeploymentError(f"{argument} cannot be read: {problem.strerror}.") from None
    try:
        spec = json.loads(text)
    except ValueError as problem:
        raise DeploymentError(f"The spec is not JSON: {problem}.") from None
    return spec.get("spec", spec) if isinstance(spec, dict) else spec
