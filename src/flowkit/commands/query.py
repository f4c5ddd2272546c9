"""`flowkit query`: a query on this machine, without the services."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flowkit import chosen, query_specs
from flowkit.errors import DeploymentError
from flowkit.terminal import counted, note, out, show, table

if TYPE_CHECKING:
    import pyarrow as pa

SECTION = "Ask"
app = typer.Typer()
_SHOWN = 40
"""The most rows that are printed as a table."""
_EXAMPLE = (
    'Example: flowkit query \'{"query_kind": "unique_subscriber_counts", "start_date": "2016-01-01", '
    '"end_date": "2016-01-02", "aggregation_unit": "admin2"}\''
)


@app.command(epilog=_EXAMPLE)
def query(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="A query spec as JSON, a file that holds one, or - .")],
    released: Annotated[
        bool,
        typer.Option(
            help="Only what the server would publish. Without, all rows, those about single people too: they must "
            "not leave the operator."
        ),
    ] = True,
    explain: Annotated[bool, typer.Option("--explain", help="Print the SQL instead.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
) -> None:
    """Run a query on this machine, without the services, and print its rows."""
    from flowkit import empty_answers
    from flowmachine import parse

    parsed = parse(query_specs.read(spec))
    if released and parsed.role != "Aggregate":
        raise DeploymentError(
            f"The rows of {parsed.kind} are about single people, and no server publishes them: ask for an aggregate "
            "of it, or add --no-released to see them inside the operator."
        )
    deployment = chosen.deployment()
    session = deployment.session()
    try:
        if explain:
            sys.stdout.write(session.explain(parsed, release=released) + "\n")
            return
        result = session.run(parsed, release=released)
        reason = "" if result.num_rows else empty_answers.reason(deployment, session, parsed, released=released)
    finally:
        session.close()
    if csv:
        result.to_pandas().to_csv(sys.stdout, index=False)
        if reason:
            note(reason)
        return
    _print(result, reason)


def _print(result: "pa.Table", reason: str) -> None:
    rows = table(*result.column_names)
    for row in result.slice(0, _SHOWN).to_pylist():
        rows.add_row(*("" if value is None else str(value) for value in row.values()))
    show(rows)
    more = f", of which {_SHOWN} are shown (--csv prints all)" if result.num_rows > _SHOWN else ""
    out.print(f"{counted(result.num_rows, 'row')}{more}.{' ' * bool(reason)}{reason}")
