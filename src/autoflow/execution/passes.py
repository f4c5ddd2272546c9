"""A pass: what is due runs if it is time, and the moment of the next pass is worked out."""

import datetime as dt

import sqlalchemy.exc

from autoflow.definition.model import Definition
from autoflow.definition.reading import WorkflowsError, read_workflows
from autoflow.execution.runner import Progress, open_runner
from autoflow.execution.tick import tick
from autoflow.log import log
from autoflow.runs.table import RunTable
from autoflow.schedule.available import FlowApiError
from autoflow.schedule.cron import next_tick
from autoflow.schedule.waiting import Since
from autoflow.settings import Settings
from autoflow.stopping import Stop


def make_pass(settings: Settings, progress: Progress | None, stop: Stop, since: Since) -> dt.datetime | None:
    """Run what is due if it is time; give the moment of the next pass.

    None is given while workflows.yml is unusable, and after a request to stop.
    """
    try:
        definition = read_workflows(settings.autoflow_inputs_dir)
    except (WorkflowsError, OSError) as error:
        log.error("workflows.yml has become unusable; nothing starts until it is mended", error=str(error))
        return None
    names = {entry.workflow.name for entry in definition.entries}
    try:
        with open_runner(settings) as runner, stop.stopping(runner.stop):
            keys = {key for key in runner.table.latest() if key[0] in names}
            if since == "tick":
                _, keys = tick(runner, definition, progress)
            return next_wake(runner.table, definition, settings, keys)
    except (FlowApiError, OSError, sqlalchemy.exc.SQLAlchemyError) as error:
        if stop.requested.is_set():
            # It did not fail: it was stopped.
            return None
        log.error("this tick failed", error=str(error.__cause__ or error))
        return min(_after(max(settings.autoflow_retry_delay, 5)), _scheduled(definition, settings))


def next_wake(table: RunTable, definition: Definition, settings: Settings, keys: set[tuple[str, str]]) -> dt.datetime:
    """Give the next tick of the schedule, or the moment before it at which one of the runs may be taken again."""
    latest = table.latest()
    changes = [table.next_change(latest[key]) for key in keys if key in latest]
    soonest = min((change for change in changes if change), default=None)
    tick = _scheduled(definition, settings)
    return min(tick, max(soonest, _after(1))) if soonest else tick


def _scheduled(definition: Definition, settings: Settings) -> dt.datetime:
    """Give the next tick of the schedule; where it has become null, a day that never ends."""
    if definition.schedule is None:
        return _after(86400)
    return next_tick(definition.schedule, dt.datetime.now(dt.UTC), settings.autoflow_timezone)


def _after(seconds: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
