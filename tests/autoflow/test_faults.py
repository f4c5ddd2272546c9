"""Faults: whatever breaks, the run says why in a sentence, the others go on, and what was whole stays whole."""

import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from autoflow.app import run_once
from autoflow.runs.run import Run, RunState
from autoflow.runs.table import open_run_table
from autoflow.schedule.available import FlowApiError
from autoflow.settings import Settings

WORKFLOWS = """\
workflows:
  - {name: broken, notebooks: {n: {filename: broken.ipynb}}}
  - {name: fine, notebooks: {n: {filename: fine.ipynb}}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: broken}, {workflow_name: fine}]}
"""
# Both workflows wait for the file, so that something can happen while they run.
WAITING = (
    "import os, pathlib, time\npathlib.Path(f'{os.getpid()}.pid').touch()\n"
    "while not pathlib.Path('go').exists(): time.sleep(0.05)"
)


@pytest.fixture
def prepared(
    flowapi: Any, settings: Settings, write_notebook: Callable[..., Path], write_workflows: Callable[[str], Path]
) -> Callable[..., Path]:
    """Write two workflows for one day, the first with the given cells, and give its notebook."""

    def prepare(*cells: str) -> Path:
        flowapi.dates = {"calls": ["2016-01-01"]}
        write_workflows(WORKFLOWS)
        write_notebook("fine.ipynb", "p = 1", "print(p)")
        return write_notebook("broken.ipynb", "p = 1", *cells)

    return prepare


@pytest.fixture
def small_disk(settings: Settings) -> Iterator[Path]:
    """Outputs on a disk of their own of two megabytes."""
    outputs = settings.autoflow_outputs_dir
    outputs.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(outputs)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("A disk can only be made full here by somebody who may mount one.")
    yield outputs
    subprocess.run(["umount", "--lazy", str(outputs)], check=True)


def by_name(runs: list[Run]) -> dict[str, Run]:
    return {run.workflow_name: run for run in runs}


def broken(settings: Settings) -> str:
    """Run both, and give the sentence of the one that failed; the other has to have gone on."""
    runs = by_name(run_once(settings))
    assert {name: run.state for name, run in runs.items()} == {
        "broken": RunState.failed,
        "fine": RunState.success,
    }, {name: run.error for name, run in runs.items()}
    error = runs["broken"].error or ""
    assert "\n" not in error
    assert "Traceback" not in error
    return error


def fill(path: Path, leave: int = 0) -> None:
    """Take what room there is on a disk, but for some."""
    free = os.statvfs(path.parent)
    path.write_bytes(b"x" * max(free.f_bavail * free.f_frsize - leave, 0))


def in_kernel(settings: Settings, act: Callable[[], Any]) -> None:
    """Do something in another thread once both kernels are at work, and then let them go on."""

    def wait() -> None:
        while len(list(settings.autoflow_inputs_dir.glob("*.pid"))) < 2:
            time.sleep(0.05)
        act()
        (settings.autoflow_inputs_dir / "go").touch()

    threading.Thread(target=wait, daemon=True).start()


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_notebook_that_is_gone_when_its_turn_comes(
    settings: Settings, prepared: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook deleted between the check and the run fails its run with the place where it is missed."""
    path = prepared()
    claim = type(open_run_table(settings)).claim

    def claim_late(*arguments: Any, **options: Any) -> Run | None:
        path.unlink(missing_ok=True)
        return claim(*arguments, **options)

    monkeypatch.setattr("autoflow.runs.table.RunTable.claim", claim_late)
    assert broken(settings) == (
        f"broken.ipynb: there is no such file any more in {path.parent}; put it back or change workflows.yml."
    )


def test_a_kernel_that_ends_itself(settings: Settings, prepared: Callable[..., Path]) -> None:
    """A kernel that ends in mid-cell fails its run, and the cells before it are kept for the reader."""
    prepared("print('so far')", "import os\nos._exit(3)")
    assert broken(settings).startswith("broken.ipynb: its kernel died")
    kept = [path for path in settings.notebooks_dir.iterdir() if path.name.startswith("broken")]
    assert len(kept) == 1
    assert "so far" in kept[0].read_text()


def test_a_kernel_that_is_killed_from_outside(
    settings: Settings, prepared: Callable[..., Path], write_notebook: Callable[..., Path]
) -> None:
    """A kernel that the system ends for want of memory fails its run, as the kernel of another run goes on."""
    prepared(WAITING.replace("pathlib.Path(f'{os.getpid()}.pid')", "pathlib.Path(f'{os.getpid()}-victim.pid')"))
    write_notebook("fine.ipynb", "p = 1", WAITING)

    def kill() -> None:
        victim = next(settings.autoflow_inputs_dir.glob("*-victim.pid"))
        os.kill(int(victim.name.partition("-")[0]), signal.SIGKILL)

    in_kernel(settings, kill)
    assert broken(settings).startswith("broken.ipynb: its kernel died")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/no/such/program", "{connection_file}"], "there is no program '/no/such/program'."),
        (["/bin/sh", "-c", "exit 3"], "its kernel did not start"),
    ],
)
def test_a_kernel_that_will_not_start(
    settings: Settings,
    prepared: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    said: str,
) -> None:
    """A kernel whose program is missing or ends at once fails its run in a sentence."""
    spec = tmp_path / "jupyter" / "kernels" / "bad"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "bad", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    edit(prepared(), lambda book: book["metadata"]["kernelspec"].update(name="bad"))
    assert said in broken(settings)


def test_a_notebook_that_never_ends(settings: Settings, prepared: Callable[..., Path]) -> None:
    """A notebook of many cells, none of them too long, is ended at the limit for a whole notebook."""
    prepared("import time", *["time.sleep(2)"] * 30)
    limits = {"autoflow_notebook_timeout": 5, "autoflow_cell_timeout": 60}
    began = time.monotonic()
    said = broken(settings.model_copy(update=limits))
    assert said == "broken.ipynb: it did not end within 5 seconds (AUTOFLOW_NOTEBOOK_TIMEOUT)."
    assert time.monotonic() - began < 45


def test_an_api_that_refuses_in_mid_run(settings: Settings, prepared: Callable[..., Path], flowapi: Any) -> None:
    """When the token is refused while a notebook runs, the run says so; once it is taken again, the run succeeds."""
    ask = (
        "import flowclient\n"
        "c = flowclient.connect(url=os.environ['FLOWAPI_URL'], token=os.environ['FLOWAPI_TOKEN'])\n"
        "print(flowclient.get_available_dates(connection=c))"
    )
    prepared(WAITING, ask)
    in_fine = "pathlib.Path('other.pid').touch()\nwhile not pathlib.Path('go').exists(): time.sleep(0.05)"
    edit(
        settings.autoflow_inputs_dir / "fine.ipynb",
        lambda book: book["cells"][1].update(source=f"import pathlib, time\n{in_fine}"),
    )
    in_kernel(settings, lambda: setattr(flowapi, "refusing", True))
    said = broken(settings)
    assert said.startswith("broken.ipynb, cell 3: FlowclientAccessError: no token")
    flowapi.refusing = False
    again = run_once(settings)
    assert [(run.workflow_name, run.state) for run in again] == [("broken", RunState.success)], again[0].error


def test_an_api_that_is_down_or_slow(settings: Settings, prepared: Callable[..., Path], flowapi: Any) -> None:
    """A FlowAPI that does not answer, or not in time, ends the pass with a sentence; afterwards everything runs."""
    prepared()
    flowapi.down = True
    with pytest.raises(FlowApiError, match="did not return the available dates: out of order"):
        run_once(settings)
    flowapi.down, flowapi.slow = False, 5
    began = time.monotonic()
    with pytest.raises(FlowApiError, match=r"within 1 seconds \(AUTOFLOW_DATES_TIMEOUT\)"):
        run_once(settings.model_copy(update={"autoflow_dates_timeout": 1}))
    assert time.monotonic() - began < 4
    flowapi.slow = 0.5
    assert [run.state for run in run_once(settings)] == [RunState.success] * 2


def test_dates_that_are_withdrawn_are_left_alone(
    settings: Settings, prepared: Callable[..., Path], flowapi: Any
) -> None:
    """A day that FlowAPI takes back and gives again has run, and does not run twice."""
    prepared()
    flowapi.dates = {"calls": ["2016-01-01", "2016-01-02"]}
    assert len(run_once(settings)) == 4
    flowapi.dates = {"calls": ["2016-01-02"]}
    assert run_once(settings) == []
    flowapi.dates = {"calls": ["2016-01-01", "2016-01-02", "2016-01-03"]}
    assert {run.reference_date.isoformat() for run in run_once(settings) if run.reference_date} == {"2016-01-03"}


def test_a_disk_that_is_too_small_for_an_output(
    settings: Settings, prepared: Callable[..., Path], small_disk: Path
) -> None:
    """A notebook that does not fit on the disk leaves no half of it; when there is room, it runs again and is whole."""
    prepared("print('x' * 1_500_000)")
    fill(small_disk / "filler", leave=700_000)
    # One after the other: what is written of the large output takes the room of the other meanwhile.
    said = broken(settings.model_copy(update={"autoflow_parallel": 1}))
    assert said == "broken.ipynb: its output could not be written: No space left on device."
    for path in settings.notebooks_dir.iterdir():
        json.loads(path.read_text())
    assert [path.name.partition("__")[0] for path in settings.notebooks_dir.iterdir()] == ["fine"]
    assert list(settings.working_dir.iterdir()) == []
    (small_disk / "filler").unlink()
    assert [run.state for run in run_once(settings)] == [RunState.success]
    with sqlite3.connect(small_disk / "autoflow.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.takes_long("waits until a disk has room again")
def test_a_disk_that_is_full_when_a_run_ends(
    settings: Settings, prepared: Callable[..., Path], small_disk: Path
) -> None:
    """While even the run table cannot be written, the end of a run waits for room and is then recorded."""
    filler = small_disk / "filler"
    cell = "try: print(open(p, 'wb', buffering=0).write(b'x' * 4_000_000))\nexcept OSError: pass\nprint('y' * 200_000)"
    prepared(f"p = {str(filler)!r}", cell)

    def make_room() -> None:
        while not filler.exists():
            time.sleep(0.05)
        time.sleep(6)
        filler.unlink()

    threading.Thread(target=make_room, daemon=True).start()
    runs = by_name(run_once(settings.model_copy(update={"autoflow_parallel": 1})))
    assert runs["broken"].state is RunState.failed
    assert runs["broken"].error == "broken.ipynb: its output could not be written: No space left on device."
    assert runs["fine"].state is RunState.success


def test_a_disk_that_is_full_from_the_beginning(
    settings: Settings, prepared: Callable[..., Path], small_disk: Path
) -> None:
    """Where nothing can be recorded nothing is started, and with room again everything runs once."""
    prepared()
    assert run_once(settings, retry_failed=True)
    table = open_run_table(settings)
    before = len(table.history())
    for key in table.latest():
        table.ask_again(*key)
    fill(small_disk / "filler")
    with pytest.raises((sa.exc.OperationalError, OSError)):
        run_once(settings)
    (small_disk / "filler").unlink()
    assert [run.state for run in run_once(settings)] == [RunState.success] * 2
    assert len(table.history()) == before + 6
    table.close()
