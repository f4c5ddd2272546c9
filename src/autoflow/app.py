"""The service: one pass over the available dates, or one at each tick of the schedule until it is stopped."""

import datetime as dt
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy.exc

from autoflow.definition.model import Definition
from autoflow.definition.reading import FILENAME, WorkflowsError, read_workflows
from autoflow.execution.runner import Progress, Runner, open_runner
from autoflow.execution.tick import tick
from autoflow.log import log, write_log_to_stderr
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import RunTable, open_run_table
from autoflow.schedule import waiting
from autoflow.schedule.available import FlowApiError
from autoflow.schedule.candidates import Candidate, candidates
from autoflow.schedule.cron import next_tick
from autoflow.schedule.waiting import Since, Until
from autoflow.settings import Settings

Wait = Callable[[Until, threading.Event], Since]


T = TypeVar("T")


def run_once(settings: Settings, progress: Progress | None = None, *, retry_failed: bool = False) -> list[Run]:
    """Run every workflow for every available day for which it is due, and give the runs as they ended.

    `progress` is called with each run when it starts and when it ends, from any thread. `retry_failed`
    tries failed runs again before their time and beyond the limit of attempts. Raises WorkflowsError,
    FileNotFoundError or FlowApiError with a sentence for the user; a notebook that fails raises nothing.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    with open_runner(settings) as runner:
        return tick(runner, definition, progress, retry_failed=retry_failed)[0]


def serve(
    settings: Settings, progress: Progress | None = None, *, wait: Wait = waiting.wait, since: Since = "start"
) -> list[Run]:
    """Run at each tick of the schedule until SIGTERM or SIGINT; once where the schedule is null.

    Between the ticks, failed runs are tried again when their time has come. workflows.yml is read anew for
    each tick; where it has become unusable, the log says so and nothing starts until it is mended. Gives the
    ended runs where the schedule is null; after a clean stop there is nothing to tell. `wait` waits between the
    passes, `since` tells why the first one is made.
    """
    stop, file = _Stop(), settings.autoflow_inputs_dir / FILENAME
    with _stopping_on_signals(stop):
        if since == "start":
            definition = read_workflows(settings.autoflow_inputs_dir)
            if definition.schedule is None:
                with open_runner(settings) as runner, stop.stopping(runner):
                    return tick(runner, definition, progress)[0]
            log.info("waiting for the schedule", schedule=definition.schedule, timezone=settings.autoflow_timezone)
        while since != "stop":
            # Taken before the file is read, so that no change of it is missed.
            seen = waiting.stamp(file)
            moment = _pass(settings, progress, stop, since)
            # While workflows.yml cannot be used, a change of it is a reason to run what may have been missed.
            until = Until(moment, file, seen) if moment else Until(_after(60), file, seen, changed="tick")
            since = wait(until, stop.asked)
        log.info("stopped")
        return []


def rerun(settings: Settings, workflow: str, dates: Iterable[dt.date]) -> list[Run]:
    """Make a workflow due again for some dates, as every entry of the sensor has it; older outputs stay.

    Gives the runs as they stand now: the next tick takes them up. Raises ValueError with a sentence for a workflow
    or a date that has no run, and for one that is under way; then nothing is changed.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    wanted = sorted(set(dates))
    if not any(entry.workflow.name == workflow for entry in definition.entries):
        known = ", ".join(sorted({f"'{entry.workflow.name}'" for entry in definition.entries})) or "none"
        raise ValueError(f"The sensor runs no workflow called '{workflow}'; those that it runs are {known}.")
    types = {name for entry in definition.entries for name in entry.cdr_types or ()} | set(definition.cdr_types or ())
    found = candidates(definition, dict.fromkeys(types or {"calls"}, wanted))
    table = open_run_table(settings)
    try:
        latest, now = table.latest(), _now()
        runs = [latest[each.key] for each in found if each.workflow.name == workflow and each.key in latest]
        missing = sorted(set(wanted) - {_date_of(run, found) for run in runs})
        if missing:
            raise ValueError(f"Workflow '{workflow}' has not run for {', '.join(map(str, missing))}.")
        busy = [run for run in runs if run.state is RunState.running and not run.died(now)]
        if busy:
            raise ValueError(
                f"Workflow '{workflow}' is running for {busy[0].reference_date}; ask again when it has ended."
            )
        return [asked for run in runs if (asked := table.ask_again(run.workflow_name, run.parameters_hash))]
    finally:
        table.close()


def _date_of(run: Run, found: Iterable[Candidate]) -> dt.date | None:
    """Give the date of a run, also of one that FlowKit recorded without it."""
    return next(each.reference_date for each in found if each.key == (run.workflow_name, run.parameters_hash))


def main(run_on_schedule: bool = True, *, small: bool = False) -> list[Run]:
    """Run AutoFlow with the settings of the environment: on its schedule, or once if `run_on_schedule` is false.

    With `small`, this process gives its place to a smaller one between the ticks; that is for the command line,
    for it ends whatever else the process does.
    """
    since = waiting.woken_by()
    settings = Settings()  # pyright: ignore[reportCallIssue]
    write_log_to_stderr(settings.autoflow_log_level)
    if not run_on_schedule:
        return run_once(settings)
    return serve(settings, wait=waiting.become_small if small else waiting.wait, since=since)


def _pass(settings: Settings, progress: Progress | None, stop: "_Stop", since: Since) -> dt.datetime | None:
    """Run what is due if it is time; give the moment of the next pass, None while workflows.yml is unusable."""
    try:
        definition = read_workflows(settings.autoflow_inputs_dir)
    except (WorkflowsError, OSError) as error:
        log.error("workflows.yml has become unusable; nothing starts until it is mended", error=str(error))
        return None
    names = {entry.workflow.name for entry in definition.entries}
    try:
        with open_runner(settings) as runner, stop.stopping(runner):
            keys = {key for key in runner.table.latest() if key[0] in names}
            if since == "tick":
                _, keys = tick(runner, definition, progress)
            return next_wake(runner.table, definition, settings, keys)
    except (FlowApiError, OSError, sqlalchemy.exc.SQLAlchemyError) as error:
        log.error("this tick came to nothing", error=str(error.__cause__ or error))
        return min(_after(max(settings.autoflow_retry_delay, 5)), _scheduled(definition, settings))


class _Stop:
    """A wish to stop, which reaches the runner that is at work when it comes, or the next one."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._runner: Runner | None = None

    @contextmanager
    def stopping(self, runner: Runner) -> Iterator[None]:
        """Let the wish reach a runner."""
        self._runner = runner
        if self.asked.is_set():
            runner.stop()
        try:
            yield
        finally:
            self._runner = None

    def stop(self) -> None:
        """Ask to stop."""
        self.asked.set()
        runner = self._runner
        if runner:
            runner.stop()


@contextmanager
def _stopping_on_signals(stop: _Stop) -> Iterator[None]:
    def on_signal(number: int, _: object) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        # Not from within the handler: the thread that it interrupts may hold the lock that stopping needs.
        threading.Thread(target=stop.stop, name=waiting.STOPPING).start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in waiting.SIGNALS}
    # They may have been held back while this process took the place of the one that waited.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, waiting.SIGNALS)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _after(seconds: float) -> dt.datetime:
    return _now() + dt.timedelta(seconds=seconds)


def _scheduled(definition: Definition, settings: Settings) -> dt.datetime:
    """Give the next tick of the schedule; where it has become null, a day that never ends."""
    if definition.schedule is None:
        return _after(86400)
    return next_tick(definition.schedule, _now(), settings.autoflow_timezone)


def next_wake(table: RunTable, definition: Definition, settings: Settings, keys: set[tuple[str, str]]) -> dt.datetime:
    """Give the next tick of the schedule, or the moment before it at which one of the runs may be taken again."""
    latest = table.latest()
    changes = [table.next_change(latest[key]) for key in keys if key in latest]
    soonest = min((change for change in changes if change), default=None)
    tick = _scheduled(definition, settings)
    return min(tick, max(soonest, _after(1))) if soonest else tick
