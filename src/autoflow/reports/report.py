"""Reports: an executed notebook becomes a typeset PDF or a web page, by default without its code."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from autoflow.reports import glyphs
from autoflow.reports.contents import ReportError
from autoflow.reports.reading import read_contents
from autoflow.reports.text import as_paragraph, note_line

__all__ = ["Format", "ReportError", "write_report"]

Format = Literal["pdf", "html"]


def write_report(
    notebook: Path,
    target: Path,
    reference_date: str | None = None,
    *,
    format: Format = "pdf",  # noqa: A002  (the word of workflows.yml)
    code: bool = False,
    warnings: Sequence[str] = (),
) -> list[str]:
    """Set the text and the results of an executed notebook as a PDF, or as one web page with everything in it.

    The first top-level heading becomes the title. `reference_date` is ISO text, shown under it. With `code` the
    code cells are shown too. `warnings` are shown under the title, and so is a warning of letters that no font of a PDF
    has; gives all of them. Raises ReportError, whose message is one sentence.
    """
    contents = read_contents(notebook, code=code)
    lacking = glyphs.warnings_of(name_of(notebook), contents.text()) if format == "pdf" else []
    # `check` looks at the notebook as it was before it ran, so that it may have seen the same letters.
    sentences = list(dict.fromkeys([*warnings, *lacking]))
    contents.parts[:0] = [as_paragraph(note_line(f"Warning: {sentence}")) for sentence in sentences]
    name, date, moment = (
        notebook.name.split("__")[0],
        _long_date(reference_date, contents.language),
        dt.datetime.now(dt.UTC),
    )
    if format == "html":
        from autoflow.reports.webpage import write_page  # noqa: PLC0415  (neither form of report pays for the other)

        write = write_page
    else:
        from autoflow.reports.typeset import write_pdf  # noqa: PLC0415

        write = write_pdf
    try:
        if any(picture.kind == "svg" for picture in contents.pictures):
            from autoflow.reports.typeset import lightened  # noqa: PLC0415

            contents.pictures = [lightened(picture) for picture in contents.pictures]
        write(contents, target, name, date, moment)
    except ReportError as error:
        raise ReportError(f"{notebook.name}: {error}") from error
    except OSError as error:
        raise ReportError(f"{notebook.name}: {target.name} could not be written: {error.strerror or error}.") from error
    except RecursionError as error:
        raise ReportError(f"{notebook.name}: its markup is nested too deeply to be set.") from error
    return sentences


def name_of(executed: Path) -> str:
    """The name of the notebook that an executed one was made from."""
    return executed.name if "__" not in executed.name else f"{executed.name.split('__')[0]}.ipynb"


def _long_date(reference_date: str | None, language: str) -> str | None:
    if reference_date is None:
        return None
    try:
        day = dt.date.fromisoformat(reference_date)
    except ValueError:
        return reference_date
    return f"{day:%A} {day.day} {day:%B %Y}" if language == "en" else reference_date
