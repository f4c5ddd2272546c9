"""The command line: `autoflow`, or `python -m autoflow`."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import sqlalchemy.exc
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from autoflow import app as service
from autoflow.log import write_log_to_stderr
from autoflow.runs import Run, RunState
from autoflow.sensor import FlowApiError
from autoflow.settings import Settings
from autoflow.workflows import WorkflowsError, read_workflows

cli = typer.Typer(
    help="Notebooks that run on each new day of data and become PDF reports. Settings come from the "
    "environment (AUTOFLOW_..., FLOWAPI_URL, FLOWAPI_TOKEN) and from files in /run/secrets.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
COLOURS = {"success": "green", "failed": "red", "running": "cyan", "waiting": "yellow", "due": "blue"}


def main() -> None:
    """Run the command line; what goes wrong is told in sentences, with exit code 1."""
    try:
        cli()
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(str(part) for part in problem["loc"]).upper()
            _say(f"{name}: {problem['msg'].removeprefix('Value error, ')}" if name else problem["msg"])
    except (WorkflowsError, FlowApiError) as error:
        _say(str(error))
    except OSError as error:
        # Sentences of our own name no file apart; those of the system do, and not what to do about it.
        where = f"{error.filename}: {error.strerror}; see AUTOFLOW_INPUTS_DIR and AUTOFLOW_OUTPUTS_DIR."
        _say(where if error.filename else str(error))
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        _say(f"The run table's database cannot be used: {cause}; see AUTOFLOW_DB_URI and AUTOFLOW_DB_PASSWORD.")
    except ModuleNotFoundError as error:
        _say(f"The Python package '{error.name}' is not installed; install flowkit[autoflow].")
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
    _exit_by(service.main(run_on_schedule=True))


@cli.command()
def once(
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try failed runs again now, whatever their number of attempts.")
    ] = False,
) -> None:
    """Run what is due now, and end; exit code 1 if a run failed."""
    settings = _settings()
    # SIGTERM ends this as Ctrl-C does: kernels are stopped and the runs given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        runs = service.run_once(settings, _print_run, retry_failed=retry_failed)
    except KeyboardInterrupt:
        _say("Stopped; the runs that were under way begin anew next time.")
        raise typer.Exit(130) from None
    if not runs:
        Console().print("Nothing was due; 'autoflow status' says why.")
    _exit_by(runs)


@cli.command()
def check() -> None:
    """Check workflows.yml and the notebooks that it names, without running anything."""
    definition = read_workflows(_settings().autoflow_inputs_dir)
    for sentence in service.warnings_of(definition):
        _say(f"warning: {sentence}")
    Console(soft_wrap=True).print(
        f"{definition.path} is sound: {len(definition.workflows)} workflow(s), "
        f"{len(definition.entries)} for the sensor, schedule {definition.schedule or 'once'}.",
        highlight=False,
    )


@cli.command()
def status(
    all_days: Annotated[bool, typer.Option("--all", help="Show the days that have succeeded as well.")] = False,
) -> None:
    """Show how each workflow stands for each available day, and why it has not run where it has not."""
    standings = service.standings(_settings())
    table = Table("workflow", "date", "parameters", "state", "tries", "reason or report")
    shown = [each for each in standings if all_days or each.state != "success"]
    for each in shown:
        reports = (
            ", ".join(Path(output["report"]).name for output in each.run.outputs if "report" in output)
            if each.run
            else ""
        )
        own = {k: v for k, v in each.candidate.parameters.items() if k not in ("reference_date", "date_ranges")}
        table.add_row(
            escape(each.candidate.workflow.name),
            str(each.candidate.reference_date),
            escape(", ".join(f"{name}={value}" for name, value in own.items())),
            f"[{COLOURS[each.state]}]{each.state}[/]",
            str(each.run.attempt or "") if each.run else "",
            escape(each.reason or reports),
        )
    console = Console()
    if shown:
        console.print(table)
    done = sum(each.state == "success" for each in standings)
    console.print(f"{done} of {len(standings)} runs have succeeded.", highlight=False)


def _settings() -> Settings:
    settings = Settings()  # pyright: ignore[reportCallIssue]
    write_log_to_stderr(settings.autoflow_log_level)
    return settings


def _exit_by(runs: list[Run]) -> None:
    if any(run.state is RunState.failed for run in runs):
        raise typer.Exit(1)


def _print_run(run: Run) -> None:
    if run.state is not RunState.running:
        detail = run.error if run.error else ", ".join(o.get("report", o["notebook"]) for o in run.outputs)
        print(f"{run.workflow_name} {run.reference_date} {run.state.value}: {detail}", flush=True)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    main()
