"""What a person sees: sentences, tables, progress bars."""

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

# Lines are not broken: a path or a command is copied whole, and a pipe reads one sentence a line. What is printed
# quotes files and columns by their names, so that brackets are brackets.
out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
err = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)

Tell = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

_UNWATCHED = 10_000
"""Columns of a table that is written to a file or a pipe: it is never cut."""


def note(sentence: str) -> None:
    """Print a note about a command that succeeded to standard error."""
    err.print(Text.assemble(("Note:", "yellow"), " ", sentence))


def table(*columns: str) -> Table:
    """An empty table with columns of these names."""
    rows = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        rows.add_column(column)
    return rows


def show(rows: Table) -> None:
    """Print a table to standard output."""
    if not out.is_terminal:
        out.width = _UNWATCHED
    out.print(rows, soft_wrap=False)


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun, such as "1 unit" or "2 units"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@contextmanager
def progress(title: str) -> Iterator[Tell]:
    """A progress bar for one piece of work; nothing is drawn if standard error is no terminal."""
    if not err.is_terminal:
        yield lambda *_: None
        return
    began = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        _Count(),
        _Elapsed(began),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task, current = bar.add_task(title, total=None), ""

        def tell(step: str, done: int, total: int) -> None:
            nonlocal task, current
            if step != current:
                # Rich stops a task, its spinner and its clock, once it is complete.
                bar.remove_task(task)
                task, current = bar.add_task(f"{title}: {step}", total=total or None), step
            bar.update(task, completed=done, total=total or None)

        yield tell


class _Count(ProgressColumn):
    """How much of a step is done, and of how much."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f"/{int(task.total):,}"
        return Text(f"{int(task.completed):,}{total}", style="progress.download")


class _Elapsed(ProgressColumn):
    """The time since the work began, over all its steps."""

    def __init__(self, began: float) -> None:
        super().__init__()
        self._began = began

    def render(self, task: Task) -> Text:
        return Text(str(dt.timedelta(seconds=int(time.monotonic() - self._began))), style="progress.elapsed")
