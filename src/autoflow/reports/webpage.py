"""The web page of a report: one file with everything in it, which neither runs nor fetches anything."""

import base64
import datetime as dt
import html
import io
import re
from importlib import resources
from pathlib import Path
from string import Template

from bs4 import BeautifulSoup, Tag

from autoflow.reports.contents import Cell, Contents, Picture, Table, text_of
from autoflow.reports.fonts import devanagari
from autoflow.reports.formulas import convert
from autoflow.reports.scripts import voice_of, voice_of_language

# What a cell may look like: no more than pandas' Styler gives it.
LOOKS = ("background-color", "background", "color", "font-weight", "font-style", "text-align")
HARMLESS_LOOK = re.compile(r"[\w#%., ()-]+")
SPOKEN = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "figcaption", "summary")


def write_page(contents: Contents, page: Path, name: str, date: str | None, created: dt.datetime) -> None:
    """Write contents as a web page; `name` is the notebook's, for the foot of the page. Raises ReportError."""
    formulas = convert(contents.formulas, "html")
    noted: dict[int, int] = {}
    body = "\n".join(_filled(part, contents, formulas, noted) for part in contents.parts)
    notes = ""
    for n, number in noted.items():
        note = contents.footnotes[n]
        note.name = "li"
        note["id"] = f"note-{number}"
        notes += _filled(note, contents, formulas, noted)
    base, voice = voice_of_language(contents.language), voice_of(contents.title, contents.language)
    style, template = (
        resources.files("autoflow.reports").joinpath(file).read_text(encoding="utf-8")
        for file in ("report.css", "report.html")
    )
    text = Template(template).substitute(
        language=base.language,
        direction=base.direction,
        title=html.escape(contents.title),
        title_voice=f'lang="{voice.language}" dir="{voice.direction}"',
        style=style + _embedded_letters(contents.title + body + notes),
        date=f'<p class="date">{html.escape(date)}</p>' if date else "",
        body=body,
        notes=f'<section class="notes"><ol>{notes}</ol></section>' if notes else "",
        source=html.escape(name),
        created=f"{created:%Y-%m-%d %H:%M} UTC",
    )
    page.write_text(text, encoding="utf-8")


def _filled(part: Tag, contents: Contents, formulas: list[str | None], noted: dict[int, int]) -> str:
    """Give a tree as HTML, with everything that was kept apart in its place."""
    for tag in part.find_all("pre"):
        if tag.get("data-language"):
            tag.replace_with(_fragment(_source(tag.get_text(), str(tag["data-language"]))))
    for tag in part.find_all("table"):
        table = contents.tables[int(str(tag["data-n"]))]
        tag.replace_with(_table(table, contents, formulas, noted))
    for tag in part.find_all("sup", attrs={"data-n": True}):
        n = int(str(tag["data-n"]))
        number = noted.setdefault(n, len(noted) + 1)
        tag.replace_with(_fragment(f'<sup class="reference"><a href="#note-{number}">{number}</a></sup>'))
    for tag in part.find_all("img", attrs={"data-n": True}):
        tag.replace_with(_fragment(_picture(contents.pictures[int(str(tag["data-n"]))])))
    for tag in part.find_all("math", attrs={"data-n": True}):
        n = int(str(tag["data-n"]))
        markup = formulas[n] or f"<code>{html.escape(contents.formulas[n].tex)}</code>"
        tag.replace_with(_fragment(markup))
    base = voice_of_language(contents.language)
    for tag in part.find_all(SPOKEN):
        voice = voice_of(tag.get_text(" "), contents.language)
        if voice != base:
            tag["lang"], tag["dir"] = voice
    return str(part)


def _embedded_letters(text: str) -> str:
    """Give the letters of Devanagari that a page uses as a font within it, for readers' machines that have none."""
    used = {char for char in text if "\u0900" <= char <= "\u097f"}
    file = next(iter(devanagari()), None)
    if not used or file is None:
        return ""
    from fontTools import subset  # noqa: PLC0415  (comes with matplotlib; needed for such pages only)

    options = subset.Options(flavor=None, notdef_outline=True)
    font = subset.load_font(str(file), options)
    reduced = subset.Subsetter(options)
    reduced.populate(text="".join(used) + "\u200c\u200d\u25cc ")
    reduced.subset(font)
    content = io.BytesIO()
    subset.save_font(font, content, options)
    encoded = base64.b64encode(content.getvalue()).decode()
    return (
        '@font-face { font-family: "Devanagari of this page"; font-weight: 100 900; '
        "unicode-range: U+0900-097F, U+200C-200D; "
        f'src: url("data:font/ttf;base64,{encoded}"); }}\n'
    )


def _fragment(markup: str) -> BeautifulSoup:
    return BeautifulSoup(markup, "html.parser")


def _picture(picture: Picture) -> str:
    kind = {"svg": "image/svg+xml", "jpg": "image/jpeg"}.get(picture.kind, "image/png")
    content = base64.b64encode(picture.content).decode()
    # Points become a screen's pixels.
    image = (
        f'<img src="data:{kind};base64,{content}" width="{picture.width / 0.75:.0f}" '
        f'height="{picture.height / 0.75:.0f}" alt="{html.escape(picture.alt)}">'
    )
    caption = f'<span class="caption">{html.escape(picture.caption)}</span>' if picture.caption else ""
    return f'<span class="picture">{image}{caption}</span>' if picture.height > 24 else image


def _source(text: str, language: str) -> str:
    """Give code with its words in colours."""
    from pygments import highlight  # noqa: PLC0415  (needed only where code is shown)
    from pygments.formatters import HtmlFormatter  # noqa: PLC0415
    from pygments.lexers import get_lexer_by_name  # noqa: PLC0415
    from pygments.util import ClassNotFound  # noqa: PLC0415

    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    return f'<pre class="source">{highlight(text, lexer, HtmlFormatter(nowrap=True))}</pre>'


def _table(table: Table, contents: Contents, formulas: list[str | None], noted: dict[int, int]) -> BeautifulSoup:
    voice = voice_of(table.plain(), contents.language)
    rows = []
    for part, lines in (("thead", table.head), ("tbody", table.body)):
        inner = "".join(
            "<tr>"
            + "".join(
                _cell(cell, table.numbers[n], contents, formulas, noted, head=part == "thead")
                for n, cell in line.items()
            )
            + "</tr>\n"
            for line in lines
        )
        rows.append(f"<{part}>{inner}</{part}>" if inner else "")
    caption = f"<caption>{_inside(table.caption, contents, formulas, noted)}</caption>" if table.caption else ""
    left = (
        f'<p class="note">[{table.left_out:,} more rows of this table: see the notebook]</p>' if table.left_out else ""
    )
    return _fragment(
        f'<div class="table"><table lang="{voice.language}" dir="{voice.direction}">{caption}{"".join(rows)}'
        f"</table></div>{left}"
    )


def _cell(
    cell: Cell, number: bool, contents: Contents, formulas: list[str | None], noted: dict[int, int], *, head: bool
) -> str:
    name = "th" if cell.head else "td"
    spans = "".join(
        f' {key}="{value}"' for key, value in (("colspan", cell.across), ("rowspan", cell.down)) if value > 1
    )
    look = "; ".join(
        f"{key}: {cell.style[key]}"
        for key in LOOKS
        if key in cell.style and HARMLESS_LOOK.fullmatch(cell.style[key]) and "url" not in cell.style[key].lower()
    )
    kind = ' class="number"' if number else ""
    style = f' style="{html.escape(look)}"' if look else ""
    inner = html.escape(re.sub(r"^-(?=[\d.])", "−", cell.text)) if number and not head else ""
    inner = inner or _inside(cell.content, contents, formulas, noted)
    # A styled ground has the letters that go with it, in dark rooms too.
    ground = ' data-ground=""' if "background" in look and "color:" not in look.replace("background-color:", "") else ""
    return f'<{name}{spans}{kind}{style}{ground} dir="auto">{inner}</{name}>'


def _inside(tag: Tag, contents: Contents, formulas: list[str | None], noted: dict[int, int]) -> str:
    """Give what an element holds as HTML."""
    tag.attrs = {}
    whole = BeautifulSoup("", "html.parser")
    whole.extend([child.extract() for child in list(tag.children)])
    return _filled(whole, contents, formulas, noted) if text_of(whole) or whole.find(True) else ""
