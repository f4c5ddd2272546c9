"""Lines of a report in Typst: text with its emphasis, links, formulas, footnotes and small pictures."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bs4 import Tag
from bs4.element import NavigableString

from autoflow.reports.contents import Contents, Picture, text_of
from autoflow.reports.scripts import Voice, voice_of, voice_of_language
from autoflow.reports.typst_text import breakable, escaped, quoted


@dataclass
class Report:
    """A report in the making."""

    contents: Contents
    formulas: list[str]
    inner: Callable[[Tag, "Report"], str]
    """Gives the blocks within an element as code; cells of tables need it."""
    broken_pictures: set[int] = field(default_factory=set)
    noted: set[int] = field(default_factory=set)

    def voice(self, text: str) -> Voice:
        """The language and direction of a text."""
        return voice_of(text, self.contents.language)


@dataclass
class Block:
    """A piece of the page: its Typst code, what it is, and whether it needs a page that is turned."""

    code: str
    kind: str = "text"
    turned: bool = False


def spoken(code: str, text: str, report: Report) -> str:
    """Give code in the language and direction of its text, where that is not the document's."""
    voice = report.voice(text)
    if voice == voice_of_language(report.contents.language):
        return code
    return f'#spoken("{voice.language}", {voice.direction})[\n{code}\n\n]'


def picture_call(picture: Picture, n: int) -> str:
    """A picture as a call of report.typ's function."""
    caption = f", caption: [{escaped(picture.caption)}]" if picture.caption else ""
    alt = f", alt: {quoted(picture.alt)}" if picture.alt else ""
    return (
        f'#picture("picture{n}.{picture.kind}", width: {picture.width:.2f}pt, height: {picture.height:.2f}pt'
        f"{caption}{alt})"
    )


WRAPPERS = {
    "strong": "strong", "b": "strong", "em": "emph", "i": "emph", "cite": "emph", "dfn": "emph", "var": "emph",
    "del": "strike", "s": "strike", "strike": "strike", "u": "underline", "ins": "underline", "mark": "highlight",
    "sub": "sub", "small": "small",
}  # fmt: skip


def inlines(tag: Tag, report: Report) -> str:
    """What an element holds as one line of code."""
    return "".join(inline_of(child, report) for child in tag.children)


def inline_of(node: Any, report: Report) -> str:
    """An element or a text within a line as code."""
    if isinstance(node, NavigableString):
        return escaped(str(node))
    if not isinstance(node, Tag):
        return ""
    name = node.name
    if name in WRAPPERS:
        return f"#{WRAPPERS[name]}[{inlines(node, report)}]"
    if name in ("code", "tt", "kbd", "samp"):
        return f"#raw({quoted(breakable(' '.join(node.get_text().split()), 40))})" if node.get_text().strip() else ""
    if name == "br":
        return "#linebreak()"
    if name == "wbr":
        return "\u200b"
    if name == "q":
        return f'"{inlines(node, report)}"'
    if name == "a":
        return f"#link({quoted(str(node.get('href')))})[{inlines(node, report)}]"
    if name == "sup":
        return _footnote(node, report) if node.has_attr("data-n") else f"#super[{inlines(node, report)}]"
    if name == "math":
        return report.formulas[int(str(node["data-n"]))]
    if name == "img":
        n = int(str(node["data-n"]))
        picture = report.contents.pictures[n]
        if n in report.broken_pictures:
            return "#note[\\[a picture that cannot be read\\]]"
        if picture.height > 24:
            return picture_call(picture, n)
        return f'#box(image("picture{n}.{picture.kind}", width: {picture.width:.2f}pt))'
    if name == "span" and node.get("class") == ["note"]:
        return f"#note[{inlines(node, report)}]"
    if name == "table":
        return escaped(report.contents.tables[int(str(node["data-n"]))].plain())
    if name == "li":
        return f"• {inlines(node, report)} "
    return inlines(node, report)


def _footnote(node: Tag, report: Report) -> str:
    n = int(str(node["data-n"]))
    if n in report.noted:
        return f"#footnote(label({quoted(f'note{n}')}))"
    report.noted.add(n)
    note = report.contents.footnotes[n]
    return f"#[#footnote[{spoken(inlines(note, report).strip(), text_of(note), report)}]#label({quoted(f'note{n}')})]"
