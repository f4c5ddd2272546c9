"""Running again: what has ended is made due once more."""

import datetime as dt
from collections.abc import Iterable

from autoflow.definition.reading import read_workflows
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import open_run_table
from autoflow.schedule.candidates import Candidate, candidates
from autoflow.settings import Settings


def rerun(settings: Settings, workflow: str, dates: Iterable[dt.date]) -> list[Run]:
    """Make a workflow due again for some dates, as every entry of the sensor has it; older outputs stay.

    Gives the runs in their new state: the next tick takes them up. Raises ValueError with a sentence for a workflow
    or a date that has no run, and for one that is under way; then nothing is changed.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    chosen = sorted(set(dates))
    if not any(entry.workflow.name == workflow for entry in definition.entries):
        known = ", ".join(sorted({f"'{entry.workflow.name}'" for entry in definition.entries})) or "none"
        raise ValueError(f"The sensor runs no workflow called '{workflow}'; those that it runs are {known}.")
    types = {name for entry in definition.entries for name in entry.cdr_types or ()} | set(definition.cdr_types or ())
    possible = candidates(definition, dict.fromkeys(types or {"calls"}, chosen))
    table = open_run_table(settings)
    try:
        latest, now = table.latest(), dt.datetime.now(dt.UTC)
        runs = [latest[each.key] for each in possible if each.workflow.name == workflow and each.key in latest]
        missing = sorted(set(chosen) - {_date_of(run, possible) for run in runs})
        if missing:
            raise ValueError(f"Workflow '{workflow}' has not run for {', '.join(map(str, missing))}.")
        busy = [run for run in runs if run.state is RunState.running and not run.died(now)]
        if busy:
            raise ValueError(
                f"Workflow '{workflow}' is running for {busy[0].reference_date}; ask again when it has ended."
            )
        return [due for run in runs if (due := table.ask_again(run.workflow_name, run.parameters_hash))]
    finally:
        table.close()


def _date_of(run: Run, possible: Iterable[Candidate]) -> dt.date | None:
    """Give the date of a run, also of one that FlowKit recorded without it."""
    return next(each.reference_date for each in possible if each.key == (run.workflow_name, run.parameters_hash))
