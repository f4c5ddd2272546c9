"""The JSON Schema of workflows.yml: it and the reader are one grammar."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import autoflow
from autoflow.__main__ import cli
from autoflow.definition.grammar import Document, json_schema
from autoflow.definition.reading import WorkflowsError, definition_of
from flowclient.event_types import EVENT_TYPES

CHECKER = jsonschema.Draft202012Validator(json_schema())

# What the reader alone can know of a part that the schema takes.
READER_ALONE = (
    "there is no file",
    "called",
    "wait for each other",
    "is not a cron schedule",
    "never comes",
    "is empty: its end",
    "as well; add the value",
    "has no parameter",
    "AsciiDoc template makes a PDF",
    "day is out of range",
    "month must be in",
    "year 0",
)

VALID = {
    "workflows": [
        {
            "name": "one",
            "notebooks": {
                "first": {"filename": "a.ipynb", "parameters": {"url": "flowapi_url"}},
                "second": {
                    "filename": "b.ipynb",
                    "parameters": {"previous": "first", "unit": "unit"},
                    "output": {"format": "pdf", "template": "report.tpl", "code": True},
                },
            },
        },
        {"name": "two", "notebooks": {"only": {"filename": "a.ipynb", "output": {"format": "html"}}}},
    ],
    "available_dates_sensor": {
        "schedule": "0 0 * * *",
        "cdr_types": ["calls", "sms"],
        "workflows": [
            {
                "workflow_name": "one",
                "parameters": {"unit": "admin3"},
                "earliest_date": "2016-01-04",
                "date_stencil": [["2016-01-01", "2016-01-03"], -1, 0, [-3, "2016-01-09"]],
                "cdr_types": ["mds"],
                "require": "all",
                "every": "week",
                "on_change": ["notebooks", "data"],
            },
            {"workflow_name": "two"},
        ],
    },
}

JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-40000, 40000),
    st.just(0.5),
    st.sampled_from(
        [
            *("", " ", "x", "a.ipynb", "a.txt", "../a.ipynb", "/a.ipynb", "a/../b.ipynb", ".ipynb", "x/.ipynb", "pdf"),
            *("html", "2016-01-01", "2016-1-1", "20160101", "2016-02-30", "all", "month", "data", "0 0 * * *", "calls"),
            *("reference_date", "flowapi_url", "first"),
        ]
    ),
    st.just([]),
    st.just({}),
    st.lists(
        st.one_of(st.integers(-3, 3), st.just("2016-01-01"), st.just([0, 1]), st.just([1]), st.none()), max_size=3
    ),
    st.dictionaries(st.sampled_from(["a", "date_ranges", "format", "filename"]), st.sampled_from(["x", 1, None])),
)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files that the valid document names."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("a.ipynb", "b.ipynb", "report.tpl"):
        (folder / name).write_text("{}")
    return folder


def spots(part: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    return [path, *(spot for key, value in inner for spot in spots(value, (*path, key)))]


def changed(path: tuple[Any, ...], act: str, junk: Any) -> Any:
    """The valid document with one place replaced, removed, or given another key beside it."""
    document = json.loads(json.dumps(VALID))
    if not path:
        return junk
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if act == "remove":
        del parent[path[-1]]
    elif act == "add" and isinstance(parent, dict):
        parent["surplus" if junk is None else str(junk)] = junk
    else:
        parent[path[-1]] = junk
    return document


def complaints(document: Any, inputs: Path) -> list[str]:
    try:
        definition_of(inputs, yaml.safe_load(yaml.safe_dump(document)))
    except WorkflowsError as error:
        return [problem.message for problem in error.problems]
    return []


def test_the_schema_is_one() -> None:
    """It keeps the rules of JSON Schema 2020-12, and every key in it says what it is for."""
    jsonschema.Draft202012Validator.check_schema(json_schema())
    sections = [json_schema()]
    keys = 0
    while sections:
        part = sections.pop()
        for key in part.get("properties", {}).values():
            keys += 1
            assert key["description"].endswith("."), key
        sections += [inner for inner in part.values() if isinstance(inner, dict)]
    assert keys == 21


def test_the_valid_document_is_taken_by_both(inputs: Path) -> None:
    """A document that uses every key passes the schema and the reader."""
    assert complaints(VALID, inputs) == []
    assert list(CHECKER.iter_errors(VALID)) == []


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(spots(VALID)), act=st.sampled_from(["replace", "replace", "remove", "add"]), junk=JUNK)
@example(path=("available_dates_sensor", "schedule"), act="remove", junk=None)
@example(path=("available_dates_sensor", "cdr_types"), act="replace", junk=[])
@example(path=("workflows", 0, "notebooks"), act="replace", junk={})
@example(path=("workflows", 0, "notebooks", "first"), act="add", junk="reference_date")
@pytest.mark.takes_long("reads many random files")
def test_schema_and_reader_agree(inputs: Path, path: tuple[Any, ...], act: str, junk: Any) -> None:
    """What the schema refuses the reader refuses, and what the reader refuses the schema does or cannot know."""
    document = changed(path, act, junk)
    refused = [error.message for error in CHECKER.iter_errors(document)]
    told = complaints(document, inputs)

    if refused:
        assert told
    elif told:
        assert all(any(known in message for known in READER_ALONE) for message in told), (told, document)


def test_the_reader_knows_no_key_that_the_grammar_does_not() -> None:
    """The sections of the schema have the keys of the grammar, in its order."""
    schema = json_schema()
    sensor, entry = schema["$defs"]["SensorSection"], schema["$defs"]["EntrySection"]

    assert list(schema["properties"]) == list(Document.model_fields)
    assert list(sensor["properties"]) == ["schedule", "cdr_types", "workflows"]
    assert entry["properties"]["cdr_types"]["anyOf"][0]["items"]["enum"] == list(EVENT_TYPES)


def test_the_schema_is_printed() -> None:
    """`autoflow schema` prints the schema, and needs no settings for it."""
    done = CliRunner().invoke(cli, ["schema"])

    assert done.exit_code == 0
    assert json.loads(done.stdout) == json_schema()


class EditorsYaml(yaml.SafeLoader):
    """YAML as editors read it, in which a date is text."""


EditorsYaml.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_the_shipped_examples_fit_the_schema() -> None:
    """Every workflows.yml that comes with AutoFlow is taken by the schema, as an editor reads it."""
    found = list((Path(autoflow.__file__).parent / "examples").rglob("workflows.yml"))

    assert found
    for path in found:
        loaded = yaml.load(path.read_text(encoding="utf-8"), Loader=EditorsYaml)
        assert [error.message for error in CHECKER.iter_errors(loaded)] == []
