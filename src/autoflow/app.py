"""The service: one pass over the available dates, or one at each tick of the schedule, until told to stop."""

import datetime as dt
import json
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as first_of
from contextlib import contextmanager
from typing import TypeVar

import sqlalchemy.exc

from autoflow import waiting
from autoflow.execution import STOPPED, Kernels, NotebookError, Order, Stopped, execute, side_by_side
from autoflow.fingerprints import Fingerprints, reported_versions
from autoflow.grammar import AUTOMATIC
from autoflow.log import hide, log, write_log_to_stderr
from autoflow.notebooks import problems_of
from autoflow.runs import Run, RunState, RunTable, open_run_table
from autoflow.schedule import next_tick
from autoflow.sensor import Candidate, FlowApiError, candidates, reported_dates
from autoflow.settings import Settings
from autoflow.waiting import Since, Until
from autoflow.workflows import FILENAME, Definition, WorkflowsError, read_workflows

Progress = Callable[[Run], None]
Wait = Callable[[Until, threading.Event], Since]
T = TypeVar("T")
# Seconds between tries to write the end of a run into a run table that cannot be written to.
PATIENCE = (0.5, 1, 2, 4, 8)


class Runner:
    """One process at work on the run table: it keeps the leases of its runs, and can be stopped from any thread.

    `in_order` begins the notebooks of each run, as `execute` takes it.
    """

    def __init__(self, settings: Settings, in_order: Order = side_by_side) -> None:
        self.settings = settings
        self.in_order = in_order
        hide(settings.flowapi_token.get_secret_value())
        self.table = open_run_table(settings)
        self.kernels = Kernels(threading.Semaphore(settings.autoflow_parallel))
        self._mine: dict[str, float] = {}
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

    def run(
        self,
        candidate: Candidate,
        progress: Progress | None = None,
        *,
        force: bool = False,
        fingerprint: Mapping[str, str] | None = None,
    ) -> Run | None:
        """Run a workflow for a day if it is due and nobody else has it; None if not.

        `force` and `fingerprint` are those of `RunTable.claim`.
        """
        if self.stopped.is_set():
            return None
        run = self.table.claim(
            candidate.workflow.name,
            candidate.parameters,
            candidate.reference_date,
            force=force,
            fingerprint=fingerprint,
            on_change=candidate.on_change,
        )
        if run is None:
            return None
        _tell(progress, run)
        log.info("run started", **_names(run))
        with self._lock:
            self._mine[str(run.run_id)] = time.monotonic()
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
            outputs = execute(run, candidate.workflow, self.settings, self.kernels, self.in_order)
        except Stopped:
            return self._recorded(run, lambda: self.table.give_back(run, STOPPED))
        except NotebookError as error:
            told, made = str(error), error.outputs
            return self._recorded(run, lambda: self.table.fail(run, told, made))
        except OSError as error:
            told = f"The outputs could not be written: {error.strerror or error}."
            return self._recorded(run, lambda: self.table.fail(run, told))
        # Nothing that goes wrong with one run may leave it without an end, or stop the others.
        except Exception as error:
            log.error("a run failed in a way that is AutoFlow's own fault", error=repr(error), **_names(run))
            told = f"AutoFlow itself failed: {type(error).__name__}: {error}"
            return self._recorded(run, lambda: self.table.fail(run, told))
        except BaseException:
            # Whoever looks next may take it at once.
            self.stop()
            self._recorded(run, lambda: self.table.give_back(run, STOPPED))
            raise
        return self._recorded(run, lambda: self.table.succeed(run, outputs))

    def _recorded(self, run: Run, record: Callable[[], Run | None]) -> Run | None:
        """Write the end of a run down, also where that takes a few tries, as on a disk that is full for a moment."""
        for pause in (*PATIENCE, None):
            try:
                return record()
            except sqlalchemy.exc.SQLAlchemyError as error:
                told = str(error.__cause__ or error)
                if pause is None:
                    # The lease ends, or this process finds the row among those that it left behind: it runs again.
                    log.error("the end of a run could not be recorded; it will run again", error=told, **_names(run))
                    self.table.forget(run)
                    return None
            log.warning("the end of a run could not be recorded; trying again", error=told, **_names(run))
            time.sleep(pause)
        return None

    def _beat(self) -> None:
        """Renew the leases while this process lives; let go of a run that another has taken over, or soon may."""
        lease = self.settings.autoflow_lease
        while not self._closed.wait(lease / 4):
            with self._lock:
                mine = dict(self._mine)
            if not mine:
                continue
            try:
                for run_id in self.table.keep(list(mine)):
                    self.kernels.lose(run_id)
                with self._lock:
                    self._mine.update({run_id: time.monotonic() for run_id in mine if run_id in self._mine})
            except sqlalchemy.exc.SQLAlchemyError as error:
                log.error("the leases of the runs under way could not be renewed", error=str(error.__cause__ or error))
                for run_id, renewed in mine.items():
                    if time.monotonic() - renewed > lease:
                        self.kernels.lose(run_id)


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


def tick(
    runner: Runner, definition: Definition, progress: Progress | None, *, retry_failed: bool = False
) -> tuple[list[Run], set[tuple[str, str]]]:
    """Run what is due; give the ended runs, and the keys of all that could run. Raises FlowApiError."""
    reported = reported_dates(runner.settings, runner.stopped)
    # Looked at anew for each tick: a notebook that was mended runs without any attempt lost.
    broken = _told_problems(definition)
    ready = [
        candidate
        for candidate in candidates(definition, reported)
        if candidate.waits_for is None and candidate.workflow.name not in broken
    ]
    prints = Fingerprints(reported_versions(runner.settings) if ready else {})
    latest, now = runner.table.latest(), _now()

    def waits(candidate: Candidate) -> bool:
        run = latest.get(candidate.key)
        if run is None or (retry_failed and run.state is RunState.failed) or run.state is RunState.running:
            return True
        made_of = prints.of(candidate) if candidate.on_change else None
        return not runner.table.held_back(run, now, made_of, candidate.on_change)

    due = [candidate for candidate in ready if waits(candidate)]
    log.info("looked for new dates", available=len(set().union(*reported.values())), ready=len(ready), due=len(due))

    def run(candidate: Candidate) -> tuple[Run | None, bool]:
        ended = runner.run(candidate, progress, force=retry_failed, fingerprint=prints.of(candidate))
        return ended, ended is None and _is_running(runner.table, candidate)

    return _in_order(due, run, runner), {candidate.key for candidate in ready}


def _told_problems(definition: Definition) -> set[str]:
    """Give the workflows that cannot run here, having told why; they are held back, and the others go on."""
    broken = set()
    for workflow in {entry.workflow.name: entry.workflow for entry in definition.entries}.values():
        for problem in problems_of(workflow):
            log.error("workflow held back", workflow=workflow.name, problem=problem)
            broken.add(workflow.name)
    return broken


def _in_order(
    due: Iterable[Candidate], run: Callable[[Candidate], tuple[Run | None, bool]], runner: Runner
) -> list[Run]:
    """Run candidates, those of one entry one after the other by date; the entry with the oldest date goes first.

    `run` gives the ended run, and whether another runner is at the candidate: then its entry waits for the next tick,
    so that no day overtakes another.
    """
    queues: dict[str, deque[Candidate]] = {}
    for candidate in sorted(due, key=lambda each: each.reference_date):
        queues.setdefault(_entry_of(candidate), deque()).append(candidate)
    idle, under_way = list(queues.values()), dict[Future[tuple[Run | None, bool]], deque[Candidate]]()
    ended: list[Run] = []
    failure: Exception | None = None
    with ThreadPoolExecutor(runner.settings.autoflow_parallel, thread_name_prefix="run") as pool:
        try:
            while idle or under_way:
                while idle and len(under_way) < runner.settings.autoflow_parallel:
                    queue = min(idle, key=lambda each: each[0].reference_date)
                    idle.remove(queue)
                    under_way[pool.submit(run, queue.popleft())] = queue
                for task in first_of(under_way, return_when=FIRST_COMPLETED).done:
                    queue = under_way.pop(task)
                    try:
                        result, elsewhere = task.result()
                    except sqlalchemy.exc.SQLAlchemyError as error:
                        # Without a run table nothing can begin; what is under way ends, and records its end if it can.
                        failure = failure or error
                        idle.clear()
                        continue
                    if result:
                        ended.append(result)
                    if queue and not elsewhere and not failure:
                        idle.append(queue)
        except BaseException:
            # The pool waits for its threads; without this, an interrupt would wait for the longest notebook.
            runner.stop()
            raise
    if failure:
        raise failure
    return ended


def _entry_of(candidate: Candidate) -> str:
    """Name the entry that a candidate comes from: its workflow and the parameters of its own."""
    own = {name: value for name, value in candidate.parameters.items() if name not in AUTOMATIC}
    return json.dumps([candidate.workflow.name, own], sort_keys=True)


def _is_running(table: RunTable, candidate: Candidate) -> bool:
    run = table.latest().get(candidate.key)
    return run is not None and run.state is RunState.running and not run.died(_now())


@contextmanager
def open_runner(settings: Settings, in_order: Order = side_by_side) -> Iterator[Runner]:
    """Give a runner with its folders made and what dead ones left there removed; it is closed at the end."""
    for folder in (settings.notebooks_dir, settings.reports_dir, settings.working_dir):
        folder.mkdir(parents=True, exist_ok=True)
    runner = Runner(settings, in_order)
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


def _names(run: Run) -> dict[str, object]:
    return {"workflow": run.workflow_name, "date": run.reference_date, "attempt": run.attempt}


def _tell(progress: Progress | None, run: Run) -> None:
    if progress:
        progress(run)
