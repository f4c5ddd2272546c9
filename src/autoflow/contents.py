"""What a notebook shows: its text and results as clean HTML, its pictures, tables, formulas and footnotes apart.

Nothing of the notebook's own markup survives that could run, fetch or read anything: elements and attributes
that are not known to be harmless are dropped here, once, for every form of report.
"""

import base64
import binascii
import copy
import html
import io
import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString

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
# What Python prints for an object without a form of its own, such as <Axes: title='x'>.
BARE_OBJECT = re.compile(r"^[\[(]*<.*>[\])]*$", re.DOTALL)
NUMBER = re.compile(r"^[-+−]?[\d٫٬][\d,.٫٬   ]*(?:[eE][-+]?\d+)?\s?[%٪]?$|^(?:nan|NaN|None|–|—|-)?$")
POINTS = {"pt": 1.0, "px": 0.75, "": 0.75, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pc": 12.0}

# What may be printed: anything else that a notebook says is left out with a line that tells so.
MOST_LINES = 500
MOST_ROWS = 2000
MOST_PIXELS = 100_000_000
# A picture is never stored finer than this, at the size at which a page of A4 shows it.
FINEST_DPI = 300
UPRIGHT, TURNED = (470.0, 610.0), (717.0, 400.0)
DEEPEST = 60
# A drawing of more bytes than these is set as pixels: its lines would take longer and weigh more.
HEAVY_DRAWING = 20_000_000

BLOCKS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "hr", "table",
    "div", "section", "article", "main", "header", "footer", "aside", "nav", "figure", "figcaption", "details",
    "summary", "center", "address",
}  # fmt: skip
INLINES = {
    "a", "abbr", "b", "bdi", "bdo", "big", "br", "cite", "code", "del", "dfn", "em", "font", "i", "img", "ins", "kbd",
    "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "svg", "time", "tt", "u", "var", "wbr",
}  # fmt: skip
TABLE_PARTS = {"caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"}
DROPPED = {
    "script", "style", "noscript", "template", "head", "title", "meta", "link", "base", "button", "select", "textarea",
    "canvas",
}  # fmt: skip
EMBEDDING = {"iframe": "src", "embed": "src", "object": "data", "video": "src", "audio": "src", "frame": "src"}
KEPT_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": set(), "th": set()}

# C0 and C1 controls, lone surrogates and noncharacters: none is text, and neither form of report can hold them.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


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
        return _turned(self.width, self.height)

    @property
    def scale(self) -> float:
        """How much of its own size a page has room for."""
        return _scale(self.width, self.height)


@dataclass(frozen=True)
class Formula:
    """A formula in LaTeX's language, within a line or on a line of its own."""

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
        """Give the text of the table, to tell its language by."""
        lines = [*self.head, *self.body[:20]]
        return " ".join(cell.text for line in lines for cell in line.values())


@dataclass
class Contents:
    """All that a report shows of a notebook.

    `parts` are HTML trees of harmless elements. Within them `<img data-n>`, `<table data-n>`, `<math data-n>`,
    `<sup data-n>` and `<pre data-language>` stand for the pictures, tables, formulas, footnotes and code.
    """

    title: str = ""
    language: str = "en"
    parts: list[BeautifulSoup] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    formulas: list[Formula] = field(default_factory=list)
    footnotes: list[Tag] = field(default_factory=list)
    # A word that no notebook can know, so that none can name our own elements.
    nonce: str = field(default_factory=lambda: "n" + secrets.token_hex(8))


def read_contents(notebook: Path, *, code: bool = False) -> Contents:
    """Read what a notebook shows; its code cells too if `code` is true. Raises ReportError."""
    content = _read(notebook)
    metadata = _mapping(content.get("metadata"))
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
        or " ".join(_clean(_joined(metadata.get("title"))).split())
        or notebook.stem.split("__")[0].replace("_", " ")
    )
    _raise_headings(contents.parts)
    return contents


def text_of(tag: Tag) -> str:
    """Give the text of a tree with single spaces."""
    return " ".join(tag.get_text(" ").split())


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
            raise ReportError(f"{notebook.name} is a notebook of an old form that cannot be read: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise ReportError(f"{notebook.name} is not a notebook: it has no list of cells.")
    return content


def _program_language(metadata: Mapping[str, Any]) -> str:
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        value = _mapping(metadata.get(key)).get(name)
        if isinstance(value, str) and re.fullmatch(r"[\w+#-]{1,30}", value):
            return value.lower()
    return "python"


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _joined(value: object) -> str:
    """Give a text that a notebook keeps whole or in lines; anything else is none."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _clean(text: str) -> str:
    return UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _cell(cell: dict[str, Any], contents: Contents, program: str, *, code: bool) -> Iterator[BeautifulSoup]:
    metadata = _mapping(cell.get("metadata"))
    listed = metadata.get("tags")
    tags = {tag for tag in listed if isinstance(tag, str)} if isinstance(listed, list) else set()
    kind, source = cell.get("cell_type"), _clean(_joined(cell.get("source")))
    if kind == "markdown" and not HIDING_TAGS & tags:
        yield _markdown(source, contents, _mapping(cell.get("attachments")))
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
    metadata = _mapping(output.get("metadata"))
    note = None
    for kind in SHOWN_TYPES:
        if kind not in data:
            continue
        shown = _shown(kind, _joined(data[kind]), _mapping(metadata.get(kind)), contents)
        if shown is None:
            continue
        if not shown.find(class_="note") or shown.find(["img", "table", "p", "pre", "ul", "ol", "math"], class_=False):
            return shown
        # What could not be shown is said only where the result has no other form that can be.
        note = note or shown
    return note


def _shown(kind: str, value: str, looks: Mapping[str, Any], contents: Contents) -> BeautifulSoup | None:
    if kind == "text/markdown":
        return _markdown(_clean(value), contents, {})
    if kind == "text/html":
        soup = _harmless(_clean(value), contents, {})
        return soup if soup.get_text(strip=True) or soup.find(["img", "table", "math"]) else None
    if kind == "text/latex":
        return _latex(_clean(value), contents)
    if kind == "text/plain":
        return _plain(_clean(ANSI.sub("", value)))
    try:
        content = value.encode("utf-8", "replace") if kind == "image/svg+xml" else base64.b64decode(value)
    except (binascii.Error, ValueError):
        content = b""
    width = looks.get("width")
    return _paragraph(_picture(content, contents, float(width) if isinstance(width, int | float) else None))


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
        soup.append(_note(f"{left} of this result: see the notebook"))
    return soup


def _latex(value: str, contents: Contents) -> BeautifulSoup:
    tex = value.strip()
    display = True
    for opening, closing in (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"), ("$", "$")):
        if len(tex) > len(opening + closing) and tex.startswith(opening) and tex.endswith(closing):
            tex = tex[len(opening) : -len(closing)]
            break
    tex = re.sub(r"^\s*\\displaystyle\b", "", tex)
    return _paragraph(_formula(tex, contents, display=display))


def _paragraph(tag: Tag) -> BeautifulSoup:
    soup = BeautifulSoup("", "html.parser")
    if "note" in tag.get_attribute_list("class"):
        soup.append(tag)
    else:
        paragraph = soup.new_tag("p")
        paragraph.append(tag)
        soup.append(paragraph)
    return soup


def _note(text: str) -> Tag:
    """Give a line that says what is not shown."""
    return BeautifulSoup("", "html.parser").new_tag("span", attrs={"class": "note"}, string=f"[{text}]")


def _formula(tex: str, contents: Contents, *, display: bool) -> Tag:
    contents.formulas.append(Formula(tex.strip(), display))
    return BeautifulSoup("", "html.parser").new_tag("math", attrs={"data-n": str(len(contents.formulas) - 1)})


# Markdown


# The opening sign touches the formula and the closing one no digit, so that "$5 and $10" are sums of money.
INLINE_FORMULA = (
    r"\$\$(?P<shown_tex>[^$]+?)\$\$"
    r"|\$(?P<line_tex>(?=[^\s$])(?:[^$\\]|\\[\s\S])*?[^\s\\$]|[^\s\\$]|\s(?=[^$]*[\\^_=])(?:[^$\\]|\\[\s\S])+?\s)\$(?!\d)"
    r"|\\\\\((?P<paren_tex>[\s\S]+?)\\\\\)"
    r"|\\\\\[(?P<square_tex>[\s\S]+?)\\\\\]"
)
BLOCK_FORMULA = (
    r"^ {0,3}\$\$(?P<dollar_tex>[^$]+?)\$\$[ \t]*$"
    r"|^ {0,3}(?P<env_tex>\\begin\{(?P<env_name>[a-z]+\*?)\}[\s\S]+?\\end\{(?P=env_name)\})[ \t]*$"
    r"|^ {0,3}\\\\\[(?P<bracket_tex>[\s\S]+?)\\\\\][ \t]*$"
)


def _markdown(source: str, contents: Contents, attachments: Mapping[str, Any]) -> BeautifulSoup:
    import mistune  # noqa: PLC0415  (needed only for a report)

    nonce = contents.nonce

    class Renderer(mistune.HTMLRenderer):
        """HTML in which formulas carry our word, and markup that is no markup of HTML stands as text."""

        def inline_html(self, html: str) -> str:
            return _known_or_text(html)

        def block_html(self, html: str) -> str:
            return _known_or_text(html) + "\n"

        def formula(self, text: str, display: bool) -> str:
            contents.formulas.append(Formula(text.strip(), display))
            return f'<math {nonce}="{len(contents.formulas) - 1}"></math>'

        def footnote_ref(self, key: str, index: int) -> str:
            return f'<sup {nonce}="{index}"></sup>'

        def footnotes(self, text: str) -> str:
            return f"<section {nonce}>{text}</section>"

        def footnote_item(self, text: str, key: str, index: int) -> str:
            return f'<li {nonce}="{index}">{text}</li>'

    def own(renderer: Renderer, method: str) -> Callable[..., str]:
        return lambda _, *args, **kwargs: getattr(renderer, method)(*args, **kwargs)

    renderer = Renderer(escape=False, allow_harmful_protocols=True)
    plugins = ["strikethrough", "table", "url", "task_lists", "def_list", "footnotes", _formulas]
    markdown = mistune.create_markdown(renderer=renderer, plugins=plugins)
    # Plugins put their own functions before the methods of the renderer.
    for method in ("formula", "footnote_ref", "footnotes", "footnote_item"):
        renderer.register(method, own(renderer, method))
    try:
        text = markdown(source)
    except RecursionError:
        text = f"<pre>{html.escape(source)}</pre>"
    return _harmless(str(text), contents, attachments)


def _formulas(markdown: Any) -> None:
    """Teach mistune the formulas that Jupyter knows."""

    def inline(_: Any, found: re.Match[str], state: Any) -> int:
        tex = {name: value for name, value in found.groupdict().items() if name.endswith("_tex") and value is not None}
        name, text = next(iter(tex.items()))
        state.append_token({"type": "formula", "raw": text, "attrs": {"display": name in ("shown_tex", "square_tex")}})
        return found.end()

    def block(_: Any, found: re.Match[str], state: Any) -> int:
        tex = {name: value for name, value in found.groupdict().items() if name.endswith("_tex") and value is not None}
        state.append_token({"type": "formula", "raw": next(iter(tex.values())), "attrs": {"display": True}})
        return found.end() + 1

    markdown.inline.register("formula", INLINE_FORMULA, inline, before="escape")
    markdown.block.register("block_formula", BLOCK_FORMULA, block, before="fenced_code")


def _known_or_text(markup: str) -> str:
    """Give markup as it is where all its elements are HTML's that a text may have, else as text."""
    names = {name.lower() for name in re.findall(r"</?([A-Za-z][\w:-]*)", markup)}
    known = BLOCKS | INLINES | TABLE_PARTS | DROPPED | set(EMBEDDING) | {"input"}
    if names <= known and (names or markup.startswith("<!--")):
        return markup
    return re.sub(
        r"</?([A-Za-z][\w:-]*)?|[<&]",
        lambda found: found[0] if found[1] and found[1].lower() in known else html.escape(found[0]),
        markup,
    )


# Cleaning


def _harmless(text: str, contents: Contents, attachments: Mapping[str, Any]) -> BeautifulSoup:
    """Give HTML as a tree that holds nothing but known elements, and our own in place of what is kept apart."""
    try:
        soup = BeautifulSoup(text, "html.parser")
        styles = _style_rules("\n".join(style.get_text() for style in soup.find_all("style")))
        _flatten(soup)
        _simplify(soup, contents, attachments)
        _keep_footnotes(soup, contents)
        for table in reversed(soup.find_all("table")):
            # From the innermost to the outermost: a table within a table's cell stands there as text.
            if table.find_parent("table") is not None:
                table.replace_with(text_of(table))
            else:
                contents.tables.append(_table(table, styles))
                table.replace_with(soup.new_tag("table", attrs={"data-n": str(len(contents.tables) - 1)}))
        for tag in soup.find_all(class_=True):
            if tag.get("class") != ["note"] or tag.name != "span":
                del tag["class"]
    except RecursionError:
        return _paragraph(_note("markup that is nested too deeply to be shown"))
    return soup


def _flatten(soup: BeautifulSoup) -> None:
    """Take out elements that are nested more deeply than any text is, and keep what they hold."""
    depth = {id(soup): 0}
    for tag in soup.find_all(True):
        depth[id(tag)] = depth.get(id(tag.parent), 0) + 1
        if depth[id(tag)] > DEEPEST:
            tag.unwrap()


def _simplify(soup: BeautifulSoup, contents: Contents, attachments: Mapping[str, Any]) -> None:
    """Drop what is not known, and replace pictures and formulas by our own elements."""
    for string in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        string.extract()
    for tag in soup.find_all(True):
        if tag.decomposed:
            continue
        name = tag.name
        number = tag.get(contents.nonce)
        if number is not None:
            tag.attrs = {contents.nonce: number} if name in ("li", "section") else {"data-n": number}
        elif name in EMBEDDING:
            source = str(tag.get(EMBEDDING[name]) or "")
            tag.replace_with(_note(f"not in the notebook: {source[:200]}" if source else f"{name} left out"))
        elif name in DROPPED:
            tag.decompose()
        elif name == "img":
            tag.replace_with(_named_picture(tag, contents, attachments))
        elif name == "svg":
            tag.replace_with(_picture(str(tag).encode(), contents, None))
            for inner in tag.find_all(True):
                inner.decompose()
        elif name == "input":
            box = str(tag.get("type", "")).lower() == "checkbox"
            tag.replace_with(("☑ " if tag.has_attr("checked") else "☐ ") if box else "")
        elif name in TABLE_PARTS or name == "table":
            kept = ("style", "id", "class", "colspan", "rowspan")
            tag.attrs = {key: value for key, value in tag.attrs.items() if key in kept}
        elif name in BLOCKS or name in INLINES:
            kept = KEPT_ATTRIBUTES.get(name, set())
            tag.attrs = {key: value for key, value in tag.attrs.items() if key in kept}
            if name == "a" and not str(tag.get("href", "")).lower().startswith(("http://", "https://", "mailto:")):
                # Anchors of a notebook and files beside it are not there where a report is read.
                tag.unwrap()
        else:
            tag.unwrap()


def _keep_footnotes(soup: BeautifulSoup, contents: Contents) -> None:
    nonce, first = contents.nonce, len(contents.footnotes)
    section = soup.find("section", attrs={nonce: True})
    for item in section.find_all("li", attrs={nonce: True}) if isinstance(section, Tag) else ():
        item.extract()
        item.attrs = {}
        contents.footnotes.append(item)
    if isinstance(section, Tag):
        section.decompose()
    for reference in [*soup.find_all("sup", attrs={"data-n": True})]:
        reference["data-n"] = str(first + int(str(reference["data-n"])) - 1)


def _named_picture(image: Tag, contents: Contents, attachments: Mapping[str, Any]) -> Tag:
    """Give our own element for a picture that the text names, if it is in the notebook."""
    source, alt = str(image.get("src", "")), " ".join(str(image.get("alt") or "").split())
    width = _length(str(image.get("width", "")))
    looks = partial(_picture, contents=contents, width=width / POINTS["px"] if width else None)
    caption = " ".join(str(image.get("title") or "").split())
    if source.startswith("data:"):
        head, _, payload = source.partition(",")
        try:
            content = base64.b64decode(payload) if head.endswith(";base64") else unquote(payload).encode()
        except (binascii.Error, ValueError):
            content = b""
        return looks(content, alt=alt, caption=caption)
    if source.startswith("attachment:"):
        bundle = attachments.get(unquote(source.removeprefix("attachment:")))
        for kind, value in bundle.items() if isinstance(bundle, dict) else ():
            try:
                content = _joined(value).encode() if kind == "image/svg+xml" else base64.b64decode(_joined(value))
            except (binascii.Error, ValueError):
                content = b""
            return looks(content, alt=alt, caption=caption)
    # A picture elsewhere on the network is not fetched, and one elsewhere on the disk is not ours to publish.
    return _note(f"picture not in the notebook: {alt or source[:200]}")


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


# Pictures


def _picture(content: bytes, contents: Contents, width: float | None, alt: str = "", caption: str = "") -> Tag:
    """Keep a picture and give the element that stands for it, or a line that says why it cannot be shown.

    Its size on paper is what its file says (pixels and dots per inch); `width`, in pixels of a screen,
    counts where the file says nothing.
    """
    drawing = b"<svg" in content[:4000]
    picture = _drawing(content, width) if drawing else _photograph(content, width)
    if isinstance(picture, str):
        return _note(picture)
    contents.pictures.append(replace(picture, alt=_clean(alt), caption=_clean(caption)))
    return BeautifulSoup("", "html.parser").new_tag("img", attrs={"data-n": str(len(contents.pictures) - 1)})


def _turned(width: float, height: float) -> bool:
    return width > 1.9 * UPRIGHT[0] and width > 2.2 * height


def _scale(width: float, height: float) -> float:
    room = TURNED if _turned(width, height) else UPRIGHT
    return min(1.0, room[0] / width, room[1] / height)


def _photograph(content: bytes, width: float | None) -> Picture | str:
    """Give a picture made of pixels, or the reason why not."""
    from PIL import Image, ImageFile, UnidentifiedImageError  # noqa: PLC0415  (not needed to read workflows)

    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MOST_PIXELS:
            return f"a picture of {image.width:,} × {image.height:,} pixels, too large to be shown"
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "a picture that cannot be read"
    dpi = _number(image.info.get("dpi", (0, 0)))
    across = image.width / dpi * 72 if dpi > 1 else (width or image.width) * POINTS["px"]
    down = across * image.height / image.width
    most = int(across * _scale(across, down) / 72 * FINEST_DPI) + 1
    kind = {"PNG": "png", "JPEG": "jpg"}.get(image.format or "")
    if image.width > most * 1.05:
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("RGBA")
        image = image.resize((most, max(1, round(most * image.height / image.width))), Image.Resampling.LANCZOS)
        kind = "png" if kind != "jpg" else "jpg"
    elif kind:
        return Picture(content, kind, across, down)
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA")
    return Picture(*_encoded(image, kind or "png"), across, down)


def _encoded(image: Any, kind: str) -> tuple[bytes, str]:
    """Give a picture as a file: a PNG, or a JPEG where that is what it was or a PNG is too heavy."""
    file = io.BytesIO()
    if kind == "png":
        image.save(file, "PNG")
        if file.tell() < 3_000_000 or (image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema()[0] < 255):
            return file.getvalue(), "png"
        file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=88)
    return file.getvalue(), "jpg"


def _number(value: object) -> float:
    """Give the first number of a pair such as PIL's dots per inch, 0 where there is none."""
    try:
        return float(value[0])  # pyright: ignore[reportIndexIssue]
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return 0.0


def _drawing(content: bytes, width: float | None) -> Picture | str:
    """Give a drawing in SVG without anything that it would run or fetch, or the reason why not."""
    from xml.etree.ElementTree import ParseError, register_namespace, tostring  # noqa: PLC0415

    from defusedxml import DefusedXmlException  # noqa: PLC0415
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415

    content = content[content.find(b"<") :]
    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError, RecursionError, LookupError):
        try:
            # Inline drawings of a web page often leave out what XML asks for.
            soup = BeautifulSoup(content, "html.parser").find("svg")
            markup = str(soup).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
            root = fromstring(re.sub(r"viewbox=", "viewBox=", markup))
        except (ParseError, DefusedXmlException, ValueError, RecursionError, LookupError):
            return "a drawing that cannot be read"
    register_namespace("", "http://www.w3.org/2000/svg")
    register_namespace("xlink", "http://www.w3.org/1999/xlink")
    if not root.tag.startswith("{"):
        for element in root.iter():
            element.tag = "{http://www.w3.org/2000/svg}" + str(element.tag).rpartition("}")[2]
    changed = not content.lstrip().startswith(b"<?xml")
    for parent in root.iter():
        for child in list(parent):
            name = str(child.tag).rpartition("}")[2].lower()
            if name in ("script", "foreignobject", "iframe") or any(
                key.rpartition("}")[2] == "href" and not value.strip().startswith(("#", "data:image/"))
                for key, value in child.attrib.items()
                if name != "a"
            ):
                parent.remove(child)
                changed = True
    if changed:
        content = tostring(root, encoding="utf-8", xml_declaration=True)
    across, down = _length(root.get("width", "")), _length(root.get("height", ""))
    box = [float(part) for part in re.findall(r"[-+]?[\d.]+(?:e[-+]?\d+)?", root.get("viewBox", "")) if part != "."]
    if len(box) == 4 and box[2] > 0 and box[3] > 0:
        across = across or (width or box[2]) * POINTS["px"]
        down = down or across * box[3] / box[2]
    across, down = across or 300 * POINTS["px"], down or 150 * POINTS["px"]
    return Picture(content, "svg", across, down)


def _length(value: str) -> float | None:
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)", value.strip())
    return (float(found[1]) * POINTS[found[2]] or None) if found and found[2] in POINTS else None


# Tables


def _table(table: Tag, styles: "Styles") -> Table:
    """Give an HTML table as a grid."""
    every = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    own = str(table.get("id", ""))
    rows = [row for row in every if not _hidden(row, own, styles)]
    heads = {id(row) for row in rows if row.find_parent("thead") is not None}
    left_out = max(0, len(rows) - len(heads) - MOST_ROWS)
    if left_out:
        rows = rows[: len(heads) + MOST_ROWS]
    grid, width = _grid(rows, own, styles)
    head = [line for row, line in zip(rows, grid, strict=True) if id(row) in heads]
    body = [line for row, line in zip(rows, grid, strict=True) if id(row) not in heads]
    numbers = [
        all(NUMBER.match(line[n].text) for line in body if n in line)
        and any(line[n].text for line in body if n in line)
        for n in range(width)
    ]
    # A head row that is all blanks, as pandas writes for the name of an index, says nothing.
    head = _joined_heads([line for line in head if any(cell.text for cell in line.values())])
    caption = table.find("caption")
    shown = caption if isinstance(caption, Tag) and caption.get_text(strip=True) else None
    return Table(head, body, width, numbers, shown, left_out)


def _joined_heads(head: list[dict[int, Cell]]) -> list[dict[int, Cell]]:
    """Give head rows with the last two as one where neither says anything of a column that the other names.

    pandas writes the names of an index in a row below the names of the columns.
    """
    if len(head) < 2:
        return head
    upper, lower = head[-2], head[-1]
    single = all(cell.across == cell.down == 1 for line in (upper, lower) for cell in line.values())
    if not single or upper.keys() != lower.keys() or any(upper[n].text and lower[n].text for n in upper):
        return head
    return [*head[:-2], {n: upper[n] if upper[n].text else lower[n] for n in upper}]


def _grid(rows: list[Tag], own: str, styles: "Styles") -> tuple[list[dict[int, Cell]], int]:
    """Give the cells of each row by the column in which they begin, and the number of columns."""
    taken: set[tuple[int, int]] = set()
    grid: list[dict[int, Cell]] = []
    for r, row in enumerate(rows):
        line: dict[int, Cell] = {}
        n = 0
        for tag in row.find_all(["td", "th"], recursive=False):
            style = _style_of(tag, own, styles)
            if style.get("display") == "none":
                continue
            while (r, n) in taken:
                n += 1
            across, down = _span(tag, "colspan", 200), min(_span(tag, "rowspan", MOST_ROWS), len(rows) - r)
            # A cell that would reach into one from above ends before it.
            across = next((j for j in range(1, across) if (r, n + j) in taken), across)
            line[n] = Cell(copy.copy(tag), text_of(tag), across, down, tag.name == "th", style)
            taken |= {(r + i, n + j) for i in range(down) for j in range(across)}
            n += across
        grid.append(line)
    width = max((n + 1 for _, n in taken), default=0)
    blank = BeautifulSoup("", "html.parser").new_tag("td")
    for r, line in enumerate(grid):
        # Short rows are filled up, or the next row's cells would flow into them.
        line.update({n: Cell(blank, "", 1, 1, False, {}) for n in range(width) if (r, n) not in taken})
        ordered = dict(sorted(line.items()))
        line.clear()
        line.update(ordered)
    return grid, width


def _span(tag: Tag, name: str, most: int) -> int:
    value = str(tag.get(name, "1"))
    return min(max(1, int(value)), most) if re.fullmatch(r"[0-9]{1,6}", value) else 1


# The declarations for one element by its id, and the rules for others: a table's id, and a condition on its elements.
Styles = tuple[dict[str, dict[str, str]], list[tuple[str, str, dict[str, str]]]]


def _style_of(tag: Tag, own: str, styles: Styles) -> dict[str, str]:
    by_id, rules = styles
    found: dict[str, str] = {}
    for table, condition, declarations in rules:
        kind = condition.removeprefix(".")
        if table == own and (condition == tag.name or kind in tag.get_attribute_list("class")):
            found.update(declarations)
    found.update(by_id.get(str(tag.get("id", "")), {}))
    found.update(_declarations(str(tag.get("style", ""))))
    return found


def _hidden(tag: Tag, own: str, styles: Styles) -> bool:
    return _style_of(tag, own, styles).get("display") == "none"


def _declarations(css: str) -> dict[str, str]:
    pairs = (part.replace("!important", "").partition(":") for part in css.split(";"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _style_rules(css: str) -> Styles:
    """Read a style sheet such as pandas' Styler writes; selectors of any other form are passed over."""
    by_id: dict[str, dict[str, str]] = {}
    rules: list[tuple[str, str, dict[str, str]]] = []
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        said = _declarations(declarations)
        for selector in selectors.split(","):
            if found := re.fullmatch(r"#([\w-]+)", selector.strip()):
                by_id.setdefault(found[1], {}).update(said)
            elif found := re.fullmatch(r"#([\w-]+)\s+(td|th|\.[\w-]+)", selector.strip()):
                rules.append((found[1], found[2], said))
    return by_id, rules
