"""Typesetting: the contents of a notebook become a PDF by Typst, which comes as a Python package.

Text is written with every sign escaped, and everything else by functions of report.typ, so that nothing in a
notebook is taken for code. Nothing is fetched, and nothing outside a folder of the report's own is read.
"""

import datetime as dt
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString

from autoflow.contents import (
    BLOCKS,
    FINEST_DPI,
    HEAVY_DRAWING,
    Cell,
    Contents,
    Picture,
    ReportError,
    Table,
    text_of,
)
from autoflow.formulas import convert
from autoflow.scripts import Voice, font_folders, voice_of, voice_of_language

# Letters of a table's size (9.4 pt) across the page, upright and turned, and between the text of two columns.
ACROSS, ACROSS_TURNED, GUTTER = 50.0, 77.0, 1.6
# A table that would have to be set smaller than this is turned, and then parted.
SMALLEST = 0.74
LONGEST_WORD = 26
# Rows of a table that is kept on one page.
SHORT = 16


@dataclass
class _Report:
    """A report in the making."""

    contents: Contents
    formulas: list[str]
    broken_pictures: set[int] = field(default_factory=set)
    noted: set[int] = field(default_factory=set)

    def voice(self, text: str) -> Voice:
        return voice_of(text, self.contents.language)


@dataclass
class _Block:
    """A piece of the page: its Typst code, what it is, and whether it needs a page that is turned."""

    code: str
    kind: str = "text"
    turned: bool = False


def write_pdf(contents: Contents, pdf: Path, name: str, date: str | None, made: dt.datetime) -> None:
    """Set contents as a PDF; `name` is the notebook's, for the foot of the page. Raises ReportError."""
    import typst  # noqa: PLC0415  (80 MB of compiler, needed only when a report is made)

    found = convert(contents.formulas, "typst")
    sources = [f"#raw({quoted(formula.tex)})" for formula in contents.formulas]
    report = _Report(contents, [code or source for code, source in zip(found, sources, strict=True)])
    with tempfile.TemporaryDirectory(prefix="autoflow-") as folder:
        style = resources.files("autoflow").joinpath("report.typ").read_text(encoding="utf-8")
        (Path(folder) / "report.typ").write_text(style, encoding="utf-8")
        for n, picture in enumerate(contents.pictures):
            (Path(folder) / f"picture{n}.{picture.kind}").write_bytes(picture.content)
        source = Path(folder) / "main.typ"

        def set_type(code: str, output: Path | None) -> None:
            source.write_text('#import "report.typ": *\n' + code, encoding="utf-8")
            typst.compile(str(source), output=str(output) if output else None, root=folder, font_paths=fonts())

        try:
            set_type(_whole(report, name, date, made), pdf)
        except typst.TypstError:
            # A picture or formula that the compiler cannot take must not cost the rest of the report.
            _find_broken(report, set_type, typst.TypstError)
            report.noted.clear()
            try:
                set_type(_whole(report, name, date, made), pdf)
            except typst.TypstError as error:
                raise ReportError(f"The report could not be typeset: {str(error).splitlines()[0]}.") from error
        except OSError as error:
            raise ReportError(f"The report could not be written: {error.strerror or error}.") from error


def _find_broken(report: _Report, set_type: Callable[[str, Path | None], None], refusal: type[Exception]) -> None:
    for n, formula in enumerate(report.formulas):
        try:
            set_type(formula, None)
        except refusal:
            report.formulas[n] = f"#raw({quoted(report.contents.formulas[n].tex)})"
    for n, picture in enumerate(report.contents.pictures):
        try:
            set_type(_picture(picture, n), None)
        except refusal:
            report.broken_pictures.add(n)


def lightened(picture: Picture) -> Picture:
    """Give a drawing of very many lines as a picture of pixels, as fine as paper shows; any other picture as it is."""
    if picture.kind != "svg" or len(picture.content) < HEAVY_DRAWING:
        return picture
    import typst  # noqa: PLC0415

    code = (
        f"#set page(width: {picture.width:.2f}pt, height: {picture.height:.2f}pt, margin: 0pt)\n"
        '#image("drawing.svg", width: 100%, height: 100%)'
    )
    with tempfile.TemporaryDirectory(prefix="autoflow-") as folder:
        (Path(folder) / "drawing.svg").write_bytes(picture.content)
        source = Path(folder) / "main.typ"
        source.write_text(code, encoding="utf-8")
        try:
            pixels = typst.compile(
                str(source), root=folder, font_paths=fonts(), format="png", ppi=FINEST_DPI * picture.scale
            )
        except typst.TypstError:
            return picture
    return replace(picture, content=pixels, kind="png") if isinstance(pixels, bytes) else picture


@cache
def fonts() -> Any:
    """Give the fonts of a report: Typst's own, those of matplotlib, and the font packages that are installed.

    Typst's own have Latin, Greek and Cyrillic letters. Matplotlib's DejaVu Sans has Arabic ones from which a PDF's
    words can be searched and copied, which is not so with Noto's, made of parts. Devanagari needs Noto's.
    """
    import typst  # noqa: PLC0415

    return typst.Fonts(include_system_fonts=False, font_paths=[str(folder) for folder in font_folders()])


def quoted(value: str | None) -> str:
    """Give a Typst string, in which nothing is code; `none` for None."""
    if value is None:
        return "none"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


# ASCII but letters, figures, space, and the signs that mean nothing wherever they stand.
_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")
_PLAIN_SIGNS = set("\"',!?%&")


def escaped(text: str) -> str:
    """Give text as Typst markup that says exactly it, but for typographic quotation marks."""
    text = re.sub(r"[\s\u2028\u2029]+", lambda found: found[0] if found[0] in "\u00a0\u202f\u2009" else " ", text)
    return _SIGNS.sub(lambda found: found[0] if found[0] in _PLAIN_SIGNS else "\\" + found[0], breakable(text))


def breakable(text: str, longest: int = 48) -> str:
    """Give text in which words too long for a line may be broken."""

    def broken(found: re.Match[str]) -> str:
        pieces = re.split(r"(?<=[_./\-,;:|=&?])(?=.)|(?<=[a-z])(?=[A-Z])", found[0])
        short = [piece[n : n + 16] for piece in pieces for n in range(0, len(piece), 16)] if pieces else []
        return "\u200b".join(short)

    return re.sub(rf"[!-~\u00a1-\u02ff]{{{longest},}}", broken, text)


# The whole


def _whole(report: _Report, name: str, date: str | None, made: dt.datetime) -> str:
    contents = report.contents
    voice = report.voice(contents.title)
    base = voice_of_language(contents.language)
    show = (
        f"#show: report.with(title: {quoted(contents.title)}, title-lang: {quoted(voice.language)}, "
        f"title-dir: {voice.direction}, date: {quoted(date)}, lang: {quoted(base.language)}, dir: {base.direction}, "
        f"source: {quoted(name)}, made: {quoted(f'{made:%Y-%m-%d %H:%M} UTC')})\n\n"
    )
    blocks = [block for part in contents.parts for block in _blocks(part, report) if block.code.strip()]
    return show + "\n\n".join(_paged(blocks)) + "\n"


def _paged(blocks: Sequence[_Block]) -> Iterator[str]:
    """Give the blocks in order: those that lead to a table or picture keep with it, wide ones go on turned pages."""
    n = 0
    while n < len(blocks):
        leading = n
        while leading < len(blocks) - 1 and blocks[leading].kind in ("heading", "lead") and leading < n + 3:
            leading += 1
        if blocks[leading].turned:
            end = leading + 1
            while end < len(blocks) and blocks[end].turned:
                end += 1
            inside = "\n\n".join(block.code for block in blocks[n:end])
            yield f"#turned[\n{inside}\n]"
            n = end
            continue
        block, follower = blocks[n], blocks[n + 1] if n + 1 < len(blocks) else None
        if block.kind == "lead" and follower is not None and follower.kind in ("table", "picture"):
            yield f"#block(sticky: true, width: 100%)[\n{block.code}\n]"
        else:
            yield block.code
        n += 1


# Blocks


def _blocks(node: Tag, report: _Report) -> Iterator[_Block]:
    """Give the blocks of a container; text that stands in it alone is a paragraph."""
    loose: list[Any] = []
    for child in node.children:
        if isinstance(child, Tag) and (child.name in BLOCKS or _is_large(child, report)):
            yield from _paragraph(loose, report)
            loose = []
            yield from _block(child, report)
        else:
            loose.append(child)
    yield from _paragraph(loose, report)


def _is_large(tag: Tag, report: _Report) -> bool:
    """Tell whether an element within a text is a block of its own all the same: a picture, or what holds a block."""
    if tag.name == "img":
        return report.contents.pictures[int(str(tag["data-n"]))].height > 24
    return any(_is_large(inner, report) or inner.name in BLOCKS for inner in tag.find_all(True, recursive=False))


def _paragraph(children: Sequence[Any], report: _Report) -> Iterator[_Block]:
    code = "".join(_inline(child, report) for child in children).strip()
    if not code:
        return
    text = " ".join("".join(child.get_text() for child in children).split())
    yield _Block(_spoken(code, text, report), "lead" if text and len(text) < 400 else "text")


def _spoken(code: str, text: str, report: _Report) -> str:
    """Give code in the language and direction of its text, where that is not the document's."""
    voice = report.voice(text)
    if voice == voice_of_language(report.contents.language):
        return code
    return f'#spoken("{voice.language}", {voice.direction})[\n{code}\n\n]'


def _block(tag: Tag, report: _Report) -> Iterator[_Block]:
    name = tag.name
    if name in ("p", "dt", "address"):
        yield from _blocks(tag, report)
    elif re.fullmatch("h[1-6]", name):
        inner = _inlines(tag, report).strip()
        if inner:
            yield _Block(_spoken(f"#heading(level: {name[1]})[{inner}]", text_of(tag), report), "heading")
    elif name in ("ul", "ol"):
        yield _Block(_spoken(_list(tag, report), text_of(tag), report))
    elif name == "dl":
        yield _Block(_spoken(_terms(tag, report), text_of(tag), report))
    elif name == "blockquote":
        yield _Block(_spoken(f"#quote(block: true)[\n{_inner(tag, report)}\n]", text_of(tag), report))
    elif name == "pre":
        language = tag.get("data-language")
        options = f", lang: {quoted(str(language))}" if language else ""
        kind = "source" if language else "result"
        text = breakable(tag.get_text().rstrip("\n"), 90)
        yield _Block(f"#{kind}(raw({quoted(text)}, block: true{options}))")
    elif name == "hr":
        yield _Block("#horizontalrule")
    elif name == "table":
        yield from _table(report.contents.tables[int(str(tag["data-n"]))], report)
    elif name == "img":
        n = int(str(tag["data-n"]))
        picture = report.contents.pictures[n]
        if n in report.broken_pictures:
            yield _Block("#note[\\[a picture that cannot be read\\]]")
        else:
            yield _Block(_picture(picture, n), "picture", picture.turned)
    elif name == "figcaption":
        yield _Block(f"#caption[{_spoken(_inlines(tag, report), text_of(tag), report)}]")
    elif name == "summary":
        yield _Block(f"#strong[{_inlines(tag, report)}]", "lead")
    elif name == "li":
        yield _Block(_list(_wrapped(tag), report))
    else:
        yield from _blocks(tag, report)


def _wrapped(item: Tag) -> Tag:
    """Give an item that stands outside a list as a list of one."""
    soup = BeautifulSoup("", "html.parser")
    whole = soup.new_tag("ul")
    whole.extend([BeautifulSoup(str(item), "html.parser")])
    return whole


def _inner(tag: Tag, report: _Report) -> str:
    return "\n\n".join(block.code for block in _blocks(tag, report))


def _list(tag: Tag, report: _Report) -> str:
    items = tag.find_all("li", recursive=False)
    tight = not any(item.find("p", recursive=False) for item in items)
    options = [f"tight: {str(tight).lower()}"]
    if tag.name == "ol" and re.fullmatch(r"\d{1,9}", str(tag.get("start", ""))):
        options.append(f"start: {tag['start']}")
    bodies = [f"[{_inner(item, report)}]" for item in items]
    kind = "enum" if tag.name == "ol" else "list"
    return f"#{kind}({', '.join(options + bodies)})" if bodies else ""


def _terms(tag: Tag, report: _Report) -> str:
    items, term = [], ""
    for child in tag.find_all(["dt", "dd"], recursive=False):
        if child.name == "dt":
            term = _inlines(child, report)
        else:
            items.append(f"terms.item([{term}], [{_inner(child, report)}])")
            term = ""
    return f"#terms({', '.join(items)})" if items else ""


def _picture(picture: Picture, n: int) -> str:
    caption = f", caption: [{escaped(picture.caption)}]" if picture.caption else ""
    alt = f", alt: {quoted(picture.alt)}" if picture.alt else ""
    return (
        f'#picture("picture{n}.{picture.kind}", width: {picture.width:.2f}pt, height: {picture.height:.2f}pt'
        f"{caption}{alt})"
    )


# Lines


WRAPPERS = {
    "strong": "strong", "b": "strong", "em": "emph", "i": "emph", "cite": "emph", "dfn": "emph", "var": "emph",
    "del": "strike", "s": "strike", "strike": "strike", "u": "underline", "ins": "underline", "mark": "highlight",
    "sub": "sub", "small": "small",
}  # fmt: skip


def _inlines(tag: Tag, report: _Report) -> str:
    return "".join(_inline(child, report) for child in tag.children)


def _inline(node: Any, report: _Report) -> str:
    if isinstance(node, NavigableString):
        return escaped(str(node))
    if not isinstance(node, Tag):
        return ""
    name = node.name
    if name in WRAPPERS:
        return f"#{WRAPPERS[name]}[{_inlines(node, report)}]"
    if name in ("code", "tt", "kbd", "samp"):
        return f"#raw({quoted(breakable(' '.join(node.get_text().split()), 40))})" if node.get_text().strip() else ""
    if name == "br":
        return "#linebreak()"
    if name == "wbr":
        return "\u200b"
    if name == "q":
        return f'"{_inlines(node, report)}"'
    if name == "a":
        return f"#link({quoted(str(node.get('href')))})[{_inlines(node, report)}]"
    if name == "sup":
        return _footnote(node, report) if node.has_attr("data-n") else f"#super[{_inlines(node, report)}]"
    if name == "math":
        return report.formulas[int(str(node["data-n"]))]
    if name == "img":
        n = int(str(node["data-n"]))
        picture = report.contents.pictures[n]
        if n in report.broken_pictures:
            return "#note[\\[a picture that cannot be read\\]]"
        if picture.height > 24:
            return _picture(picture, n)
        return f'#box(image("picture{n}.{picture.kind}", width: {picture.width:.2f}pt))'
    if name == "span" and node.get("class") == ["note"]:
        return f"#note[{_inlines(node, report)}]"
    if name == "table":
        return escaped(report.contents.tables[int(str(node["data-n"]))].plain())
    if name == "li":
        return f"• {_inlines(node, report)} "
    return _inlines(node, report)


def _footnote(node: Tag, report: _Report) -> str:
    n = int(str(node["data-n"]))
    if n in report.noted:
        return f"#footnote(label({quoted(f'note{n}')}))"
    report.noted.add(n)
    note = report.contents.footnotes[n]
    return f"#[#footnote[{_spoken(_inlines(note, report).strip(), text_of(note), report)}]#label({quoted(f'note{n}')})]"


# Tables


def _table(table: Table, report: _Report) -> Iterator[_Block]:
    """Give a table as one block; turned, or in parts of some columns each, where the page is too narrow for it."""
    if not table.width or not (table.head or table.body):
        return
    wide = [_width(table, n) for n in range(table.width)]
    needed = sum(wide)
    names = [n for n in range(table.width) if table.body and all(line[n].head for line in table.body if n in line)]
    names = names[: next((i for i, n in enumerate(names) if i != n), len(names))]
    if needed * SMALLEST <= ACROSS:
        parts, turned, room = [list(range(table.width))], False, ACROSS
    elif needed * SMALLEST <= ACROSS_TURNED:
        parts, turned, room = [list(range(table.width))], True, ACROSS_TURNED
    else:
        parts = _parted(wide, names, ACROSS / SMALLEST)
        turned, room = len(parts) > 3, ACROSS
        if turned:
            parts, room = _parted(wide, names, ACROSS_TURNED / SMALLEST), ACROSS_TURNED
    for number, columns in enumerate(parts):
        size = min(1.0, room / sum(wide[n] for n in columns))
        part = f"part {number + 1} of {len(parts)}" if len(parts) > 1 else ""
        yield _Block(_table_call(table, columns, size, part, report), "table", turned)
    if table.left_out:
        yield _Block(f"#note[\\[{table.left_out:,} more rows of this table: see the notebook\\]]")


def _parted(wide: Sequence[float], names: Sequence[int], room: float) -> list[list[int]]:
    """Share columns out to parts that fit, each with the columns that name the rows unless those take half of it."""
    repeated = list(names) if sum(wide[n] for n in names) < room / 2 else []
    parts: list[list[int]] = [list(repeated)]
    for n in range(len(wide)):
        if n in repeated:
            continue
        if len(parts[-1]) > len(repeated) and sum(wide[i] for i in parts[-1]) + wide[n] > room:
            parts.append(list(repeated))
        parts[-1].append(n)
    # The last columns are not left alone where they can share what there is.
    count = math.ceil(sum(len(part) - len(repeated) for part in parts) / len(parts))
    rest = [n for n in range(len(wide)) if n not in repeated]
    even = [[*repeated, *rest[i : i + count]] for i in range(0, len(rest), count)]
    return even if all(sum(wide[n] for n in part) <= room for part in even) else parts


def _width(table: Table, n: int) -> float:
    """Give the width that a column asks for in letters: its longest word, and some room for text to be broken in."""
    longest, whole = 1.0, 1.0
    for line in (*table.head, *table.body):
        cell = line.get(n)
        if cell is None or cell.across > 1:
            continue
        words = breakable(cell.text, LONGEST_WORD).replace("\u200b", " ").split()
        longest = max(longest, *(_letters(word) for word in words), 1.0)
        # Numbers are never broken.
        whole = max(whole, _letters(cell.text))
    return (whole if table.numbers[n] else max(longest, min(whole, 16.0))) + GUTTER


def _letters(text: str) -> float:
    """Give the width of text in letters' sizes, near enough."""
    return sum(
        0.3 if char in " .,:;'il|" else 0.66 if char.isupper() or char in "mw_%" else 0.5 for char in text
    ) + sum(0.5 for char in text if "\u2e80" <= char <= "\uffef")


def _table_call(table: Table, columns: Sequence[int], size: float, part: str, report: _Report) -> str:
    voice = report.voice(table.plain())
    aligned = ", ".join("right" if table.numbers[n] else "start" for n in columns)
    rtl = voice.direction == "rtl"
    head = [cell for line in table.head for cell in _row(table, line, columns, report, head=True, rtl=rtl)]
    body = [cell for line in table.body for cell in _row(table, line, columns, report, head=False, rtl=rtl)]
    arguments = [f"columns: {len(columns)}", f"align: ({aligned},)", f"size: {9.4 * size:.2f}pt"]
    arguments += [f'lang: "{voice.language}"', f"dir: {voice.direction}"]
    caption = f"{_inlines(table.caption, report).strip()}" if table.caption else ""
    if part:
        caption += f" ({part})" if caption else part
    if caption:
        spoken = _spoken(caption, text_of(table.caption) if table.caption else "", report)
        arguments.append(f"caption: [{spoken}]")
    if len(table.body) <= SHORT:
        arguments.append("whole: true")
    if head:
        arguments.append(f"head: ({', '.join(head)},)")
    return f"#data-table(\n{', '.join(arguments)},\n{', '.join(body)}\n)"


def _row(
    table: Table, line: dict[int, Cell], columns: Sequence[int], report: _Report, *, head: bool, rtl: bool
) -> Iterator[str]:
    for n, cell in line.items():
        across = sum(n <= column < n + cell.across for column in columns)
        if across:
            yield _cell(cell, across, report, number=not head and table.numbers[n], head=head, rtl=rtl)


def _cell(cell: Cell, across: int, report: _Report, *, number: bool, head: bool, rtl: bool) -> str:
    options = []
    aligned = cell.style.get("text-align")
    if across > 1:
        options.append(f"colspan: {across}, align: center")
    elif aligned in ("left", "right", "center") and (not head or aligned != "right"):
        options.append(f"align: {aligned}")
    if cell.down > 1:
        options.append(f"rowspan: {cell.down}")
    if fill := _fill(cell.style):
        options.append(f"fill: {fill}")
    look = []
    if ink := _colour(cell.style.get("color")):
        look.append(f"fill: {ink}")
    if cell.style.get("font-weight") in ("bold", "bolder", "600", "700", "800", "900"):
        look.append('weight: "bold"')
    if cell.style.get("font-style") == "italic":
        look.append('style: "italic"')
    shown = re.sub(r"^-(?=[\d.])", "−", cell.text)
    inner = escaped(shown) if number else _cell_content(cell.content, report)
    if number and rtl and shown:
        # A line of its own direction keeps a number's signs in their places among words that run from the right.
        inner = f"#box(text(dir: ltr)[{inner}])"
    if head and inner:
        inner = f"#strong[{inner}]"
    if look:
        inner = f"#text({', '.join(look)})[{inner}]"
    return f"table.cell({', '.join(options)})[{inner}]" if options else f"[{inner}]"


def _cell_content(content: Tag, report: _Report) -> str:
    if any(child.name in BLOCKS for child in content.find_all(True)):
        return _inner(content, report)
    for string in content.find_all(string=True):
        if len(string) > LONGEST_WORD:
            string.replace_with(NavigableString(breakable(str(string), LONGEST_WORD)))
    return _inlines(content, report).strip()


def _fill(style: Any) -> str | None:
    """Give the ground of a cell: a colour, or the bar that pandas' Styler draws by a gradient with sharp edges."""
    value = style.get("background") or style.get("background-image") or ""
    if found := re.fullmatch(r"linear-gradient\(90deg,(.*)\)", value):
        stops = []
        for colour, place in re.findall(r"(transparent|#\w+|rgba?\([^)]*\)|[a-z]+)(?:\s+(\d+\.?\d*)%)?", found[1]):
            ink = "rgb(255, 255, 255, 0)" if colour == "transparent" else _colour(colour)
            if ink:
                stops.append((ink, min(100.0, float(place)) if place else (0.0 if not stops else 100.0)))
        if len(stops) > 1:
            stops = [(stops[0][0], 0.0), *stops, (stops[-1][0], 100.0)]
            ordered = [(ink, max(place, *(each for _, each in stops[: n + 1]))) for n, (ink, place) in enumerate(stops)]
            return f"gradient.linear({', '.join(f'({ink}, {place:g}%)' for ink, place in ordered)})"
    return _colour(style.get("background-color")) or _colour(value)


def _colour(value: str | None) -> str | None:
    if not value or value in ("inherit", "transparent", "initial", "unset", "none"):
        return None
    from PIL import ImageColor  # noqa: PLC0415  (knows the colour names of CSS)

    try:
        red, green, blue, *alpha = ImageColor.getrgb(value)
    except ValueError:
        return None
    return f"rgb({red}, {green}, {blue}{''.join(f', {part}' for part in alpha)})"
