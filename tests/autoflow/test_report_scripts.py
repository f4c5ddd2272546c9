"""Reports in the scripts of the countries that FlowKit works in: Nepali, Arabic and accents."""

import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from autoflow.reports import report
from autoflow.reports.fonts import devanagari
from autoflow.reports.scripts import voice_of
from autoflow.settings import Settings

NEPALI = "काठमाडौं उपत्यकामा जनसंख्याको आवागमन क्षेत्र"
ARABIC = "حركة السكان في المنطقة الشمالية"
needs_devanagari = pytest.mark.skipif(not devanagari(), reason="fontpkg-noto-sans-devanagari is not installed")
pytestmark = pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")


def bare(text: str) -> str:
    """Give text without the marks by which pdftotext tells directions."""
    return "".join(char for char in text if unicodedata.category(char) != "Cf" or char in "\u200c\u200d")


@pytest.fixture
def words_of(tmp_path: Path) -> Callable[..., str]:
    """Make a PDF of markdown, or of a table, and give the words of its text layer in order of reading."""

    def make(*texts: str | pd.DataFrame, language: str | None = None) -> str:
        cells = [
            new_markdown_cell(text)
            if isinstance(text, str)
            else new_code_cell("", outputs=[new_output("display_data", data={"text/html": text.to_html(index=False)})])
            for text in texts
        ]
        book = new_notebook(cells=cells, metadata={"language": language} if language else {})
        nbformat.write(book, tmp_path / "n.ipynb")
        report.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf")
        done = subprocess.run(["pdftotext", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True)
        # pdftotext marks the direction of what it gives; the words are what counts here.
        return " ".join(
            "".join(
                char for char in done.stdout if unicodedata.category(char) != "Cf" or char in "\u200c\u200d"
            ).split()
        )

    return make


def placed(pdf: Path) -> dict[str, float]:
    """Give the right edge of each word of a PDF's first page, in points from the left."""
    done = subprocess.run(["pdftotext", "-bbox", "-l", "1", pdf, "-"], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if "<word" in line]
    edges = {bare(line.split(">")[1].split("<")[0]): float(line.split('xMax="')[1].split('"')[0]) for line in lines}
    # Here pdftotext gives the letters as they stand, from left to right.
    return edges | {word[::-1]: edge for word, edge in edges.items()}


@needs_devanagari
def test_nepali_is_set_and_can_be_searched(words_of: Callable[..., str]) -> None:
    """Nepali in a title, a heading, a sentence and a table is in the PDF's text, letter by letter."""
    text = words_of(
        f"# {NEPALI}\n\n## {NEPALI} शीर्षक\n\nThe district काठमाडौं in **ललितपुर** here.",
        pd.DataFrame({"जिल्ला": ["भक्तपुर"], "संख्या": ["१२३४"]}),
    )

    for wanted in (*NEPALI.split(), "शीर्षक", "ललितपुर", "जिल्ला", "भक्तपुर", "१२३४"):
        assert wanted in text, wanted


def test_arabic_is_set_and_can_be_searched(words_of: Callable[..., str]) -> None:
    """Arabic in a title, a heading, a sentence and a table is in the PDF's text, in order of reading."""
    text = words_of(
        f"# {ARABIC}\n\n## {ARABIC}\n\nThe city of الخرطوم in a sentence. \n\nكلمة with English وكلمة.",
        pd.DataFrame({"المدينة": ["أم درمان"], "العدد": [1234]}),
    )

    assert text.count(ARABIC) == 2
    for wanted in ("الخرطوم", "with English", "المدينة", "درمان", "1234"):
        assert wanted in text, wanted


def test_arabic_runs_from_the_right(words_of: Callable[..., str], tmp_path: Path) -> None:
    """An Arabic paragraph begins at the right, an English one at the left; a table's first column is the right one."""
    words_of("# T\n\nكلمة", "first words", pd.DataFrame({"المدينة": ["أم"], "العدد": [1234]}))
    places = placed(tmp_path / "out.pdf")

    assert places["كلمة"] > 520
    assert places["first"] < 100
    assert places["المدينة"] > places["العدد"]


def test_a_notebook_may_say_its_language(words_of: Callable[..., str], tmp_path: Path) -> None:
    """A notebook whose metadata say `language: ar` runs from the right, its numbers and all."""
    words_of("# T\n\n2016", language="ar")

    assert placed(tmp_path / "out.pdf")["2016"] > 520


def test_what_runs_from_the_left_does_so_in_an_arabic_report(words_of: Callable[..., str], tmp_path: Path) -> None:
    """In an Arabic notebook, code and English paragraphs begin at the left as they do elsewhere."""
    frame = pd.DataFrame({"المدينة": ["أم"], "العدد": [-567]})
    text = words_of("# تقرير\n\n```\ncode = 1\n```", "plain words", frame, language="ar")
    places = placed(tmp_path / "out.pdf")

    assert places["code"] < 120
    assert places["plain"] < 120
    assert "−567" in text


@pytest.mark.parametrize(
    ("text", "language", "voice"),
    [
        ("plain", "en", ("en", "ltr")),
        ("plain", "fr", ("fr", "ltr")),
        ("plain", "ar", ("en", "ltr")),
        ("123 نص then English", "en", ("ar", "rtl")),
        ("متن", "fa", ("fa", "rtl")),
        ("नेपाल", "en", ("ne", "ltr")),
        ("हिन्दी", "hi", ("hi", "ltr")),
        ("12.5 %", "ar", ("ar", "rtl")),
        ("", "en", ("en", "ltr")),
    ],
)
def test_the_first_letter_decides(text: str, language: str, voice: tuple[str, str]) -> None:
    """The first letter with a direction decides how a paragraph runs, and the document where there is none."""
    assert voice_of(text, language) == voice


@needs_devanagari
def test_a_plot_may_have_nepali(tmp_path: Path) -> None:
    """With the font's file registered, matplotlib draws Devanagari without a missing letter."""
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import matplotlib; matplotlib.use('agg')\n"
        "from matplotlib import font_manager, pyplot\n"
        "from autoflow.reports.fonts import devanagari\n"
        "for file in devanagari(): font_manager.fontManager.addfont(file)\n"
        "pyplot.rcParams['font.family'] = ['DejaVu Sans', 'Noto Sans Devanagari']\n"
        f"pyplot.title('{NEPALI} {ARABIC}'); pyplot.savefig(r'{tmp_path}/p.png')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr == ""


@pytest.mark.takes_long("runs a notebook and sets its report")
def test_warnings_are_in_the_log_in_the_status_and_on_the_report(
    settings: Settings,
    flowapi: Any,
    token: str,
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
) -> None:
    """What `check` warns of, such as letters that no font has, stands wherever one looks at the run."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_notebook("n.ipynb", "p = 1", f"# বাংলা မြန်မာ አማርኛ 中文 {NEPALI} {ARABIC}")
    write_workflows(
        "workflows: [{name: w, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date}, "
        "output: {format: pdf}}}}]\n"
        "available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}\n"
    )
    environment = {
        **os.environ,
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": token,
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
    }

    def autoflow(command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "autoflow", command], env=environment, capture_output=True, text=True, check=True
        )
        return " ".join((done.stdout + done.stderr).split())

    checked, ran, stands = autoflow("check"), autoflow("once"), autoflow("status")
    pdf = next(settings.reports_dir.glob("*.pdf"))
    on_report = " ".join(
        subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True).stdout.split()
    )

    for script, package in (("Bengali", "noto-core"), ("Burmese", "noto-core"), ("Chinese", "noto-cjk")):
        for place in (checked, ran, stands, on_report):
            assert f"no installed font has its {script} letters" in place, (script, place)
            assert package in place
    for place in (checked, ran, stands, on_report):
        assert "Amharic" in place
        assert "Devanagari" not in place
        assert "n.ipynb does not declare the parameter" in place
    assert 'event="a run has a warning"' in ran
