"""AutoFlow under watch: a pass with a PDF connects to nothing beyond this machine."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoflow.settings import Settings

WORKFLOWS = """\
workflows: [{name: w, notebooks: {n: {filename: n.ipynb, output: {format: pdf}}}}]
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}
"""
DRAWING = """\
import flowclient, os
c = flowclient.connect(url=os.environ['FLOWAPI_URL'], token=os.environ['FLOWAPI_TOKEN'])
units = flowclient.get_geography(connection=c, aggregation_unit='admin1', format='geopandas')
units.plot()
units.drop(columns=['geometry', 'centroid'], errors='ignore')"""
ADDRESS = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+")


@pytest.fixture
def watch(tmp_path: Path) -> list[str]:
    """The start of a command line under which every connection of a process and its children is written down."""
    command = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-e",
        "trace=connect,bind,sendto,sendmsg",
        "-o",
        str(tmp_path / "trace"),
    ]
    if not shutil.which("strace") or subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("Connections cannot be watched here: there is no strace that works.")
    return command


@pytest.mark.takes_long("traces the system calls of a whole pass")
def test_a_pass_with_a_report_stays_on_the_machine(
    settings: Settings,
    flowapi: Any,
    token: str,
    watch: list[str],
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """A notebook with a map and a table is run and typeset, and every address that is met is this machine's own."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_workflows(WORKFLOWS)
    write_notebook("n.ipynb", "p = 1", "# # A map and a table", DRAWING)
    environment = {
        **os.environ,
        "FLOWAPI_URL": settings.flowapi_url,
        "FLOWAPI_TOKEN": token,
        "AUTOFLOW_INPUTS_DIR": str(settings.autoflow_inputs_dir),
        "AUTOFLOW_OUTPUTS_DIR": str(settings.autoflow_outputs_dir),
    }
    command = [*watch, sys.executable, "-m", "autoflow", "once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = settings.reports_dir.iterdir()
    assert report.read_bytes().startswith(b"%PDF-")
    assert report.stat().st_size > 10_000

    met = [one or other for one, other in ADDRESS.findall((tmp_path / "trace").read_text(errors="replace"))]
    assert len(met) > 10, "the watch saw nothing"
    assert {address for address in met if not LOOPBACK.fullmatch(address)} == set()
    # The only port that is spoken to, beside the kernel's own, is FlowAPI's.
    assert f"htons({flowapi.url.rpartition(':')[2]})" in (tmp_path / "trace").read_text(errors="replace")
