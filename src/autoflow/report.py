"""Reports: an executed notebook becomes a typeset PDF, without its code.

The markdown cells and the results of the code cells become one HTML document, in which tables and
pictures stand as markers; pandoc turns it into Typst's language, the markers become Typst's tables and
pictures, and Typst sets the pages. Everything needed comes in Python packages; nothing is fetched.
"""

import base64
import datetime as dt
import html
import io
import json
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from urllib.parse import unquote

import nbformat
from bs4 import BeautifulSoup, Comment, Tag

# In this order: a picture is worth more than the text that describes it.
SHOWN_TYPES = (
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/markdown",
    "text/html",
    "text/latex",
    "text/plain",
)
HIDING_TAGS = {"remove_cell", "remove-cell", "remove_output", "remove-output", "hide-output"}
# What Python prints for an object without a form of its own, such as <Axes: title='x'>.
BARE_OBJECT = re.compile(r"^[\[(]*<.*>[\])]*$", re.DOTALL)
NUMBER = re.compile(r"^[-+−]?[\d][\d,.   ]*(?:[eE][-+]?\d+)?\s?%?$|^(?:nan|NaN|None|–|—|-)?$")
POINTS = {"pt": 1.0, "px": 0.75, "": 0.75, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pc": 12.0}


class ReportError(RuntimeError):
    """A notebook could not be made into a PDF; the message says why."""


@dataclass
class _Document:
    """The parts of a report in the making: files beside it, and what each marker stands for."""

    folder: Path
    notebook: Path
    mark: str = field(default_factory=lambda: "mark" + secrets.token_hex(6))
    blocks: list[str] = field(default_factory=list)

    def marker(self, typst: str) -> str:
        """Keep a piece of Typst code and give the word that stands for it."""
        self.blocks.append(typst)
        return f"{self.mark}n{len(self.blocks) - 1}x"

    def fill(self, text: str) -> str:
        """Put every kept piece where its word stands, on one page with the paragraph that leads to it."""
        parts = re.split(r"\n{2,}", text)
        for n, part in enumerate(parts[1:]):
            if re.fullmatch(rf"\s*{self.mark}n\d+x\s*", part):
                heading, paragraph = re.findall(r"^((?:=+ [^\n]*\n)?)(.*)", parts[n], re.DOTALL)[0]
                if re.match(r"\w|#(strong|emph)", paragraph):
                    parts[n] = f"{heading}#block(sticky: true)[{paragraph}]"
        text = "\n\n".join(parts)
        return re.sub(rf"{self.mark}n(\d+)x", lambda found: f"\n{self.blocks[int(found[1])]}\n", text)


def write_report(notebook: Path, pdf: Path, reference_date: str | None = None) -> None:
    """Set the results and the text of an executed notebook as a PDF.

    The first top-level heading becomes the title. `reference_date` is ISO text, shown under it.
    Raises ReportError.
    """
    import typst  # noqa: PLC0415  (80 MB of compiler, needed only when a report is made)

    try:
        content = nbformat.read(notebook, as_version=4)
    except (OSError, nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise ReportError(f"{notebook.name} cannot be read as a notebook: {error}") from error
    with tempfile.TemporaryDirectory(prefix="autoflow-") as name:
        folder = Path(name)
        document = _Document(folder, notebook)
        soup = BeautifulSoup("\n".join(_cells(content, document)), "html.parser")
        title = _take_title(soup) or content.metadata.get("title") or notebook.name.split("__")[0].replace("_", " ")
        body = document.fill(_typst(_tidied(soup, document)))
        made = dt.datetime.now(dt.UTC)
        show = (
            f"#show: report.with(title: {_text(title)}, date: {_text(_long_date(reference_date))}, "
            f"source: {_text(notebook.name.split('__')[0])}, made: {_text(f'{made:%Y-%m-%d %H:%M} UTC')})\n"
        )
        style = resources.files("autoflow").joinpath("report.typ").read_text(encoding="utf-8")
        (folder / "report.typ").write_text(style, encoding="utf-8")
        source = folder / "main.typ"
        source.write_text('#import "report.typ": *\n' + show + body, encoding="utf-8")
        try:
            typst.compile(str(source), output=str(pdf), root=name, font_paths=_font_folders())
        except typst.TypstError as error:
            raise ReportError(f"{notebook.name} could not be typeset: {error}") from error


def _cells(content: nbformat.NotebookNode, document: _Document) -> list[str]:
    """Give the HTML of every cell that shows something."""
    parts = []
    for cell in content.cells:
        if HIDING_TAGS & set(cell.metadata.get("tags", ())):
            continue
        if cell.cell_type == "markdown":
            parts.append(_markdown(cell.source, cell.get("attachments", {})))
        elif cell.cell_type == "code":
            parts += [_output(output, document) for output in cell.outputs]
    return parts


def _markdown(source: str, attachments: dict[str, dict[str, str]] | None = None) -> str:
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath  # noqa: PLC0415  (slow)

    renderer = IPythonRenderer(escape=False, attachments=attachments or {}, exclude_anchor_links=True)
    return str(MarkdownWithMath(renderer=renderer).render(source))


def _output(output: nbformat.NotebookNode, document: _Document) -> str:
    """Give the HTML of a result; streams, errors, widgets and glued data give none."""
    if output.output_type not in ("display_data", "execute_result"):
        return ""
    data = output.data
    if any(kind.startswith("application/vnd.jupyter.widget") for kind in data):
        return ""
    for kind in SHOWN_TYPES:
        if kind in data:
            value = data[kind]
            shown = _shown(kind, value if isinstance(value, str) else "".join(value), output, document)
            if shown:
                return shown
    return ""


def _shown(kind: str, value: str, output: nbformat.NotebookNode, document: _Document) -> str:
    if kind == "text/markdown":
        return _markdown(value)
    if kind == "text/html":
        return _html(value, document)
    if kind == "text/latex":
        return f"<p>{html.escape(value)}</p>"
    if kind == "text/plain":
        return "" if BARE_OBJECT.match(value.strip()) else f"<pre>{html.escape(value)}</pre>"
    picture = value.encode() if kind == "image/svg+xml" else base64.b64decode(value)
    width = output.metadata.get(kind, {}).get("width")
    return f"<p>{_picture(picture, document, width)}</p>"


def _html(value: str, document: _Document) -> str:
    """Give an HTML result with its tables as markers, while the style sheet that they come with is at hand."""
    soup = BeautifulSoup(value, "html.parser")
    styles = _cell_styles("\n".join(style.get_text() for style in soup.find_all("style")))
    for table in soup.find_all("table"):
        if table.find_parent("table") is None:
            table.replace_with(document.marker(_table(table, styles)))
    for tag in soup.find_all(["script", "style", "noscript"]):
        tag.decompose()
    return f"<div>{soup}</div>" if soup.get_text(strip=True) or soup.find(["img", "svg"]) else ""


def _take_title(soup: BeautifulSoup) -> str:
    heading = soup.find("h1")
    if not isinstance(heading, Tag):
        return ""
    title = " ".join(heading.get_text().split())
    heading.decompose()
    return title


def _tidied(soup: BeautifulSoup, document: _Document) -> str:
    """Give the document as HTML that pandoc can turn into Typst without reading any other file."""
    for comment in soup.find_all(string=lambda text: isinstance(text, Comment)):
        comment.extract()
    for tag in soup.find_all(["script", "style"]):
        tag.decompose()
    for table in soup.find_all("table"):
        if table.find_parent("table") is None:
            table.replace_with(document.marker(_table(table, {})))
    for drawing in soup.find_all("svg"):
        drawing.replace_with(_picture(str(drawing).encode(), document, None))
    for image in soup.find_all("img"):
        image.replace_with(_embedded(image, document))
    for link in soup.find_all("a"):
        # Typst refuses a link to a place that is not there, and the anchors of a notebook are not.
        if not str(link.get("href", "")).startswith(("http:", "https:", "mailto:")):
            link.unwrap()
    for tag in soup.find_all(id=True):
        del tag["id"]
    return str(soup)


def _typst(text: str) -> str:
    import pypandoc  # noqa: PLC0415  (a report is the only place that needs pandoc)

    try:
        return pypandoc.convert_text(
            text,
            "typst",
            format="html+tex_math_dollars+tex_math_single_backslash-auto_identifiers-native_divs",
            extra_args=["--sandbox", "--wrap=none", "--quiet"],
        )
    except (RuntimeError, OSError) as error:
        raise ReportError(f"pandoc could not read the notebook's text: {error}") from error


def _embedded(image: Tag, document: _Document) -> str:
    """Give the marker of a picture that the text names: embedded in it, or a file beside the notebook."""
    source = str(image.get("src", ""))
    if source.startswith("data:"):
        head, _, payload = source.partition(",")
        content = base64.b64decode(payload) if head.endswith(";base64") else unquote(payload).encode()
        return _picture(content, document, _length(str(image.get("width", ""))))
    # A picture elsewhere on the network is not fetched, and one elsewhere on the disk is not ours to publish.
    name = html.escape(str(image.get("alt") or source))
    return f"[picture not in the notebook: {name}]"


def _picture(content: bytes, document: _Document, width: float | None) -> str:
    """Keep a picture in a file and give its marker.

    Its size on paper is what its file says (pixels and dots per inch); `width`, in pixels of a screen,
    counts where the file says nothing.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415  (not needed to read workflows)

    name = f"picture{len(document.blocks)}"
    if content.lstrip()[:5] in (b"<?xml", b"<svg ", b"<!DOC") or b"<svg" in content[:2000]:
        (document.folder / f"{name}.svg").write_bytes(content)
        across, down = _drawing_size(content)
        return document.marker(_picture_call(f"{name}.svg", across, down))
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return "[a picture that cannot be read]"
    kind = {"PNG": "png", "JPEG": "jpg"}.get(image.format or "")
    if kind:
        (document.folder / f"{name}.{kind}").write_bytes(content)
    else:
        kind = "png"
        image.convert("RGBA").save(document.folder / f"{name}.png")
    dpi = float(image.info.get("dpi", (0, 0))[0])
    across = image.width / dpi * 72 if dpi > 1 else (width or image.width) * POINTS["px"]
    return document.marker(_picture_call(f"{name}.{kind}", across, across * image.height / image.width))


def _picture_call(file: str, across: float | None, down: float | None) -> str:
    size = f", width: {across:.1f}pt, height: {down:.1f}pt" if across and down else ""
    return f'#picture("{file}"{size})'


def _drawing_size(content: bytes) -> tuple[float | None, float | None]:
    """Give the width and height of an SVG drawing in points, where it says them."""
    tag = BeautifulSoup(content[:4000], "html.parser").find("svg")
    if not isinstance(tag, Tag):
        return None, None
    return _length(str(tag.get("width", ""))), _length(str(tag.get("height", "")))


def _length(value: str) -> float | None:
    found = re.fullmatch(r"([\d.]+)\s*([a-z]*)", value.strip())
    return float(found[1]) * POINTS[found[2]] if found and found[2] in POINTS else None


def _table(table: Tag, styles: Mapping[str, Mapping[str, str]]) -> str:
    """Give an HTML table as a call of `data-table`: numbers to the right, spans and Styler's colours kept."""
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table and not _hidden(row, styles)]
    head_rows = [row for row in rows if row.find_parent("thead") is not None]
    grid, width = _grid(rows, styles)
    # A head row that is all blanks, as pandas writes for the name of an index, says nothing.
    body = [line for row, line in zip(rows, grid, strict=True) if row not in head_rows]
    right = [
        all(NUMBER.match(line[n].text) for line in body if n in line)
        and any(line[n].text for line in body if n in line)
        for n in range(width)
    ]
    aligned = ", ".join("right" if number else "left" for number in right)
    head = [
        cell.typst(number=False)
        for row, line in zip(rows, grid, strict=True)
        if row in head_rows and any(cell.text for cell in line.values())
        for cell in line.values()
    ]
    cells = [cell.typst(number=right[n]) for line in body for n, cell in sorted(line.items())]
    caption = table.find("caption")
    arguments = [f"columns: {max(width, 1)}", f"align: ({aligned or 'left'},)"]
    if isinstance(caption, Tag) and caption.get_text(strip=True):
        arguments.append(f"caption: {_text(' '.join(caption.get_text().split()))}")
    if head:
        arguments.append(f"table.header({', '.join(head)}, table.hline(stroke: hairline))")
    return f"#data-table({', '.join(arguments + cells)})"


@dataclass(frozen=True)
class _Cell:
    text: str
    across: int
    down: int
    style: Mapping[str, str]

    def typst(self, *, number: bool) -> str:
        text = re.sub(r"^-(?=[\d.])", "−", self.text) if number else self.text
        options = []
        if self.across > 1:
            options.append(f"colspan: {self.across}, align: center")
        if self.down > 1:
            options.append(f"rowspan: {self.down}")
        if fill := _colour(self.style.get("background-color")):
            options.append(f"fill: {fill}")
        look = []
        if ink := _colour(self.style.get("color")):
            look.append(f"fill: {ink}")
        if self.style.get("font-weight") in ("bold", "bolder", "600", "700", "800", "900"):
            look.append('weight: "bold"')
        if self.style.get("font-style") == "italic":
            look.append('style: "italic"')
        inner = f"text({', '.join(look)}, {_text(text)})" if look else _text(text)
        return f"table.cell({', '.join([*options, inner])})"


def _grid(rows: list[Tag], styles: Mapping[str, Mapping[str, str]]) -> tuple[list[dict[int, _Cell]], int]:
    """Give the cells of each row by the column in which they begin, and the number of columns."""
    taken: set[tuple[int, int]] = set()
    grid: list[dict[int, _Cell]] = []
    for r, row in enumerate(rows):
        line: dict[int, _Cell] = {}
        n = 0
        for tag in row.find_all(["td", "th"], recursive=False):
            if _hidden(tag, styles):
                continue
            while (r, n) in taken:
                n += 1
            across, down = _span(tag, "colspan"), min(_span(tag, "rowspan"), len(rows) - r)
            style = {**styles.get(str(tag.get("id", "")), {}), **_declarations(str(tag.get("style", "")))}
            line[n] = _Cell(" ".join(tag.get_text(" ").split()), across, down, style)
            taken |= {(r + i, n + j) for i in range(down) for j in range(across)}
            n += across
        grid.append(line)
    width = max((n + 1 for _, n in taken), default=0)
    for r, line in enumerate(grid):
        # Short rows are filled up, or Typst would flow the next row's cells into them.
        line.update({n: _Cell("", 1, 1, {}) for n in range(width) if (r, n) not in taken})
        ordered = dict(sorted(line.items()))
        line.clear()
        line.update(ordered)
    return grid, width


def _span(tag: Tag, name: str) -> int:
    value = str(tag.get(name, "1"))
    return max(1, int(value)) if value.isdigit() else 1


def _hidden(tag: Tag, styles: Mapping[str, Mapping[str, str]]) -> bool:
    style = {**styles.get(str(tag.get("id", "")), {}), **_declarations(str(tag.get("style", "")))}
    return style.get("display") == "none"


def _declarations(css: str) -> dict[str, str]:
    pairs = (part.partition(":") for part in css.split(";"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _cell_styles(css: str) -> dict[str, dict[str, str]]:
    """Give the declarations for each element id of a style sheet such as pandas' Styler writes."""
    styles: dict[str, dict[str, str]] = {}
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        for selector in selectors.split(","):
            if found := re.fullmatch(r"#([\w-]+)", selector.strip()):
                styles.setdefault(found[1], {}).update(_declarations(declarations))
    return styles


def _colour(value: str | None) -> str | None:
    if not value or value in ("inherit", "transparent", "initial", "unset"):
        return None
    from PIL import ImageColor  # noqa: PLC0415  (knows the colour names of CSS)

    try:
        red, green, blue, *alpha = ImageColor.getrgb(value)
    except ValueError:
        return None
    return f"rgb({red}, {green}, {blue}{''.join(f', {part}' for part in alpha)})"


def _text(value: str | None) -> str:
    """Give a Typst string, in which nothing is code."""
    # Typst's strings know the escapes of JSON but for \uXXXX, \b and \f; those characters are left out.
    if value is None:
        return "none"
    clean = "".join(char for char in value if char in "\n\t" or char.isprintable() or char.isspace())
    return json.dumps(clean.replace("\f", " ").replace("\x0b", " "), ensure_ascii=False)


def _long_date(reference_date: str | None) -> str | None:
    if reference_date is None:
        return None
    try:
        day = dt.date.fromisoformat(reference_date)
    except ValueError:
        return reference_date
    return f"{day:%A} {day.day} {day:%B %Y}"


def _font_folders() -> list[str]:
    """Give the fonts that matplotlib brings: they cover scripts that Typst's own lack."""
    try:
        import matplotlib as mpl  # noqa: PLC0415  (only its folder of fonts is wanted)
    except ImportError:
        return []
    return [str(Path(mpl.get_data_path()) / "fonts" / "ttf")]
