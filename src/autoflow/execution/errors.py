"""What stops a run, as exceptions and as sentences."""

import re
from collections.abc import Mapping
from pathlib import Path

from autoflow.definition.model import Notebook
from autoflow.settings import Settings

STOPPED = "AutoFlow was stopped while this ran."


class NotebookError(RuntimeError):
    """A notebook of a run failed; `outputs` holds what was made before and beside it."""

    def __init__(self, message: str, outputs: tuple[Mapping[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.outputs = outputs


class Stopped(Exception):
    """The runner was asked to stop while a notebook ran."""


def complaint_of(notebook: Notebook, error: Exception, settings: Settings) -> str:
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
            reason = f"{error.ename}: {error.evalue}" if error.evalue else error.ename
            return f"{name}, cell {error.cell_index + 1}: {reason}"
        case CellTimeoutError():
            limit = f"{settings.autoflow_cell_timeout} seconds (AUTOFLOW_CELL_TIMEOUT)"
            return f"{name}: a cell did not end within {limit}."
        case DeadKernelError():
            return f"{name}: its kernel died, as it does when the machine has too little memory for it."
        case NoSuchKernel():
            return (
                f"{name}: it needs the kernel '{error.name}', which is not installed here; "
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
            return unwritten(notebook, error)
        case _:
            return f"{name}: {type(error).__name__}: {error}"


def unwritten(notebook: Notebook, error: OSError) -> str:
    """The sentence for an output that could not be written."""
    return f"{notebook.path.name}: its output could not be written: {error.strerror or error}."


def sentence(text: str) -> str:
    """Give a message on one line, without the colours of a traceback."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
