"""Reports: what of a notebook reaches the PDF, and how it looks there."""

import base64
import io
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from autoflow import asciidoc, report
from autoflow.report import ReportError

TEMPLATE = """{% extends 'asciidoc/index.asciidoc.j2' %}
{% block input %}{% endblock input %}
{% block stream %}{% endblock stream %}
"""


def shown(**data: Any) -> Any:
    kinds = {
        "html": "text/html",
        "plain": "text/plain",
        "png": "image/png",
        "svg": "image/svg+xml",
        "md": "text/markdown",
    }
    return new_output("display_data", data={kinds.get(kind, kind): value for kind, value in data.items()})


def picture(width: int, height: int, dpi: int | None = None) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#336699").save(file, "PNG", **({"dpi": (dpi, dpi)} if dpi else {}))
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def text_of(tmp_path: Path) -> Callable[..., str]:
    """Make a PDF of cells and give its text; the file is `out.pdf`."""
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext (poppler-utils) is not installed")

    def make(*cells: Any, reference_date: str | None = None) -> str:
        path = tmp_path / "my_report__w__x.ipynb"
        nbformat.write(new_notebook(cells=list(cells)), path)
        report.write_report(path, tmp_path / "out.pdf", reference_date)
        done = subprocess.run(
            ["pdftotext", "-layout", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True
        )
        return done.stdout

    return make


def pictures(pdf: Path) -> list[tuple[int, int]]:
    """Give the pixels per inch at which each picture of a PDF stands on the page."""
    done = subprocess.run(["pdfimages", "-list", pdf], capture_output=True, text=True, check=True)
    return [(int(line.split()[12]), int(line.split()[13])) for line in done.stdout.splitlines()[2:]]


def test_text_and_results_are_shown_and_code_is_not(text_of: Callable[..., str]) -> None:
    """Markdown and results stand in the report; code, prints, warnings, glued data and progress bars do not."""
    text = text_of(
        new_markdown_cell(
            "# Déplacements à Ñandú\n\nSome *text* with **weight**, @someone, #tag and $ signs.\n- a list\n- of two"
        ),
        new_code_cell(
            "secret_code = 1",
            outputs=[
                new_output("stream", name="stdout", text="printed"),
                new_output("stream", name="stderr", text="warned"),
                shown(**{"application/scrapbook.scrap.json+json": {"name": "s", "data": "glued"}}),
                shown(
                    **{"application/vnd.jupyter.widget-view+json": {"model_id": "a"}, "text/plain": "HBox(progress)"}
                ),
                shown(plain="<Axes: title='plot'>"),
                shown(plain="a plain result"),
                shown(md="## Displayed heading\n\n| a | b |\n|---|--:|\n| x | 7 |"),
            ],
        ),
        new_code_cell("x", metadata={"tags": ["remove_cell"]}, outputs=[shown(plain="hidden")]),
        reference_date="2016-01-04",
    )

    for wanted in ("Déplacements à Ñandú", "@someone", "#tag", "$ signs", "a plain result", "Displayed heading", "7"):
        assert wanted in text
    for unwanted in ("secret_code", "printed", "warned", "glued", "HBox", "Axes", "hidden"):
        assert unwanted not in text
    assert text.count("Déplacements") == 1
    assert "Monday 4 January 2016" in text
    assert "Page 1 of 1" in text
    assert "Made by AutoFlow from my_report" in text


def test_tables_are_set_as_tables(text_of: Callable[..., str]) -> None:
    """Frames and styled frames keep their rows, captions and heads; negative numbers get a minus sign."""
    frame = pd.DataFrame({"unit": ["Åre", "Cork & Co"], "value": [-12, 3456]})
    styler = frame.style.hide(axis="index").set_caption("The caption").format({"value": "{:,}"}).background_gradient()
    text = text_of(new_code_cell("", outputs=[shown(html=frame.to_html()), shown(html=styler.to_html())]))
    lines = [" ".join(line.split()) for line in text.splitlines()]

    assert "The caption" in lines
    assert lines.count("unit value") == 2
    assert "0 Åre −12" in lines
    assert "Cork & Co 3,456" in lines
    assert "<td>" not in text


def test_a_styled_colour_reaches_the_page(text_of: Callable[..., str], tmp_path: Path) -> None:
    """The background that pandas' Styler gives a cell is on the page."""
    styler = pd.DataFrame({"v": [1]}).style.map(lambda _: "background-color: #ff0080")
    text_of(new_code_cell("", outputs=[shown(html=styler.to_html())]))
    subprocess.run(["pdftoppm", "-r", "40", "-png", tmp_path / "out.pdf", tmp_path / "page"], check=True)
    colours = Image.open(next(tmp_path.glob("page*.png"))).convert("RGB").getcolors(1 << 20)

    assert colours is not None
    assert (255, 0, 128) in [colour for _, colour in colours]


def test_wide_long_and_joined_tables_fit(text_of: Callable[..., str]) -> None:
    """A table with many columns, many rows or joined cells is whole, and its head is on each page."""
    wide = pd.DataFrame({f"column{n}": [n * 1000.5] for n in range(14)})
    long = pd.DataFrame({"number": range(150)})
    joined = long.head(4).assign(group=["a", "a", "b", "b"]).set_index(["group", "number"]).assign(v=1)
    text = text_of(
        new_code_cell(
            "", outputs=[shown(html=each) for each in (wide.to_html(), long.to_html(max_rows=999), joined.to_html())]
        )
    )

    assert "column13" in text
    assert "13006.5" in text
    assert "149" in text
    assert text.count("number") >= 4


@pytest.mark.skipif(not shutil.which("pdfimages"), reason="pdfimages (poppler-utils) is not installed")
def test_pictures_have_their_own_size(text_of: Callable[..., str], tmp_path: Path) -> None:
    """A picture stands at its own resolution, one that says none at a screen's, one too large as wide as the page."""
    text_of(
        new_code_cell(
            "",
            outputs=[shown(png=picture(400, 200, 200)), shown(png=picture(96, 96)), shown(png=picture(3000, 300, 100))],
        )
    )
    small, plain, large = pictures(tmp_path / "out.pdf")

    assert small == pytest.approx((200, 200), abs=2)
    assert plain == pytest.approx((96, 96), abs=2)
    assert large[0] > 400


def test_pictures_in_the_text_are_shown_or_named(text_of: Callable[..., str], tmp_path: Path) -> None:
    """Attached pictures and drawings are set; pictures elsewhere are neither fetched nor forgotten."""
    attached = new_markdown_cell("Text ![a](attachment:a.png) and ![map of it](https://example.org/map.png)")
    attached["attachments"] = {"a.png": {"image/png": picture(50, 50, 100)}}
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" width="72pt" height="36pt"><rect width="72" height="36"/></svg>'
    text = text_of(attached, new_code_cell("", outputs=[shown(svg=drawing, plain="<Figure>")]))

    assert "[picture not in the notebook: map of it]" in text
    assert len(pictures(tmp_path / "out.pdf")) == 1


def test_nothing_in_a_notebook_is_taken_for_typesetting_code(text_of: Callable[..., str]) -> None:
    """Text that looks like commands of Typst, HTML or a marker stands as it is."""
    nasty = '#import "x": * \\ " ] #panic("no") `a` */ // <label> $'
    text = text_of(
        new_markdown_cell("See [here](#nowhere) and [there](other.ipynb).\n\n```\n" + nasty + "\n```"),
        new_code_cell(
            "",
            outputs=[
                shown(html=pd.DataFrame({'a"b': [nasty]}).to_html()),
                shown(html="<script>alert(1)</script>", plain="fallback"),
            ],
        ),
    )

    assert text.count('#panic("no")') == 2
    assert "alert" not in text
    assert "fallback" in text
    assert "here and there" in text


def test_mathematics_is_set(text_of: Callable[..., str]) -> None:
    """A formula of the text is a formula on the page."""
    text = text_of(new_markdown_cell(r"It is $\frac{a}{b} \leq \alpha$."))

    assert "frac" not in text
    assert "𝛼" in text


def test_an_empty_notebook_has_a_report_with_its_name(text_of: Callable[..., str]) -> None:
    """A notebook that shows nothing gives a page with a title made of its file name."""
    assert "my report" in text_of(new_code_cell("x = 1"))


def test_what_is_no_notebook_is_told(tmp_path: Path) -> None:
    """A file that cannot be read is told by name."""
    (tmp_path / "bad.ipynb").write_text("not json")
    with pytest.raises(ReportError, match=r"bad\.ipynb"):
        report.write_report(tmp_path / "bad.ipynb", tmp_path / "out.pdf")


def test_fonts_are_embedded(text_of: Callable[..., str], tmp_path: Path) -> None:
    """The PDF carries every font it uses."""
    text_of(new_markdown_cell("# T\n\nText, Кириллица and `code`"))
    done = subprocess.run(["pdffonts", tmp_path / "out.pdf"], capture_output=True, text=True, check=True)

    assert len(done.stdout.splitlines()) > 3
    assert all(" yes yes " in line for line in done.stdout.splitlines()[2:])


def test_a_template_is_used_with_asciidoctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a template the notebook goes through AsciiDoc to asciidoctor-pdf; glued data and code stay out."""
    program = tmp_path / "bin" / "asciidoctor-pdf"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$1" = --out-file ] && cp "$3" "$2"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / "own.tpl").write_text(TEMPLATE)
    notebook = tmp_path / "n.ipynb"
    outputs = [
        new_output("stream", text="printed"),
        shown(plain="a result"),
        shown(**{"application/scrapbook.scrap.text+json": {}}),
    ]
    nbformat.write(
        new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("the_code", outputs=outputs)]), notebook
    )

    asciidoc.write_report(notebook, tmp_path / "out.pdf", tmp_path / "own.tpl")

    made = (tmp_path / "out.pdf").read_text()
    assert "== Title" in made or "= Title" in made
    assert "a result" in made
    assert "the_code" not in made
    assert "printed" not in made


def test_a_template_without_asciidoctor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asciidoctor-pdf is not installed, one sentence says so and what to do."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ReportError, match=r"asciidoctor-pdf is not installed.*leave out 'template'"):
        asciidoc.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf", tmp_path / "own.tpl")
