"""The shipped example, from a week of data to nine reports."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scrapbook
from typer.testing import CliRunner, Result

from autoflow.__main__ import cli
from autoflow.app import run_once
from autoflow.definition.reading import read_workflows
from autoflow.examples import copy_example, example_files, examples
from autoflow.runs.run import Run
from autoflow.runs.table import open_run_table
from autoflow.schedule.planning import standings, warnings_of
from autoflow.settings import Settings

WEEK = [f"2016-01-0{n}" for n in range(1, 8)]
# As a site has it that ran FlowKit's AutoFlow: none of our keys, and dates, strings and lists written in other ways.
OF_FLOWKIT = """\
workflows:
  - name: flows_above_normal
    notebooks:
      flows_report:
        filename: flows_report.ipynb
        parameters:
          flowapi_url: flowapi_url
          aggregation_unit: aggregation_unit
          reference_date: reference_date
          previous_notebook: run_flows
        output: {format: pdf}
      run_flows:
        filename: run_flows.ipynb
        parameters: {flowapi_url: flowapi_url, aggregation_unit: aggregation_unit, date_ranges: date_ranges}

available_dates_sensor:
  schedule: "0 0 * * *"
  cdr_types: ["calls", "sms"]
  workflows:
    - workflow_name: flows_above_normal
      parameters: {aggregation_unit: "admin2"}
      earliest_date: "2016-01-04"
      date_stencil: [["2016-01-01", 2016-01-02], -1, 0]
    - workflow_name: flows_above_normal
      parameters: {aggregation_unit: "admin1"}
      date_stencil:
      - -2
      - -1
      - 0
"""


def inputs(folder: Path) -> Path:
    """Copy the example, as a user does."""
    copy_example("flows_above_normal", folder)
    return folder


@pytest.fixture(scope="module")
def week(
    tmp_path_factory: pytest.TempPathFactory, fake_flowapi: Callable[[], Any]
) -> Iterator[tuple[Settings, list[Run]]]:
    """A workflows.yml of FlowKit's form after one pass over a week: calls for all of it, texts for five days."""
    api = fake_flowapi()
    api.dates = {"calls": WEEK, "sms": WEEK[:5], "mds": ["2016-01-08"]}
    folder = tmp_path_factory.mktemp("example")
    settings = Settings(
        flowapi_url=api.url,
        flowapi_token=api.token,
        autoflow_inputs_dir=inputs(folder / "inputs"),
        autoflow_outputs_dir=folder / "outputs",
    )
    (settings.autoflow_inputs_dir / "workflows.yml").write_text(OF_FLOWKIT)
    runs = run_once(settings)
    yield settings, runs
    api.close()


@pytest.mark.takes_long("executes the example nine times, each with a PDF")
def test_a_week_makes_nine_runs(week: tuple[Settings, list[Run]]) -> None:
    """From 1 to 7 January 0, 0, 1, 2, 2, 2 and 2 runs succeed, as two rows each, and none fails."""
    settings, runs = week
    per_day = Counter(str(run.reference_date) for run in runs)
    table = open_run_table(settings)
    rows = Counter(run.state.value for run in table.history())
    table.close()

    assert [run.error for run in runs if run.error] == []
    assert [per_day[day] for day in WEEK] == [0, 0, 1, 2, 2, 2, 2]
    assert rows == {"running": 9, "success": 9}


def test_a_week_makes_nine_reports(week: tuple[Settings, list[Run]]) -> None:
    """Each run leaves its two notebooks and one PDF, named alike, and nothing unfinished."""
    settings, _ = week
    reports = [path.name for path in settings.reports_dir.iterdir()]
    notebooks = [path.name for path in settings.notebooks_dir.iterdir()]

    assert len(reports) == 9
    assert sorted(name for name in notebooks if name.startswith("flows_report")) == sorted(
        name.replace(".pdf", ".ipynb") for name in reports
    )
    assert len([name for name in notebooks if name.startswith("run_flows__flows_above_normal_2016-01-")]) == 9
    assert list(settings.working_dir.iterdir()) == []


def test_nothing_is_left_to_run(week: tuple[Settings, list[Run]]) -> None:
    """A second pass runs nothing; the status names the days that wait and for what."""
    settings, _ = week
    reasons = {
        (standing.candidate.parameters["aggregation_unit"], standing.candidate.reference_date.day): standing.reason
        for standing in standings(settings)
    }

    assert run_once(settings) == []
    assert reasons["admin2", 3] == "before the earliest date, 2016-01-04"
    assert reasons["admin1", 1] == "waits for 2015-12-30, 2015-12-31"
    assert reasons["admin1", 7] == ""


def test_the_token_is_in_no_output(week: tuple[Settings, list[Run]]) -> None:
    """Neither notebooks nor reports nor the run table hold the token."""
    settings, _ = week
    token = settings.flowapi_token.get_secret_value().encode()
    files = [path for path in settings.autoflow_outputs_dir.rglob("*") if path.is_file()]

    # SQLite may keep files of its own beside the run table.
    assert len([path for path in files if not path.name.startswith("autoflow.db")]) == 9 * 3
    assert not [path.name for path in files if token in path.read_bytes()]


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
def test_the_report_says_what_a_minister_asks(week: tuple[Settings, list[Run]]) -> None:
    """A report has its headline with numbers and names, maps with units, tables by name, and its explanations."""
    _, runs = week
    run = next(run for run in runs if run.parameters and run.parameters["aggregation_unit"] == "admin2")
    pdf = next(output["report"] for output in run.outputs if "report" in output)
    text = " ".join(
        subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout.split()
    )
    images = subprocess.run(["pdfimages", "-list", pdf], capture_output=True, text=True, check=True).stdout

    assert "Movements above normal, by admin2 unit" in text
    assert "subscribers had moved between units" in text
    assert "Arrivals rose most in" in text
    assert "Nové Pole" in text
    assert "15 people or fewer are withheld" in text
    # What is withheld in one period only is a range there, never nothing.
    assert re.search(r"[\d,]+–[\d,]+ [\d,]+–?[\d,]* [+−]", text)
    assert not re.search(r" 0 [\d–]+ [+−]", text)
    assert "Benchmark 1 January 2016" in text
    assert "flowclient" not in text
    assert "secure" not in text
    assert images.count("image") >= 2


def test_the_example_says_what_flowkits_says(tmp_path: Path) -> None:
    """The workflows.yml that is shipped means the same as FlowKit's: schedule, types, entries, notebooks and all."""
    shipped = read_workflows(inputs(tmp_path / "inputs"))
    (tmp_path / "inputs" / "workflows.yml").write_text(OF_FLOWKIT)
    theirs = read_workflows(tmp_path / "inputs")

    assert shipped == theirs
    assert len(shipped.entries) == 2
    assert [notebook.key for notebook in shipped.workflows["flows_above_normal"].notebooks] == [
        "run_flows",
        "flows_report",
    ]


def test_the_notebooks_hand_over_what_flowkits_do(week: tuple[Settings, list[Run]]) -> None:
    """run_flows glues two query ids and three periods under FlowKit's names, as other notebooks read them."""
    _, runs = week
    run = next(run for run in runs if run.parameters and run.parameters["aggregation_unit"] == "admin2")
    scraps = scrapbook.read_notebook(run.outputs[0]["notebook"]).scraps

    assert set(scraps) == {"query_ids", "date_periods"}
    assert set(scraps["query_ids"].data) == {"flownormal", "flowabnormal"}
    assert scraps["date_periods"].data["benchmark"] == ["2016-01-01", "2016-01-02"]
    assert list(scraps["date_periods"].data) == ["benchmark", "comparison", "focal"]


@pytest.mark.parametrize("name", examples())
def test_an_example_is_sound(name: str, tmp_path: Path) -> None:
    """Nothing in an example is warned of, and it can be copied into a new folder or an empty one."""
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "new" / "folder", tmp_path / "empty"):
        written = copy_example(name, folder)

        assert sorted(written) == sorted(folder.iterdir())
        assert warnings_of(read_workflows(folder)) == []


def test_every_example_says_what_it_shows() -> None:
    """The examples have a sentence each; a name that is none of theirs is refused with those that are."""
    assert list(examples()) == ["commuting", "flows_above_normal"]
    assert all(re.fullmatch(r"[A-Z].*\.", said) for said in examples().values())
    with pytest.raises(ValueError, match="no example 'flows'; there are commuting, flows_above_normal"):
        example_files("flows")


def test_the_command_copies_an_example(tmp_path: Path) -> None:
    """Without words the command lists the examples; with two it copies one; a mistake gets one sentence and code 1."""

    def command(*words: str) -> Result:
        return CliRunner().invoke(cli, ["example", *words])

    listed = command()
    assert listed.exit_code == 0
    assert all(f"{name}: {shows}" in listed.stdout for name, shows in examples().items())
    assert command("commuting", str(tmp_path / "inputs")).exit_code == 0
    assert (tmp_path / "inputs" / "commuting_report.ipynb").is_file()
    (tmp_path / "file").write_text("a file")
    for words in (["commuting"], ["flows", "x"], ["commuting", str(tmp_path / "inputs")], ["commuting", "/proc/none"]):
        refused = command(*words)
        assert refused.exit_code == 1
        assert refused.stderr.count("\n") == 1
        assert "Traceback" not in refused.stderr


def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    """Where a file of the example's name stands already, nothing is written and the way out is told."""
    (tmp_path / "workflows.yml").write_text("mine")
    (tmp_path / "file").write_text("a file")

    with pytest.raises(FileExistsError, match=r"has a workflows.yml already; name an empty directory"):
        copy_example("commuting", tmp_path)
    with pytest.raises(FileExistsError, match="is a file; name a directory"):
        copy_example("commuting", tmp_path / "file")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "workflows.yml"]
    assert (tmp_path / "workflows.yml").read_text() == "mine"


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
def test_a_day_of_which_nothing_may_be_published_has_a_report(settings: Settings, flowapi: Any) -> None:
    """When every movement is withheld the report says so instead of failing."""
    flowapi.dates, flowapi.withhold = {"calls": WEEK[:3]}, True
    shutil.rmtree(settings.autoflow_inputs_dir)
    inputs(settings.autoflow_inputs_dir)

    run = run_once(settings)[0]

    assert run.error is None
    pdf = run.outputs[1]["report"]
    text = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True).stdout
    assert "Nothing can be shown for this day." in text
    assert "Arrivals" not in text
