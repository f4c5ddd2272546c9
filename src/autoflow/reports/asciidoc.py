"""Reports by way of AsciiDoc, for workflows that bring a template of their own.

Templates are Jinja's, of nbconvert's present form (`.j2`) or of the form that it had up to version 5 (`.tpl`), which
extend `asciidoc.tpl`.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from autoflow.reports.formulas import pandoc
from autoflow.reports.report import ReportError

PROGRAM = "asciidoctor-pdf"
MISSING = (
    f"the program {PROGRAM} is not installed, which reports with a template of their own need; "
    "install it, or leave out 'template' to have the report set without it"
)
# What templates of old extend. Results stand bare in it, for nbconvert's present template would put tables and
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
# Run by another process, for nbconvert finds pandoc by the environment alone. Glued data is no result to show.
_EXPORT = r"""
import sys, traceback, warnings
from pathlib import Path
warnings.simplefilter("ignore")
import re
import jinja2, nbformat
from nbconvert import ASCIIDocExporter
from nbconvert.writers import FilesWriter
notebook, template, folder, old_base = sys.argv[1:]
try:
    content = nbformat.read(notebook, as_version=4)
except Exception as error:
    sys.exit(f"it cannot be read as a notebook ({str(error).splitlines()[0]})")
for cell in content.cells:
    if "outputs" in cell:
        cell.outputs = [out for out in cell.outputs if not any("scrapbook" in kind for kind in out.get("data", {}))]
beside = Path(template).parent
loaders = [
    jinja2.FileSystemLoader(str(beside)),
    jinja2.DictLoader({"asciidoc.tpl": old_base, "null.tpl": "{% extends 'base/null.j2' %}"}),
]
try:
    exporter = ASCIIDocExporter(template_file=template, extra_loaders=loaders)
    exporter.register_preprocessor("nbconvert.preprocessors.ExtractAttachmentsPreprocessor", enabled=True)
    body, resources = exporter.from_notebook_node(content)
except jinja2.TemplateNotFound as error:
    sys.exit(f"the template needs '{error.name}', which is neither beside it nor one of nbconvert's")
except jinja2.TemplateSyntaxError as error:
    sys.exit(f"{Path(error.filename or error.name or template).name}, line {error.lineno}: {error.message}")
except Exception as error:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == beside]
    where = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}: " if frames else ""
    said = str(error).strip().splitlines()
    sys.exit(f"{where}{said[0] if said else type(error).__name__}")
# What the text names must be in the notebook: asciidoctor-pdf would show any picture of this machine.
def embedded(found):
    alt = re.split(r'[,"]', found[2].strip('"'))[0] or found[1]
    return found[0] if found[1] in resources["outputs"] else f"_picture not in the notebook: {alt}_"
body = re.sub(r"image::?([^\[\n]+)\[([^\]\n]*)\]", embedded, body)
FilesWriter(build_directory=folder).write(body, resources, notebook_name="report")
"""


def is_installed() -> bool:
    """Tell whether reports with a template can be made here."""
    return shutil.which(PROGRAM) is not None


def write_report(notebook: Path, pdf: Path, template: Path) -> None:
    """Make the PDF of an executed notebook by nbconvert's AsciiDoc exporter with a template, and asciidoctor-pdf.

    Raises ReportError, whose message is one sentence; for a faulty template it names its file and line.
    """
    if not is_installed():
        raise ReportError(MISSING[0].upper() + MISSING[1:] + ".")
    if not template.is_file():
        raise ReportError(f"{notebook.name}: its template {template} is not there.")
    # Without a locale of UTF-8 Ruby would stumble over accents.
    path = str(pandoc().parent) + os.pathsep + os.environ.get("PATH", "")
    environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryDirectory(prefix="autoflow-") as folder:
        _run(
            [sys.executable, "-c", _EXPORT, str(notebook), str(template.resolve()), folder, OLD_BASE],
            environment,
            f"{notebook.name} could not be turned into AsciiDoc with {template.name}",
        )
        # In this mode a notebook's text can show no other file of this machine; nothing is ever fetched.
        made = Path(folder) / "report.pdf"
        _run(
            [
                *(PROGRAM, "--out-file", str(made), str(Path(folder) / "report.asciidoc")),
                *("--safe-mode", "safe", "--base-dir", folder),
            ],
            environment,
            f"{PROGRAM} could not set {notebook.name}",
        )
        if not made.exists():
            raise ReportError(f"{PROGRAM} could not set {notebook.name}: it wrote no PDF.")
        try:
            shutil.move(made, pdf)
        except OSError as error:
            raise ReportError(f"{notebook.name}: {pdf.name} could not be written: {error.strerror}.") from error


def _run(command: list[str], environment: dict[str, str], complaint: str) -> None:
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, encoding="utf-8", errors="replace", timeout=600, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ReportError(f"{complaint}: it took more than ten minutes.") from error
    if done.returncode:
        said = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
        # Ruby's programs end with a word to their makers.
        told = [line for line in said if "--trace" not in line] or ["no reason given"]
        raise ReportError(f"{complaint}: {told[-1].rstrip('.')}.")
