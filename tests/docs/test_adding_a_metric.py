"""CONTRIBUTING.md's example is followed to the letter, in a copy of the project."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
COPIED = (
    "src",
    "tools",
    "tests/flowmachine",
    "tests/engines",
    "tests/conftest.py",
    "tests/time_budget.py",
    "pyproject.toml",
)

TELL = """
import json, flowmachine, flowclient
from flowapi.authorisation import scopes_of_schemas
from flowmachine.catalogue import catalogue, schemas

print(json.dumps({
    "from": flowmachine.__file__,
    "kinds": [entry["kind"] for entry in catalogue()["kinds"]],
    "asked": [choice["$ref"].rpartition("/")[2] for choice in schemas()["FlowmachineQuerySchema"]["oneOf"]],
    "scopes": scopes_of_schemas(schemas()),
    "client": flowclient.visitor_days_spec(
        start_date="2016-01-01", end_date="2016-01-08", aggregation_unit="admin3"),
    "documented": flowclient.visitor_days.__doc__,
}))
"""


def block(language, after):
    """The first code block of a language after some words of CONTRIBUTING.md."""
    text = (PROJECT / "CONTRIBUTING.md").read_text().split(after, 1)[1]
    return re.search(rf"```{language}\n(.*?)```", text, re.DOTALL).group(1)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project, to which the example's two files are added and where its generators have run."""
    root = tmp_path_factory.mktemp("project")
    for name in COPIED:
        source, target = PROJECT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    for after, language in (("**1. Write the file**", "python"), ("**2. Write its expected rows**", "json")):
        path = re.search(r"`((?:src|tests)/[^`]+visitor_days[^`]+)`", contributing().split(after, 1)[1]).group(1)
        (root / path).write_text(block(language, after))
    return root


def contributing():
    return (PROJECT / "CONTRIBUTING.md").read_text()


def run(copy, *command):
    """What a command prints, run by a fresh Python over the copy."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy / "src"), str(copy)])}
    done = subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.takes_long("generates the client and the documentation anew")
def test_one_file_makes_the_metric_appear_everywhere(copy):
    """Whoever adds the class has the kind in the catalogue, the API, its scopes, the client and the documentation."""
    commands = block("sh", "**3. Regenerate and test:**")
    assert "python tools/generate_client.py\npython tools/generate_docs.py\n" in commands

    run(copy, "tools/generate_client.py")
    told = json.loads(run(copy, "-c", TELL))
    run(copy, "tools/generate_docs.py", "--only", "visitor_days")
    page = (copy / "docs/queries/visitor_days.md").read_text()

    assert Path(told["from"]).is_relative_to(copy)
    assert "visitor_days" in told["kinds"]
    assert "VisitorDays" in told["asked"]
    for unit in ("admin0", "admin1", "admin2", "admin3", "lon-lat"):
        assert f"{unit}:visitor_days:visitor_days" in told["scopes"]
    assert told["client"]["query_kind"] == "visitor_days"
    assert told["client"]["aggregation_unit"] == "admin3"
    sentence = "How many visitor-days each location had: a subscriber counts once for each day there."
    assert told["documented"].startswith(sentence)
    assert sentence in page
    assert "| FK10101 | " in page, "the page shows the example's result"
    assert (copy / "docs/queries/pictures/visitor_days.png").stat().st_size > 1000


def test_its_expected_rows_hold(copy):
    """The rows worked out by hand in CONTRIBUTING.md are what DuckDB gives, in the suite that runs for every kind."""
    selected = "visitor_days and duckdb"

    said = run(
        copy, "-m", "pytest", "tests/flowmachine/test_expected_rows.py", "-k", selected, "-q", "-p", "no:cacheprovider"
    )

    assert "1 passed" in said


def test_the_project_itself_is_left_alone(copy):
    """Following the example in a copy leaves no file of it in the project."""
    assert not list(PROJECT.glob("src/**/visitor_days*"))
