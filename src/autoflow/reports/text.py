"""Text of a notebook: joined from its lines, cleaned, and as elements of a report."""

import re
from typing import Any

from bs4 import BeautifulSoup, Tag

from autoflow.reports.contents import Contents, Formula

# C0 and C1 controls, lone surrogates and noncharacters: none is text, and neither form of report can hold them.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def mapping(value: object) -> dict[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def joined(value: object) -> str:
    """Give a text that a notebook keeps whole or in lines; anything else is none."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def clean(text: str) -> str:
    """Text without signs that cannot be printed, its lines ended by newlines."""
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def as_paragraph(tag: Tag) -> BeautifulSoup:
    """An element as a paragraph; a note is its own paragraph."""
    soup = BeautifulSoup("", "html.parser")
    if "note" in tag.get_attribute_list("class"):
        soup.append(tag)
    else:
        paragraph = soup.new_tag("p")
        paragraph.append(tag)
        soup.append(paragraph)
    return soup


def note_line(text: str) -> Tag:
    """Give a line that says what is not shown."""
    return BeautifulSoup("", "html.parser").new_tag("span", attrs={"class": "note"}, string=f"[{text}]")


def keep_formula(tex: str, contents: Contents, *, display: bool) -> Tag:
    """Add a formula to `contents`, and give its placeholder element."""
    contents.formulas.append(Formula(tex.strip(), display))
    return BeautifulSoup("", "html.parser").new_tag("math", attrs={"data-n": str(len(contents.formulas) - 1)})
