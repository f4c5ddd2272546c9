"""The shipped example, from a week of data to nine reports."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from autoflow.app import open_run_table, run_once, standings, warnings_of
from autoflow.runs import Run
from autoflow.settings import Settings
from autoflow.workflows import read_workflows

WEEK = [f"2016-01-0{n}" for n in range(1, 8)]


def inputs(folder: Path) -> Path:
    """Copy the example, as a user does."""
    folder.mkdir()
    for file in resources.files("autoflow").joinpath("examples").iterdir():
        if file.name.endswith((".yml", ".ipynb")):
            (folder / file.name).write_bytes(file.read_bytes())
    return folder


@pytest.fixture(scope="module")
def week(
    tmp_path_factory: pytest.TempPathFactory, fake_flowapi: Callable[[], Any]
) -> Iterator[tuple[Settings, list[Run]]]:
    """The example after one pass over a week: calls for all of it, texts for five days."""
    api = fake_flowapi()
    api.dates = {"calls": WEEK, "sms": WEEK[:5], "mds": ["2016-01-08"]}
    folder = tmp_path_factory.mktemp("example")
    settings = Settings(
        flowapi_url=api.url,
        flowapi_token=api.token,
        autoflow_inputs_dir=inputs(folder / "inputs"),
        autoflow_outputs_dir=folder / "outputs",
    )
    runs = run_once(settings)
    yield settings, runs
    api.close()


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

    assert len(files) == 9 * 3 + 1
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
    assert "Benchmark 1 January 2016" in text
    assert "flowclient" not in text
    assert "secure" not in text
    assert images.count("image") >= 2


def test_the_example_is_sound(week: tuple[Settings, list[Run]]) -> None:
    """Nothing in the example is warned of."""
    settings, _ = week

    assert warnings_of(read_workflows(settings.autoflow_inputs_dir)) == []


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
