"""The service: one pass over the available dates, or one at each tick of the schedule, until told to stop."""

import datetime as dt
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy.exc
from croniter import croniter

from autoflow import asciidoc
from autoflow.execution import Kernels, NotebookError, Stopped, execute
from autoflow.log import log, write_log_to_stderr
from autoflow.runs import Limits, Run, RunState, RunTable
from autoflow.sensor import Candidate, FlowApiError, available_dates, candidates
from autoflow.settings import Settings
from autoflow.workflows import Definition, Notebook, WorkflowsError, read_workflows

Progress = Callable[[Run], None]


@dataclass(frozen=True)
class Standing:
    """How one workflow stands for one available day: the state, and the reason why it has not run if it has not."""

    candidate: Candidate
    state: str
    reason: str
    run: Run | None = None


class Runner:
    """One process at work on the run table: it keeps the leases of its runs, and can be stopped from any thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.table = open_run_table(settings)
        self.kernels = Kernels(threading.Semaphore(settings.autoflow_parallel))
        self._mine: dict[str, dt.datetime] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="leases", daemon=True)
        self._heart.start()

    @property
    def stopped(self) -> threading.Event:
        """The event that is set once the runner has been asked to stop."""
        return self.kernels.stopped

    def stop(self) -> None:
        """Ask the runner to end what it does; runs under way are given back and do not count as tried."""
        self.kernels.stop()

    def close(self) -> None:
        """Stop, and give back the connections to the database."""
        self.stop()
        self._closed.set()
        self._heart.join()
        self.table.close()

    def run(self, candidate: Candidate, progress: Progress | None = None, *, force: bool = False) -> Run | None:
        """Run a workflow for a day if it is due and nobody else has it; None if not."""
        if self.stopped.is_set():
            return None
        run = self.table.claim(candidate.workflow.name, candidate.parameters, candidate.reference_date, force=force)
        if run is None:
            return None
        _tell(progress, run)
        log.info("run started", **_names(run))
        with self._lock:
            self._mine[str(run.run_id)] = dt.datetime.now(dt.UTC)
        try:
            ended = self._execute(candidate, run)
        finally:
            with self._lock:
                self._mine.pop(str(run.run_id), None)
        if ended is None:
            log.warning("run left to another runner, which had taken it over", **_names(run))
            return None
        if self.kernels.unwanted(str(run.run_id)) and ended.state is RunState.failed:
            log.info("run stopped; it begins anew next time", **_names(run))
            return None
        if ended.state is RunState.success:
            log.info("run succeeded", **_names(ended))
        else:
            log.error("run failed", error=ended.error, retry_at=ended.retry_at, **_names(ended))
        _tell(progress, ended)
        return ended

    def _execute(self, candidate: Candidate, run: Run) -> Run | None:
        try:
            outputs = execute(run, candidate.workflow, self.settings, self.kernels)
        except Stopped:
            return self.table.give_back(run, "AutoFlow was stopped while this ran.")
        except NotebookError as error:
            return self.table.fail(run, str(error), error.outputs)
        except OSError as error:
            return self.table.fail(run, f"The outputs could not be written: {error}")
        return self.table.succeed(run, outputs)

    def _beat(self) -> None:
        """Renew the leases while this process lives; let go of a run whose lease could not be renewed in time."""
        lease = self.settings.autoflow_lease
        while not self._closed.wait(lease / 4):
            with self._lock:
                mine = dict(self._mine)
            if not mine:
                continue
            try:
                self.table.keep(list(mine))
                with self._lock:
                    self._mine.update({run_id: dt.datetime.now(dt.UTC) for run_id in mine if run_id in self._mine})
            except sqlalchemy.exc.SQLAlchemyError as error:
                log.error("the leases of the runs under way could not be renewed", error=str(error.__cause__ or error))
                for run_id, renewed in mine.items():
                    if (dt.datetime.now(dt.UTC) - renewed).total_seconds() > lease:
                        self.kernels.lose(run_id)


def open_run_table(settings: Settings) -> RunTable:
    """Open the run table that the settings name: by default an SQLite file among the outputs."""
    uri = settings.autoflow_db_uri or f"sqlite:///{settings.autoflow_outputs_dir.resolve() / 'autoflow.db'}"
    limits = Limits(settings.autoflow_max_attempts, settings.autoflow_retry_delay, settings.autoflow_lease)
    return RunTable(uri, settings.autoflow_db_password.get_secret_value(), limits)


def run_once(settings: Settings, progress: Progress | None = None, *, retry_failed: bool = False) -> list[Run]:
    """Run every workflow for every available day for which it is due, and give the runs as they ended.

    `progress` is called with each run when it starts and when it ends, from any thread. `retry_failed`
    tries failed runs again before their time and beyond the limit of attempts. Raises WorkflowsError,
    FileNotFoundError or FlowApiError with a sentence for the user; a notebook that fails raises nothing.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    with _runner(settings) as runner:
        return _tick(runner, definition, progress, retry_failed=retry_failed)[0]


def serve(settings: Settings, progress: Progress | None = None) -> list[Run]:
    """Run at each tick of the schedule until SIGTERM or SIGINT; once where the schedule is null.

    Between the ticks, failed runs are tried again when their time has come. workflows.yml is read anew for
    each tick; where it has become unusable, the log says so and the last good one stays in force. Gives the
    ended runs where the schedule is null; after a clean stop there is nothing to tell.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    with _runner(settings) as runner, _stopping_on_signals(runner):
        if definition.schedule is None:
            return _tick(runner, definition, progress)[0]
        log.info("waiting for the schedule, in UTC", schedule=definition.schedule)
        wake = _first_wake(runner, definition)
        while not _stopped_before(wake, runner):
            definition = _reread(settings, definition)
            try:
                _, keys = _tick(runner, definition, progress)
                wake = _next_wake(runner.table, definition, keys)
            except (FlowApiError, sqlalchemy.exc.OperationalError) as error:
                log.error("this tick came to nothing", error=str(error))
                again = _now() + dt.timedelta(seconds=max(settings.autoflow_retry_delay, 5))
                wake = min(again, _next_tick(definition))
        log.info("stopped")
        return []


def main(run_on_schedule: bool = True) -> list[Run]:
    """Run AutoFlow with the settings of the environment: on its schedule, or once if `run_on_schedule` is false."""
    settings = Settings()  # pyright: ignore[reportCallIssue]
    write_log_to_stderr(settings.autoflow_log_level)
    return serve(settings) if run_on_schedule else run_once(settings)


def standings(settings: Settings) -> list[Standing]:
    """Tell how each workflow stands for each available day, and why it has not run where it has not."""
    definition = read_workflows(settings.autoflow_inputs_dir)
    days = available_dates(settings, definition.cdr_types)
    settings.autoflow_outputs_dir.mkdir(parents=True, exist_ok=True)
    table = open_run_table(settings)
    try:
        latest = table.latest()
        return [_standing(candidate, latest.get(candidate.key), table) for candidate in candidates(definition, days)]
    finally:
        table.close()


def warnings_of(definition: Definition) -> list[str]:
    """Tell what is allowed in workflows.yml but will not go well on this machine, one sentence each."""
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415  (slow to import)

    found = []
    kernels = set(KernelSpecManager().find_kernel_specs()) | {"python3"}
    for workflow in definition.workflows.values():
        for notebook in workflow.notebooks:
            where = f"workflow '{workflow.name}', notebook '{notebook.key}'"
            if notebook.template and not asciidoc.is_installed():
                found.append(f"{where}: {asciidoc.MISSING}.")
            found += [f"{where}: {sentence}" for sentence in _notebook_warnings(notebook, kernels)]
    if not definition.entries:
        found.append("available_dates_sensor names no workflow, so nothing will run.")
    return found


def _notebook_warnings(notebook: Notebook, kernels: set[str]) -> Iterator[str]:
    import nbformat  # noqa: PLC0415

    try:
        content = nbformat.read(notebook.path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        yield f"{notebook.path.name} cannot be read as a notebook ({str(error).splitlines()[0]})."
        return
    kernel = content.metadata.get("kernelspec", {}).get("name")
    if not kernel:
        yield f"{notebook.path.name} names no kernel; open it in Jupyter, choose one and save it."
    elif kernel not in kernels:
        yield f"{notebook.path.name} asks for the kernel '{kernel}', which is not installed here."
    if notebook.parameters and not any("parameters" in cell.metadata.get("tags", ()) for cell in content.cells):
        yield f"{notebook.path.name} has no cell tagged 'parameters'; they will be set in a new cell at the top."


def _tick(
    runner: Runner, definition: Definition, progress: Progress | None, *, retry_failed: bool = False
) -> tuple[list[Run], set[tuple[str, str]]]:
    """Run what is due; give the ended runs, and the keys of all that could run."""
    days = available_dates(runner.settings, definition.cdr_types)
    ready = [candidate for candidate in candidates(definition, days) if candidate.waits_for is None]
    log.info("looked for new dates", available=len(days), ready=len(ready))
    with ThreadPoolExecutor(runner.settings.autoflow_parallel, thread_name_prefix="run") as pool:
        try:
            runs = list(pool.map(lambda each: runner.run(each, progress, force=retry_failed), ready))
        except BaseException:
            # The pool waits for its threads; without this, an interrupt would wait for the longest notebook.
            runner.stop()
            raise
    return [run for run in runs if run], {candidate.key for candidate in ready}


@contextmanager
def _runner(settings: Settings) -> Iterator[Runner]:
    for folder in (settings.notebooks_dir, settings.reports_dir, settings.working_dir):
        folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(settings)
    _clear_leftovers(runner)
    try:
        yield runner
    finally:
        runner.close()


def _clear_leftovers(runner: Runner) -> None:
    """Remove the unfinished files of runs whose process ended before they did."""
    # The folders are listed before the table is read: a run is in the table before it has a folder.
    folders = list(runner.settings.working_dir.iterdir())
    alive = {
        run.run_id for run in runner.table.latest().values() if run.state is RunState.running and not run.died(_now())
    }
    for folder in folders:
        if folder.name not in alive:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stopping_on_signals(runner: Runner) -> Iterator[None]:
    def stop(number: int, _: object) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        # Not from within the handler: the thread that it interrupts may hold the lock that stopping needs.
        threading.Thread(target=runner.stop, name="stop").start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _reread(settings: Settings, definition: Definition) -> Definition:
    try:
        return read_workflows(settings.autoflow_inputs_dir)
    except (WorkflowsError, OSError) as error:
        log.error("workflows.yml has become unusable; the last good one stays in force", error=str(error))
        return definition


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _stopped_before(moment: dt.datetime, runner: Runner) -> bool:
    """Wait for a moment; tell whether the runner was stopped before it came."""
    # Looking at the clock every minute, a machine that has slept, or whose clock was set, is not late by more.
    while (left := (moment - _now()).total_seconds()) > 0:
        if runner.stopped.wait(min(left, 60)):
            return True
    return runner.stopped.is_set()


def _next_tick(definition: Definition) -> dt.datetime:
    return croniter(definition.schedule or "0 0 * * *", _now()).get_next(dt.datetime)


def _first_wake(runner: Runner, definition: Definition) -> dt.datetime:
    """Give the first tick: at once where an earlier process has left a run unfinished or due again."""
    names = {entry.workflow.name for entry in definition.entries}
    keys = {key for key in runner.table.latest() if key[0] in names}
    return _next_wake(runner.table, definition, keys)


def _next_wake(table: RunTable, definition: Definition, keys: set[tuple[str, str]]) -> dt.datetime:
    """Give the next tick of the schedule, or the moment before it at which one of the runs may be taken again."""
    latest = table.latest()
    changes = [table.next_change(latest[key]) for key in keys if key in latest]
    soonest = min((change for change in changes if change), default=None)
    tick = _next_tick(definition)
    return min(tick, max(soonest, _now() + dt.timedelta(seconds=1))) if soonest else tick


def _standing(candidate: Candidate, run: Run | None, table: RunTable) -> Standing:
    if run is None:
        if candidate.waits_for:
            return Standing(candidate, "waiting", candidate.waits_for)
        return Standing(candidate, "due", "runs at the next tick")
    held = table.held_back(run, _now())
    reason = {RunState.success: "", RunState.running: held or "its process ended; taken up at the next tick"}.get(
        run.state, f"{held or 'tried again at the next tick'}: {run.error}"
    )
    return Standing(candidate, run.state.value, reason, run)


def _names(run: Run) -> dict[str, object]:
    return {"workflow": run.workflow_name, "date": run.reference_date, "attempt": run.attempt}


def _tell(progress: Progress | None, run: Run) -> None:
    if progress:
        progress(run)
