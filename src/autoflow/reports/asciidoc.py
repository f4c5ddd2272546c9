"""Reports by way of AsciiDoc, for workflows with a custom template.

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
    f"the program {PROGRAM} is not installed, which reports with a custom template need; "
    "install it, or leave out 'template' to have the report set without it"
)


def is_installed() -> bool:
    """Whether reports with a template can be made on this machine."""
    return shutil.which(PROGRAM) is not None


def write_report(notebook: Path, pdf: Path, template: Path) -> None:
    """Make the PDF of an executed notebook by nbconvert's AsciiDoc exporter with a template, and asciidoctor-pdf.

    Raises ReportError, whose message is one sentence; for a faulty template it names its file and line.
    """
    if not is_installed():
        raise ReportError(MISSING[0].upper() + MISSING[1:] + ".")
    if not template.is_file():
        raise ReportError(f"{notebook.name}: its template {template} does not exist.")
    # Without a locale of UTF-8 Ruby would stumble over accents.
    path = str(pandoc().parent) + os.pathsep + os.environ.get("PATH", "")
    environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryDirectory(prefix="autoflow-") as folder:
        _run(
            [
                sys.executable,
                "-P",
                "-m",
                "autoflow.reports.asciidoc_export",
                str(notebook),
                str(template.resolve()),
                folder,
            ],
            environment,
            f"{notebook.name} could not be turned into AsciiDoc with {template.name}",
        )
        # In this mode a notebook's text can show no other file of this machine; nothing is ever fetched.
        result = Path(folder) / "report.pdf"
        _run(
            [
                *(PROGRAM, "--out-file", str(result), str(Path(folder) / "report.asciidoc")),
                *("--safe-mode", "safe", "--base-dir", folder),
            ],
            environment,
            f"{PROGRAM} could not set {notebook.name}",
        )
        if not result.exists():
            raise ReportError(f"{PROGRAM} could not set {notebook.name}: it wrote no PDF.")
        try:
            shutil.move(result, pdf)
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
        lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
        # Ruby's programs end with a hint for their developers.
        reasons = [line for line in lines if "--trace" not in line] or ["no reason given"]
        raise ReportError(f"{complaint}: {reasons[-1].rstrip('.')}.")
