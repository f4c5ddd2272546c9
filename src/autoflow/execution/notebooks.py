"""Execution: the notebooks of one run, in the order of their dependencies, and their reports."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from autoflow.definition.model import Notebook, Workflow
from autoflow.definition.notebooks import notebook_warnings
from autoflow.execution.errors import STOPPED, NotebookError, Stopped, sentence, unwritten
from autoflow.execution.files import is_whole, reserved, scrub, stem_of
from autoflow.execution.job import Job
from autoflow.execution.kernels import Kernels
from autoflow.execution.one_notebook import run_notebook
from autoflow.execution.order import Order, side_by_side
from autoflow.log import log
from autoflow.reports import asciidoc, report
from autoflow.runs.run import Run
from autoflow.secrecy import Secret
from autoflow.settings import Settings
from flowkit_base.files import put


def execute(
    run: Run, workflow: Workflow, settings: Settings, kernels: Kernels, in_order: Order = side_by_side
) -> tuple[Mapping[str, str], ...]:
    """Execute the notebooks of a run, each once those that it reads are done, and make their reports.

    `in_order` begins them; however many it begins at once, they run as far as `kernels` has room. Gives one
    mapping a notebook: its `key`, the path of the executed `notebook` and of the `report`, if any.
    Raises NotebookError if a notebook fails (those that do not need it still run), Stopped if the runner is stopped.
    """
    job = Job(run, workflow, settings, kernels, settings.working_dir / str(run.run_id))
    for folder in (job.working, settings.notebooks_dir, settings.reports_dir):
        folder.mkdir(parents=True, exist_ok=True)
    secret = Secret(settings.flowapi_token.get_secret_value())
    failures: list[str] = []

    def one(notebook: Notebook) -> Mapping[str, str]:
        try:
            _one(notebook, job)
        # Any error, in a library or here, fails this run and no other.
        except Exception as error:
            text = STOPPED if job.unwanted else secret.out_of(sentence(_failure(notebook, error)))
            failures.append(text)
            raise NotebookError(text) from None
        return job.outputs[notebook.key]

    try:
        in_order(run, workflow, one)
    except Exception as error:
        failures.append(secret.out_of(sentence(f"The run was not carried through: {type(error).__name__}: {error}.")))
    except BaseException:
        # An interrupt leaves nothing behind that would write into a folder that is gone.
        kernels.stop()
        raise
    finally:
        shutil.rmtree(job.working, ignore_errors=True)
    if job.unwanted:
        raise Stopped
    outputs = tuple(job.outputs[notebook.key] for notebook in workflow.notebooks if notebook.key in job.outputs)
    if not failures and len(outputs) < len(workflow.notebooks):
        failures.append("The run ended before every notebook had begun; the log of the process that ran it says why.")
    if failures:
        raise NotebookError(" ".join(failures), outputs)
    return outputs


def _failure(notebook: Notebook, error: Exception) -> str:
    if isinstance(error, (NotebookError, report.ReportError)):
        return str(error)
    if isinstance(error, OSError):
        return unwritten(notebook, error)
    return f"{notebook.path.name}: {type(error).__name__}: {error}"


def _one(notebook: Notebook, job: Job) -> None:
    """Execute one notebook and make its report."""
    run, settings, outputs = job.run, job.settings, job.outputs
    with job.kernels.slots:
        if job.unwanted:
            raise NotebookError(STOPPED)
        values = {
            **(run.parameters or {}),
            **{key: output["notebook"] for key, output in list(outputs.items())},
            "flowapi_url": settings.flowapi_url,
        }
        parameters = {name: values[source] for name, source in notebook.parameters.items()}
        position = job.workflow.notebooks.index(notebook)
        warnings = [text for _, text in notebook_warnings(notebook)]
        unfinished = job.working / f"{position}.ipynb"
        with reserved(stem_of(notebook, job.workflow, run), settings) as stem:
            final = settings.notebooks_dir / f"{stem}.ipynb"
            try:
                run_notebook(notebook, unfinished, parameters, job)
            finally:
                if not job.unwanted and is_whole(unfinished):
                    scrub(unfinished, settings)
                    put(unfinished, final)
                    outputs[notebook.key] = {"key": notebook.key, "notebook": str(final)}
            if notebook.format:
                target = settings.reports_dir / f"{stem}.{notebook.format}"
                unfinished = job.working / f"{position}.{notebook.format}"
                warnings = _write_report(notebook, final, unfinished, target, warnings, job)
                outputs[notebook.key]["report"] = str(target)
            for text in warnings:
                log.warning("a run has a warning", workflow=run.workflow_name, date=run.reference_date, warning=text)
            if warnings:
                outputs[notebook.key]["warnings"] = " ".join(warnings)


def _write_report(  # noqa: PLR0917  (one call)
    notebook: Notebook, executed: Path, unfinished: Path, target: Path, warnings: list[str], job: Job
) -> list[str]:
    """Write the report of an executed notebook, with the warnings on it if it has no template; give all warnings."""
    template = notebook.template or (job.settings.prefect__asciidoc_template_path if notebook.format == "pdf" else None)
    if template:
        asciidoc.write_report(executed, unfinished, template)
    else:
        day = job.run.reference_date.isoformat() if job.run.reference_date else None
        form = "html" if notebook.format == "html" else "pdf"
        warnings = report.write_report(executed, unfinished, day, format=form, code=notebook.code, warnings=warnings)
    put(unfinished, target)
    return warnings
