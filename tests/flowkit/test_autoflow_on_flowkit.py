"""AutoFlow's examples on a real deployment: real events, a real FlowAPI, and a week of reports."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from tests.flowkit.living_deployment import Place, environment, flowkit

from autoflow.examples import copy_example
from flowsynth import Crisis, synthesise

pytestmark = pytest.mark.takes_long("runs reports on a whole deployment")

# Those of which the examples speak.
EVENT_TYPES = ("calls", "sms")
WEEK = [f"2016-01-0{n}" for n in range(1, 8)]
PAGE = Path(__file__).parents[2] / "docs" / "autoflow.md"
PEER = os.environ.get("FLOWKIT_PEER_PYTHON", "")


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    """An operator's delivery of thirteen days with a flood on 5 January."""
    place = tmp_path_factory.mktemp("operator") / "delivery"
    return synthesise(place, subscribers=4000, days=13, start=date(2015, 12, 29), crisis=Crisis(day=8))


@pytest.fixture(scope="module")
def up(tmp_path_factory, operator, start_up):
    """A deployment that is up and holds the first seven days of January."""
    place = Place(tmp_path_factory.mktemp("autoflow") / "operator")
    flowkit("init", place.path, "--timezone", "UTC")
    for level in ("admin1", "admin2"):
        fields = ("--unit", level, "--code", f"{level}pcod", "--name", f"{level}name")
        place.done("geography", "load", operator.boundaries, *fields)
    place.done("sites", "load", operator.sites_file)
    place.done("cells", "load", operator.cells_file)
    for event_type in EVENT_TYPES:
        place.done("ingest", event_type, *operator.events[event_type][3:10])
    return start_up(place)


class Job:
    """An analyst's folder: inputs, outputs, and the environment in which AutoFlow is run."""

    def __init__(self, folder: Path, up, **changes: str) -> None:
        self.inputs, self.outputs = folder / "inputs", folder / "outputs"
        self.token = up.place.token("ann")
        self.environment = environment(
            FLOWAPI_URL=up.url,
            FLOWAPI_TOKEN=self.token,
            AUTOFLOW_INPUTS_DIR=self.inputs,
            AUTOFLOW_OUTPUTS_DIR=self.outputs,
            AUTOFLOW_LOG_LEVEL="ERROR",
            **changes,
        )

    def autoflow(self, *arguments: str) -> str:
        """Run a command that succeeds; what it prints."""
        command = [sys.executable, "-m", "autoflow", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def counts(self, folder: str, start: str) -> list[int]:
        """How many files of a kind there are for each day of the week."""
        names = [file.name for file in (self.outputs / folder).glob(f"{start}__*")]
        return [sum(f"_{day}_" in name for name in names) for day in WEEK]

    def shown(self) -> dict[tuple[str, str], list]:
        """The tables and sentences of each report notebook, by its day and unit."""
        found = {}
        for file in sorted((self.outputs / "notebooks").glob("*_report__*.ipynb")):
            book = nbformat.read(file, as_version=4)
            given = book.metadata.papermill.parameters
            day = re.search(r"_(\d{4}-\d\d-\d\d)_", file.name)[1]
            results = [
                output.get("data", {}) for cell in book.cells if cell.cell_type == "code" for output in cell.outputs
            ]
            tables = [
                BeautifulSoup("".join(data["text/html"]), "html.parser") for data in results if "text/html" in data
            ]
            rows = [[cell.get_text() for cell in table.find_all(["td", "th"])] for table in tables]
            found[day, given.aggregation_unit] = rows + [
                data["text/markdown"] for data in results if "text/markdown" in data
            ]
        return found


@pytest.fixture(scope="module")
def week(up, tmp_path_factory):
    """The example as it is shipped, run once with our client."""
    folder = tmp_path_factory.mktemp("ours")
    copy_example("flows_above_normal", folder / "inputs")
    job = Job(folder, up)
    job.said = job.autoflow("once")
    return job


def test_a_week_makes_nine_reports(week):
    """From 1 to 7 January 0, 0, 1, 2, 2, 2 and 2 runs leave each its two notebooks and its PDF."""
    expected = [0, 0, 1, 2, 2, 2, 2]

    assert week.counts("notebooks", "run_flows") == expected
    assert week.counts("notebooks", "flows_report") == expected
    assert week.counts("reports", "flows_report") == expected
    assert all(file.read_bytes().startswith(b"%PDF-") for file in (week.outputs / "reports").iterdir())


def test_a_week_makes_eighteen_rows(week):
    """The run table has nine rows that say running and nine that say success, and no other."""
    with sqlite3.connect(week.outputs / "autoflow.db") as table:
        states = Counter(state for (state,) in table.execute("SELECT state FROM workflow_runs"))

    assert states == {"running": 9, "success": 9}


def test_the_flood_is_in_the_reports(week):
    """After the flood of 5 January reports tell of people who left; before it nothing is out of the ordinary."""
    shown = week.shown()

    after = shown["2016-01-07", "admin2"]
    assert any("Departures rose most from" in part for part in after if isinstance(part, str))
    assert sum(isinstance(part, list) for part in after) == 2
    assert any("Nothing can be shown for this day." in part for part in shown["2016-01-04", "admin2"])


def test_a_second_pass_has_nothing_to_do(week):
    """A second pass over the same days runs nothing."""
    assert "Nothing was due" in week.autoflow("once")
    assert len(list((week.outputs / "reports").iterdir())) == 9


def test_the_token_is_in_no_output(week):
    """Neither notebooks nor reports nor the run table hold the token."""
    files = [file for file in week.outputs.rglob("*") if file.is_file()]

    # SQLite may keep files of its own beside the run table.
    assert len([file for file in files if not file.name.startswith("autoflow.db")]) == 9 * 3
    assert [file.name for file in files if week.token.encode() in file.read_bytes()] == []
    assert week.token not in week.said


@pytest.fixture(scope="module")
def published_kernel(tmp_path_factory):
    """A place for Jupyter where `python3` is the environment that has the published client."""
    if not Path(PEER).is_file() and os.environ.get("FLOWKIT_REQUIRE_PEER") != "1":
        pytest.skip("FLOWKIT_PEER_PYTHON names no Python: tools/make_peer.sh DIR notebooks makes one")
    told = "import ipykernel, scrapbook, geopandas, matplotlib, importlib.metadata as m; print(m.version('flowclient'))"
    done = subprocess.run([PEER, "-c", told], capture_output=True, text=True, env=environment(), check=False)
    if done.returncode and os.environ.get("FLOWKIT_REQUIRE_PEER") != "1":
        pytest.skip(
            "The peer environment cannot execute notebooks: tools/make_peer.sh DIR notebooks makes one that can"
        )
    assert done.stdout.strip() == "1.34.0", done.stderr
    place = tmp_path_factory.mktemp("jupyter")
    spec = {"argv": [PEER, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Published"}
    (place / "kernels" / "python3").mkdir(parents=True)
    (place / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec | {"language": "python"}))
    return place


def test_the_published_client_makes_the_same_reports(week, up, published_kernel, tmp_path):
    """The same notebooks, unmodified, in an environment with flowclient 1.34 say the same about the last day."""
    copy_example("flows_above_normal", tmp_path / "inputs")
    # Every day says nothing more of the client than one; each takes four kernels.
    file = tmp_path / "inputs" / "workflows.yml"
    document = yaml.safe_load(file.read_text())
    for entry in document["available_dates_sensor"]["workflows"]:
        entry["earliest_date"] = date(2016, 1, 7)
    file.write_text(yaml.safe_dump(document))
    job = Job(tmp_path, up, JUPYTER_PATH=str(published_kernel))

    job.autoflow("once")

    used = nbformat.read(next((job.outputs / "notebooks").glob("run_flows__*")), as_version=4)
    assert used.metadata.kernelspec.name == "python3"
    assert len(list((job.outputs / "reports").iterdir())) == 2
    assert job.shown() == {key: parts for key, parts in week.shown().items() if key[0] == "2016-01-07"}


@pytest.fixture(scope="module")
def ten_days(week, up, operator):
    """The deployment when three more days have come in, the last of them a Sunday."""
    for event_type in EVENT_TYPES:
        up.place.done("ingest", event_type, *operator.events[event_type][10:])
    return up


def test_the_published_client_makes_the_commuting_report(ten_days, published_kernel, tmp_path):
    """The commuting example, unmodified, runs in an environment with flowclient 1.34 for the one Sunday there is."""
    copy_example("commuting", tmp_path / "inputs")
    job = Job(tmp_path, ten_days, JUPYTER_PATH=str(published_kernel))

    job.autoflow("once")

    (report,) = (job.outputs / "reports").iterdir()
    assert "_2016-01-10_" in report.name
    ((_, parts),) = job.shown().items()
    assert any("work in another unit than the one they live in" in part for part in parts if isinstance(part, str))
    assert sum(isinstance(part, list) for part in parts) == 2


def blocks(heading: str) -> str:
    """The commands below a heading of the page, in their order."""
    section = re.search(rf"^## {heading}\n(.*?)^## ", PAGE.read_text(), re.DOTALL | re.MULTILINE)[1]
    return "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))


def test_the_page_leads_to_a_first_report(ten_days, tmp_path):
    """Whoever types the commands of docs/autoflow.md beside a running demo gets one report of commuting."""
    (tmp_path / "demo").symlink_to(ten_days.place.path)
    token = ten_days.place.path / "secrets" / "demo-token.txt"
    token.write_text(ten_days.place.token("demo"))
    commands = blocks("The first report")
    assert commands.count("http://127.0.0.1:9090") == 1
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", "set -e\n" + commands.replace("http://127.0.0.1:9090", ten_days.url)],
        cwd=tmp_path,
        env=environment(PATH=path, COLUMNS="120"),
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = (tmp_path / "outputs" / "reports").iterdir()
    assert report.name.startswith("commuting_report__commuting_2016-01-10_")
    assert "1 of 2 runs have succeeded." in done.stdout
