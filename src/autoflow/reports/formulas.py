"""Formulas: LaTeX's mathematics in Typst's language or as MathML, by one call of pandoc for all of a report."""

import json
import re
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autoflow.reports.contents import Formula, ReportError


def pandoc() -> Path:
    """Give the pandoc that comes with its Python package, or the one on this machine."""
    import pypandoc  # noqa: PLC0415  (a formula is the only thing that needs pandoc)

    packed = Path(pypandoc.__file__).parent / "files" / "pandoc"
    try:
        return packed if packed.exists() else Path(pypandoc.get_pandoc_path())
    except OSError as error:
        raise ReportError("pandoc is not installed, which formulas need; install pypandoc_binary.") from error


def convert(formulas: Sequence[Formula], form: Literal["typst", "html"]) -> list[str | None]:
    """Give each formula as Typst code or as MathML, None for one that pandoc does not understand.

    Raises ReportError if pandoc fails.
    """
    if not formulas:
        return []
    word = "n" + secrets.token_hex(8)
    blocks = []
    for formula in formulas:
        kind = "DisplayMath" if formula.display else "InlineMath"
        blocks.append({"t": "Para", "c": [{"t": "Math", "c": [{"t": kind}, formula.tex]}]})
        blocks.append({"t": "Para", "c": [{"t": "Str", "c": word}]})
    document = json.dumps({"pandoc-api-version": [1, 23, 1], "meta": {}, "blocks": blocks})
    command = [str(pandoc()), "--sandbox", "--from=json", f"--to={form}", "--wrap=none", "--mathml", "--quiet"]
    try:
        done = subprocess.run(
            command, input=document, capture_output=True, encoding="utf-8", timeout=120, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise ReportError(f"pandoc could not read the notebook's formulas: {said.strip().splitlines()[0]}.") from error
    parts = done.split(word if form == "typst" else f"<p>{word}</p>")[: len(formulas)]
    return [_checked(part.strip(), form) for part in parts]


def _checked(code: str, form: str) -> str | None:
    if form == "typst":
        return code if code.startswith("$") and code.endswith("$") and len(code) > 2 else None
    code = re.sub(r"^<p>|</p>$", "", code)
    # The source within is for programs that search for formulas.
    code = re.sub(r"<annotation[^>]*>.*?</annotation>", "", code, flags=re.DOTALL)
    return code if code.startswith("<math") else None
