"""The tutorial is done as it is written, and prints what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial-nepal.md"
BLOCK = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)
OF_THE_MACHINE = ("store ", "API ")
"""Lines that tell where the deployment lies, and whether a server happens to run."""


def steps():
    """Each block of commands with the output that follows it before the next one, if any is shown."""
    found = []
    for language, text in BLOCK.findall(TUTORIAL.read_text()):
        if language == "sh":
            found.append((text, ""))
        elif language == "" and found:
            found[-1] = (found[-1][0], text)
    return found


def told(output):
    """The lines of an output, without what differs from machine to machine."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    return [line for line in lines if line and not line.startswith(OF_THE_MACHINE)]


@pytest.mark.takes_long("runs every command of the tutorial")
def test_every_step_prints_what_the_tutorial_shows(nepal, tmp_path):
    """A reader who types the tutorial's commands beside the data sees what the tutorial shows."""
    (tmp_path / "nepal").symlink_to(nepal / "data" / "nepal")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("FLOW", "AUTOFLOW"))},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FLOWKIT_DEPLOYMENT": "operator",
        "COLUMNS": "100",
        "NO_COLOR": "1",
    }

    for commands, shown in steps():
        done = subprocess.run(
            ["bash", "-c", f"set -e\n{commands}"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == (1 if shown.startswith("Error:") else 0), done.stdout
        if shown:
            assert told(done.stdout) == told(shown)


def test_the_tutorial_has_steps_and_outputs():
    """The tutorial shows the output of loading, of a refusal and of questions."""
    outputs = [shown for _, shown in steps() if shown]

    assert len(steps()) >= 10
    assert any(shown.startswith("Error:") for shown in outputs)
    assert sum("rows." in shown for shown in outputs) >= 3
