"""The command line: `flowkit [--deployment DIR] COMMAND`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from flowkit import chosen, commands
from flowkit.terminal import err
from flowkit_base.errors import UserError, library_sentence

app = typer.Typer(
    name="flowkit",
    help="Mobile operator data, aggregated with care: deliveries in, answers and reports out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in commands.modules():
    for listed in (*module.app.registered_commands, *module.app.registered_groups):
        listed.rich_help_panel = module.SECTION
    app.add_typer(module.app)


@app.callback()
def _choose(
    deployment: Annotated[
        Path,
        typer.Option("--deployment", metavar="DIR", envvar="FLOWKIT_DEPLOYMENT", help="The deployment's directory."),
    ] = Path(),
) -> None:
    chosen.choose(deployment)


def main() -> None:
    """Run the command line; an error is a sentence on standard error, and exit code 1."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Services on this machine are asked directly, whatever proxy it has for others.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as problem:
        sentence = str(problem) if isinstance(problem, UserError) else library_sentence(problem)
        if sentence is None:
            # A defect: its traceback is wanted.
            raise
        err.print(Text.assemble(("Error:", "red"), " ", sentence))
        sys.exit(1)


if __name__ == "__main__":
    main()
