"""One notebook in its own kernel and event loop, with its error as a sentence."""

import contextvars
import threading
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autoflow.definition.model import Notebook
from autoflow.execution.errors import NotebookError, complaint_of
from autoflow.execution.job import Job


def _in_own_loop(execute: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Execute with the event loop of the current context, which is made for it, and close the loop."""
    from jupyter_core.utils import ensure_event_loop  # noqa: PLC0415

    loop = ensure_event_loop()
    try:
        execute(*arguments, **options)
    finally:
        if not loop.is_running():
            loop.close()


def run_notebook(notebook: Notebook, output: Path, parameters: Mapping[str, Any], job: Job) -> None:
    """Run papermill; any error of the notebook becomes a NotebookError of one sentence."""
    import papermill  # noqa: PLC0415  (slow to import, and needed only here)

    from autoflow.execution.papermill_engine import ENGINE  # noqa: PLC0415

    name, settings = notebook.path.name, job.settings
    expired = threading.Event()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Jupyter keeps an event loop in a context variable. Threads that begin with a copy of one context, as those
            # of Prefect's tasks do, would run their kernels in the same loop; a new context makes its own loop.
            contextvars.Context().run(
                _in_own_loop,
                papermill.execute_notebook,
                str(notebook.path),
                str(output),
                parameters=dict(parameters),
                engine_name=ENGINE,
                progress_bar=False,
                log_output=False,
                start_timeout=120,
                execution_timeout=settings.autoflow_cell_timeout,
                autoflow_job=job,
                autoflow_expired=expired,
                autoflow_folder=str(notebook.path.parent),
            )
    # A notebook can be broken in more ways than papermill has exceptions for; one must not stop the others.
    except Exception as error:
        if expired.is_set():
            limit = f"{settings.autoflow_notebook_timeout} seconds (AUTOFLOW_NOTEBOOK_TIMEOUT)"
            raise NotebookError(f"{name}: it did not end within {limit}.") from None
        raise NotebookError(complaint_of(notebook, error, settings)) from error
