"""Contents: what a report shows of a notebook, as clean HTML with pictures, tables, formulas and footnotes apart."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from bs4 import BeautifulSoup, Tag

# What may be printed: any other output of a notebook is replaced by a line that says so.
MOST_LINES = 500


MOST_ROWS = 2000


MOST_PIXELS = 100_000_000


# A picture is never stored finer than this, at the size at which a page of A4 shows it.
FINEST_DPI = 300


UPRIGHT, TURNED = (470.0, 610.0), (717.0, 400.0)


DEEPEST = 60


# A drawing of more bytes than these is set as pixels: its lines would take longer and weigh more.
HEAVY_DRAWING = 20_000_000


class ReportError(RuntimeError):
    """A notebook could not be made into a report; the message says why in a sentence."""


@dataclass(frozen=True)
class Picture:
    """A picture as a file's content (`kind` is png, jpg or svg) with its own size in points."""

    content: bytes
    kind: str
    width: float
    height: float
    alt: str = ""
    caption: str = ""

    @property
    def turned(self) -> bool:
        """Whether it is so wide that it is read more easily on a page that is turned."""
        return turned(self.width, self.height)

    @property
    def scale(self) -> float:
        """The part of the picture's size for which a page has room."""
        return scale(self.width, self.height)


@dataclass(frozen=True)
class Formula:
    """A formula in LaTeX's language, within a line or on a separate line."""

    tex: str
    display: bool


@dataclass(frozen=True)
class Cell:
    """A cell of a table, its text once as shown and once plain, and the looks that pandas' Styler gave it."""

    content: Tag
    text: str
    across: int
    down: int
    head: bool
    style: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table as a grid: for each row, the cells by the column in which they begin."""

    head: list[dict[int, Cell]]
    body: list[dict[int, Cell]]
    width: int
    numbers: list[bool]
    caption: Tag | None
    left_out: int = 0

    def plain(self) -> str:
        """Give the text of the table, to detect its language."""
        lines = [*self.head, *self.body[:20]]
        return " ".join(cell.text for line in lines for cell in line.values())


@dataclass
class Contents:
    """All that a report shows of a notebook.

    `parts` are HTML trees of harmless elements. Within them `<img data-n>`, `<table data-n>`, `<math data-n>`,
    `<sup data-n>` and `<pre data-language>` are placeholders of the pictures, tables, formulas, footnotes and code.
    """

    title: str = ""
    language: str = "en"
    parts: list[BeautifulSoup] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    formulas: list[Formula] = field(default_factory=list)
    footnotes: list[Tag] = field(default_factory=list)
    # A random word, so that no notebook can name our own elements.
    nonce: str = field(default_factory=lambda: "n" + secrets.token_hex(8))

    def text(self) -> str:
        """Everything that the report says in words."""
        cells = (cell.text for table in self.tables for line in (*table.head, *table.body) for cell in line.values())
        captions = (table.caption.get_text() for table in self.tables if table.caption)
        return "\n".join([self.title, *(part.get_text() for part in (*self.parts, *self.footnotes)), *captions, *cells])


def text_of(tag: Tag) -> str:
    """Give the text of a tree with single spaces."""
    return " ".join(tag.get_text(" ").split())


def turned(width: float, height: float) -> bool:
    """Whether a picture of this size, in points, is read more easily on a turned page."""
    """Whether a picture of this size, in points, is read more easily on a turned page."""
    return width > 1.9 * UPRIGHT[0] and width > 2.2 * height


def scale(width: float, height: float) -> float:
    """The part of a picture's size for which a page has room."""
    """The part of a picture's size for which a page has room."""
    room = TURNED if turned(width, height) else UPRIGHT
    return min(1.0, room[0] / width, room[1] / height)
