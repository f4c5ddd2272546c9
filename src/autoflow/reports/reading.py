"""Reading a notebook: the cells and results that a report shows.

Nothing of the notebook's own markup survives that could run, fetch or read anything: elements and attributes
that are not known to be harmless are dropped here, once, for every form of report.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag

from autoflow.reports.contents import MOST_LINES, Contents, ReportError, text_of
from autoflow.reports.markdown import from_markdown
from autoflow.reports.markup import harmless
from autoflow.reports.pictures import keep_picture
from autoflow.reports.text import ANSI, as_paragraph, clean, joined, keep_formula, mapping, note_line

# In this order: a picture is worth more than the text that describes it.
SHOWN_TYPES = (
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "text/markdown",
    "text/html",
    "text/latex",
    "text/plain",
)


HIDING_TAGS = {"remove_cell", "remove-cell", "remove_output", "remove-output", "hide-output"}


CODE_HIDING_TAGS = {"remove_cell", "remove-cell", "remove_input", "remove-input", "hide-input"}


# What Python prints for an object without a printed form, such as <Axes: title='x'>.
BARE_OBJECT = re.compile(r"^[\[(]*<.*>[\])]*$", re.DOTALL)


def read_contents(notebook: Path, *, code: bool = False) -> Contents:
    """Read what a notebook shows; its code cells too if `code` is true. Raises ReportError."""
    content = _read(notebook)
    metadata = mapping(content.get("metadata"))
    contents = Contents()
    for value in (metadata.get("language"), metadata.get("lang")):
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*", value.strip()):
            contents.language = value.strip().replace("_", "-").lower().split("-")[0]
    program = _program_language(metadata)
    for cell in content["cells"]:
        if isinstance(cell, dict):
            contents.parts += [part for part in _cell(cell, contents, program, code=code) if part.contents]
    contents.title = (
        _take_title(contents.parts)
        or " ".join(clean(joined(metadata.get("title"))).split())
        or notebook.stem.split("__")[0].replace("_", " ")
    )
    _raise_headings(contents.parts)
    return contents


def _read(notebook: Path) -> dict[str, Any]:
    try:
        content = json.loads(notebook.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{notebook.name} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{notebook.name} is not a notebook, for it is not JSON: {error}.") from error
    if isinstance(content, dict) and content.get("nbformat", 4) in (1, 2, 3):
        import nbformat  # noqa: PLC0415  (slow, and such notebooks have not been written for ten years)

        try:
            content = nbformat.convert(nbformat.from_dict(content), 4)
        except Exception as error:
            raise ReportError(
                f"{notebook.name} is a notebook of an old format that cannot be read: {error}."
            ) from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ReportError(f"{notebook.name} is not a notebook: it has no list of cells.")
    return content


def _program_language(metadata: Mapping[str, Any]) -> str:
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        value = mapping(metadata.get(key)).get(name)
        if isinstance(value, str) and re.fullmatch(r"[\w+#-]{1,30}", value):
            return value.lower()
    return "python"


def _cell(cell: dict[str, Any], contents: Contents, program: str, *, code: bool) -> Iterator[BeautifulSoup]:
    metadata = mapping(cell.get("metadata"))
    listed = metadata.get("tags")
    tags = {tag for tag in listed if isinstance(tag, str)} if isinstance(listed, list) else set()
    kind, source = cell.get("cell_type"), clean(joined(cell.get("source")))
    if kind == "markdown" and not HIDING_TAGS & tags:
        yield from_markdown(source, contents, mapping(cell.get("attachments")))
    if kind != "code":
        return
    if code and source.strip() and not CODE_HIDING_TAGS & tags:
        yield _code(source.strip("\n"), program)
    outputs = cell.get("outputs")
    if isinstance(outputs, list) and not HIDING_TAGS & tags:
        for output in outputs:
            if isinstance(output, dict) and (shown := _output(output, contents)) is not None:
                yield shown


def _code(source: str, language: str) -> BeautifulSoup:
    soup = BeautifulSoup("", "html.parser")
    soup.append(soup.new_tag("pre", attrs={"data-language": language}, string=source))
    return soup


def _output(output: dict[str, Any], contents: Contents) -> BeautifulSoup | None:
    """Give a result as HTML; streams, errors, widgets and glued data give none."""
    data = output.get("data")
    if output.get("output_type") not in ("display_data", "execute_result") or not isinstance(data, dict):
        return None
    if any(str(kind).startswith("application/vnd.jupyter.widget") for kind in data):
        return None
    metadata = mapping(output.get("metadata"))
    note = None
    for kind in SHOWN_TYPES:
        if kind not in data:
            continue
        shown = _shown(kind, joined(data[kind]), mapping(metadata.get(kind)), contents)
        if shown is None:
            continue
        if not shown.find(class_="note") or shown.find(["img", "table", "p", "pre", "ul", "ol", "math"], class_=False):
            return shown
        # What could not be shown is said only where the result has no other form that can be.
        note = note or shown
    return note


def _shown(kind: str, value: str, looks: Mapping[str, Any], contents: Contents) -> BeautifulSoup | None:
    if kind == "text/markdown":
        return from_markdown(clean(value), contents, {})
    if kind == "text/html":
        soup = harmless(clean(value), contents, {})
        return soup if soup.get_text(strip=True) or soup.find(["img", "table", "math"]) else None
    if kind == "text/latex":
        return _latex(clean(value), contents)
    if kind == "text/plain":
        return _plain(clean(ANSI.sub("", value)))
    try:
        content = value.encode("utf-8", "replace") if kind == "image/svg+xml" else base64.b64decode(value)
    except (binascii.Error, ValueError):
        content = b""
    width = looks.get("width")
    return as_paragraph(keep_picture(content, contents, float(width) if isinstance(width, int | float) else None))


def _plain(value: str) -> BeautifulSoup | None:
    value = value.strip("\n")
    if not value.strip() or BARE_OBJECT.match(value.strip()):
        return None
    lines = value.split("\n")
    soup = BeautifulSoup("", "html.parser")
    # A single line may be as long as a whole file, so the letters are counted too.
    kept = "\n".join(lines[:MOST_LINES])[: MOST_LINES * 200]
    soup.append(soup.new_tag("pre", string=kept))
    if len(kept) < len(value):
        left = f"{len(lines) - MOST_LINES:,} more lines" if len(lines) > MOST_LINES else "the rest of this text"
        soup.append(note_line(f"{left} of this result: see the notebook"))
    return soup


def _latex(value: str, contents: Contents) -> BeautifulSoup:
    tex = value.strip()
    display = True
    for opening, closing in (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"), ("$", "$")):
        if len(tex) > len(opening + closing) and tex.startswith(opening) and tex.endswith(closing):
            tex = tex[len(opening) : -len(closing)]
            break
    tex = re.sub(r"^\s*\\displaystyle\b", "", tex)
    return as_paragraph(keep_formula(tex, contents, display=display))


def _take_title(parts: list[BeautifulSoup]) -> str:
    for part in parts:
        heading = part.find("h1")
        if isinstance(heading, Tag) and text_of(heading):
            title = text_of(heading)
            heading.decompose()
            return title
    return ""


def _raise_headings(parts: list[BeautifulSoup]) -> None:
    """Give the highest headings that are left the first rank."""
    headings = [tag for part in parts for tag in part.find_all(re.compile("^h[1-6]$"))]
    above = min((int(tag.name[1]) for tag in headings), default=1) - 1
    for tag in headings:
        tag.name = f"h{int(tag.name[1]) - above}"
