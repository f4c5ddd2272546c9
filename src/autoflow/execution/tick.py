"""A tick: everything that is due runs, in order."""

import datetime as dt
import json
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as first_of

import sqlalchemy.exc

from autoflow.definition.grammar import AUTOMATIC
from autoflow.definition.model import Definition
from autoflow.definition.notebooks import problems_of
from autoflow.execution.runner import Progress, Runner
from autoflow.log import log
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import RunTable
from autoflow.schedule.available import reported_dates, reported_versions
from autoflow.schedule.candidates import Candidate, candidates
from autoflow.schedule.fingerprints import Fingerprints


def tick(
    runner: Runner, definition: Definition, progress: Progress | None, *, retry_failed: bool = False
) -> tuple[list[Run], set[tuple[str, str]]]:
    """Run what is due; give the ended runs, and the keys of all that could run. Raises FlowApiError."""
    reported = reported_dates(runner.settings, runner.stopped)
    # Looked at again for each tick: a notebook that was mended runs without any attempt lost.
    broken = _log_problems(definition)
    ready = [
        candidate
        for candidate in candidates(definition, reported)
        if candidate.waits_for is None and candidate.workflow.name not in broken
    ]
    prints = Fingerprints(reported_versions(runner.settings) if ready else {})
    latest, now = runner.table.latest(), dt.datetime.now(dt.UTC)

    def waits(candidate: Candidate) -> bool:
        run = latest.get(candidate.key)
        if run is None or (retry_failed and run.state is RunState.failed) or run.state is RunState.running:
            return True
        fingerprint = prints.of(candidate) if candidate.on_change else None
        return not runner.table.reason_not_started(run, now, fingerprint, candidate.on_change)

    due = [candidate for candidate in ready if waits(candidate)]
    ended = [latest[each.key] for each in ready if each.key in latest]
    given_up = [each for each in ended if runner.table.given_up(each)]
    log.info(
        "looked for new dates",
        available=len(set().union(*reported.values())),
        ready=len(ready),
        due=len(due),
        given_up=0 if retry_failed else len(given_up),
    )

    def run(candidate: Candidate) -> tuple[Run | None, bool]:
        ended = runner.run(candidate, progress, force=retry_failed, fingerprint=prints.of(candidate))
        return ended, ended is None and _is_running(runner.table, candidate)

    return _in_order(due, run, runner), {candidate.key for candidate in ready}


def _log_problems(definition: Definition) -> set[str]:
    """Give the workflows that cannot run here, having logged why; they are held back, and the others go on."""
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
    """Name the entry that a candidate comes from: its workflow and its own parameters."""
    own = {name: value for name, value in candidate.parameters.items() if name not in AUTOMATIC}
    return json.dumps([candidate.workflow.name, own], sort_keys=True)


def _is_running(table: RunTable, candidate: Candidate) -> bool:
    run = table.latest().get(candidate.key)
    return run is not None and run.state is RunState.running and not run.died(dt.datetime.now(dt.UTC))
