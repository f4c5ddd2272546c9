"""The page about AutoFlow names everything that there is to name, and its examples hold."""

import datetime as dt
import json
import re
from pathlib import Path

import yaml
from typer.main import get_command

from autoflow.__main__ import cli
from autoflow.definition.grammar import json_schema
from autoflow.definition.stencil import DateStencil
from autoflow.examples import example_files
from autoflow.schedule.planning import STATES
from autoflow.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "autoflow.md").read_text()
NAMED = {name for names in re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \|", PAGE, re.MULTILINE) for name in names.split("`")}


def keys(schema: dict) -> set[str]:
    """The keys of every section of the grammar."""
    return {key for section in (schema, *schema["$defs"].values()) for key in section["properties"]}


def examples(language: str) -> list[str]:
    """The page's examples in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_key_of_workflows_yml_is_explained():
    """Each key of the grammar begins a row of a table."""
    explained = {name.removeprefix("output: ") for name in NAMED}
    sections = {"workflows", "available_dates_sensor"}
    written = {heading for heading in sections if f"### {heading}\n" in PAGE}

    assert keys(json_schema()) - explained - written == set()
    assert len(keys(json_schema())) > 15


def test_every_state_and_command_is_explained():
    """Each state of autoflow status, each command, and the columns of the run table begin a row of a table."""
    commands = {name for name, command in getattr(get_command(cli), "commands", {}).items() if not command.hidden}

    assert set(STATES) - NAMED == set()
    assert commands - {name.split()[1] for name in NAMED if name.startswith("autoflow ")} == set()
    assert {"id", "workflow_name", "parameters_hash", "state", "timestamp", "error", "outputs", "fingerprint"} <= NAMED


def test_the_settings_that_are_named_exist():
    """Every setting that the page names is one of AutoFlow's."""
    told = set(re.findall(r"`(AUTOFLOW_[A-Z_]+|FLOWAPI_[A-Z_]+|SSL_[A-Z_]+)`", PAGE))

    assert len(told) > 10
    assert told - {name.upper() for name in Settings.model_fields} == set()


def test_the_workflows_yml_that_is_shown_is_the_examples():
    """The file on the page means what the commuting example's own does."""
    shown = next(text for text in examples("yaml") if text.startswith("workflows:"))

    assert yaml.safe_load(shown) == yaml.safe_load(example_files("commuting")["workflows.yml"])


def test_the_stencil_that_is_drawn_is_right():
    """The table's days and ranges are those that the stencil of the worked example gives for 7 January."""
    written = yaml.safe_load(next(text for text in examples("yaml") if text.startswith("date_stencil:")))[
        "date_stencil"
    ]
    rows = [line.strip("| \n").split("|") for line in PAGE.splitlines() if "●" in line]
    rows = [[cell.strip() for cell in row] for row in rows]
    drawn = [[day for day, cell in enumerate(row[1:8], start=1) if cell] for row in rows[:-1]]
    reference = dt.date(2016, 1, 7)
    ranges = DateStencil(written).date_ranges(reference)

    assert [row[0].strip("`") for row in rows] == ["[2016-01-01, 2016-01-03]", "-3", "[-2, 0]", "needed"]
    assert drawn == [[day.day for day in days] for days in map(_days, ranges)]
    assert [json.loads(row[8].strip("`")) for row in rows[:-1]] == [[str(start), str(end)] for start, end in ranges]
    assert [day for day, cell in enumerate(rows[-1][1:8], start=1) if cell] == sorted(
        {d for each in drawn for d in each}
    )


def _days(pair):
    start, end = (dt.date.fromisoformat(str(edge)) for edge in pair)
    return [start + dt.timedelta(days=n) for n in range((end - start).days)]
