"""The order in which the notebooks of one run are executed."""

import graphlib
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress

from autoflow.definition.model import Notebook, Workflow
from autoflow.execution.errors import NotebookError
from autoflow.runs.run import Run

# Executes one notebook and gives its output; a NotebookError, which holds a sentence, has been noted already.
Execute = Callable[[Notebook], Mapping[str, str]]


# Has every notebook of a run executed, each once those that it reads have ended well.
Order = Callable[[Run, Workflow, Execute], object]


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
