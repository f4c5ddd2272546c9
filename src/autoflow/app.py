"""The service: one pass over the available dates, or one at each tick of the schedule until it is stopped.

Between two passes the service is small: `autoflow serve` makes each pass in a separate process, for what runs
notebooks and makes reports takes a few hundred megabytes and keeps them. So nothing of it is imported here.
"""

import datetime as dt
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from autoflow.definition.reading import FILENAME, read_workflows
from autoflow.log import log, write_log_to_stderr
from autoflow.schedule import waiting
from autoflow.schedule.waiting import Since, Until
from autoflow.settings import Settings
from autoflow.stopping import Stop, stopping_on_signals

if TYPE_CHECKING:
    from autoflow.execution.runner import Progress
    from autoflow.runs.run import Run

Pass = Callable[[Settings, "Progress | None", Stop, Since], dt.datetime | None]
"""Makes one pass; gives the moment of the next, None while workflows.yml is unusable."""
_UNUSABLE = 60
"""Seconds after which an unusable workflows.yml is looked at again, if it does not change before."""


def main(run_on_schedule: bool = True, *, small: bool = False) -> "list[Run]":
    """Run AutoFlow with the settings of the environment: on its schedule, or once if `run_on_schedule` is false.

    With `small`, each pass is made by a separate process.
    """
    settings = Settings().renewed()  # pyright: ignore[reportCallIssue]
    write_log_to_stderr(settings.autoflow_log_level)
    if not run_on_schedule:
        return run_once(settings)
    return serve(settings, make_pass=pass_in_a_process if small else pass_in_this_process)


def run_once(settings: Settings, progress: "Progress | None" = None, *, retry_failed: bool = False) -> "list[Run]":
    """Run every workflow for every available day for which it is due, and give the runs as they ended.

    `progress` is called with each run when it starts and when it ends, from any thread. `retry_failed`
    tries failed runs again before their time and beyond the limit of attempts. Raises WorkflowsError,
    FileNotFoundError or FlowApiError with a sentence for the user; a notebook that fails raises nothing.
    """
    from autoflow.execution.runner import open_runner  # noqa: PLC0415
    from autoflow.execution.tick import tick  # noqa: PLC0415

    definition = read_workflows(settings.autoflow_inputs_dir)
    with open_runner(settings) as runner:
        return tick(runner, definition, progress, retry_failed=retry_failed)[0]


def rerun(settings: Settings, workflow: str, dates: Iterable[dt.date]) -> "list[Run]":
    """Make a workflow due again for some dates, as every entry of the sensor has it; older outputs stay.

    Gives the runs in their new state: the next tick takes them up. Raises ValueError with a sentence for a workflow
    or a date that has no run, and for one that is under way; then nothing is changed.
    """
    from autoflow.execution import again  # noqa: PLC0415

    return again.rerun(settings, workflow, dates)


def pass_in_this_process(
    settings: Settings, progress: "Progress | None", stop: Stop, since: Since
) -> dt.datetime | None:
    """Make a pass in this process."""
    from autoflow.execution.passes import make_pass  # noqa: PLC0415

    return make_pass(settings, progress, stop, since)


def pass_in_a_process(
    _settings: Settings, _progress: "Progress | None", stop: Stop, since: Since
) -> dt.datetime | None:
    """Make a pass in a separate process, which reads settings and secrets again and gives all its memory back."""
    # -m puts the working directory first among the places of modules, which only some ways of starting do.
    way = ["-m"] if "" in sys.path else ["-P", "-m"]
    child = subprocess.Popen([sys.executable, *way, "autoflow", "pass", since], stdout=subprocess.PIPE, text=True)
    with stop.stopping(child.terminate):
        printed = child.communicate()[0]
    if child.returncode and not stop.requested.is_set():
        log.error("a pass ended unexpectedly", exit_code=child.returncode)
        return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_UNUSABLE)
    # A child that is stopped while it starts prints nothing.
    return dt.datetime.fromisoformat(printed.strip()) if printed.strip() else None


def serve(
    settings: Settings,
    progress: "Progress | None" = None,
    *,
    make_pass: Pass = pass_in_this_process,
) -> "list[Run]":
    """Run at each tick of the schedule until SIGTERM or SIGINT; once if the schedule is null.

    Between the ticks, failed runs are tried again when their time has come. workflows.yml is read again for
    each tick; if it has become unusable, the log says so and nothing starts until it is corrected. Gives the
    ended runs if the schedule is null, else none.
    """
    stop, file = Stop(), settings.autoflow_inputs_dir / FILENAME
    definition = read_workflows(settings.autoflow_inputs_dir)
    with stopping_on_signals(stop):
        if definition.schedule is None:
            from autoflow.execution.runner import open_runner  # noqa: PLC0415
            from autoflow.execution.tick import tick  # noqa: PLC0415

            with open_runner(settings) as runner, stop.stopping(runner.stop):
                return tick(runner, definition, progress)[0]
        log.info("waiting for the schedule", schedule=definition.schedule, timezone=settings.autoflow_timezone)
        since: Since = "start"
        while since != "stop":
            # Taken before the file is read, so that no change of it is missed.
            seen = waiting.stamp(file)
            moment = make_pass(settings, progress, stop, since)
            if stop.requested.is_set():
                break
            # While workflows.yml cannot be used, a change of it is a reason to run what may have been missed.
            later = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_UNUSABLE)
            until = Until(moment, file, seen) if moment else Until(later, file, seen, changed="tick")
            log.debug("waiting", until=until.moment)
            since = waiting.wait(until, stop.requested)
        log.info("stopped")
        return []
