"""Reports as web pages: one file that shows what the PDF shows, and neither runs nor fetches anything."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from autoflow.reports import report


def shown(**data: Any) -> Any:
    kinds = {"html": "text/html", "plain": "text/plain", "png": "image/png", "svg": "image/svg+xml"}
    return new_output("display_data", data={kinds[kind]: value for kind, value in data.items()})


def picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (192, 96), "#336699").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def page_of(tmp_path: Path) -> Callable[..., BeautifulSoup]:
    """Make the page of cells and give it as a tree; the file is `out.html`."""

    def make(*cells: Any, code: bool = False, **metadata: Any) -> BeautifulSoup:
        path = tmp_path / "my_report__w__x.ipynb"
        nbformat.write(new_notebook(cells=list(cells), metadata=metadata), path)
        report.write_report(path, tmp_path / "out.html", "2016-01-04", format="html", code=code)
        return BeautifulSoup((tmp_path / "out.html").read_text(encoding="utf-8"), "html.parser")

    return make


def test_a_page_shows_text_tables_and_pictures(page_of: Callable[..., BeautifulSoup]) -> None:
    """Title, date, text, footnotes, tables with their looks and pictures within the file; no code and no prints."""
    frame = pd.DataFrame({"unit": ["Åre"], "value": [-12]})
    styler = frame.style.map(lambda _: "background-color: #ff0080").set_caption("The caption")
    page = page_of(
        new_markdown_cell("# Déplacements\n\nSome *text*.[^1]\n\n[^1]: A footnote."),
        new_code_cell(
            "secret_code", outputs=[new_output("stream", text="printed"), shown(html=styler.to_html(), plain="x")]
        ),
        new_code_cell("", outputs=[shown(png=picture(), plain="<Figure>")]),
    )
    text = page.get_text(" ")

    assert page.title is not None
    assert page.title.string == "Déplacements"
    assert page.h1 is not None
    assert page.h1.get_text() == "Déplacements"
    assert [tag.name for tag in page.find_all("h1")] == ["h1"]
    for wanted in ("Monday 4 January 2016", "Some text", "The caption", "Åre", "−12", "A footnote."):
        assert wanted in " ".join(text.split()), wanted
    assert page.find("td", style=re.compile("background-color: #ff0080"))
    image = page.find("img")
    assert image is not None
    assert str(image["src"]).startswith("data:image/png;base64,")
    assert (image["width"], image["height"]) == ("192", "96")
    assert "secret_code" not in text
    assert "printed" not in text


def test_code_is_shown_if_asked_for(page_of: Callable[..., BeautifulSoup]) -> None:
    """With code, the cells' source stands in the page with its words marked for colours."""
    page = page_of(new_code_cell("def f(x):\n    return x < 1"), code=True)
    source = page.find("pre", class_="source")

    assert source is not None
    assert source.get_text().strip() == "def f(x):\n    return x < 1"
    assert source.find("span", class_="k")


def test_formulas_need_no_script(page_of: Callable[..., BeautifulSoup]) -> None:
    """Formulas are MathML, which browsers set by themselves; one that is not understood stands as its source."""
    page = page_of(new_markdown_cell("It is $\\frac{a}{b}$ and\n\n$$\\sum_i x_i$$\n\nand $\\nosuchthing{$."))

    assert len(page.find_all("math")) == 2
    assert page.find("mfrac")
    assert page.find("code", string="\\nosuchthing{")
    assert not page.find("script")


def test_nothing_of_a_notebook_runs_or_fetches(page_of: Callable[..., BeautifulSoup], tmp_path: Path) -> None:
    """Scripts, frames, event handlers, style sheets and outside pictures are left out; what was left out is named."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="90" height="90">'
        '<script>alert(7)</script><image href="file:///etc/passwd" width="9" height="9"/><rect width="9" height="9"/>'
        "</svg>"
    )
    nasty = (
        '<p onclick="alert(1)" style="background:url(https://evil.example/a)">kept</p><script>alert(2)</script>'
        '<iframe src="https://evil.example/frame"></iframe><a href="javascript:alert(3)">link</a>'
        '<img src="https://evil.example/b.png" onerror="alert(4)"><object data="file:///etc/passwd"></object>'
        '<link rel="stylesheet" href="https://evil.example/c.css"><base href="https://evil.example/">'
        '<form action="https://evil.example/d"><input type="text" autofocus onfocus="alert(5)"></form>'
        '<table><tr><td style="background: url(https://evil.example/e)">cell</td></tr></table>'
    )
    page = page_of(
        new_markdown_cell("![x](/etc/passwd) ![y](../secret.png) <img src=x onerror=alert(6)>\n\n" + nasty),
        new_code_cell("", outputs=[shown(html=nasty), shown(svg=drawing)]),
    )
    raw = (tmp_path / "out.html").read_text()

    assert "alert" not in raw
    assert not page.find_all(["script", "iframe", "object", "link", "base", "form", "input"])
    assert all(str(tag["src"]).startswith("data:") for tag in page.find_all("img"))
    assert not [tag for tag in page.find_all(href=True) if "javascript" in str(tag["href"])]
    assert not re.search(r"url\(\s*['\"]?(?!data:)", raw.replace('url("data:', ""))
    assert not [name for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
    drawn = [base64.b64decode(str(tag["src"]).partition(",")[2]) for tag in page.find_all("img")]
    assert all(b"passwd" not in each and b"alert" not in each for each in drawn)
    assert "[not in the notebook: https://evil.example/frame]" in raw
    assert "[picture not in the notebook: https://evil.example/b.png]" in raw
    assert "[picture not in the notebook: x]" in raw
    assert "kept" in raw
    assert "cell" in raw


def test_arabic_runs_from_the_right_in_a_page(page_of: Callable[..., BeautifulSoup]) -> None:
    """Paragraphs, headings and tables in Arabic say so to the browser, within a page of another language."""
    page = page_of(
        new_markdown_cell("# T\n\n## عنوان\n\nكلمة\n\nplain"),
        new_code_cell("", outputs=[shown(html=pd.DataFrame({"المدينة": ["أم"]}).to_html(index=False))]),
    )

    directions = {tag.get_text(strip=True): tag.get("dir") for tag in page.find_all(["p", "h1", "h2", "table"])}
    assert directions["عنوان"] == directions["كلمة"] == "rtl"
    assert directions["plain"] is None
    assert page.table is not None
    assert page.table["dir"] == "rtl"
    assert page.html is not None
    assert page.html["lang"] == "en"


def test_a_page_is_whole_alone(page_of: Callable[..., BeautifulSoup], tmp_path: Path) -> None:
    """The page names no other file and no other machine, and forbids the browser to ask one."""
    page = page_of(new_markdown_cell("# T\n\ntext नेपाल"), new_code_cell("", outputs=[shown(png=picture())]))
    raw = (tmp_path / "out.html").read_text()

    assert re.findall(r"https?://[^\"' )]+", raw) == []
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy is not None
    assert str(policy["content"]).startswith("default-src 'none'")
