"""The status as a page and as a grid: what a reader sees, on any screen, without a script or a network."""

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from bs4 import BeautifulSoup
from rich.text import Text
from typer.testing import CliRunner

from autoflow import status
from autoflow.__main__ import cli
from autoflow.app import run_once
from autoflow.definition.model import Definition, Entry, Notebook, Workflow
from autoflow.definition.stencil import Days
from autoflow.runs.run import Run, RunState
from autoflow.schedule.candidates import candidate_for
from autoflow.schedule.planning import STATES, Overview, Standing
from autoflow.settings import Settings

NOW = dt.datetime(2016, 3, 1, 6, 0, tzinfo=dt.UTC)
FIRST = dt.date(2016, 1, 1)
OUTPUTS = Path("/mounts/outputs")


def days(number: int) -> list[dt.date]:
    return [FIRST + dt.timedelta(days=n) for n in range(number)]


@pytest.fixture
def view() -> Callable[..., Overview]:
    """Make an overview of two entries in which every state comes up in turn."""

    def make(number: int = 16, name: str = "flows") -> Overview:
        notebook = Notebook("report", Path("a.ipynb"), {}, "pdf")
        entries = tuple(
            Entry(Workflow(name, (notebook,)), {"unit": unit, "note": "<i>&"}, None) for unit in ("admin2", "admin3")
        )
        found, begun = [], {}
        for position, entry in enumerate(entries):
            for n, day in enumerate(days(number)):
                state = list(STATES)[n % len(STATES)]
                candidate = candidate_for(entry, day, Days(days(number)), ("calls",), position)
                run = None
                if state in ("success", "failed", "withdrawn"):
                    run_id = f"{position}-{n}"
                    begun[run_id] = NOW - dt.timedelta(seconds=75)
                    files = {"key": "report", "notebook": str(OUTPUTS / "notebooks" / f"a #{n}.ipynb")}
                    if state != "failed":
                        files["report"] = str(OUTPUTS / "reports" / f"a #{n}.pdf")
                    run = Run(*candidate.key, RunState.success, NOW, run_id=run_id, attempt=2, outputs=(files,))
                reason = "" if state == "success" else f"because of <b>{state}</b>"
                found.append(Standing(candidate, state, reason, run))
        definition = Definition(Path("workflows.yml"), {}, "0 0 * * *", None, entries)
        return Overview(definition, found, NOW, begun=begun)

    return make


def read(overview: Overview, **options: Any) -> BeautifulSoup:
    return BeautifulSoup(status.page(overview, OUTPUTS / "status.html", **options), "html.parser")


def test_the_page_is_one_file_without_a_script(view: Callable[..., Overview]) -> None:
    """Nothing is loaded from elsewhere and nothing is executed; light, dark and narrow screens are seen to."""
    page = status.page(view(), OUTPUTS / "status.html")
    soup = BeautifulSoup(page, "html.parser")

    assert not soup.find_all(["script", "link", "img", "iframe", "object"])
    assert not [tag for tag in soup.find_all(True) for name in tag.attrs if name.startswith("on") or name == "src"]
    assert not re.search(r"https?://|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    assert re.search(r"@media \(max-width: \d+px\)", page)
    assert soup.html
    assert soup.html["lang"] == "en"
    assert soup.find("meta", attrs={"name": "viewport"})


def test_every_cell_tells_its_date_state_and_reason_as_text(view: Callable[..., Overview]) -> None:
    """Who hears the page, or prints it, learns what others see as a coloured sign."""
    soup = read(view())
    cells = soup.select("table.grid tbody td")

    assert len(cells) == 32
    assert cells[0].select_one(".unseen").get_text() == "2016-01-01: done"  # pyright: ignore[reportOptionalMemberAccess]
    texts = [cell.get_text(" ") for cell in cells]
    for n, state in enumerate(STATES):
        assert f"{days(16)[n]}: {STATES[state]}" in texts[n]
        assert state == "success" or f"because of <b>{state}</b>" in texts[n]
    assert not soup.find_all("b", string="failed")
    assert [cell["scope"] for cell in soup.select("table.grid th")].count("row") == 2


def test_links_lead_from_the_page_to_the_files(view: Callable[..., Overview]) -> None:
    """Cells and rows link to the notebook and the report by a path that is relative to the page."""
    soup = read(view())
    addresses = {str(link["href"]) for link in soup.select("a.file")}
    rows = {str(link["href"]) for link in soup.select(".list a")}

    assert "notebooks/a%20%230.ipynb" in addresses
    assert "reports/a%20%230.pdf" in addresses
    assert addresses == rows
    assert not [address for address in addresses if Path(unquote(address)).is_absolute()]
    elsewhere = status.page(view(), Path("/mounts/pages/deep/status.html"))
    assert 'href="../../outputs/reports/a%20%230.pdf"' in elsewhere


def test_every_sign_leads_to_a_row_with_attempt_and_duration(view: Callable[..., Overview]) -> None:
    """The row that a sign leads to is there, and tells reason, last attempt and how long it took."""
    soup = read(view())
    anchors = [str(link["href"])[1:] for link in soup.select("table.grid tbody a") if str(link["href"])[0] == "#"]

    assert len(anchors) == 32
    assert all(soup.find(id=anchor) for anchor in anchors)
    row = soup.find(id="1-2016-01-04")
    assert row
    assert "because of <b>failed</b>" in row.get_text()
    assert "2016-03-01 06:00 UTC, attempt 2" in row.get_text()
    assert "1 min 15 s" in row.get_text()


def test_names_are_text_and_nothing_else(view: Callable[..., Overview]) -> None:
    """A workflow's name or parameter that looks like HTML is shown as it is."""
    page = status.page(view(name="<script>alert(1)</script>"), OUTPUTS / "status.html")

    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<i>&" not in page


def test_a_long_history_is_cut_and_said_to_be(view: Callable[..., Overview]) -> None:
    """Of two years the page shows the last sixty dates, counts all, and says how many are not shown."""
    soup = read(view(730))

    assert len(soup.select("table.grid tbody tr:first-child td")) == status.DAYS_SHOWN
    assert "670 earlier dates are not shown here." in soup.get_text()
    assert sum(int(tile.b.get_text().replace(",", "")) for tile in soup.select(".tiles li") if tile.b) == 1460
    assert len(read(view(730), at_most=None).select("table.grid tbody tr:first-child td")) == 730


def test_notes_stand_on_top(view: Callable[..., Overview]) -> None:
    """That FlowAPI could not be asked, and runs that nobody asks for any more, are told."""
    overview = view()
    told = Overview(overview.definition, overview.standings, NOW, "FlowAPI is <down>.", 3)
    notes = [note.get_text() for note in read(told).select(".note")]

    assert notes[0].startswith("FlowAPI is <down>. What follows is known from the run table alone.")
    assert notes[1].startswith("The run table holds 3 runs of workflows or parameters that workflows.yml no longer")


def test_an_empty_status_is_a_page_too(view: Callable[..., Overview]) -> None:
    """Before the first day of data there is a page that says so."""
    assert "There is no date yet." in read(view(0)).get_text()


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_grid_fits_the_terminal(view: Callable[..., Overview], width: int, ascii_only: bool) -> None:
    """One line an entry, one sign a date, in blocks no wider than the terminal; ASCII where it knows no more."""
    text = status.grid(view(100), width, ascii_only=ascii_only, at_most=None)
    lines = [Text.from_markup(line).plain for line in text]
    rows = [line for line in lines if line.startswith("flows")]
    signs = "".join(row.rpartition("  ")[2] for row in rows)

    assert len(signs) == 200
    assert all(len(line) <= width for line in lines[:-1])
    assert {status.SIGNS[state][ascii_only] for state in STATES} == set(signs)
    assert signs.isascii() or not ascii_only
    assert [line for line in lines if line.strip().startswith("2016-01")]
    assert all(STATES[state] in lines[-1] for state in STATES)


def test_dates_that_follow_each_other_are_a_span() -> None:
    """Reasons are told for spans of dates, and long lists are cut."""
    assert status.spanned(days(1)) == "2016-01-01"
    assert status.spanned(days(3)) == "2016-01-01 to 2016-01-03"
    assert status.spanned(days(9)[::2]) == "2016-01-01, 2016-01-03 and 3 more"


def test_a_run_is_seen_in_terminal_json_and_page(
    settings: Settings,
    flowapi: Any,
    write_workflows: Callable[[str], Path],
    write_notebook: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What has run stands in all three forms, and the page's links lead to files that are there."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_notebook("n.ipynb", "day = None")
    write_workflows(
        "workflows: [{name: w, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date}}}}]\n"
        "available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}, "
        "{workflow_name: w, date_stencil: [1]}]}\n"
    )
    monkeypatch.setenv("FLOWAPI_URL", flowapi.url)
    monkeypatch.setenv("FLOWAPI_TOKEN", settings.flowapi_token.get_secret_value())
    monkeypatch.setenv("AUTOFLOW_INPUTS_DIR", str(settings.autoflow_inputs_dir))
    monkeypatch.setenv("AUTOFLOW_OUTPUTS_DIR", str(settings.autoflow_outputs_dir))
    run_once(settings)
    file = settings.autoflow_outputs_dir / "status.html"

    terminal = CliRunner().invoke(cli, ["status"])
    values = json.loads(CliRunner().invoke(cli, ["status", "--json"]).stdout)
    written = CliRunner().invoke(cli, ["status", "--html", str(file)])
    soup = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")

    assert terminal.exit_code == written.exit_code == 0
    assert "1 of 2 runs have succeeded." in terminal.stdout
    assert "waits for 2016-01-02" in terminal.stdout
    assert [each["state"] for each in values["standings"]] == ["success", "waiting"]
    assert values["standings"][0]["seconds"] > 0
    assert values["standings"][0]["attempts"] == 1
    links = [unquote(str(link["href"])) for link in soup.select("a.file")]
    assert len(links) == 1
    assert (file.parent / links[0]).is_file()
