"""The runner: one process at work on the run table."""

import datetime as dt
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy.exc

from autoflow.execution.errors import STOPPED, NotebookError, Stopped
from autoflow.execution.kernels import Kernels
from autoflow.execution.notebooks import execute
from autoflow.execution.order import Order, side_by_side
from autoflow.log import hide, log
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import open_run_table
from autoflow.schedule.candidates import Candidate
from autoflow.settings import Settings

Progress = Callable[[Run], None]


# Seconds between tries to write the end of a run into a run table that cannot be written to.
PATIENCE = (0.5, 1, 2, 4, 8)


class Runner:
    """One process at work on the run table: it keeps the leases of its runs, and can be stopped from any thread.

    `in_order` begins the notebooks of each run, as `execute` takes it.
    """

    def __init__(self, settings: Settings, in_order: Order = side_by_side) -> None:
        self.settings = settings.renewed()
        self.in_order = in_order
        hide(self.settings.flowapi_token.get_secret_value())
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
        """Run a workflow for a day if it is due and no other runner has it; None if not.

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
            log.info("run stopped; it begins again next time", **_names(run))
            return None
        if ended.state is RunState.success:
            log.info("run succeeded", **_names(ended))
        else:
            log.error("run failed", error=ended.error, retry_at=ended.retry_at, **_names(ended))
        _tell(progress, ended)
        return ended

    def _execute(self, candidate: Candidate, run: Run) -> Run | None:
        try:
            settings = self.settings.renewed()
            hide(settings.flowapi_token.get_secret_value())
            outputs = execute(run, candidate.workflow, settings, self.kernels, self.in_order)
        except Stopped:
            return self._recorded(run, lambda: self.table.give_back(run, STOPPED))
        except NotebookError as error:
            reason, outputs = str(error), error.outputs
            return self._recorded(run, lambda: self.table.fail(run, reason, outputs))
        except OSError as error:
            reason = f"The outputs could not be written: {error.strerror or error}."
            return self._recorded(run, lambda: self.table.fail(run, reason))
        # Nothing that goes wrong with one run may leave it without an end, or stop the others.
        except Exception as error:
            log.error("a run failed in a way that is AutoFlow's own fault", error=repr(error), **_names(run))
            reason = f"AutoFlow itself failed: {type(error).__name__}: {error}"
            return self._recorded(run, lambda: self.table.fail(run, reason))
        except BaseException:
            # The next runner may claim it at once.
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
                reason = str(error.__cause__ or error)
                if pause is None:
                    # The lease ends, or this process finds the row among those that it left behind: it runs again.
                    log.error("the end of a run could not be recorded; it will run again", error=reason, **_names(run))
                    self.table.forget(run)
                    return None
            log.warning("the end of a run could not be recorded; trying again", error=reason, **_names(run))
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


@contextmanager
def open_runner(settings: Settings, in_order: Order = side_by_side) -> Iterator[Runner]:
    """A runner whose folders exist and hold nothing of dead runners; it is closed at the end of the block."""
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
    folders, now = list(runner.settings.working_dir.iterdir()), dt.datetime.now(dt.UTC)
    alive = {
        run.run_id for run in runner.table.latest().values() if run.state is RunState.running and not run.died(now)
    }
    for folder in folders:
        if folder.name not in alive:
            shutil.rmtree(folder, ignore_errors=True)


def _names(run: Run) -> dict[str, object]:
    return {"workflow": run.workflow_name, "date": run.reference_date, "attempt": run.attempt}


def _tell(progress: Progress | None, run: Run) -> None:
    if progress:
        progress(run)
