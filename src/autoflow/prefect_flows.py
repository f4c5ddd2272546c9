"""AutoFlow's workflows and its sensor as Prefect 3 flows, for sites that have Prefect (`flowkit[prefect]`).

Prefect starts, shows and orders; what is due, who has it and when it is tried again is told by the run table
alone, so that flows and `autoflow serve` can work side by side and no date runs twice.
"""

import asyncio
import contextvars
import datetime as dt
import inspect
import keyword
import multiprocessing
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy.exc
import yaml
from pydantic import SecretStr, ValidationError

from autoflow import app
from autoflow.execution import NotebookError, Stopped, execute
from autoflow.fingerprints import Fingerprints
from autoflow.log import write_log_to_stderr
from autoflow.runs import Run, RunState, RunTable, json_safe
from autoflow.schedule import next_tick
from autoflow.secrecy import Secret
from autoflow.sensor import Candidate, FlowApiError
from autoflow.settings import SECRETS, Settings
from autoflow.stencil import DateStencil
from autoflow.workflows import (
    AUTOMATIC,
    Definition,
    Notebook,
    Workflow,
    WorkflowsError,
    definition_of,
    read_workflows,
)

# Prefect reads these when it is imported and hands them to a server that it starts: nobody is told of its use.
os.environ.update({"DO_NOT_TRACK": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"})

try:
    from prefect import Flow, flow, get_run_logger, task
    from prefect.cache_policies import NO_CACHE
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, State
    from prefect.futures import PrefectFuture, wait
    from prefect.runner import Runner as PrefectRunner
    from prefect.runtime import deployment, flow_run
    from prefect.schedules import Cron
    from prefect.settings import get_current_settings
    from prefect.states import Completed, Failed, Scheduled
    from prefect.types.entrypoint import EntrypointType
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "prefect":
        raise
    raise ModuleNotFoundError(
        "Prefect is not installed; install flowkit[prefect] to have AutoFlow's workflows as Prefect flows.",
        name="prefect",
    ) from None

DEPLOYMENT = "autoflow"
# What a Prefect flow cannot be called with by name.
TAKEN = ("parameters", "return_state", "wait_for", "self")

STOPPED = "AutoFlow was stopped while this ran."


class PrefectError(RuntimeError):
    """Prefect cannot do what it is asked to; the message says why and what to do."""


def make_notebooks_workflow(
    name: str, notebooks: Mapping[str, Any], *, settings: Settings | None = None
) -> Flow[..., Any]:
    """Make a Prefect flow whose tasks are notebooks, each begun once those that it reads have ended well.

    `notebooks` is what workflows.yml has under `notebooks`. The flow takes `reference_date`, `date_ranges` (by
    default that date alone) and the parameters of the workflow, all by name; it runs a date that is due and
    leaves any other alone. Settings come from the environment where none are given. Raises WorkflowsError.
    """
    settings = settings or Settings()  # pyright: ignore[reportCallIssue]
    sensor = {"schedule": None, "workflows": []}
    document = {"workflows": [{"name": name, "notebooks": notebooks}], "available_dates_sensor": sensor}
    workflow = definition_of(settings.autoflow_inputs_dir, document).workflows[name]

    def run_if_due(given: Mapping[str, Any]) -> State[Any]:
        try:
            candidate = _candidate(workflow, given)
        except (TypeError, ValueError) as error:
            return Failed(message=str(error))
        try:
            with _runner(settings, _as_tasks) as runner:
                run = runner.run(candidate, fingerprint=Fingerprints({}).of(candidate))
                if run is None:
                    latest = runner.table.latest().get(candidate.key)
                    why = latest and runner.table.held_back(latest, dt.datetime.now(dt.UTC))
                    return Completed(name="Skipped", message=f"{_title(candidate)}: {why or 'left to another runner'}.")
        except Exception as error:
            return Failed(message=_told(error, settings))
        return _state_of(run)

    return _flow(workflow, run_if_due)


@flow(name="available_dates_sensor", validate_parameters=False, retries=0, persist_result=False)
def available_dates_sensor(
    cdr_types: Sequence[str] | None = None, workflows: Sequence[Mapping[str, Any]] | None = None
) -> State[Any]:
    """Look for available dates and run every workflow for each date for which it is due.

    `workflows` are configurations as workflows.yml has them under `available_dates_sensor`, and `cdr_types` the types
    of CDR whose dates count; where one is left out, what workflows.yml says is taken. Settings come from the
    environment.
    """
    settings = None
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue]
        if deployment.id:
            write_log_to_stderr(settings.autoflow_log_level)
        definition = _definition(settings, cdr_types, workflows)
        with _runner(settings, _as_subflow(contextvars.copy_context())) as runner:
            runs, keys = app._tick(runner, definition, _telling())
            again = _next_retry(runner.table, keys)
    # Prefect would keep the traceback of what is raised here, with whatever stands in it.
    except Exception as error:
        return Failed(message=_told(error, settings))
    _come_again(definition, again, settings.autoflow_timezone)
    failed = [run for run in runs if run.state is RunState.failed]
    if failed:
        sentences = "; ".join(f"{run.workflow_name} {run.reference_date}: {run.error}" for run in failed)
        return Failed(message=f"{len(failed)} of {_counted(len(runs))} failed: {sentences}")
    return Completed(message=f"{_counted(len(runs))} succeeded." if runs else "Nothing was due.")


def serve_with_prefect(settings: Settings) -> None:
    """Give the sensor to a Prefect server as a deployment with the schedule of workflows.yml, and run it until stopped.

    The server is the one of PREFECT_API_URL. Where the schedule is null, the sensor runs once. Raises PrefectError,
    WorkflowsError or FileNotFoundError with a sentence.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    url = _reachable_server()
    _hand_down(settings)
    if definition.schedule is None:
        state = available_dates_sensor(return_state=True)
        if not state.is_completed():
            raise PrefectError(f"{state.message}")
        return
    try:
        schedule = Cron(definition.schedule, timezone=settings.autoflow_timezone)
    except ValueError as error:
        raise PrefectError(f"Prefect at {url} cannot keep the schedule '{definition.schedule}': {error}.") from error
    runner = _Deployments(name=DEPLOYMENT)
    runner.add_flow(
        available_dates_sensor,
        name=DEPLOYMENT,
        schedule=schedule,
        # A tick that comes while another is at work would find nothing that the other does not do.
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    asyncio.run(runner.start())


class _Deployments(PrefectRunner):
    """Prefect's runner of deployments, which ends the flow runs under way when it is told to stop."""

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the processes of flow runs, which give back what they have claimed; Prefect would wait for them."""
        for process in multiprocessing.active_children():
            process.terminate()
        super().handle_sigterm(*args, **kwargs)


class _Runner(app.Runner):
    """A runner that leaves it to `walk` when each notebook of a run begins."""

    def __init__(self, settings: Settings, walk: "_Walk") -> None:
        super().__init__(settings)
        self.walk = walk

    def _execute(self, candidate: Candidate, run: Run) -> Run | None:
        try:
            outputs = _execute_by(self.walk, run, candidate.workflow, self.settings, self)
        except Stopped:
            return self._recorded(run, lambda: self.table.give_back(run, STOPPED))
        except NotebookError as error:
            told, made = str(error), error.outputs
            return self._recorded(run, lambda: self.table.fail(run, told, made))
        return self._recorded(run, lambda: self.table.succeed(run, outputs))


# Executes one notebook; gives the sentence of its failure, if any, and what it left.
_One = Callable[[Notebook], tuple[str | None, Mapping[str, str]]]
_Walk = Callable[[Run, Workflow, _One], None]


class _Apart(Settings):
    """The settings of a run, with a working directory of its own for one notebook."""

    folder: Path

    @property
    def working_dir(self) -> Path:
        """Directory of the notebook's files in the making."""
        return self.folder


def _execute_by(
    walk: _Walk, run: Run, workflow: Workflow, settings: Settings, runner: app.Runner
) -> tuple[Mapping[str, str], ...]:
    """Execute a run as `autoflow.execution.execute` does, each notebook at the time that `walk` chooses."""
    folder = settings.working_dir / str(run.run_id)
    needed = workflow.dependencies()
    made: dict[str, Mapping[str, str]] = {}
    failures: dict[str, str] = {}

    def one(notebook: Notebook) -> tuple[str | None, Mapping[str, str]]:
        apart = _Apart.model_construct(**dict(settings), folder=folder / str(workflow.notebooks.index(notebook)))
        read = {key: made[key]["notebook"] for key in needed[notebook.key]}
        given = replace(run, parameters={**(run.parameters or {}), **read})
        try:
            (made[notebook.key],) = execute(given, Workflow(workflow.name, (notebook,)), apart, runner.kernels)
        except NotebookError as error:
            made.update({output["key"]: output for output in error.outputs})
            failures[notebook.key] = str(error)
        except Stopped:
            failures[notebook.key] = STOPPED
        except OSError as error:
            failures[notebook.key] = f"{notebook.path.name}: {error.strerror or error}."
        return failures.get(notebook.key), made.get(notebook.key, {})

    try:
        walk(run, workflow, one)
    # Prefect needs its server at every step, which may go away.
    except Exception as error:
        said = f"Prefect did not carry the run through: {type(error).__name__}: {error}."
        failures[""] = _without_token(said, settings)
    except BaseException:
        # So a cancelled flow is ended; the run is given back, and whoever looks next may take it at once.
        runner.stop()
        runner.table.give_back(run, "The flow was cancelled while this ran.")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if runner.kernels.unwanted(str(run.run_id)):
        raise Stopped
    outputs = tuple(made[notebook.key] for notebook in workflow.notebooks if notebook.key in made)
    if not failures and len(outputs) < len(workflow.notebooks):
        # A flow or task that Prefect gives up ends without a word to us.
        failures[""] = "Prefect ended the flow before every notebook had run; its log tells why."
    if failures:
        raise NotebookError(" ".join(failures.values()), outputs)
    return outputs


def _as_tasks(run: Run, workflow: Workflow, one: _One) -> None:
    """Run the notebooks as tasks of the flow that is under way."""
    futures: dict[str, PrefectFuture[Any]] = {}
    needed = workflow.dependencies()
    # A workflow's notebooks stand in an order in which each comes after those that it reads.
    for notebook in workflow.notebooks:
        future = _task(notebook, one).submit(wait_for=[futures[key] for key in sorted(needed[notebook.key])])
        futures[notebook.key] = future
    wait(list(futures.values()))


def _as_subflow(context: contextvars.Context) -> _Walk:
    """Run the notebooks as a flow of their own under the flow whose context is given."""

    def walk(run: Run, workflow: Workflow, one: _One) -> None:
        failures: list[str] = []

        def noting(notebook: Notebook) -> tuple[str | None, Mapping[str, str]]:
            failure, output = one(notebook)
            if failure:
                failures.append(failure)
            return failure, output

        def run_notebooks(_: Mapping[str, Any]) -> State[Any]:
            _as_tasks(run, workflow, noting)
            return Failed(message=" ".join(failures)) if failures else Completed()

        subflow = _flow(workflow, run_notebooks, f"{_flow_name(workflow.name)} {run.reference_date}")
        # Runs are under way in threads, each of which must know the flow above it.
        context.copy().run(subflow, **_as_given(workflow, run.parameters or {}), return_state=True)

    return walk


def _task(notebook: Notebook, one: _One) -> Any:
    # Neither the token nor anything else is a parameter, and a failure is a sentence, not a traceback with values.
    @task(name=notebook.key, task_run_name=lambda: notebook.key, cache_policy=NO_CACHE, retries=0, persist_result=False)
    def run_notebook() -> State[Any]:
        failure, output = one(notebook)
        if failure:
            return Failed(message=failure)
        return Completed(message=", ".join(value for name, value in output.items() if name != "key"))

    return run_notebook


def _flow(
    workflow: Workflow, body: Callable[[Mapping[str, Any]], State[Any]], run_name: str | None = None
) -> Flow[..., Any]:
    """Make a flow that takes what the workflow takes and hands it to `body`."""

    def run_notebooks(**given: Any) -> State[Any]:
        own = given.pop("parameters", None) or {}
        return body({**own, **given})

    run_notebooks.__signature__ = inspect.Signature(_parameters(workflow))  # pyright: ignore[reportFunctionMemberAccess]
    run_notebooks.__doc__ = f"The notebooks of the workflow '{workflow.name}' for one date."
    made = flow(
        name=_flow_name(workflow.name),
        flow_run_name=(lambda: run_name) if run_name else None,
        validate_parameters=False,
        retries=0,
        persist_result=False,
    )
    return made(run_notebooks)


def _parameters(workflow: Workflow) -> list[inspect.Parameter]:
    by_name = inspect.Parameter.KEYWORD_ONLY
    automatic = [
        inspect.Parameter("reference_date", by_name, annotation=dt.date),
        inspect.Parameter("date_ranges", by_name, default=None, annotation=list[list[dt.date]] | None),
    ]
    own = sorted(workflow.required_parameters())
    if _can_be_names(own):
        return automatic + [inspect.Parameter(name, by_name, annotation=Any) for name in own]
    return [*automatic, inspect.Parameter("parameters", by_name, annotation=dict[str, Any])]


def _can_be_names(names: Sequence[str]) -> bool:
    """Tell whether a Prefect flow can take parameters of these names; workflows.yml allows any text."""
    return all(name.isidentifier() and not keyword.iskeyword(name) and name not in TAKEN for name in names)


def _as_given(workflow: Workflow, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Give the parameters in the form in which the workflow's flow takes them."""
    own = {name: value for name, value in parameters.items() if name not in AUTOMATIC}
    automatic = {name: value for name, value in parameters.items() if name in AUTOMATIC}
    return {**automatic, **(own if _can_be_names(sorted(workflow.required_parameters())) else {"parameters": own})}


def _candidate(workflow: Workflow, given: Mapping[str, Any]) -> Candidate:
    """Give what is to run, with the same parameters, and so the same place in the run table, as the sensor's."""
    day = _date(given.get("reference_date"), "reference_date")
    ranges = given.get("date_ranges")
    if ranges is None:
        ranges = DateStencil([0]).date_ranges(day)
    elif not isinstance(ranges, (list, tuple)) or not all(
        isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in ranges
    ):
        raise TypeError(f"date_ranges must be a list of pairs of dates, not {ranges!r}.")
    pairs = [[_date(start, "date_ranges"), _date(end, "date_ranges")] for start, end in ranges]
    own = {name: value for name, value in given.items() if name not in AUTOMATIC}
    required = workflow.required_parameters()
    if own.keys() != required:
        wanted = ", ".join(sorted(required)) or "none"
        raise ValueError(f"Workflow '{workflow.name}' takes these parameters besides its dates: {wanted}.")
    return Candidate(workflow, day, json_safe({**own, "reference_date": day, "date_ranges": pairs}))


def _date(value: Any, name: str) -> dt.date:
    try:
        if isinstance(value, str):
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    raise TypeError(f"{name}: {value!r} is not a date; write it as 2016-01-01.")


def _flow_name(name: str) -> str:
    """Give a workflow's name without the signs that Prefect does not take."""
    return re.sub(r"[/%&<>]", "-", name)


def _state_of(run: Run) -> State[Any]:
    if run.state is RunState.failed:
        return Failed(message=run.error)
    return Completed(message=", ".join(output.get("report", output["notebook"]) for output in run.outputs))


def _counted(runs: int) -> str:
    return f"{runs} run" if runs == 1 else f"{runs} runs"


def _title(candidate: Candidate) -> str:
    return f"{candidate.workflow.name} {candidate.reference_date}"


def _definition(settings: Settings, cdr_types: Any, workflows: Any) -> Definition:
    """Read workflows.yml, with the sensor's section as the flow's parameters have it where they say something."""
    definition = read_workflows(settings.autoflow_inputs_dir)
    given = {"cdr_types": cdr_types, "workflows": workflows}
    given = {name: list(value) for name, value in given.items() if value is not None}
    if not given:
        return definition
    document = yaml.safe_load(definition.path.read_text(encoding="utf-8"))
    sensor = {**document["available_dates_sensor"], **given}
    return definition_of(settings.autoflow_inputs_dir, {**document, "available_dates_sensor": sensor})


@contextmanager
def _runner(settings: Settings, walk: _Walk) -> Iterator[_Runner]:
    for folder in (settings.notebooks_dir, settings.reports_dir, settings.working_dir):
        folder.mkdir(parents=True, exist_ok=True)
    runner = _Runner(settings, walk)
    app._clear_leftovers(runner)
    try:
        yield runner
    finally:
        runner.close()


def _telling() -> app.Progress:
    """Give what notes in the flow's log how its runs begin and end."""
    logger = get_run_logger()

    def tell(run: Run) -> None:
        logger.info("%s %s, attempt %s: %s", run.workflow_name, run.reference_date, run.attempt, run.state.value)

    return tell


def _next_retry(table: RunTable, keys: Collection[tuple[str, str]]) -> dt.datetime | None:
    """Give the moment from which a failed run may be tried again."""
    latest = table.latest()
    failed = [latest[key] for key in keys if key in latest and latest[key].state is RunState.failed]
    return min((moment for moment in map(table.next_change, failed) if moment), default=None)


def _come_again(definition: Definition, moment: dt.datetime | None, zone: str) -> None:
    """Schedule a run of the sensor's deployment between two ticks, as `autoflow serve` wakes for a retry."""
    now = dt.datetime.now(dt.UTC)
    if moment is None or not deployment.id or not definition.schedule:
        return
    moment = max(moment, now + dt.timedelta(seconds=1))
    if moment >= next_tick(definition.schedule, now, zone):
        return
    try:
        with get_client(sync_client=True) as client:
            client.create_flow_run_from_deployment(
                UUID(deployment.id),
                parameters=flow_run.parameters,
                state=Scheduled(scheduled_time=moment),
                idempotency_key=f"retry {moment:%Y-%m-%dT%H:%M:%S}",
            )
    # What has run has run: the next tick tries again what this one could not announce.
    except Exception as error:
        get_run_logger().warning("The retry at %s could not be scheduled: %s", moment, error)


def _reachable_server() -> str:
    url = get_current_settings().api.url
    if not url:
        raise PrefectError(
            "PREFECT_API_URL is not set; give the address of a Prefect server, such as http://127.0.0.1:4200/api "
            "('prefect server start' starts one)."
        )
    with get_client(sync_client=True) as client:
        trouble = client.api_healthcheck()
    if trouble:
        raise PrefectError(f"No Prefect server answers at {url} ({trouble}); start it or mend PREFECT_API_URL.")
    return url


def _hand_down(settings: Settings) -> None:
    """Put the settings into the environment, by which the processes of flow runs get them; never into Prefect."""
    for name in settings.model_fields_set:
        value = getattr(settings, name)
        if value is not None and not (SECRETS / name.upper()).is_file():
            os.environ[name.upper()] = value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _told(error: Exception, settings: Settings | None) -> str:
    """Give the sentence for what keeps AutoFlow from running anything."""
    match error:
        case ValidationError():
            return "; ".join(_complaint(problem) for problem in error.errors())
        case WorkflowsError() | FlowApiError() | OSError():
            return str(error)
        case sqlalchemy.exc.SQLAlchemyError():
            cause = str(error.__cause__ or error).strip().partition("\n")[0]
            return f"The run table cannot be used: {cause}; see AUTOFLOW_DB_URI and AUTOFLOW_DB_PASSWORD."
        case _:
            said = f"AutoFlow itself failed: {type(error).__name__}: {error}"
            return _without_token(said, settings) if settings else said


def _without_token(text: str, settings: Settings) -> str:
    return Secret(settings.flowapi_token.get_secret_value()).out_of(text)


def _complaint(problem: Mapping[str, Any]) -> str:
    name = ".".join(str(part) for part in problem["loc"]).upper()
    said = problem["msg"].removeprefix("Value error, ")
    return f"{name}: {said}" if name else said
