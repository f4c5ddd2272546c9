"""Reports: an executed notebook becomes a typeset PDF or a web page, without its code unless that is asked for."""

import datetime as dt
from pathlib import Path
from typing import Literal

from autoflow.reports.contents import ReportError
from autoflow.reports.reading import read_contents

__all__ = ["Format", "ReportError", "write_report"]

Format = Literal["pdf", "html"]


def write_report(
    notebook: Path,
    target: Path,
    reference_date: str | None = None,
    *,
    format: Format = "pdf",  # noqa: A002  (the word of workflows.yml)
    code: bool = False,
) -> None:
    """Set the text and the results of an executed notebook as a PDF, or as one web page with everything in it.

    The first top-level heading becomes the title. `reference_date` is ISO text, shown under it. With `code` the
    code cells are shown too. Raises ReportError, whose message is one sentence.
    """
    contents = read_contents(notebook, code=code)
    name, date, made = (
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
        write(contents, target, name, date, made)
    except ReportError as error:
        raise ReportError(f"{notebook.name}: {error}") from error
    except OSError as error:
        raise ReportError(f"{notebook.name}: {target.name} could not be written: {error.strerror or error}.") from error
    except RecursionError as error:
        raise ReportError(f"{notebook.name}: its markup is nested too deeply to be set.") from error


def _long_date(reference_date: str | None, language: str) -> str | None:
    if reference_date is None:
        return None
    try:
        day = dt.date.fromisoformat(reference_date)
    except ValueError:
        return reference_date
    return f"{day:%A} {day.day} {day:%B %Y}" if language == "en" else reference_date
