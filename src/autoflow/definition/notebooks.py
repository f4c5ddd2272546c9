"""Notebooks before they run: what they declare, what will stop them, and what will not go well.

A notebook that cannot run at all (it is missing, is no notebook, names no language or no kernel of this machine)
is a problem: its workflow is held back, and the others go on. Whatever papermill runs all the same, a parameter
that the notebook does not declare first of all, is a warning, for it ran with FlowKit.
"""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoflow.definition.model import Definition, Notebook, Workflow

OWN_SCOPE = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


@dataclass(frozen=True)
class Declared:
    """The facts that a notebook declares; `parameters` None if that cannot be known, `cell` None without such a cell.

    `cell` is the number, from 1, of the cell tagged `parameters`.
    """

    kernel: str | None
    language: str | None
    cell: int | None
    parameters: frozenset[str] | None


def problems_of(workflow: Workflow) -> list[str]:
    """What keeps a workflow from running here, one sentence each, with its place in workflows.yml."""
    kernels = _Kernels()
    return [
        f"{notebook.places.get('filename', notebook.key)}: {sentence}"
        for notebook, sentence in _problems(workflow, kernels)
    ]


def warnings_of(definition: Definition) -> list[str]:
    """What is allowed in workflows.yml but will not go well, one sentence each, with its place."""
    sentences = []
    for workflow in definition.workflows.values():
        for notebook in workflow.notebooks:
            sentences += [
                f"{notebook.places.get(key, notebook.key)}: {sentence}" for key, sentence in notebook_warnings(notebook)
            ]
    if not definition.entries:
        sentences.append("available_dates_sensor names no workflow, so nothing will run.")
    return sentences


def declared(path: Path) -> Declared:
    """Read what a notebook declares. Raises OSError, and ValueError with what is wrong with a file that is none."""
    try:
        content = json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON (line {error.lineno}: {error.msg}); export it again from Jupyter") from error
    except UnicodeDecodeError as error:
        raise ValueError("is not UTF-8 text; export it again from Jupyter") from error
    except RecursionError as error:
        raise ValueError("is nested too deeply for a notebook; export it again from Jupyter") from error
    version = content.get("nbformat") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise ValueError("is JSON, but not a notebook; export it again from Jupyter")
    if version not in (3, 4):
        raise ValueError(f"is in notebook format {version}, and 3 and 4 are known; save it in format 4")
    sheets = content.get("worksheets") if version == 3 else [content]
    cells = [cell for sheet in _list(sheets) for cell in _list(_mapping(sheet).get("cells"))]
    if not all(isinstance(cell, dict) and "cell_type" in cell for cell in cells) or (
        version == 4 and not isinstance(content.get("cells"), list)
    ):
        raise ValueError("is JSON, but has no cells as a notebook has; export it again from Jupyter")
    metadata = _mapping(content.get("metadata"))
    kernelspec, language_info = _mapping(metadata.get("kernelspec")), _mapping(metadata.get("language_info"))
    language = language_info.get("name") or kernelspec.get("language")
    number = next(
        (n for n, cell in enumerate(cells) if "parameters" in _list(_mapping(cell.get("metadata")).get("tags"))), None
    )
    names = None
    if number is not None and str(language).lower() == "python":
        source = cells[number].get("source", cells[number].get("input", ""))
        names = assigned("".join(map(str, source)) if isinstance(source, list) else str(source))
    return Declared(kernelspec.get("name") or None, language or None, None if number is None else number + 1, names)


def assigned(source: str) -> frozenset[str] | None:
    """Give the names that a cell gives values to; None if it is not Python that can be read."""
    # IPython's commands are not Python; a blank keeps the indentation of the lines around them.
    lines = ["" if line.lstrip().startswith(("%", "!", "?")) else line for line in source.splitlines()]
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):
        return None
    names: set[str] = set()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        # Names that a function or a comprehension sets are local to it.
        if isinstance(node, OWN_SCOPE):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        nodes += ast.iter_child_nodes(node)
    return frozenset(names)


class _Kernels:
    """The kernels of this machine, listed only if a notebook needs another than python3."""

    def __init__(self) -> None:
        self._names: set[str] | None = None

    def __contains__(self, name: str) -> bool:
        if name == "python3":
            # ipykernel, on which AutoFlow depends, brings it.
            return True
        if self._names is None:
            from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415  (slow to import)

            self._names = set(KernelSpecManager().find_kernel_specs())
        return name in self._names


def _problems(workflow: Workflow, kernels: _Kernels) -> Iterator[tuple[Notebook, str]]:
    for notebook in workflow.notebooks:
        name = notebook.path.name
        try:
            facts = declared(notebook.path)
        except OSError as error:
            yield notebook, f"{name} cannot be read ({error.strerror})."
            continue
        except ValueError as error:
            yield notebook, f"{name} {error}."
            continue
        if not facts.kernel or not facts.language:
            yield notebook, f"{name} names no kernel; open it in Jupyter, choose one and save it."
        elif facts.kernel not in kernels:
            sentence = f"{name} needs the kernel '{facts.kernel}', which is not installed here"
            yield notebook, f"{sentence}; install it, or choose python3 in Jupyter and save it."
        if notebook.template and not notebook.template.is_file():
            yield notebook, f"its template {notebook.template.name} no longer exists."


def notebook_warnings(notebook: Notebook) -> Iterator[tuple[str, str]]:
    """Give pairs of the part of the notebook's section that is meant, and the warning."""
    from autoflow.reports import asciidoc, glyphs  # noqa: PLC0415  (slow to import)

    name = notebook.path.name
    if notebook.template and not asciidoc.is_installed():
        yield "output", f"{asciidoc.MISSING}."
    if notebook.template and notebook.code:
        yield "output", "the template decides whether code is shown, so 'code' has no effect."
    try:
        facts = declared(notebook.path)
    except (OSError, ValueError):
        return
    if notebook.format == "pdf" and not notebook.template:
        for sentence in glyphs.warnings_of(name, _source(notebook.path)):
            yield "output", sentence
    if facts.cell is None:
        if notebook.parameters:
            sentence = f"{name} has no cell tagged 'parameters'; the values are set in a new cell at its top"
            yield "parameters", f"{sentence}, and what its own cells set wins."
    elif facts.parameters is None:
        if str(facts.language).lower() == "python":
            yield (
                "filename",
                f"{name}, cell {facts.cell}, tagged 'parameters', is not Python that can be read.",
            )
    else:
        for parameter in notebook.parameters:
            if parameter not in facts.parameters:
                yield parameter, _undeclared(name, parameter, facts)


def _source(path: Path) -> str:
    """The text of a notebook's cells before it runs."""
    cells = [_mapping(cell).get("source") for cell in _list(json.loads(path.read_bytes()).get("cells"))]
    return "\n".join("".join(map(str, source)) if isinstance(source, list) else str(source) for source in cells)


def _undeclared(name: str, parameter: str, facts: Declared) -> str:
    import difflib  # noqa: PLC0415  (needed only for a mistake)

    names = sorted(facts.parameters or ())
    near = difflib.get_close_matches(parameter, names, 1)
    meant = f"; is '{near[0]}' meant?" if near else f"; it declares {', '.join(names) or 'none'}."
    return f"{name} does not declare the parameter '{parameter}' in its cell tagged 'parameters'{meant}"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
