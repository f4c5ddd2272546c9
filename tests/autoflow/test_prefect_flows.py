"""AutoFlow's workflows and sensor as flows of a real Prefect server on SQLite, beside AutoFlow's own runner."""

import datetime as dt
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.autoflow.conftest import until
from tests.engines.absent import REQUIRED, absent

from autoflow.app import run_once
from autoflow.definition.reading import WorkflowsError
from autoflow.runs.run import RunState
from autoflow.runs.table import open_run_table
from autoflow.settings import Settings
from autoflow.workflows import make_notebooks_workflow

ABSENT = "Prefect is not installed: install flowkit[prefect]."
if importlib.util.find_spec("prefect") is None and os.environ.get(REQUIRED) != "1":
    # Once for the whole file, not once a test.
    pytest.skip(ABSENT, allow_module_level=True)
pytestmark = pytest.mark.takes_long("Prefect starts a server, and a process for each flow run or deployment")

AUTOFLOW = [sys.executable, "-m", "autoflow"]
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+")
WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb, parameters: {day: reference_date}}}}]
available_dates_sensor: {schedule: %s, workflows: [{workflow_name: w}]}
"""
# Waits until the other notebook has begun as well, which it never has where one begins after the other has ended.
MEETING = """\
import pathlib, time
pathlib.Path('{own}').touch()
end = time.monotonic() + 60
while not pathlib.Path('{other}').exists():
    assert time.monotonic() < end, 'alone'
    time.sleep(0.05)
"""
MEETING_WORKFLOW = {
    "left": {"filename": "left.ipynb"},
    "right": {"filename": "right.ipynb", "parameters": {"unit": "aggregation_unit"}},
    "after": {"filename": "after.ipynb", "parameters": {"one": "left", "two": "right", "day": "reference_date"}},
}


class Server:
    """A Prefect server on loopback, its folder, and what it knows of flow runs and their tasks."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def flow_runs(self, name: str) -> list[Any]:
        """The runs of the flow of a name, oldest first."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import FlowFilter, FlowFilterName
        from prefect.client.schemas.sorting import FlowRunSort

        with get_client(sync_client=True) as client:
            flows = FlowFilter(name=FlowFilterName(any_=[name]))
            return client.read_flow_runs(flow_filter=flows, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=50)

    def tasks(self, flow_run_id: UUID, number: int) -> dict[str, Any]:
        """The task runs of a flow run, by the names of their tasks; Prefect learns of their ends a moment later."""
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
        from prefect.client.schemas.sorting import TaskRunSort

        one = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        end = time.monotonic() + 20
        while True:
            with get_client(sync_client=True) as client:
                found = client.read_task_runs(flow_run_filter=one, sort=TaskRunSort.ID_DESC, limit=50)
            ended = len(found) >= number and not any(run.state and run.state.is_running() for run in found)
            if ended or time.monotonic() > end:
                return {run.name: run for run in found}
            time.sleep(0.2)

    def holding(self, secret: str, *others: Path) -> list[Path]:
        """The files of Prefect (database, logs, home, temporary files) and of other folders that hold a text."""
        files = [path for folder in (self.folder, *others) for path in folder.rglob("*") if path.is_file()]
        assert any(path.suffix == ".db" and path.stat().st_size > 100_000 for path in files)
        return [path for path in files if secret.encode() in path.read_bytes()]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prefect server with a home of its own, which this process uses as well."""
    if importlib.util.find_spec("prefect") is None:
        absent(ABSENT)
    folder = tmp_path_factory.mktemp("prefect")
    (folder / "tmp").mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFECT_HOME", str(folder / "home"))
        environment.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        environment.setenv("DO_NOT_TRACK", "1")
        environment.setenv("PREFECT_API_URL", url)
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--no-ui"],
                env={**os.environ, "TMPDIR": str(folder / "tmp")},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until(lambda: process.poll() is not None or answers(url), 180)
            assert process.poll() is None, (folder / "server.log").read_text()
            from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

            with temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: folder / "home"}):
                yield Server(folder, url)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@dataclass(frozen=True)
class Site:
    """AutoFlow's inputs, outputs and FlowAPI, named by the environment of this process, as of those that it starts."""

    settings: Settings
    flowapi: Any
    notebook: Callable[..., Path]
    workflows: Callable[[str], Path]
    environment: dict[str, str]


@pytest.fixture
def site(
    settings: Settings,
    flowapi: Any,
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Site:
    """A site whose settings stand in environment variables."""
    ours = {
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": settings.flowapi_token.get_secret_value(),
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
        "AUTOFLOW_RETRY_DELAY": "0",
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    return Site(settings, flowapi, write_notebook, write_workflows, dict(os.environ))


def children(pid: int) -> list[int]:
    """Give the processes that a process has started, and theirs; those of a process that has ended are none."""
    try:
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return own + [one for child in own for one in children(child)]


def states(settings: Settings) -> list[tuple[str, str, int | None]]:
    table = open_run_table(settings)
    history = [(str(run.reference_date), run.state.value, run.attempt) for run in table.history()]
    table.close()
    return history


def test_a_workflow_is_a_flow_whose_tasks_are_its_notebooks(prefect: Server, site: Site) -> None:
    """Independent notebooks run side by side, one that reads them after both; a date runs once, however it is asked."""
    from prefect import Flow

    site.notebook("left.ipynb", "p = 1", MEETING.format(own="left", other="right"))
    site.notebook("right.ipynb", "unit = None", MEETING.format(own="right", other="left"), "assert unit == 'admin2'")
    reading = "import nbformat\nfor path in (one, two):\n    assert nbformat.read(path, 4).metadata.papermill.end_time"
    site.notebook("after.ipynb", "one = None\ntwo = None\nday = None", reading)
    workflow = make_notebooks_workflow("three notebooks", MEETING_WORKFLOW)
    state = workflow(reference_date=dt.date(2016, 1, 1), aggregation_unit="admin2", return_state=True)
    again = workflow(
        reference_date="2016-01-01",
        date_ranges=[["2016-01-01", "2016-01-02"]],
        aggregation_unit="admin2",
        return_state=True,
    )

    assert isinstance(workflow, Flow)
    assert state.is_completed(), state
    runs = prefect.flow_runs("three notebooks")
    tasks = prefect.tasks(runs[0].id, 3)
    assert {name: run.state.name for name, run in tasks.items()} == dict.fromkeys(MEETING_WORKFLOW, "Completed")
    assert tasks["after"].start_time >= max(tasks["left"].end_time, tasks["right"].end_time)
    assert (again.name, again.type.value) == ("Skipped", "COMPLETED")
    assert again.message == "three notebooks 2016-01-01: done."
    assert prefect.tasks(runs[1].id, 0) == {}
    assert states(site.settings) == [("2016-01-01", "running", 1), ("2016-01-01", "success", 1)]
    assert len(list(site.settings.notebooks_dir.iterdir())) == 3
    assert list(site.settings.working_dir.iterdir()) == []


def test_a_failed_notebook_fails_its_flow_and_stops_what_reads_it(prefect: Server, site: Site, token: str) -> None:
    """The sentence of the failure is the reason of task, flow and run; Prefect does not retry, and sees no token."""
    site.notebook("good.ipynb", "p = 1")
    site.notebook(
        "bad.ipynb",
        "p = 1",
        "import os\nprint(os.environ['FLOWAPI_TOKEN'])",
        "raise KeyError(os.environ['FLOWAPI_TOKEN'])",
    )
    notebooks = {
        "good": {"filename": "good.ipynb"},
        "bad": {"filename": "bad.ipynb"},
        "next": {"filename": "good.ipynb", "parameters": {"p": "bad"}},
    }
    workflow = make_notebooks_workflow("a failing one", notebooks)
    state = workflow(reference_date=dt.date(2016, 1, 1), return_state=True)

    sentence = "bad.ipynb, cell 3: KeyError: '[token removed]'"
    (run,) = prefect.flow_runs("a failing one")
    tasks = prefect.tasks(run.id, 3)
    assert (state.type.value, state.message) == ("FAILED", sentence)
    assert run.state.message == sentence
    assert {name: task.state.name for name, task in tasks.items()} == {
        "good": "Completed",
        "bad": "Failed",
        "next": "NotReady",
    }
    assert tasks["bad"].state.message == sentence
    assert tasks["bad"].run_count == 1
    assert states(site.settings) == [("2016-01-01", "running", 1), ("2016-01-01", "failed", 1)]
    assert prefect.holding(token, site.settings.autoflow_outputs_dir) == []


def test_parameters_and_names_may_be_any_text(prefect: Server, site: Site) -> None:
    """Names that Prefect or Python would not take work all the same, and wrong parameters are told in a sentence."""
    site.notebook("n.ipynb", "unit = None", "assert unit == 'admin2'")
    notebooks = {"the / first": {"filename": "n.ipynb", "parameters": {"unit": "aggregation-unit"}}}
    workflow = make_notebooks_workflow("up & down / 100 %", notebooks)
    given = {"aggregation-unit": "admin2"}
    wrong = workflow(reference_date="2016-01-01", parameters={}, return_state=True)
    no_day = workflow(reference_date="yesterday", parameters=given, return_state=True)
    right = workflow(reference_date="2016-01-01", parameters=given, return_state=True)

    assert wrong.message == ("Workflow 'up & down / 100 %' takes these parameters besides its dates: aggregation-unit.")
    assert no_day.message == "reference_date: 'yesterday' is not a date; write it as 2016-01-01."
    assert right.is_completed(), right
    assert list(prefect.tasks(prefect.flow_runs("up - down - 100 -")[-1].id, 1)) == ["the / first"]
    with pytest.raises(WorkflowsError, match=r"there is no file 'm\.ipynb'"):
        make_notebooks_workflow("w", {"n": {"filename": "m.ipynb"}})


def test_the_sensor_and_the_own_runner_share_the_work(prefect: Server, site: Site) -> None:
    """What one of them has run the other leaves alone, and so does the sensor when it looks a second time."""
    from autoflow.sensor import available_dates_sensor

    site.notebook("n.ipynb", "day = None", "print(day)")
    site.workflows(WORKFLOWS % "null")
    site.flowapi.dates = {"calls": ["2016-01-01"], "sms": ["2016-01-04"]}
    own = run_once(site.settings)
    site.flowapi.dates["calls"] += ["2016-01-02", "2016-01-03"]
    first = available_dates_sensor(cdr_types=["calls"], return_state=True)
    second = available_dates_sensor(cdr_types=["calls"], return_state=True)

    assert [(str(run.reference_date), run.state) for run in own if str(run.reference_date) == "2016-01-01"] == [
        ("2016-01-01", RunState.success)
    ]
    assert (first.type.value, first.message) == ("COMPLETED", "2 runs succeeded.")
    assert (second.type.value, second.message) == ("COMPLETED", "Nothing was due.")
    assert run_once(site.settings) == []
    assert Counter((day, state) for day, state, _ in states(site.settings)) == {
        (f"2016-01-0{n}", state): 1 for n in range(1, 5) for state in ("running", "success")
    }
    assert [run.name for run in prefect.flow_runs("w")] == ["w 2016-01-02", "w 2016-01-03"]
    entry = {"workflow_name": "w", "date_stencil": [-1, 0], "earliest_date": "2016-01-04"}
    other = available_dates_sensor(cdr_types=["sms", "calls"], workflows=[entry], return_state=True)
    assert (other.type.value, other.message) == ("COMPLETED", "1 run succeeded.")


def test_the_sensor_and_another_runner_at_once_run_each_date_once(prefect: Server, site: Site) -> None:
    """A flow and `autoflow once` that are at work on the same run table at the same time divide the dates."""
    from autoflow.sensor import available_dates_sensor

    site.notebook("n.ipynb", "day = None", "import time\ntime.sleep(0.5)")
    site.workflows(WORKFLOWS % "null")
    site.flowapi.dates = {"calls": [f"2016-01-0{n}" for n in range(1, 5)]}
    other = subprocess.Popen([*AUTOFLOW, "once"], env=site.environment, stdout=subprocess.PIPE)
    until(lambda: (site.settings.autoflow_outputs_dir / "autoflow.db").exists() and states(site.settings), seconds=90)
    state = available_dates_sensor(return_state=True)
    told, _ = other.communicate(timeout=100)

    assert state.is_completed(), state
    assert other.returncode == 0
    assert sorted(states(site.settings)) == sorted(
        (day, state, 1) for day in site.flowapi.dates["calls"] for state in ("running", "success")
    )
    assert len(list(site.settings.notebooks_dir.iterdir())) == 4
    by_flow = int(state.message.split()[0]) if "succeeded" in state.message else 0
    assert by_flow + len(told.splitlines()) == 4


def test_a_flow_and_the_own_runner_agree_on_what_has_changed(prefect: Server, site: Site) -> None:
    """A date that a flow has run runs again when its data was corrected, and not otherwise, whoever looks."""
    site.notebook("n.ipynb", "day = None")
    entry = "{workflow_name: w, cdr_types: [calls], on_change: [data]}"
    site.workflows((WORKFLOWS % "null").replace("{workflow_name: w}", entry))
    site.flowapi.dates = {"calls": ["2016-01-01"], "sms": []}
    site.flowapi.versions = {"calls": {"2016-01-01": "1"}, "sms": {"2016-01-01": "1"}}
    workflow = make_notebooks_workflow("w", {"n": {"filename": "n.ipynb", "parameters": {"day": "reference_date"}}})
    first = workflow(reference_date="2016-01-01", return_state=True)
    nothing = run_once(site.settings)
    site.flowapi.versions = {"calls": {"2016-01-01": "2"}, "sms": {"2016-01-01": "2"}}
    corrected = run_once(site.settings)
    again = workflow(reference_date="2016-01-01", return_state=True)
    site.flowapi.versions = {"calls": {"2016-01-01": "3"}}
    last = workflow(reference_date="2016-01-01", return_state=True)

    assert (first.name, nothing) == ("Completed", [])
    assert [run.state for run in corrected] == [RunState.success]
    assert (again.name, last.name) == ("Skipped", "Completed")
    assert [state for _, state, _ in states(site.settings)] == ["running", "success"] * 3


def test_a_broken_notebook_is_held_back_and_costs_no_try(prefect: Server, site: Site) -> None:
    """Where a notebook cannot run here, sensor and flow fail with the reason, and the run table is left alone."""
    from autoflow.sensor import available_dates_sensor

    site.notebook("n.ipynb", "day = None").write_text("{")
    site.workflows(WORKFLOWS % "null")
    site.flowapi.dates = {"calls": ["2016-01-01"]}
    sensor = available_dates_sensor(return_state=True)
    flow = make_notebooks_workflow("w", {"n": {"filename": "n.ipynb"}})(reference_date="2016-01-01", return_state=True)

    assert (sensor.type.value, flow.type.value) == ("FAILED", "FAILED")
    assert re.fullmatch(r"w is held back: workflows\.yml, line 1: .*: n\.ipynb is not JSON .*", sensor.message)
    assert "n.ipynb is not JSON" in flow.message
    assert states(site.settings) == []


def test_what_keeps_the_sensor_from_its_work_is_the_reason_of_its_failure(
    prefect: Server, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FlowAPI that is down, a mistake in workflows.yml or in the parameters, and a bad setting are sentences."""
    from autoflow.sensor import available_dates_sensor

    missing = available_dates_sensor(return_state=True)
    site.notebook("n.ipynb", "day = None", "1 / 0")
    site.workflows(WORKFLOWS % "null")
    site.flowapi.dates = {"calls": ["2016-01-01"]}
    unknown = available_dates_sensor(workflows=[{"workflow_name": "v"}], return_state=True)
    site.flowapi.down = True
    down = available_dates_sensor(return_state=True)
    site.flowapi.down = False
    failing = available_dates_sensor(return_state=True)
    monkeypatch.setenv("AUTOFLOW_PARALLEL", "none")
    bad = available_dates_sensor(return_state=True)

    assert {state.type.value for state in (missing, unknown, down, failing, bad)} == {"FAILED"}
    assert missing.message.startswith("There is no workflows.yml in ")
    assert "workflow_name: no workflow is called 'v'" in unknown.message
    assert down.message.startswith(f"FlowAPI at {site.flowapi.url} did not return the available dates: ")
    assert failing.message == ("1 of 1 run failed: w 2016-01-01: n.ipynb, cell 3: ZeroDivisionError: division by zero")
    assert bad.message.startswith("AUTOFLOW_PARALLEL: ")
    assert prefect.flow_runs("w")[-1].state.message == "n.ipynb, cell 3: ZeroDivisionError: division by zero"


def watched(trace: Path) -> list[str]:
    """The start of a command line that notes every address a process and its children speak to."""
    if not shutil.which("strace"):
        pytest.skip("Connections cannot be watched here: there is no strace.")
    watch = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,bind,sendto", "-o", str(trace)]
    if subprocess.run([*watch, "true"], capture_output=True, check=False).returncode:
        pytest.skip("Connections cannot be watched here: strace may not follow processes.")
    return watch


def strangers(trace: Path) -> set[str]:
    met = [one or other for one, other in ADDRESS.findall(trace.read_text(errors="replace"))]
    assert len(met) > 10, "the watch saw nothing"
    return {address for address in met if not LOOPBACK.fullmatch(address)}


def telling(environment: dict[str, str], **extra: str) -> dict[str, str]:
    """An environment in which nothing but AutoFlow keeps Prefect from telling of its use."""
    quiet = ("DO_NOT_TRACK", "PREFECT_SERVER_ANALYTICS_ENABLED", "CI", "GITHUB_ACTIONS", "GITLAB_CI", "BUILDKITE")
    return {**{name: value for name, value in environment.items() if name not in quiet}, **extra}


def test_the_schedule_runs_new_dates_and_stopping_gives_back_what_is_under_way(
    prefect: Server, site: Site, token: str, tmp_path: Path
) -> None:
    """Served, the sensor runs by cron; SIGTERM ends it and its kernels; nothing leaves the machine, nor the token."""
    waiting = (
        "import os, pathlib, time\nif day == '2016-01-02':\n    pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "    time.sleep(300)"
    )
    site.notebook("n.ipynb", "day = None", waiting)
    site.workflows(WORKFLOWS % '"* * * * * */5"')
    site.flowapi.dates = {"calls": ["2016-01-01"]}
    (tmp_path / "tmp").mkdir()
    trace, begun = tmp_path / "trace", site.settings.autoflow_outputs_dir / "autoflow.db"
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*watched(trace), *AUTOFLOW, "prefect"],
            env=telling(site.environment, TMPDIR=str(tmp_path / "tmp")),
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: ("2016-01-01", "success", 1) in (states(site.settings) if begun.exists() else []), seconds=90)
        site.flowapi.dates["calls"].append("2016-01-02")
        pid = site.settings.autoflow_inputs_dir / "pid"
        kernel = Path("/proc", until(lambda: pid.exists() and pid.read_text(), seconds=90))
        assert kernel.exists()
        os.kill(children(process.pid)[0], signal.SIGTERM)
        process.wait(40)
    finally:
        while left := children(process.pid):
            os.kill(left[-1], signal.SIGKILL)
            time.sleep(0.1)
        process.wait(10)

    assert not kernel.exists()
    assert process.returncode == 0, (tmp_path / "said").read_text()
    assert states(site.settings) == [
        ("2016-01-01", "running", 1),
        ("2016-01-01", "success", 1),
        ("2016-01-02", "running", 1),
        ("2016-01-02", "failed", 0),
    ]
    first = next(run for run in prefect.flow_runs("available_dates_sensor") if run.deployment_id)
    assert first.auto_scheduled
    assert first.state.message == "1 run succeeded."
    assert strangers(trace) == set()
    assert prefect.holding(token, site.settings.autoflow_outputs_dir, tmp_path / "tmp") == []
    assert token not in (tmp_path / "said").read_text()


def test_serving_needs_a_server(prefect: Server, site: Site) -> None:
    """Without PREFECT_API_URL, or where nobody answers there, `autoflow prefect` says so in a sentence."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from autoflow.prefect_flows import PrefectError, serve_with_prefect

    site.notebook("n.ipynb", "day = None")
    site.workflows(WORKFLOWS % '"0 0 * * *"')
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    unset = subprocess.run(
        [*AUTOFLOW, "prefect"],
        env={**site.environment, "PREFECT_API_URL": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert unset.returncode == 1
    assert unset.stderr.splitlines()[-1].startswith("PREFECT_API_URL is not set; give the address of a Prefect server")
    assert "Traceback" not in unset.stderr
    with temporary_settings({PREFECT_API_URL: nowhere}), pytest.raises(PrefectError) as deaf:
        serve_with_prefect(site.settings)
    assert str(deaf.value).startswith(f"No Prefect server answers at {nowhere} (")


def test_a_server_that_is_brought_along_tells_nobody_of_its_use(prefect: Server, site: Site) -> None:
    """With nothing set against it, Prefect's telemetry is off in whatever process AutoFlow's flows are loaded."""
    code = (
        "import os, autoflow.prefect_flows\nfrom prefect.settings import get_current_settings\n"
        "print(get_current_settings().server.analytics_enabled, os.environ['DO_NOT_TRACK'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=telling(site.environment),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.stdout.split() == ["False", "1"], done.stderr
