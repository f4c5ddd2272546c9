"""Reports by way of AsciiDoc, for workflows that bring a template of their own."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from autoflow.report import ReportError

PROGRAM = "asciidoctor-pdf"
MISSING = (
    f"the program {PROGRAM} is not installed, which reports with a template of their own need; "
    "install it, or leave out 'template' to have the report set without it"
)
# Run by another process, for nbconvert finds pandoc by the environment alone. Glued data is no result to show.
_EXPORT = """
import sys, warnings, nbformat
warnings.simplefilter("ignore")
from nbconvert import ASCIIDocExporter
from nbconvert.writers import FilesWriter
notebook, template, folder = sys.argv[1:]
content = nbformat.read(notebook, as_version=4)
for cell in content.cells:
    if "outputs" in cell:
        cell.outputs = [out for out in cell.outputs if not any("scrapbook" in kind for kind in out.get("data", {}))]
body, resources = ASCIIDocExporter(template_file=template).from_notebook_node(content)
FilesWriter(build_directory=folder).write(body, resources, notebook_name="report")
"""


def is_installed() -> bool:
    """Tell whether reports with a template can be made here."""
    return shutil.which(PROGRAM) is not None


def write_report(notebook: Path, pdf: Path, template: Path) -> None:
    """Make the PDF of an executed notebook by nbconvert's AsciiDoc exporter with a template, and asciidoctor-pdf.

    Raises ReportError.
    """
    if not is_installed():
        raise ReportError(MISSING[0].upper() + MISSING[1:] + ".")
    import pypandoc  # noqa: PLC0415  (brings the pandoc that nbconvert calls)

    pandoc = str(Path(pypandoc.get_pandoc_path()).parent)
    environment = {**os.environ, "PATH": pandoc + os.pathsep + os.environ.get("PATH", "")}
    with tempfile.TemporaryDirectory(prefix="autoflow-") as folder:
        _run(
            [sys.executable, "-c", _EXPORT, str(notebook), str(template.resolve()), folder],
            environment,
            f"{notebook.name} could not be turned into AsciiDoc with {template.name}",
        )
        _run(
            [PROGRAM, "--out-file", str(pdf.resolve()), str(Path(folder) / "report.asciidoc")],
            environment,
            f"{PROGRAM} could not set {notebook.name}",
        )


def _run(command: list[str], environment: dict[str, str], complaint: str) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired as error:
        raise ReportError(f"{complaint}: it took more than ten minutes.") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        raise ReportError(f"{complaint}: {last}")
