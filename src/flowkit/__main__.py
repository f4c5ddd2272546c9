"""The command line: `flowkit [--deployment DIR] COMMAND`."""

import logging
import os
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from flowkit import chosen, commands
from flowkit.terminal import err, note, out
from flowkit_base.errors import UserError, library_sentence
from flowkit_base.stopping import Stopped, stoppable

app = typer.Typer(
    name="flowkit",
    help="Mobile operator data, aggregated with care: deliveries in, answers and reports out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in commands.modules():
    for listed in (*module.app.registered_commands, *module.app.registered_groups):
        listed.rich_help_panel = module.SECTION
    app.add_typer(module.app)


def _print_version(given: bool) -> None:
    if given:
        out.print(f"flowkit {version('flowkit')}")
        raise typer.Exit


@app.callback()
def _choose(
    deployment: Annotated[
        Path,
        typer.Option("--deployment", metavar="DIR", envvar="FLOWKIT_DEPLOYMENT", help="The deployment's directory."),
    ] = Path(),
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    chosen.choose(deployment)


def main() -> None:
    """Run the command line.

    An error is a sentence on standard error and exit code 1; Ctrl-C ends with 130, SIGTERM with 143. An exception that
    is no sentence is a defect, and its traceback is shown.
    """
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # Requests to services on this machine go directly, whatever proxy it has for others.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    logging.getLogger("flowmachine").addHandler(_Notes(logging.WARNING))
    try:
        with stoppable(lambda: "What was not finished was not stored."):
            app()
    except Stopped as stopped:
        err.print(str(stopped))
        sys.exit(stopped.code)
    except BaseException as problem:
        sentence = sentence_of(problem)
        if sentence is None:
            raise
        err.print(Text.assemble(("Error:", "red"), " ", sentence))
        sys.exit(1)


def sentence_of(problem: BaseException) -> str | None:
    """The sentence for an error, on one line; None for a defect and for the end of the program."""
    sentence = str(problem) if isinstance(problem, UserError) else library_sentence(problem)
    return sentence if sentence is None else " ".join(sentence.split())


class _Notes(logging.Handler):
    """Shows a warning of the library as a note."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage().rstrip(".") + ".")


if __name__ == "__main__":
    main()
