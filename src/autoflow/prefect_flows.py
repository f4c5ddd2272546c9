"""AutoFlow's workflows and its sensor as Prefect 3 flows, for sites that have Prefect (`flowkit[prefect]`).

Prefect starts, shows and orders; what is due, who has it and when it is tried again is decided by the run table
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy.exc
import yaml
from pydantic import SecretStr, ValidationError

from autoflow.definition.grammar import AUTOMATIC
from autoflow.definition.model import Definition, Notebook, Workflow
from autoflow.definition.notebooks import problems_of
from autoflow.definition.reading import WorkflowsError, definition_of, read_workflows
from autoflow.definition.stencil import DateStencil, Days
from autoflow.execution.errors import NotebookError
from autoflow.execution.order import Execute, Order
from autoflow.execution.passes import next_wake
from autoflow.execution.runner import Progress, open_runner
from autoflow.execution.tick import tick
from autoflow.log import write_log_to_stderr
from autoflow.runs.run import Run, RunState, json_safe
from autoflow.runs.table import complaint
from autoflow.schedule.available import FlowApiError, Versions, reported_versions
from autoflow.schedule.candidates import Candidate, candidate_for, types_of
from autoflow.schedule.cron import next_tick
from autoflow.schedule.fingerprints import Fingerprints
from autoflow.secrecy import Secret
from autoflow.settings import Settings
from flowkit_base.errors import UserError
from flowkit_base.settings import SECRETS, complaints

# Prefect reads these when it is imported and hands them to a server that it starts: its usage statistics are off.
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


class PrefectError(UserError, RuntimeError):
    """Prefect cannot do what is requested; the message says why and what to do."""


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
        if problems := problems_of(workflow):
            return Failed(message=" ".join(problems))
        try:
            versions = reported_versions(settings)
            candidate = _as_the_sensor_has_it(candidate, settings, versions)
            fingerprint = Fingerprints(versions).of(candidate)
            with open_runner(settings, _as_tasks) as runner:
                run = runner.run(candidate, fingerprint=fingerprint)
                if run is None:
                    latest, now = runner.table.latest().get(candidate.key), dt.datetime.now(dt.UTC)
                    why = latest and runner.table.reason_not_started(latest, now, fingerprint, candidate.on_change)
                    sentence = f"{workflow.name} {candidate.reference_date}: {why or 'left to another runner'}."
                    return Completed(name="Skipped", message=sentence)
        except Exception as error:
            return Failed(message=_sentence_for(error, settings))
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
        with open_runner(settings, _as_subflow(contextvars.copy_context())) as runner:
            runs, keys = tick(runner, definition, _telling())
            again = next_wake(runner.table, definition, settings, keys)
    # Prefect would keep the traceback of what is raised here, with any values in it.
    except Exception as error:
        return Failed(message=_sentence_for(error, settings))
    _come_again(definition, again, settings.autoflow_timezone)
    failed = [f"{run.workflow_name} {run.reference_date}: {run.error}" for run in runs if run.state is RunState.failed]
    sentences = [f"{len(failed)} of {_counted(len(runs))} failed: {'; '.join(failed)}"] if failed else []
    workflows_named = {entry.workflow.name: entry.workflow for entry in definition.entries}.values()
    sentences += [
        f"{workflow.name} is held back: {sentence}"
        for workflow in workflows_named
        for sentence in problems_of(workflow)
    ]
    if sentences:
        return Failed(message=" ".join(sentences))
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
    """Prefect's runner of deployments, which ends the flow runs under way when it is asked to stop."""

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """End the processes of flow runs, which give back what they have claimed; Prefect would wait for them."""
        for process in multiprocessing.active_children():
            process.terminate()
        super().handle_sigterm(*args, **kwargs)


def _as_tasks(_: Run, workflow: Workflow, execute: Execute) -> list[str]:
    """Run the notebooks as tasks of the flow that is under way; give the sentences of those that failed."""
    futures: dict[str, PrefectFuture[Any]] = {}
    needed = workflow.dependencies()
    # A workflow's notebooks are ordered: each comes after those that it reads.
    for notebook in workflow.notebooks:
        future = _task(notebook, execute).submit(wait_for=[futures[key] for key in sorted(needed[notebook.key])])
        futures[notebook.key] = future
    wait(list(futures.values()))
    return [f"{future.state.message}" for future in futures.values() if future.state.is_failed()]


def _as_subflow(context: contextvars.Context) -> Order:
    """Run the notebooks as a subflow of the flow whose context is given."""

    def in_order(run: Run, workflow: Workflow, execute: Execute) -> None:
        def run_notebooks(_: Mapping[str, Any]) -> State[Any]:
            failures = _as_tasks(run, workflow, execute)
            return Failed(message=" ".join(failures)) if failures else Completed()

        subflow = _flow(workflow, run_notebooks, f"{_flow_name(workflow.name)} {run.reference_date}")
        # Runs are under way in threads, each of which must know the flow above it.
        context.copy().run(subflow, **_as_given(workflow, run.parameters or {}), return_state=True)

    return in_order


def _task(notebook: Notebook, execute: Execute) -> Any:
    # Neither the token nor anything else is a parameter, and a failure is a sentence, not a traceback with values.
    @task(name=notebook.key, task_run_name=lambda: notebook.key, cache_policy=NO_CACHE, retries=0, persist_result=False)
    def run_notebook() -> State[Any]:
        try:
            output = execute(notebook)
        except NotebookError as error:
            return Failed(message=str(error))
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
    decorate = flow(
        name=_flow_name(workflow.name),
        flow_run_name=(lambda: run_name) if run_name else None,
        validate_parameters=False,
        retries=0,
        persist_result=False,
    )
    return decorate(run_notebooks)


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
    """Whether a Prefect flow can take parameters of these names; workflows.yml allows any text."""
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
        names = ", ".join(sorted(required)) or "none"
        raise ValueError(f"Workflow '{workflow.name}' takes these parameters besides its dates: {names}.")
    return Candidate(workflow, day, json_safe({**own, "reference_date": day, "date_ranges": pairs}))


def _as_the_sensor_has_it(candidate: Candidate, settings: Settings, versions: Versions) -> Candidate:
    """Give a candidate the types of CDR, and what makes it run again, of the sensor's entry that comes to the same.

    Where workflows.yml has none, every type that FlowAPI reports counts.
    """
    try:
        definition = read_workflows(settings.autoflow_inputs_dir)
    except (WorkflowsError, FileNotFoundError):
        return replace(candidate, cdr_types=tuple(sorted(versions)))
    for entry in definition.entries:
        types = types_of(definition, entry, versions)
        same = candidate_for(entry, candidate.reference_date, Days(), types)
        if same.key == candidate.key:
            return replace(candidate, cdr_types=types, on_change=entry.on_change)
    return replace(candidate, cdr_types=tuple(sorted(versions)))


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
    """Give a workflow's name without the characters that Prefect refuses."""
    return re.sub(r"[/%&<>]", "-", name)


def _state_of(run: Run) -> State[Any]:
    if run.state is RunState.failed:
        return Failed(message=run.error)
    return Completed(message=", ".join(output.get("report", output["notebook"]) for output in run.outputs))


def _counted(runs: int) -> str:
    return f"{runs} run" if runs == 1 else f"{runs} runs"


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


def _telling() -> Progress:
    """Give what notes in the flow's log how its runs begin and end."""
    logger = get_run_logger()

    def log_state(run: Run) -> None:
        logger.info("%s %s, attempt %s: %s", run.workflow_name, run.reference_date, run.attempt, run.state.value)

    return log_state


def _come_again(definition: Definition, moment: dt.datetime, zone: str) -> None:
    """Schedule a run of the sensor's deployment between two ticks, as `autoflow serve` wakes for a retry."""
    if not deployment.id or not definition.schedule:
        return
    if moment >= next_tick(definition.schedule, dt.datetime.now(dt.UTC), zone):
        return
    try:
        with get_client(sync_client=True) as client:
            client.create_flow_run_from_deployment(
                UUID(deployment.id),
                parameters=flow_run.parameters,
                state=Scheduled(scheduled_time=moment),
                idempotency_key=f"retry {moment:%Y-%m-%dT%H:%M:%S}",
            )
    # Runs are not lost: the next tick retries what this one could not schedule.
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


def _sentence_for(error: Exception, settings: Settings | None) -> str:
    """Give the sentence for what keeps AutoFlow from running anything."""
    match error:
        case ValidationError():
            return "; ".join(complaints(error, Settings))
        case WorkflowsError() | FlowApiError() | OSError():
            return str(error)
        case sqlalchemy.exc.SQLAlchemyError():
            return complaint(error)
        case _:
            sentence = f"AutoFlow itself failed: {type(error).__name__}: {error}"
            return Secret(settings.flowapi_token.get_secret_value()).out_of(sentence) if settings else sentence
