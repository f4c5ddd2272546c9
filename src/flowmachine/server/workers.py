"""Workers: threads that take queued queries, compute and store their shared parts, and then their results."""

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import FilteringBoundLogger

from flowdb.lake import LakeError
from flowmachine.errors import FlowMachineError, InvalidQuery
from flowmachine.queries.dummy_query import delay_of
from flowmachine.questions.parsing import parse
from flowmachine.server.logs import fault
from flowmachine.server.questions import ask
from flowmachine.server.states import CANCELLED
from flowmachine.server.store import Row, Store
from flowmachine.session import Session
from flowmachine.stored.files import remove
from flowmachine.stored.parts import Question

REASONS: Mapping[str, str] = {
    "OutOfMemoryException": "It needs more memory than the server may use: ask for fewer days or a coarser unit, "
    "or raise FLOWMACHINE_MEMORY.",
    "FileNotFoundError": "A file of the store is missing: have the administrator check the lake.",
    "IOException": "A file could not be read or written: have the administrator check the disk and the lake.",
    "SQLAlchemyError": "The records of queries could not be read or written: have the administrator check the disk.",
    "OSError": "A file could not be read or written: have the administrator check the disk and the lake.",
}
"""The reason shown to the user for an engine's error, by its type; the error's own text may quote data."""
OTHERWISE = "The engine could not compute it; the administrator finds the place in the server's log."


class Stopped(Exception):
    """The query was cancelled, or the server stops."""


class Job:
    """A query that a worker computes."""

    def __init__(self, query_id: str) -> None:
        self.query_id = query_id
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.writing: Path | None = None


class Workers:
    """A fixed number of threads that share one session and one store."""

    def __init__(
        self,
        session: Session,
        store: Store,
        *,
        number: int,
        run_log: FilteringBoundLogger,
        debug_log: FilteringBoundLogger,
    ) -> None:
        self.number = number
        self._session = session
        self._store = store
        self._run_log = run_log
        self._debug_log = debug_log
        self._work = threading.Condition()
        self._closing = threading.Event()
        self._jobs: dict[str, Job] = {}
        self._submitted: dict[str, Question] = {}
        self._parts: dict[str, threading.Event] = {}
        self._unrecorded: dict[str, str] = {}
        self._threads = [threading.Thread(target=self._serve, name=f"worker-{n}", daemon=True) for n in range(number)]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def close(self, seconds: float = 10) -> None:
        """Stop the running queries; they are queued again at the next start."""
        self._closing.set()
        for job in list(self._jobs.values()):
            job.stopped.set()
        self.wake()
        until = time.monotonic() + seconds
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < until:
            for job in list(self._jobs.values()):
                self._interrupt(job)
            time.sleep(0.05)

    def submit(self, question: Question, request_id: str) -> None:
        """Queue a query, unless it is queued, running or stored already."""
        with self._work:
            self._submitted.setdefault(question.query_id, question)
        if self._store.enter(question, request_id):
            self.wake()
        elif question.query_id not in self._jobs:
            self._submitted.pop(question.query_id, None)

    def wait_again(self, row: Row) -> bool:
        """Queue a completed query again if its file is missing; returns whether it was queued."""
        if not self._store.wait_again(row):
            return False
        self.wake()
        return True

    def wake(self) -> None:
        """Let idle workers look for queued queries."""
        with self._work:
            self._work.notify_all()

    def cancel(self, query_id: str) -> str:
        """Stop a query that is queued or running; returns its state afterwards."""
        if self._store.change(query_id, "cancel"):
            # A worker that takes a query holds this lock until its job is registered.
            with self._work:
                job = self._jobs.get(query_id)
            if job is not None:
                job.stopped.set()
                threading.Thread(target=self._interrupt_until_gone, args=(job,), daemon=True).start()
        row = self._store.find(query_id)
        return row.state if row is not None else CANCELLED

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                taken = self._next()
            except Exception as error:
                self._debug_log.error("no question can be taken", **fault(error))
                self._closing.wait(1)
                continue
            if taken is None:
                with self._work:
                    # The timeout bounds the delay if a notification is lost.
                    self._work.wait(timeout=0.5)
                continue
            job, row = taken
            try:
                self._answer(job, row)
            except Exception as error:
                self._debug_log.error("a worker failed", query_id=job.query_id, **fault(error))
            finally:
                with self._work:
                    del self._jobs[job.query_id]
                    self._submitted.pop(job.query_id, None)
                self.wake()

    def _next(self) -> tuple[Job, Row] | None:
        with self._work:
            if self._store.take_back({*self._jobs, *self._parts}, self._unrecorded):
                self._unrecorded.clear()
            row = self._store.take(set(self._jobs))
            if row is None:
                return None
            job = self._jobs[row.query_id] = Job(row.query_id)
            return job, row

    def _answer(self, job: Job, row: Row) -> None:
        began, rows, reason = time.monotonic(), None, None
        try:
            question = self._question(row)
            with ExitStack() as in_use:
                parts: dict[str, Path] = {}
                for part in question.parts:
                    parts[part.query.id] = self._part(job, part, parts, in_use)
                self._write(job, question, parts)
        except Stopped:
            pass
        except (FlowMachineError, InvalidQuery, LakeError) as problem:
            reason = str(problem)
        except Exception as error:
            if not job.stopped.is_set():
                self._debug_log.error("a question failed", query_id=job.query_id, **fault(error))
            reason = _reason(error)
        if self._closing.is_set() and job.stopped.is_set():
            # It ended because it was stopped, not because of a fault.
            self._store.change(job.query_id, "resume")
            return
        if reason is not None:
            # If the disk is full, the reason cannot be recorded either: `take_back` does it as soon as it can.
            self._unrecorded[job.query_id] = reason
            self._store.fail(job.query_id, reason)
            del self._unrecorded[job.query_id]
        done = self._store.find(job.query_id)
        rows = done.rows if done is not None else None
        self._run_log.info(
            "run",
            query_id=job.query_id,
            request_id=row.request_id,
            kind=row.query_kind,
            state=done.state if done is not None else None,
            seconds=round(time.monotonic() - began, 3),
            rows=rows,
        )
        self._store.shrink()

    def _question(self, row: Row) -> Question:
        """The question of a record, over the data of the time when it was submitted."""
        query = parse(row.params)
        question = ask(self._session, query, self._session.engine.snapshot())
        if question.query_id != row.query_id:
            submitted = self._submitted.get(row.query_id)
            if submitted is None:
                raise FlowMachineError("The data that it reads were corrected while the server was stopped: ask again.")
            return submitted
        return question

    def _part(self, job: Job, part: Question, stored: Mapping[str, Path], in_use: ExitStack) -> Path:
        """The stored rows of a part: existing ones, those that another worker is writing, or new ones."""
        while True:
            with self._work:
                other = self._parts.get(part.query_id)
                mine = None if other is not None else threading.Event()
                if mine is not None:
                    self._parts[part.query_id] = mine
            if mine is None:
                while not other.wait(0.1):  # type: ignore[union-attr]
                    _go_on(job)
            else:
                try:
                    if self._store.take_part(part):
                        self._write(job, part, stored)
                    else:
                        self._store.touch(part.query_id)
                finally:
                    with self._work:
                        del self._parts[part.query_id]
                    mine.set()
            _go_on(job)
            path = in_use.enter_context(self._store.using(part.query_id))
            if path is not None:
                return path

    def _write(self, job: Job, question: Question, stored: Mapping[str, Path]) -> None:
        """Compute and store the rows of a query or part."""
        query_id, kind, began = question.query_id, question.query.kind, time.monotonic()
        staged = job.writing = self._store.staged(query_id, kind)
        part = query_id != job.query_id
        # Every exit ends the part's execution too: no worker starts a part that is recorded as executing.
        try:
            # A cancellation ends the delay of a dummy query too.
            job.stopped.wait(delay_of(question.query))
            _go_on(job)
            self._session.engine.store(question.plan, question.snapshot, staged, stored)
            self._store.keep(question, (time.monotonic() - began) * 1000)
        except BaseException as error:
            if part:
                # If it cannot be recorded, as on a full disk, `take_back` does it later.
                with suppress(SQLAlchemyError):
                    _ = (
                        self._store.change(query_id, "cancel")
                        if job.stopped.is_set()
                        else self._store.fail(query_id, _reason(error))
                    )
            if job.stopped.is_set():
                raise Stopped from None
            raise
        finally:
            with job.lock:
                job.writing = None
            remove(staged)

    def _interrupt(self, job: Job) -> None:
        # The lock keeps the interruption from the next job that writes to the same path.
        with job.lock:
            if job.writing is not None:
                self._session.engine.interrupt(job.writing)

    def _interrupt_until_gone(self, job: Job) -> None:
        # An interruption before the engine has started is lost, so it is repeated.
        while self._jobs.get(job.query_id) is job:
            self._interrupt(job)
            time.sleep(0.05)


def _go_on(job: Job) -> None:
    if job.stopped.is_set():
        raise Stopped


def _reason(error: BaseException) -> str:
    if isinstance(error, FlowMachineError | LakeError):
        return str(error)
    for cls in type(error).__mro__:
        if cls.__name__ in REASONS:
            return REASONS[cls.__name__]
    return OTHERWISE
