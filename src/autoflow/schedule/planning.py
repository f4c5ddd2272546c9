"""Planning: the state of each workflow for each date, what would run now, and why the rest would not."""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from autoflow.definition.model import Definition
from autoflow.definition.notebooks import problems_of, warnings_of
from autoflow.definition.reading import read_workflows
from autoflow.definition.stencil import Days
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import RunTable, open_run_table
from autoflow.schedule.available import FlowApiError, reported_dates, reported_versions
from autoflow.schedule.candidates import Candidate, candidate_for, candidates, days_that_count, named, types_of
from autoflow.schedule.fingerprints import Fingerprints
from autoflow.settings import Settings

__all__ = [
    "STATES",
    "Overview",
    "Standing",
    "overview",
    "plan",
    "standings",
    "survey",
    "version_warnings",
    "warnings_of",
]

STATES: Mapping[str, str] = {
    "success": "done",
    "running": "running",
    "due": "due",
    "failed": "failed",
    "waiting": "waiting for data",
    "held back": "cannot run here",
    "withdrawn": "data withdrawn since",
    "left out": "before its earliest date",
}
"""What each state means."""

Fingerprint = Callable[[Candidate], Mapping[str, str] | None]


@dataclass(frozen=True)
class Standing:
    """One workflow for one date: the state, why it has not run if it has not, and whether it starts now."""

    candidate: Candidate
    state: str
    reason: str
    run: Run | None = None
    starts: bool = False

    @property
    def own_parameters(self) -> dict[str, Any]:
        """Give the parameters that workflows.yml sets, without those that come with the date."""
        automatic = ("reference_date", "date_ranges")
        return {name: value for name, value in self.candidate.parameters.items() if name not in automatic}


@dataclass(frozen=True)
class Overview:
    """Every standing of a deployment at a moment.

    `note` says why FlowAPI could not be asked, if so: then only runs that the table knows are here. `strangers`
    is the number of runs in the table whose workflow or parameters are not in workflows.yml any more; `begun`
    holds the moment at which each run began, by run id.
    """

    definition: Definition
    standings: list[Standing]
    created: dt.datetime
    note: str = ""
    strangers: int = 0
    begun: Mapping[str, dt.datetime] | None = None

    def duration(self, standing: Standing) -> dt.timedelta | None:
        """Give how long the last attempt of a standing took; None if it has not ended or is not known."""
        run = standing.run
        if run is None or run.state is RunState.running or not self.begun:
            return None
        start = self.begun.get(str(run.run_id))
        return run.timestamp - start if start else None


def standings(settings: Settings) -> list[Standing]:
    """Give the state of each workflow for each date, and the reason if it has not run.

    Nothing is made or changed. Raises WorkflowsError, FileNotFoundError or FlowApiError.
    """
    return _overview(settings, reported_dates(settings)).standings


def plan(settings: Settings) -> Overview:
    """What would run now, in its order (`starts`), and why the rest would not. Raises as `standings` does."""
    return _overview(settings, reported_dates(settings))


def overview(settings: Settings) -> Overview:
    """Give the state of everything, from the run table alone if FlowAPI does not answer (`note` says why)."""
    try:
        reported, note = reported_dates(settings), ""
    except FlowApiError as error:
        reported, note = None, str(error)
    return replace(_overview(settings, reported), note=note)


def _overview(settings: Settings, reported: Mapping[str, Iterable[dt.date]] | None) -> Overview:
    definition = read_workflows(settings.autoflow_inputs_dir)
    table = open_run_table(settings, read_only=True)
    try:
        prints = Fingerprints(reported_versions(settings) if reported and _asks_for_data(definition) else {})
        return replace(survey(definition, reported, table, prints.of), begun=table.begun())
    finally:
        table.close()


def _asks_for_data(definition: Definition) -> bool:
    return any("data" in entry.on_change for entry in definition.entries)


def given_up(settings: Settings) -> list[Standing]:
    """The runs that workflows.yml defines, that failed, and that are not tried again automatically.

    FlowAPI is not queried. Raises WorkflowsError or FileNotFoundError.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    table = open_run_table(settings, read_only=True)
    try:
        return [
            replace(standing, reason=f"{reason}: {standing.run.error}")
            for standing in survey(definition, None, table).standings
            if standing.run and (reason := table.given_up(standing.run))
        ]
    finally:
        table.close()


def version_warnings(settings: Settings, definition: Definition) -> list[str]:
    """Warn if runs are to repeat on replaced data, and FlowAPI does not report which days were replaced."""
    if not _asks_for_data(definition) or reported_versions(settings):
        return []
    problem = f"FlowAPI at {settings.flowapi_url} does not report the versions of days, so 'data' has no effect"
    return [f"available_dates_sensor: on_change: {problem}; a FlowAPI of this version does."]


def survey(
    definition: Definition,
    reported: Mapping[str, Iterable[dt.date]] | None,
    table: RunTable,
    fingerprint: Fingerprint = lambda _: None,
) -> Overview:
    """Compare the runs that workflows.yml defines and the available days with the run table.

    `reported` holds the days of each type of CDR; None means that they are not known. `fingerprint` gives what
    a candidate's run would be made from.
    """
    now = dt.datetime.now(dt.UTC)
    latest = table.latest()
    by_type = {name: Days(days) for name, days in (reported or {}).items()}
    workflows = {entry.workflow.name: entry.workflow for entry in definition.entries}
    problems = {name: " ".join(problems_of(workflow)) for name, workflow in workflows.items()}
    known: list[Standing] = []
    for candidate in candidates(definition, by_type) if reported is not None else ():
        run = latest.pop(candidate.key, None)
        standing = _standing(candidate, run, table, now, fingerprint)
        earliest = definition.entries[candidate.entry].earliest_date
        if standing.state == "waiting" and earliest and candidate.reference_date < earliest:
            standing = replace(standing, state="left out")
        if standing.starts and problems[candidate.workflow.name]:
            standing = replace(standing, state="held back", reason=problems[candidate.workflow.name], starts=False)
        known.append(standing)
    present = None
    if reported is not None:
        entries = definition.entries
        present = [days_that_count(types_of(definition, entry, by_type), by_type, entry.require) for entry in entries]
    kept = [_kept(run, definition, present, table, now) for run in latest.values()]
    known += [standing for standing in kept if standing]
    return Overview(definition, known, now, strangers=kept.count(None))


def _standing(
    candidate: Candidate, run: Run | None, table: RunTable, now: dt.datetime, fingerprint: Fingerprint
) -> Standing:
    if run is None:
        if candidate.waits_for:
            return Standing(candidate, "waiting", candidate.waits_for)
        return Standing(candidate, "due", "runs at the next tick", starts=True)
    fingerprint_now = fingerprint(candidate) if candidate.on_change else None
    reason = table.reason_not_started(run, now, fingerprint_now, candidate.on_change)
    if run.state is RunState.running:
        if reason:
            return Standing(candidate, "running", reason, run)
        return Standing(
            candidate, "running", "its process ended; taken up at the next tick", run, candidate.waits_for is None
        )
    if candidate.missing:
        gone = f"{named(candidate.missing)}, which it needs, {'is' if len(candidate.missing) == 1 else 'are'} gone"
        return Standing(candidate, "withdrawn", f"{gone}; {_what_is_left(run)}", run)
    if run.state is RunState.success:
        if reason or candidate.waits_for:
            return Standing(candidate, "success", run.warnings, run)
        changed = ", ".join(run.changed(fingerprint_now, candidate.on_change))
        return Standing(candidate, "due", f"changed since it ran: {changed}", run, starts=True)
    if candidate.waits_for:
        return Standing(candidate, "failed", f"{candidate.waits_for}; it failed before: {run.error}", run)
    return Standing(
        candidate, "failed", f"{reason or 'tried again at the next tick'}: {run.error}", run, starts=reason is None
    )


def _kept(
    run: Run,
    definition: Definition,
    present: list[Days] | None,
    table: RunTable,
    now: dt.datetime,
) -> Standing | None:
    """Give the standing of a run whose date is not, or not known to be, available; None if no entry defines it."""
    day = run.reference_date
    for number, entry in enumerate(definition.entries):
        if day is None or entry.workflow.name != run.workflow_name:
            continue
        available = present[number] if present is not None else Days()
        candidate = candidate_for(entry, day, available, number=number)
        if candidate.key != (run.workflow_name, run.parameters_hash):
            continue
        if run.state is RunState.running:
            reason = table.reason_not_started(run, now)
            return Standing(candidate, "running", reason or "its process ended before it did", run)
        if present is not None and day not in available:
            return Standing(candidate, "withdrawn", f"{day} is no longer available; {_what_is_left(run)}", run)
        return Standing(candidate, run.state.value, run.error or run.warnings, run)
    return None


def _what_is_left(run: Run) -> str:
    if run.state is RunState.success:
        return "what it made is kept, and it does not run again"
    return f"it had failed before: {run.error}"
