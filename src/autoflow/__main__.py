"""The command line: `autoflow`, or `python -m autoflow`."""

import ctypes
import datetime as dt
import json
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import sqlalchemy.exc
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from autoflow import app
from autoflow import status as status_page
from autoflow.definition.grammar import AUTOMATIC, json_schema
from autoflow.definition.notebooks import problems_of, warnings_of
from autoflow.definition.reading import WorkflowsError, read_workflows
from autoflow.examples import copy_example, examples
from autoflow.log import write_log_to_stderr
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import complaint
from autoflow.schedule import planning
from autoflow.schedule.waiting import Since
from autoflow.settings import Settings
from autoflow.stopping import Stop, stopping_on_signals
from flowkit_base.errors import UserError
from flowkit_base.files import write_whole
from flowkit_base.settings import complaints

cli = typer.Typer(
    help="Notebooks that run on each new day of data and become PDF reports. Settings come from the "
    "environment (AUTOFLOW_..., FLOWAPI_URL, FLOWAPI_TOKEN) and from files in /run/secrets.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line; errors are printed as sentences, with exit code 1."""
    try:
        cli()
    except ValidationError as error:
        for sentence in complaints(error, Settings):
            _say(sentence)
    except UserError as error:
        _say(str(error))
    except OSError as error:
        # Our errors have no filename; those of the system do, and do not say what to do.
        where = f"{error.filename}: {error.strerror}; see AUTOFLOW_INPUTS_DIR and AUTOFLOW_OUTPUTS_DIR."
        _say(where if error.filename else str(error))
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        _say(complaint(error))
    except ModuleNotFoundError as error:
        # The error about Prefect is our own sentence: it comes with another extra.
        missing = f"The Python package '{error.name}' is not installed; install flowkit[autoflow]."
        _say(str(error) if error.name == "prefect" else missing)
    else:
        return
    sys.exit(1)


@cli.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Serve if no command is given."""
    if context.invoked_subcommand is None:
        serve()


@cli.command()
def serve() -> None:
    """Run at each tick of the schedule in workflows.yml until SIGTERM; once if the schedule is null."""
    _exit_by(app.main(run_on_schedule=True, small=True))


@cli.command("pass", hidden=True)
def one_pass(since: Annotated[str, typer.Argument()]) -> None:
    """Make one pass of `serve`, and print the moment of the next; it ends with the process that started it."""
    _end_with_parent()
    stop = Stop()
    with stopping_on_signals(stop):
        moment = app.pass_in_this_process(_settings(), None, stop, cast("Since", since))
    print(moment.isoformat() if moment else "")


def _end_with_parent() -> None:
    """Ask Linux to stop this process when its parent ends, so that nothing runs on without the service."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@cli.command()
def once(
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed runs again now, even after the last attempt.")
    ] = False,
) -> None:
    """Run what is due now, and end; exit code 1 if a run failed or a workflow could not run."""
    settings = _settings()
    # SIGTERM ends this as Ctrl-C does: kernels are stopped and the runs given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        runs = app.run_once(settings, _print_run, retry_failed=retry_failed)
    except KeyboardInterrupt:
        _say("Stopped; the runs that were under way begin again next time.")
        raise typer.Exit(130) from None
    given_up = planning.given_up(settings)
    if not runs and not given_up:
        Console().print("Nothing was due; 'autoflow status' says why.")
    for each in given_up:
        _say(f"Given up: {each.candidate.workflow.name} {each.candidate.reference_date} ({each.reason})")
    if given_up:
        _say("'autoflow once --retry-failed' tries what was given up again.")
        raise typer.Exit(1)
    _exit_by(runs)
    entries = read_workflows(settings.autoflow_inputs_dir).entries
    if any(problems_of(entry.workflow) for entry in entries):
        # They are in the log.
        raise typer.Exit(1)


@cli.command()
def rerun(
    workflow: Annotated[str, typer.Argument(help="A workflow that the sensor runs.")],
    dates: Annotated[
        list[dt.datetime], typer.Argument(metavar="DATE", formats=["%Y-%m-%d"], help="Dates that it has run for.")
    ],
) -> None:
    """Make a workflow due again for dates that it has run for; earlier outputs are kept."""
    settings = _settings()
    try:
        runs = app.rerun(settings, workflow, [date.date() for date in dates])
    except WorkflowsError:
        raise
    except ValueError as error:
        _say(str(error))
        raise typer.Exit(1) from None
    for run in runs:
        own = {name: value for name, value in (run.parameters or {}).items() if name not in AUTOMATIC}
        values = f" ({', '.join(f'{name}={value}' for name, value in own.items())})" if own else ""
        print(f"{run.workflow_name} {run.reference_date}{values} is due again; it runs at the next tick.")


@cli.command()
def prefect() -> None:
    """Give the sensor to the Prefect server of PREFECT_API_URL, with the schedule, and run it until SIGTERM."""
    from autoflow.prefect_flows import PrefectError, serve_with_prefect  # noqa: PLC0415  (Prefect is seldom there)

    try:
        serve_with_prefect(_settings())
    except PrefectError as error:
        _say(str(error))
        raise typer.Exit(1) from None


@cli.command()
def example(
    name: Annotated[str | None, typer.Argument(help="The name of an example.")] = None,
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="The directory that gets it.")] = None,
) -> None:
    """Copy an example, workflows.yml and its notebooks, into a directory; without a name, list them."""
    known = examples()
    if name is None:
        for each, shows in known.items():
            print(f"{each}: {shows}")
        return
    if folder is None:
        _say(f"Name the directory that is to get the example: autoflow example {name} DIR.")
        raise typer.Exit(1)
    try:
        written = copy_example(name, folder)
    except ValueError as error:
        _say(str(error))
        raise typer.Exit(1) from None
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}." if error.filename else str(error))
        raise typer.Exit(1) from None
    print(f"{folder} has {', '.join(path.name for path in written)}.")


@cli.command()
def check() -> None:
    """Check workflows.yml and the notebooks that it names, without running anything; exit code 1 on a problem."""
    settings = _settings()
    definition = read_workflows(settings.autoflow_inputs_dir)
    problems = [said for workflow in definition.workflows.values() for said in problems_of(workflow)]
    for sentence in problems:
        _say(sentence)
    for sentence in [*warnings_of(definition), *planning.version_warnings(settings, definition)]:
        _say(f"warning: {sentence}")
    if problems:
        raise typer.Exit(1)
    Console(soft_wrap=True).print(
        f"{definition.path} is sound: {len(definition.workflows)} workflow(s), "
        f"{len(definition.entries)} for the sensor, schedule {definition.schedule or 'once'}.",
        highlight=False,
    )


@cli.command()
def schema() -> None:
    """Print the JSON Schema of workflows.yml, for editors."""
    print(json.dumps(json_schema(), indent=2))


@cli.command()
def plan(
    date: Annotated[
        list[dt.datetime] | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Only this date; repeatable.")
    ] = None,
    workflow: Annotated[list[str] | None, typer.Option("--workflow", help="Only this workflow; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what would run now, in which order, and what would not and why; nothing is run, made or changed."""
    overview = _only(planning.plan(_settings()), date, workflow)
    # In the order of running: the oldest date first, across entries.
    starting = sorted(
        (each for each in overview.standings if each.starts), key=lambda each: each.candidate.reference_date
    )
    rest = replace(overview, standings=[each for each in overview.standings if not each.starts])
    if as_json:
        values = {"starts": status_page.as_json(replace(overview, standings=starting))["standings"]}
        print(json.dumps({**values, "does_not_start": status_page.as_json(rest)["standings"]}, indent=2))
        return
    console = Console()
    if starting:
        table = Table("", "workflow", "date", "parameters", "why", box=None, pad_edge=False, header_style="dim")
        for n, each in enumerate(starting):
            why = "new" if each.run is None else each.reason
            own = ", ".join(f"{name}={value}" for name, value in each.own_parameters.items())
            name, day = each.candidate.workflow.name, str(each.candidate.reference_date)
            table.add_row(str(n + 1), escape(name), day, escape(own), escape(why))
        console.print(table)
    count = "Nothing would run now" if not starting else f"{len(starting)} would run now, in this order"
    done, total = status_page.done_of(overview.standings)
    console.print(f"{count}; {done} of {total} have run.", highlight=False)
    _print_reasons(console, rest, "Not now")


@cli.command()
def status(
    all_days: Annotated[
        bool, typer.Option("--all", help=f"Show every date, not only the last {status_page.DAYS_SHOWN}.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    page: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained HTML page.")
    ] = None,
) -> None:
    """Show the state of each workflow for each date, and the reason if it has not run."""
    settings = _settings()
    overview = planning.overview(settings)
    at_most = None if all_days else status_page.DAYS_SHOWN
    if overview.note:
        _say(f"{overview.note} What follows is known from the run table alone.")
    if page:
        _write(page, status_page.page(overview, page, at_most=at_most))
    if as_json:
        print(json.dumps(status_page.as_json(overview), indent=2))
    elif not page:
        console = Console()
        ascii_only = not (console.encoding or "").lower().startswith("utf")
        for line in status_page.grid(overview, console.width, ascii_only=ascii_only, at_most=at_most):
            console.print(line, highlight=False)
        _print_reasons(console, overview, "Not done, or done with a warning")
        done, total = status_page.done_of(overview.standings)
        console.print(f"\n{done} of {total} runs have succeeded.", highlight=False)
    if overview.note:
        raise typer.Exit(1)


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, text)
    except OSError as error:
        _say(f"{file} cannot be written ({error.strerror}); name a file in a directory that exists.")
        raise typer.Exit(1) from None


def _only(
    overview: planning.Overview, dates: list[dt.datetime] | None, workflows: list[str] | None
) -> planning.Overview:
    known = {entry.workflow.name for entry in overview.definition.entries}
    unknown = [name for name in workflows or () if name not in known]
    if unknown:
        _say(f"The sensor runs no workflow '{unknown[0]}'; it runs {', '.join(sorted(known)) or 'none'}.")
        raise typer.Exit(1)
    days = {date.date() for date in dates or ()}
    chosen = [
        each
        for each in overview.standings
        if (not days or each.candidate.reference_date in days)
        and (not workflows or each.candidate.workflow.name in workflows)
    ]
    return replace(overview, standings=chosen)


def _print_reasons(console: Console, overview: planning.Overview, title: str) -> None:
    rows = status_page.reasons(overview)
    if rows:
        why = Column("why", overflow="fold")
        table = Table("workflow", "dates", "state", why, box=None, pad_edge=False, header_style="dim")
        for label, days, state, reason in rows:
            table.add_row(escape(label), days, f"[{status_page.SIGNS[state][2]}]{state}[/]", escape(reason))
        console.print(f"\n[bold]{title}[/]")
        console.print(table)


def _settings() -> Settings:
    settings = Settings().renewed()  # pyright: ignore[reportCallIssue]
    write_log_to_stderr(settings.autoflow_log_level)
    return settings


def _exit_by(runs: list[Run]) -> None:
    if any(run.state is RunState.failed for run in runs):
        raise typer.Exit(1)


def _print_run(run: Run) -> None:
    if run.state is not RunState.running:
        detail = run.error if run.error else ", ".join(o.get("report", o["notebook"]) for o in run.outputs)
        print(f"{run.workflow_name} {run.reference_date} {run.state.value}: {detail}", flush=True)
        if run.warnings:
            _say(f"warning: {run.workflow_name} {run.reference_date}: {run.warnings}")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    main()
