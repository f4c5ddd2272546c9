"""The files of a run: their names, and how complete files are moved to them."""

import datetime as dt
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autoflow.definition.model import Notebook, Workflow
from autoflow.log import log
from autoflow.runs.run import Run
from autoflow.secrecy import REMOVED, Secret
from autoflow.settings import Settings


def is_whole(path: Path) -> bool:
    """Whether an executed notebook was written to its end, which on a full disk it may not have been."""
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def scrub(path: Path, settings: Settings) -> None:
    """Take the token out of an executed notebook that has come to hold it, as in two halves."""
    text = path.read_text(encoding="utf-8")
    clean = Secret(settings.flowapi_token.get_secret_value()).out_of(text)
    if clean != text:
        path.write_text(clean, encoding="utf-8")
    if REMOVED in clean:
        log.warning("a notebook had printed the FlowAPI token; it was taken out", notebook=path.name)


def stem_of(notebook: Notebook, workflow: Workflow, run: Run) -> str:
    """The name of a notebook's outputs without the time: notebook, workflow, date and hash of the parameters."""
    parts = [workflow.name, run.reference_date.isoformat() if run.reference_date else "", run.parameters_hash]
    tag = "_".join(part for part in parts if part)
    # A workflow may be called anything; a file may not. The hash keeps runs of like names apart.
    safe = re.sub(r"[^\w.-]+", "-", tag.removesuffix(run.parameters_hash))[:120] + run.parameters_hash
    return f"{notebook.path.stem[:80]}__{safe}"


_names_in_use: set[str] = set()


_naming = threading.Lock()


@contextmanager
def reserved(stem: str, settings: Settings) -> Iterator[str]:
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
