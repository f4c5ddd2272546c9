"""Typesetting: the contents of a notebook become a PDF by Typst, which comes as a Python package.

Text is written with every sign escaped, and everything else by functions of report.typ, so that nothing in a
notebook is taken for code. Nothing is fetched, and nothing outside a folder of the report's own is read.
"""

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from autoflow.reports.contents import FINEST_DPI, HEAVY_DRAWING, Contents, Picture, ReportError
from autoflow.reports.fonts import fonts
from autoflow.reports.formulas import convert
from autoflow.reports.scripts import voice_of_language
from autoflow.reports.typeset_blocks import blocks_of, inner_of
from autoflow.reports.typeset_lines import Block, Report, picture_call
from autoflow.reports.typst_text import quoted


def write_pdf(contents: Contents, pdf: Path, name: str, date: str | None, created: dt.datetime) -> None:
    """Set contents as a PDF; `name` is the notebook's, for the foot of the page. Raises ReportError."""
    import typst  # noqa: PLC0415  (80 MB of compiler, needed only when a report is created)

    converted = convert(contents.formulas, "typst")
    sources = [f"#raw({quoted(formula.tex)})" for formula in contents.formulas]
    report = Report(contents, [code or source for code, source in zip(converted, sources, strict=True)], inner_of)
    with tempfile.TemporaryDirectory(prefix="autoflow-") as folder:
        style = resources.files("autoflow.reports").joinpath("report.typ").read_text(encoding="utf-8")
        (Path(folder) / "report.typ").write_text(style, encoding="utf-8")
        for n, picture in enumerate(contents.pictures):
            (Path(folder) / f"picture{n}.{picture.kind}").write_bytes(picture.content)
        source = Path(folder) / "main.typ"

        def set_type(code: str, output: Path | None) -> None:
            source.write_text('#import "report.typ": *\n' + code, encoding="utf-8")
            typst.compile(str(source), output=str(output) if output else None, root=folder, font_paths=fonts())

        try:
            set_type(_whole(report, name, date, created), pdf)
        except typst.TypstError:
            # A picture or formula that the compiler cannot take must not cost the rest of the report.
            _find_broken(report, set_type, typst.TypstError)
            report.noted.clear()
            try:
                set_type(_whole(report, name, date, created), pdf)
            except typst.TypstError as error:
                raise ReportError(f"The report could not be typeset: {str(error).splitlines()[0]}.") from error
        except OSError as error:
            raise ReportError(f"The report could not be written: {error.strerror or error}.") from error


def _find_broken(report: Report, set_type: Callable[[str, Path | None], None], refusal: type[Exception]) -> None:
    for n, formula in enumerate(report.formulas):
        try:
            set_type(formula, None)
        except refusal:
            report.formulas[n] = f"#raw({quoted(report.contents.formulas[n].tex)})"
    for n, picture in enumerate(report.contents.pictures):
        try:
            set_type(picture_call(picture, n), None)
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


def _whole(report: Report, name: str, date: str | None, created: dt.datetime) -> str:
    contents = report.contents
    voice = report.voice(contents.title)
    base = voice_of_language(contents.language)
    show = (
        f"#show: report.with(title: {quoted(contents.title)}, title-lang: {quoted(voice.language)}, "
        f"title-dir: {voice.direction}, date: {quoted(date)}, lang: {quoted(base.language)}, dir: {base.direction}, "
        f"source: {quoted(name)}, created: {quoted(f'{created:%Y-%m-%d %H:%M} UTC')})\n\n"
    )
    blocks = [block for part in contents.parts for block in blocks_of(part, report) if block.code.strip()]
    return show + "\n\n".join(_paged(blocks)) + "\n"


def _paged(blocks: Sequence[Block]) -> Iterator[str]:
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
