"""An executed notebook as AsciiDoc by nbconvert with a template: `python -m autoflow.reports.asciidoc_export`.

A separate program, because nbconvert finds pandoc by the environment alone. It ends with a sentence if it fails.
"""

import re
import sys
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import nbformat
from nbconvert import ASCIIDocExporter
from nbconvert.writers.files import FilesWriter

# What older templates extend. Results are not wrapped in it: nbconvert's present template would put tables and
# pictures into a listing, where they are read as their source.
OLD_BASE = """{% extends 'asciidoc/index.asciidoc.j2' %}
{% block output_group %}
{% block outputs %}
{{ super() }}
{% endblock outputs %}
{% endblock output_group %}
{% block data_svg %}

image::{{ output.metadata.filenames['image/svg+xml'] | path2url }}[]

{% endblock data_svg %}
{% block data_png %}

image::{{ output.metadata.filenames['image/png'] | path2url }}[]

{% endblock data_png %}
{% block data_jpg %}

image::{{ output.metadata.filenames['image/jpeg'] | path2url }}[]

{% endblock data_jpg %}
{% block data_text %}

....
{{ output.data['text/plain'] }}
....

{% endblock data_text %}
{% block stream %}

....
{{ output.text | strip_ansi }}
....

{% endblock stream %}
"""


class ExportError(Exception):
    """The notebook could not be exported; the message says why."""


def export(notebook: Path, template: Path, folder: Path) -> None:
    """Write `report.asciidoc`, and the pictures of the notebook, into a folder. Raises ExportError."""
    try:
        content = nbformat.read(notebook, as_version=4)
    # A notebook can be broken in more ways than nbformat has exceptions for.
    except Exception as error:
        raise ExportError(f"it cannot be read as a notebook ({str(error).splitlines()[0]})") from error
    for cell in content.cells:
        if "outputs" in cell:
            # Glued data is not a result to show.
            cell.outputs = [out for out in cell.outputs if not any("scrapbook" in kind for kind in out.get("data", {}))]
    body, resources = _asciidoc(content, template)
    body = _with_own_pictures(body, resources["outputs"])
    FilesWriter(build_directory=str(folder)).write(body, resources, notebook_name="report")


def _asciidoc(content: Any, template: Path) -> tuple[str, dict[str, Any]]:
    loaders = [
        jinja2.FileSystemLoader(str(template.parent)),
        jinja2.DictLoader({"asciidoc.tpl": OLD_BASE, "null.tpl": "{% extends 'base/null.j2' %}"}),
    ]
    try:
        exporter = ASCIIDocExporter(template_file=str(template), extra_loaders=loaders)
        exporter.register_preprocessor("nbconvert.preprocessors.ExtractAttachmentsPreprocessor", enabled=True)
        return exporter.from_notebook_node(content)
    except jinja2.TemplateNotFound as error:
        said = f"the template needs '{error.name}', which is neither beside it nor one of nbconvert's"
        raise ExportError(said) from error
    except jinja2.TemplateSyntaxError as error:
        file = Path(error.filename or error.name or template).name
        raise ExportError(f"{file}, line {error.lineno}: {error.message}") from error
    # A template may fail in as many ways as Python.
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).parent == template.parent]
        where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}: " if own else ""
        said = str(error).strip().splitlines()
        raise ExportError(f"{where}{said[0] if said else type(error).__name__}") from error


def _with_own_pictures(body: str, pictures: Mapping[str, Any]) -> str:
    """Replace pictures that are not in the notebook by a line: asciidoctor-pdf would show any file of this machine."""

    def embedded(macro: re.Match[str]) -> str:
        alt = re.split(r'[,"]', macro[2].strip('"'))[0] or macro[1]
        return macro[0] if macro[1] in pictures else f"_picture not in the notebook: {alt}_"

    return re.sub(r"image::?([^\[\n]+)\[([^\]\n]*)\]", embedded, body)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    try:
        export(*map(Path, sys.argv[1:]))
    except ExportError as problem:
        sys.exit(str(problem))
