"""Execution: the notebooks of one run, in the order of their dependencies, and their reports."""

import datetime as dt
import graphlib
import json
import os
import re
import shutil
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from autoflow import asciidoc, report
from autoflow.log import log
from autoflow.runs import Run
from autoflow.secrecy import REMOVED, Secret
from autoflow.settings import Settings
from autoflow.workflows import Notebook, Workflow

STOPPED = "AutoFlow was stopped while this ran."
# Executes one notebook and gives its output; a NotebookError, which holds a sentence, has been noted already.
Execute = Callable[[Notebook], Mapping[str, str]]
# Has every notebook of a run executed, each once those that it reads have ended well.
Order = Callable[[Run, Workflow, Execute], object]
# What a kernel must not see although this process does: the ways into databases and into a Prefect server.
WITHHELD = re.compile(
    r"AUTOFLOW_DB_\w+|PG(PASSWORD|PASSFILE|SERVICE\w*|USER|HOST)|FLOWETL_\w+"
    r"|PREFECT_((SERVER_)?API_(KEY|AUTH_STRING|DATABASE_(CONNECTION_URL|PASSWORD))|_CONTROL_TOKEN)"
    r"|\w*(FLOWDB|FLOWAUTH|POSTGRES|DATABASE|_DB_)\w*(PASS|PASSWORD|URI|URL|DSN|KEY)",
    re.IGNORECASE,
)


class NotebookError(RuntimeError):
    """A notebook of a run failed; `outputs` holds what was made before and beside it."""

    def __init__(self, message: str, outputs: tuple[Mapping[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.outputs = outputs


class Stopped(Exception):
    """The runner was asked to stop while a notebook ran."""


@dataclass
class Kernels:
    """The kernels at work, so that they can be bounded in number and ended at once."""

    slots: threading.Semaphore
    stopped: threading.Event = field(default_factory=threading.Event)
    lost: set[str] = field(default_factory=set)
    _pids: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, pid: int, run_id: str) -> None:
        """Take note of a kernel; it is ended at once if its run is no longer wanted."""
        with self._lock:
            self._pids[pid] = run_id
            if self.unwanted(run_id):
                _kill(pid)

    def ended(self, pid: int) -> None:
        """Forget a kernel."""
        with self._lock:
            self._pids.pop(pid, None)

    def stop(self) -> None:
        """End every kernel, and let no other begin."""
        self.stopped.set()
        with self._lock:
            for pid in self._pids:
                _kill(pid)

    def lose(self, run_id: str) -> None:
        """End the kernels of a run that this process may no longer call its own."""
        self.lost.add(run_id)
        with self._lock:
            for pid, owner in self._pids.items():
                if owner == run_id:
                    _kill(pid)

    def unwanted(self, run_id: str) -> bool:
        """Tell whether a run is not to go on."""
        return self.stopped.is_set() or run_id in self.lost


def _kill(pid: int) -> None:
    if pid <= 0:
        return
    # A kernel leads a session of its own, so this ends what it has started as well.
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def side_by_side(_: Run, workflow: Workflow, execute: Execute) -> None:
    """Begin each notebook as soon as those that it reads have ended well, in threads of this process."""
    notebooks = {notebook.key: notebook for notebook in workflow.notebooks}
    graph = graphlib.TopologicalSorter(workflow.dependencies())
    graph.prepare()
    under_way: dict[Future[Mapping[str, str]], str] = {}
    with ThreadPoolExecutor(max_workers=len(notebooks), thread_name_prefix="notebook") as pool:
        while graph.is_active():
            under_way |= {pool.submit(execute, notebooks[key]): key for key in graph.get_ready()}
            if not under_way:
                break
            for task in wait(under_way, return_when=FIRST_COMPLETED).done:
                key = under_way.pop(task)
                with suppress(NotebookError):
                    task.result()
                    graph.done(key)


def execute(
    run: Run, workflow: Workflow, settings: Settings, kernels: Kernels, in_order: Order = side_by_side
) -> tuple[Mapping[str, str], ...]:
    """Execute the notebooks of a run, each once those that it reads are done, and make their reports.

    `in_order` begins them; however many it begins at once, they run as far as `kernels` has room. Gives one
    mapping a notebook: its `key`, the path of the executed `notebook` and of the `report`, if any.
    Raises NotebookError when a notebook fails (those that do not need it still run), Stopped when told to.
    """
    job = _Job(run, workflow, settings, kernels, settings.working_dir / str(run.run_id))
    for folder in (job.working, settings.notebooks_dir, settings.reports_dir):
        folder.mkdir(parents=True, exist_ok=True)
    secret = Secret(settings.flowapi_token.get_secret_value())
    failures: list[str] = []

    def one(notebook: Notebook) -> Mapping[str, str]:
        try:
            _one(notebook, job)
        # Whatever goes wrong, in a library or here, fails this run and no other.
        except Exception as error:
            said = STOPPED if job.unwanted else secret.out_of(_sentence(_failure(notebook, error)))
            failures.append(said)
            raise NotebookError(said) from None
        return job.outputs[notebook.key]

    try:
        in_order(run, workflow, one)
    except Exception as error:
        failures.append(secret.out_of(_sentence(f"The run was not carried through: {type(error).__name__}: {error}.")))
    except BaseException:
        # An interrupt leaves nothing behind that would write into a folder that is gone.
        kernels.stop()
        raise
    finally:
        shutil.rmtree(job.working, ignore_errors=True)
    if job.unwanted:
        raise Stopped
    made = tuple(job.outputs[notebook.key] for notebook in workflow.notebooks if notebook.key in job.outputs)
    if not failures and len(made) < len(workflow.notebooks):
        failures.append("The run ended before every notebook had begun; the log of what carried it tells why.")
    if failures:
        raise NotebookError(" ".join(failures), made)
    return made


def _failure(notebook: Notebook, error: Exception) -> str:
    if isinstance(error, (NotebookError, report.ReportError)):
        return str(error)
    if isinstance(error, OSError):
        return _unwritten(notebook, error)
    return f"{notebook.path.name}: {type(error).__name__}: {error}"


@dataclass(frozen=True)
class _Job:
    """What the notebooks of one run share; `outputs` fills as their files come to stand."""

    run: Run
    workflow: Workflow
    settings: Settings
    kernels: Kernels
    working: Path
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def unwanted(self) -> bool:
        return self.kernels.unwanted(str(self.run.run_id))


def _one(notebook: Notebook, job: _Job) -> None:
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
        unfinished = job.working / f"{position}.ipynb"
        with _reserved(_stem(notebook, job.workflow, run), settings) as stem:
            final = settings.notebooks_dir / f"{stem}.ipynb"
            try:
                _papermill(notebook, unfinished, parameters, job)
            finally:
                if not job.unwanted and _is_whole(unfinished):
                    _scrub(unfinished, settings)
                    _put(unfinished, final)
                    outputs[notebook.key] = {"key": notebook.key, "notebook": str(final)}
            if notebook.format:
                target = settings.reports_dir / f"{stem}.{notebook.format}"
                _write_report(notebook, final, job.working / f"{position}.{notebook.format}", target, job)
                outputs[notebook.key]["report"] = str(target)


def _write_report(notebook: Notebook, executed: Path, unfinished: Path, target: Path, job: _Job) -> None:
    template = notebook.template or (job.settings.prefect__asciidoc_template_path if notebook.format == "pdf" else None)
    if template:
        asciidoc.write_report(executed, unfinished, template)
    else:
        day = job.run.reference_date.isoformat() if job.run.reference_date else None
        form = "html" if notebook.format == "html" else "pdf"
        report.write_report(executed, unfinished, day, format=form, code=notebook.code)
    _put(unfinished, target)


def _papermill(notebook: Notebook, output: Path, parameters: Mapping[str, Any], job: _Job) -> None:
    """Run papermill; whatever stops the notebook becomes a NotebookError of one sentence."""
    import papermill  # noqa: PLC0415  (slow to import, and needed only here)

    name, settings = notebook.path.name, job.settings
    expired = threading.Event()
    _register_engine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
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
        raise NotebookError(_complaint(notebook, error, settings)) from error


def _complaint(notebook: Notebook, error: Exception, settings: Settings) -> str:
    """Say in a sentence what stopped a notebook."""
    from jupyter_client.kernelspec import NoSuchKernel  # noqa: PLC0415
    from nbclient.exceptions import CellTimeoutError, DeadKernelError  # noqa: PLC0415
    from nbformat import ValidationError  # noqa: PLC0415
    from nbformat.reader import NotJSONError  # noqa: PLC0415
    from papermill import PapermillExecutionError  # noqa: PLC0415

    name = notebook.path.name
    if not notebook.path.is_file():
        return f"{name}: there is no such file any more in {notebook.path.parent}; put it back or change workflows.yml."
    match error:
        case PapermillExecutionError():
            said = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
            return f"{name}, cell {error.cell_index + 1}: {said}"
        case CellTimeoutError():
            limit = f"{settings.autoflow_cell_timeout} seconds (AUTOFLOW_CELL_TIMEOUT)"
            return f"{name}: a cell did not end within {limit}."
        case DeadKernelError():
            return f"{name}: its kernel died, as it does when the machine has too little memory for it."
        case NoSuchKernel():
            return (
                f"{name}: it asks for the kernel '{error.name}', which is not installed here; "
                "install it or choose python3."
            )
        case NotJSONError():
            return f"{name}: it is not JSON, and so no notebook; save it from Jupyter again."
        case ValidationError() | AttributeError() | KeyError() | TypeError():
            return f"{name}: it is not a notebook that Jupyter would open; save it from Jupyter again."
        case ValueError() if "No kernel name" in str(error) or "No language found" in str(error):
            return f"{name}: it names no kernel; open it in Jupyter, choose one and save it."
        case RuntimeError() if "Kernel d" in str(error):
            return f"{name}: its kernel did not start; try it with 'jupyter run' on this machine."
        case OSError(filename=str(program)) if not Path(program).exists() and not program.endswith(".ipynb"):
            return f"{name}: its kernel did not start: there is no program '{program}'."
        case OSError():
            return _unwritten(notebook, error)
        case _:
            return f"{name}: {type(error).__name__}: {error}"


def _unwritten(notebook: Notebook, error: OSError) -> str:
    return f"{notebook.path.name}: its output could not be written: {error.strerror or error}."


def _sentence(text: str) -> str:
    """Give a message on one line, without the colours of a traceback."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


ENGINE = "autoflow"


@cache
def _register_engine() -> None:
    """Teach papermill to start a kernel with the environment, folder and supervision that a run is to have."""
    from papermill.clientwrap import PapermillNotebookClient  # noqa: PLC0415
    from papermill.engines import NBClientEngine, papermill_engines  # noqa: PLC0415

    class DiscreetClient(PapermillNotebookClient):
        """Papermill's own client, which takes the token out of what a kernel says before it is kept anywhere."""

        secret: Secret

        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            """Process a message of the kernel."""
            msg["content"] = self.secret.out_of_all(msg["content"])
            made = super().process_message(msg, cell, cell_index)
            outputs = cell.get("outputs", ())
            if msg["msg_type"] == "stream" and len(outputs) > 1:
                before, last = outputs[-2:]
                if before.output_type == last.output_type and before.get("name") == last.get("name"):
                    # What is printed in pieces is one text, as Jupyter shows it; a token in two halves is found in it.
                    # (nbclient's own way of joining them takes a minute for a line of a megabyte.)
                    cut = max(len(before.text) - max(map(len, self.secret.forms), default=0), 0)
                    before.text = before.text[:cut] + self.secret.out_of(before.text[cut:] + last.text)
                    outputs.pop()
                    return before
            return made

    class SupervisedEngine(NBClientEngine):
        """Papermill's own engine, with an environment for the kernel and a hand on it."""

        @classmethod
        def execute_managed_notebook(  # noqa: PLR0917  (papermill's signature)
            cls,
            nb_man: Any,
            kernel_name: str,
            log_output: bool = False,
            stdout_file: Any = None,
            stderr_file: Any = None,
            start_timeout: int = 60,
            execution_timeout: int | None = None,
            **kwargs: Any,
        ) -> Any:
            """Execute the notebook in a kernel of its own."""
            job: _Job = kwargs["autoflow_job"]
            expired: threading.Event = kwargs["autoflow_expired"]
            client = DiscreetClient(
                nb_man,
                kernel_name=kernel_name,
                timeout=execution_timeout,
                startup_timeout=start_timeout,
                # A report is rendered after its kernel has gone; nothing is left for it to say goodbye to.
                shutdown_kernel="immediate",
            )
            client.secret = Secret(job.settings.flowapi_token.get_secret_value())
            client.km = client.create_kernel_manager()
            # Never reachable from another machine, whatever the configuration of Jupyter on this one.
            client.km.ip = "127.0.0.1"
            if client.km.ipykernel:
                # It would say at each start that its traffic, which never leaves this machine, is not encrypted.
                client.extra_arguments = ["--Application.log_level=ERROR"]
            client.start_new_kernel(env=kernel_environment(job.settings), cwd=kwargs["autoflow_folder"])
            # 0 for a kernel that Jupyter's configuration places elsewhere: there is no process here to end.
            pid: int = getattr(client.km.provisioner, "pid", 0)
            job.kernels.started(pid, str(job.run.run_id))

            def expire() -> None:
                expired.set()
                _kill(pid)

            limit = threading.Timer(job.settings.autoflow_notebook_timeout, expire)
            limit.daemon = True
            limit.start()
            try:
                return client.execute()
            finally:
                limit.cancel()
                job.kernels.ended(pid)
                # What a notebook has started in the background ends with it.
                _kill(pid)

    papermill_engines.register(ENGINE, SupervisedEngine)


def kernel_environment(settings: Settings) -> dict[str, str]:
    """Give the environment of a notebook: this process's, with the way to FlowAPI and without the run table's."""
    environment = {name: value for name, value in os.environ.items() if not WITHHELD.fullmatch(name)}
    environment["FLOWAPI_URL"] = settings.flowapi_url
    environment["FLOWAPI_TOKEN"] = settings.flowapi_token.get_secret_value()
    if settings.ssl_certificate_file:
        environment["SSL_CERTIFICATE_FILE"] = str(settings.ssl_certificate_file)
    # Plots are drawn for the page, not for a screen that is not there.
    environment.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    return environment


def _is_whole(path: Path) -> bool:
    """Tell whether an executed notebook was written to its end, which on a full disk it may not have been."""
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def _scrub(path: Path, settings: Settings) -> None:
    """Take the token out of an executed notebook that has come to hold it, as in two halves."""
    text = path.read_text(encoding="utf-8")
    clean = Secret(settings.flowapi_token.get_secret_value()).out_of(text)
    if clean != text:
        path.write_text(clean, encoding="utf-8")
    if REMOVED in clean:
        log.warning("a notebook had printed the FlowAPI token; it was taken out", notebook=path.name)


def _put(unfinished: Path, final: Path) -> None:
    """Give a finished file its name; whoever sees the name sees the whole file."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    unfinished.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _stem(notebook: Notebook, workflow: Workflow, run: Run) -> str:
    parts = [workflow.name, run.reference_date.isoformat() if run.reference_date else "", run.parameters_hash]
    tag = "_".join(part for part in parts if part)
    # A workflow may be called anything; a file may not. The hash keeps runs of like names apart.
    safe = re.sub(r"[^\w.-]+", "-", tag.removesuffix(run.parameters_hash))[:120] + run.parameters_hash
    return f"{notebook.path.stem[:80]}__{safe}"


_names_in_use: set[str] = set()
_naming = threading.Lock()


@contextmanager
def _reserved(stem: str, settings: Settings) -> Iterator[str]:
    """Give a stem with the time in it that no other output has or is about to get."""
    now = dt.datetime.now(dt.UTC)
    with _naming:
        while True:
            name = f"{stem}__{now:%Y%m%dT%H%M%SZ}"
            if name not in _names_in_use and not (settings.notebooks_dir / f"{name}.ipynb").exists():
                break
            now += dt.timedelta(seconds=1)
        _names_in_use.add(name)
    try:
        yield name
    finally:
        with _naming:
            _names_in_use.discard(name)
