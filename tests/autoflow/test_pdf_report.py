"""Reports: what of a notebook reaches the PDF, and how it looks there."""

import base64
import html
import io
import json
import os
import shutil
import subprocess
import unicodedata
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from autoflow.reports import formulas, report, typeset
from autoflow.reports.contents import ReportError


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
    """A picture stands at its own resolution, one that says none at a screen's, one too large no finer than 300 dpi."""
    text_of(
        new_code_cell(
            "",
            outputs=[shown(png=picture(400, 200, 200)), shown(png=picture(96, 96)), shown(png=picture(3000, 300, 100))],
        )
    )
    small, plain, large = pictures(tmp_path / "out.pdf")

    assert small == pytest.approx((200, 200), abs=2)
    assert plain == pytest.approx((96, 96), abs=2)
    assert large == pytest.approx((300, 300), abs=3)


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


FAULTS: dict[str, tuple[bytes, str]] = {
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "a list": (b"[]", "no list of cells"),
    "no cells": (b'{"nbformat": 4}', "no list of cells"),
    "cells that are none": (b'{"nbformat": 4, "cells": {}}', "no list of cells"),
    "deeper than can be read": (b"[" * 100_000, "not JSON"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("form", ["pdf", "html"])
def test_what_is_no_notebook_is_told_in_a_sentence(fault: str, form: Any, tmp_path: Path) -> None:
    """A file that is no notebook is told by name and reason, and leaves no report."""
    content, reason = FAULTS[fault]
    (tmp_path / "bad.ipynb").write_bytes(content)
    with pytest.raises(ReportError) as told:
        report.write_report(tmp_path / "bad.ipynb", tmp_path / "out", format=form)

    assert str(told.value).startswith("bad.ipynb ")
    assert reason in str(told.value)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_broken_results_cost_only_themselves(tmp_path: Path, text_of: Callable[..., str]) -> None:
    """Outputs that are not as they should be are left out or named, and everything else is shown."""
    good = base64.b64decode(picture(60, 60))
    cells: list[Any] = [
        None,
        "text",
        {},
        {"cell_type": "code", "outputs": None},
        {"cell_type": "code", "source": 7, "metadata": [], "outputs": [None, 7, {}, {"output_type": "display_data"}]},
        {"cell_type": "markdown", "source": ["# Kept ", "title\n", None], "metadata": None, "attachments": [1]},
    ]
    data: list[Any] = [
        {"image/png": "!!! not base64"},
        {"image/png": base64.b64encode(good[:40]).decode()},
        {"image/png": base64.b64encode(good[:-20]).decode()},
        {"image/png": 12, "text/plain": ["instead ", "of it"]},
        {"image/svg+xml": "<svg><unclosed"},
        {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' width='0' height='0'></svg>"},
        {"text/html": "<table><tr><td colspan='99999999'>wide</td><td rowspan='x'>cell</td></tr><tr></tr></table>"},
        {"text/html": "<table></table>"},
        {"text/html": "<div>" * 3000 + "deep" + "</div>" * 3000, "text/plain": "deep"},
        {"text/latex": "$\\frac{$"},
        {"text/plain": "\x1b[31mred\x1b[0m result"},
    ]
    cells += [
        {"cell_type": "code", "outputs": [{"output_type": "display_data", "metadata": None, "data": each}]}
        for each in data
    ]
    cells.append({"cell_type": "markdown", "source": "the last words \ud800"})
    (tmp_path / "n.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}))
    report.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf")
    report.write_report(tmp_path / "n.ipynb", tmp_path / "out.html", format="html")
    text = subprocess.run(["pdftotext", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True).stdout

    for wanted in ("Kept title", "instead of it", "wide", "cell", "red result", "the last words", "frac"):
        assert wanted in text, wanted
    assert text.count("that cannot be read]") >= 4


def test_huge_results_are_cut_and_said_to_be(text_of: Callable[..., str], tmp_path: Path) -> None:
    """A result of 100,000 lines or 5,000 rows shows its beginning and says how much more the notebook has."""
    rows = "".join(f"<tr><td>row {n}</td></tr>" for n in range(2100))
    lines = "\n".join(f"line {n}" for n in range(100_000))
    text = text_of(new_code_cell("", outputs=[shown(plain=lines), shown(html=f"<table>{rows}</table>")]))

    assert "line 499" in text
    assert "line 500" not in text
    assert "[99,500 more lines of this result: see the notebook]" in text
    assert "row 1999" in text
    assert "[100 more rows of this table: see the notebook]" in text


def test_large_pictures_do_not_make_large_reports(text_of: Callable[..., str], tmp_path: Path) -> None:
    """Pictures of 7 megapixels and 22 MB are no finer on the page than 300 dpi, and a report of them is light."""
    noise = Image.frombytes("RGB", (3000, 2400), os.urandom(21_600_000))
    file = io.BytesIO()
    noise.save(file, "PNG", compress_level=0)
    heavy = base64.b64encode(file.getvalue()).decode()
    text_of(new_code_cell("", outputs=[shown(png=heavy)] * 2))

    assert (tmp_path / "out.pdf").stat().st_size < 6_000_000
    assert len(pictures(tmp_path / "out.pdf")) == 2
    assert all(across <= 302 for across, _ in pictures(tmp_path / "out.pdf"))


def test_a_drawing_of_very_many_lines_is_set_as_pixels(
    text_of: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drawing that is heavier than a limit is a picture of 300 dpi in the report; a lighter one stays a drawing."""
    lines = "".join(f"<line x1='{n}' y1='0' x2='{n}' y2='9' stroke='#336699'/>" for n in range(300))
    drawing = f"<svg xmlns='http://www.w3.org/2000/svg' width='300' height='200'>{lines}</svg>"
    text_of(new_code_cell("", outputs=[shown(svg=drawing)]))
    before = pictures(tmp_path / "out.pdf")
    monkeypatch.setattr(typeset, "HEAVY_DRAWING", 1000)
    text_of(new_code_cell("", outputs=[shown(svg=drawing)]))

    assert before == []
    assert set(pictures(tmp_path / "out.pdf")) == {(300, 300)}


def test_no_file_of_the_machine_comes_into_a_report(text_of: Callable[..., str], tmp_path: Path) -> None:
    """Paths in a text, up the folders or from the root, name a picture that is not shown; drawings read no file."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (50, 50), "#ff0000").save(secret)
    sources = [
        "/etc/passwd",
        "../secret.png",
        "secret.png",
        str(secret),
        f"file://{secret}",
        "picture0.png",
        "%2e%2e/x",
    ]
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='90' height='90'>"
        f"<image xlink:href='{secret}' width='50' height='50'/><image href='file://{secret}' width='50' height='50'/>"
        "<image href='main.typ' width='50' height='50'/></svg>"
    )
    entity = "<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>" + drawing.replace(
        "<image", "<text>&x;</text><image", 1
    )
    text = text_of(
        new_markdown_cell("# T\n\n" + " ".join(f"![]({source})" for source in sources)),
        new_code_cell("", outputs=[shown(svg=drawing), shown(svg=entity)]),
    )

    assert " ".join(text.split()).count("[picture not in the notebook: ") == len(sources)
    assert "[a drawing that cannot be read]" in text
    assert pictures(tmp_path / "out.pdf") == []


def test_a_wide_table_is_turned_and_a_wider_one_parted(text_of: Callable[..., str], tmp_path: Path) -> None:
    """Fourteen columns lie on a turned page; forty come in parts, each with the names of the rows."""
    frames = [pd.DataFrame({f"indicator_{n}": [n * 1000.5] for n in range(count)}, index=["Row"]) for count in (14, 40)]
    text = text_of(
        new_markdown_cell("# T\n\ntext"),
        new_code_cell("", outputs=[shown(html=frame.to_html(max_cols=None)) for frame in frames]),
        new_markdown_cell("after"),
    )
    done = subprocess.run(["pdfinfo", "-l", "9", tmp_path / "out.pdf"], capture_output=True, text=True, check=True)
    turned = [
        float(line.split()[3]) > float(line.split()[5])
        for line in done.stdout.splitlines()
        if line.startswith("Page ") and " size:" in line
    ]

    assert turned[0] is False
    assert turned[-1] is False
    assert all(turned[1:-1])
    assert "part 1 of " in text
    assert text.count("Row") > 3
    for n in range(40):
        assert f"indicator_{n}" in text, n


def test_code_is_shown_only_if_asked_for(tmp_path: Path) -> None:
    """With code, the cells' source is set as it stands; cells that hide it stay hidden."""
    cells = [
        new_code_cell('def f(x):\n    return "#x"  # why'),
        new_code_cell("hidden_code", metadata={"tags": ["remove_input"]}, outputs=[shown(plain="its result")]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "n.ipynb")
    texts = {}
    for code in (False, True):
        report.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf", code=code)
        done = subprocess.run(
            ["pdftotext", "-layout", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True
        )
        texts[code] = done.stdout

    assert 'return "#x" # why' in " ".join(texts[True].split())
    assert "return" not in texts[False]
    assert "hidden_code" not in texts[True]
    assert "its result" in texts[True]


def test_footnotes_and_lists_are_set(text_of: Callable[..., str]) -> None:
    """A footnote stands at the foot of its page under its number, once however often it is named; lists nest."""
    text = text_of(
        new_markdown_cell(
            "# T\n\nOne[^a] two[^b] again[^a].\n\n[^a]: The first note.\n[^b]: The second note.\n\n"
            "1. outer\n   - inner\n     - innermost\n2. next\n\n- [x] done"
        )
    )

    assert text.count("The first note.") == 1
    assert text.index("innermost") < text.index("The first note.") < text.index("The second note.")
    assert "2. next" in text
    assert "☑" in text


def test_money_is_no_formula(text_of: Callable[..., str]) -> None:
    """Sums in dollars stay sums; formulas beside them, in cells and over lines are formulas."""
    text = text_of(
        new_markdown_cell("It costs $5 and $10, not $x^2$.\n\n| a |\n|---|\n| $\\beta_1$ |\n\n$$\n\\gamma = 1\n\n$$"),
        new_code_cell(
            "", outputs=[shown(html="<p>from $3 to $4</p>"), shown(**{"text/latex": r"$\displaystyle \delta$"})]
        ),
    )

    assert "$5 and $10" in text
    assert "from $3 to $4" in text
    for sign in "𝛽𝛾𝛿":
        assert sign in text


@pytest.mark.parametrize("form", ["pdf", "html"])
def test_a_report_that_cannot_be_written_is_told(form: Any, tmp_path: Path) -> None:
    """Where there is no room or right to write, one sentence names the notebook and the report."""
    nbformat.write(new_notebook(cells=[new_markdown_cell("text")]), tmp_path / "n.ipynb")
    with pytest.raises(ReportError, match=r"^n\.ipynb: [^\n]*could not be written[^\n]*\.$"):
        report.write_report(tmp_path / "n.ipynb", tmp_path / "nowhere" / f"out.{form}", format=form)


def test_a_failing_pandoc_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pandoc fails, one sentence says so and names the notebook."""
    program = tmp_path / "pandoc"
    program.write_text("#!/bin/sh\necho out of memory >&2; exit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr(formulas, "pandoc", lambda: program)
    nbformat.write(new_notebook(cells=[new_markdown_cell("$x$")]), tmp_path / "n.ipynb")
    with pytest.raises(ReportError, match=r"^n\.ipynb: pandoc could not read.*out of memory\.$"):
        report.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf")


def test_a_formula_that_typst_refuses_stands_as_its_source(text_of: Callable[..., str], monkeypatch: Any) -> None:
    """A formula that cannot be set costs nothing but itself."""
    monkeypatch.setattr(
        typeset, "convert", lambda found, _: [f"$ nosuchname{n} $" if n else "$x$" for n in range(len(found))]
    )
    text = text_of(new_markdown_cell("# T\n\n$a$ and $\\beta + 1$ and words"))

    assert "\\beta + 1" in text
    assert "and words" in text


def test_fonts_are_embedded(text_of: Callable[..., str], tmp_path: Path) -> None:
    """The PDF carries every font it uses."""
    text_of(new_markdown_cell("# T\n\nText, Кириллица and `code`"))
    done = subprocess.run(["pdffonts", tmp_path / "out.pdf"], capture_output=True, text=True, check=True)

    assert len(done.stdout.splitlines()) > 3
    assert all(" yes yes " in line for line in done.stdout.splitlines()[2:])


# Signs that mean something to Typst, to markdown or to HTML, in the ways in which they do.
SIGNS = st.sampled_from(
    [
        *(
            "#",
            "#import ",
            "#panic(",
            "#{",
            "#[",
            "]#",
            "#let x = ",
            "\\u{",
            "$",
            "$$",
            "\\",
            "\\\\",
            "@",
            "<",
            ">",
            "</",
        ),
        *("`", "```", "*", "_", "~", "~~", "[", "]", "(", ")", "{", "}", "=", "==", "- ", "+ ", "/ ", "//", "/*", "*/"),
        *("'", '"', "&", "%", "^", "|", ";", ".", ",", "!", "1. ", "...", "--", "http://", "<!--", "-->", "&lt;"),
        *(" ", "\n", "\n\n", "\t", "    ", "\r", "\u200b", "\u2028", "\u00ad", "\u202e", "\x00", "\x1b[31m", "\x85"),
        *("\U0001f600", "漢字", "ไทย", "नेपाल", "نص"),
    ]
)
WORDS = st.text("abcdefghijkmnopqrstuvwxyzéüßñçåøœŵłA", min_size=5, max_size=12)


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@example(pieces=["\u202e", "AAAAa"], inline=False)
@given(pieces=st.lists(st.one_of(WORDS, SIGNS), max_size=40), inline=st.booleans())
@pytest.mark.takes_long("sets many random texts")
def test_any_text_can_be_set(pieces: list[str], inline: bool, tmp_path: Path) -> None:
    """Whatever stands in a text, a report is made; whatever stands in a table or a result, its words are in it."""
    text = "".join(pieces)
    table = (
        "<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>" + html.escape(text) + "</td></tr></tbody></table>"
    )
    book = new_notebook(
        cells=[
            new_markdown_cell(f"# Title {text}" if inline else text),
            new_code_cell("", outputs=[shown(html=table), shown(plain="r " + text)]),
            new_markdown_cell("the last words"),
        ]
    )
    nbformat.write(book, tmp_path / "n.ipynb")
    report.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf")
    report.write_report(tmp_path / "n.ipynb", tmp_path / "out.html", format="html")
    done = subprocess.run(["pdftotext", "-raw", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True)
    found = letters(done.stdout)

    assert "thelastwords" in found
    # What stands after a right-to-left override is set from right to left, as it asks.
    turned = found[::-1] if "\u202e" in text else ""
    for word in pieces:
        if word.isalpha() and word.isascii():
            assert found.count(word) + turned.count(word) >= 2, word


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    words=st.lists(WORDS, min_size=1, max_size=30),
    signs=st.lists(st.sampled_from("#@$\\_*=+-/;.,'\"{}()^|%&~!"), max_size=30),
)
def test_words_among_signs_are_in_the_report(words: list[str], signs: list[str], tmp_path: Path) -> None:
    """Every word of a text is in the PDF's text layer, whichever signs stand before it."""
    text = " ".join(sign + word for sign, word in zip_longest(signs, words, fillvalue="") if word)
    nbformat.write(new_notebook(cells=[new_markdown_cell("A " + text)]), tmp_path / "n.ipynb")
    report.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf")
    done = subprocess.run(["pdftotext", "-raw", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True)
    found = letters(done.stdout)

    for word in words:
        assert letters(word) in found, word


def letters(text: str) -> str:
    """Give the letters of text alone, as a search would compare them: ligatures, italics and hyphens apart."""
    return "".join(char for char in unicodedata.normalize("NFKC", text) if char.isalpha())
