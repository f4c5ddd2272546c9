"""A query kind in a package of its own is treated as ours are; one that breaks harms nothing."""

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from tests.flowmachine_server.living_server import ServerProcess, Wire, make_lake

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "flowmachine-plugin"
SPEC = {
    "query_kind": "regular_visitors",
    "start_date": "2016-01-01",
    "end_date": "2016-01-05",
    "aggregation_unit": "admin3",
    "days": 2,
}


def run(python, *command, cwd=PROJECT, **environment):
    """What a command prints, run by an environment's Python."""
    done = subprocess.run(
        [python, *command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# The example


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Python of an environment that sees this one's packages, and has the example installed."""
    root = tmp_path_factory.mktemp("plugin")
    environment = root / "environment"
    venv.create(environment, symlinks=True)
    inherited = [sysconfig.get_paths()["purelib"], *site.getsitepackages()]
    lines = "".join(f"import site; site.addsitedir({path!r})\n" for path in dict.fromkeys(inherited))
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "inherited.pth").write_text(lines)
    python = environment / "bin" / "python"
    # Building writes beside the sources.
    package = root / "package"
    shutil.copytree(EXAMPLE, package, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    run(python, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", str(package))
    assert list(packages.glob("regular_visitors.py"))
    return python


TELL = """
import json, flowmachine
from flowapi.openapi import document
from flowapi.routes import router
from flowmachine.catalogue import catalogue, schemas

api = json.loads(document(router.routes, schemas(), "flowapi.server").body)
print(json.dumps({
    "class": flowmachine.RegularVisitors.kind,
    "entry": next(entry for entry in catalogue()["kinds"] if entry["kind"] == "regular_visitors"),
    "asked": [choice["$ref"].rpartition("/")[2] for choice in schemas()["FlowmachineQuerySchema"]["oneOf"]],
    "component": api["components"]["schemas"]["RegularVisitors"],
    "scopes": api["components"]["securitySchemes"]["token"]["x-security-scopes"],
}))
"""


def test_the_example_appears_wherever_our_kinds_do(installed):
    """An installed plugin's kind is in the library, the catalogue, the API's document and the scopes."""
    told = json.loads(run(installed, "-c", TELL))

    assert told["class"] == "regular_visitors"
    assert told["entry"]["summary"].startswith("How many subscribers were seen at each location")
    assert "days" in {parameter["name"] for parameter in told["entry"]["parameters"]}
    assert "RegularVisitors" in told["asked"]
    assert told["component"]["properties"]["days"]["minimum"] == 1
    for unit in ("admin0", "admin1", "admin2", "admin3", "lon-lat"):
        assert f"{unit}:regular_visitors:regular_visitors" in told["scopes"]


@pytest.mark.takes_long("starts processes that import and describe every kind")
def test_the_example_is_written_into_the_client_and_the_documentation(installed, tmp_path):
    """The generators write the plugin's function, with its sentence, and its page, with a result."""
    shutil.copytree(PROJECT / "src" / "flowclient", tmp_path / "flowclient")
    run(installed, "tools/generate_client.py", "--out", str(tmp_path / "flowclient"))
    command = ("tools/generate_docs.py", "--only", "regular_visitors", "--out", str(tmp_path / "docs"))
    # The page shows the client's function, so it is written with the client that has it.
    run(installed, *command, PYTHONPATH=str(tmp_path))

    client = (tmp_path / "flowclient" / "aggregates.py").read_text()
    page = (tmp_path / "docs" / "queries" / "regular_visitors.md").read_text()
    sentence = "How many subscribers were seen at each location on at least `days` different days of the window."
    assert "def regular_visitors(" in client
    assert sentence in " ".join(client.split())
    assert sentence in page
    assert "| FK10101 | " in page, "the page shows the example's result"


@pytest.mark.takes_long("starts processes that import and describe every kind")
def test_the_examples_own_test_passes(installed):
    """Whoever copies the example has a test that runs, on a world made by flowmachine.testing."""
    said = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=EXAMPLE)

    assert "5 passed" in said


def test_a_server_answers_the_examples_question(installed, tmp_path):
    """A server in the plugin's environment runs its kind, and releases no row that stands for too few people."""
    server = ServerProcess(tmp_path / "server", make_lake(tmp_path / "lake").path, python=installed).start()
    client = Wire(server.port)
    try:
        # Twenty people are in A on two days and in B on two; twenty stay in A, twenty in C.
        few, many = client.result({**SPEC, "days": 3}), client.result(SPEC)
        assert few == [{"pcod": "A", "value": 20}, {"pcod": "C", "value": 20}]
        assert many == [{"pcod": "A", "value": 40}, {"pcod": "B", "value": 20}, {"pcod": "C", "value": 20}]
        told = client.ask("run_query", {**SPEC, "days": 9})
        assert (told["status"], told["msg"]) == ("error", "days is 9, and the window has 4.")
    finally:
        client.close()
        server.stop()


# Plugins that break

KIND = '''
from typing import Annotated, Any, Callable, ClassVar, Literal
from pydantic import Field
from flowmachine.questions.places import InUnit
from flowmachine.questions.events import OfEvents
from flowmachine.questions.windows import Window
from flowmachine.questions.columns import L

class {cls}(Window, InUnit, OfEvents):
    """How many subscribers were seen at each location."""

    query_kind: Literal["{kind}"] = "{kind}"
    {field}

    columns: ClassVar = {columns}
    {counts}
    example: ClassVar = {{
        "query_kind": "{kind}", "start_date": "2016-01-01", "end_date": "2016-01-05", "aggregation_unit": "admin3",
        {example}
    }}

    def expression(self, cdr):
        """One row a place: place, value."""
        {fails}
        seen = cdr.located(self).distinct()
        return seen.group_by("place").agg(value=seen.count())
'''


def kind(name, **changes):
    """A plugin's source: a kind that works, but for the changes."""
    told = {
        "cls": "".join(word.title() for word in name.split("_")),
        "kind": name,
        "field": "",
        "columns": '{"location": L, "value": "int64"}',
        "counts": 'counts: ClassVar = "value"',
        "example": "",
        "fails": "",
    }
    return KIND.format(**told | changes)


LEFT_OUT = {
    "raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "exits": ("raise SystemExit(3)", "SystemExit: 3"),
    "is_no_python": ("def (", "SyntaxError"),
    "is_declared_twice": (
        kind("twice", cls="One") + kind("twice", cls="Two"),
        "The query kind twice is declared twice",
    ),
    "takes_our_name": (kind("flows", cls="Streams"), "The query kind flows is declared twice"),
    "takes_our_class": (kind("streams", cls="Flows"), "flows is a class Flows too"),
    "lacks_counts": (kind("lacks_counts", counts=""), "it lacks counts"),
    "lacks_a_description": (kind("undescribed", field="more: int = 3"), "it lacks a description of 'more'"),
    "lacks_an_expression": (
        kind("unexpressed").replace("def expression", "def expressed"),
        "it lacks an expression",
    ),
    "has_a_scope_for_a_name": (kind("admin3:flows", cls="Sly"), "names are of small letters, digits and _"),
    "tells_of_subscribers": (
        kind("tells", columns='{"subscriber": "int64", "value": "int64"}'),
        "an aggregate has no column of subscribers",
    ),
    "names_no_slot": (
        kind("slotless", field='of: Annotated["NoSuchSlot", Field(description="What.")]'),
        "NoSuchSlot",
    ),
    "has_no_schema": (
        kind("schemaless", field='of: Annotated[Callable[[], Any] | None, Field(description="What.")] = None'),
        "JsonSchema",
    ),
    "has_a_wrong_example": (kind("exampled", example='"nothing": 1'), "validation error"),
    "uses_another": ("import works_module\nraise ImportError('too old')", "ImportError: too old"),
}
"""Sources of plugins that cannot be used, and what is told of each."""

FAIL_ALONE = {
    "fails_to_build": (
        kind("fails_to_build", fails="return cdr.nothing"),
        "fails_to_build cannot be computed: its expression fails with AttributeError",
    ),
    "lacks_its_count": (
        kind("lacks_its_count", counts='counts: ClassVar = "people"'),
        "lacks_its_count cannot be computed: its expression lacks people.",
    ),
    "counts_nobody": (
        kind("counts_nobody", counts="counts: ClassVar = None"),
        "counts_nobody is not published: it reads events of people, and its declaration counts none of them.",
    ),
}
"""Sources of plugins whose kinds are there and cannot be asked, and what the asker is told."""


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A directory of packages: all that break, and one that works."""
    root = tmp_path_factory.mktemp("plugins")
    sources = {name: source for name, (source, _) in (LEFT_OUT | FAIL_ALONE).items()} | {"works": kind("works")}
    for name, source in sources.items():
        (root / f"{name}_module.py").write_text(source)
        about = root / f"{name}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[flowmachine.queries]\n{name} = {name}_module\n")
    return root


LOAD = """
import json, warnings
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    from flowmachine.catalogue import catalogue, schemas
    kinds = [entry["kind"] for entry in catalogue()["kinds"]]
    schemas()
print(json.dumps({"kinds": kinds, "warnings": [str(w.message) for w in told]}))
"""


@pytest.fixture(scope="module")
def loaded(plugins):
    """The kinds and warnings of a process that has all these plugins, and the kinds of one that has none."""
    told = json.loads(run(sys.executable, "-c", LOAD, PYTHONPATH=str(plugins)))
    return told | {"ours": json.loads(run(sys.executable, "-c", LOAD))["kinds"]}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_plugin_that_cannot_be_used_is_named_and_left_out(loaded, name):
    """A plugin that does not import, or declares what cannot be, is told of by name, with what is wrong."""
    (told,) = [w for w in loaded["warnings"] if w.startswith(f"The plugin {name} ({name}_module) is left out: ")]

    assert LEFT_OUT[name][1] in told


def test_the_others_work_beside_those_that_break(loaded):
    """All our kinds are there, and those of plugins that can be loaded, and no other."""
    assert set(loaded["kinds"]) == {*loaded["ours"], "works", *FAIL_ALONE}
    assert len(loaded["warnings"]) == len(LEFT_OUT)


@pytest.mark.takes_long("starts processes that import and describe every kind")
def test_a_server_with_broken_plugins_answers(plugins, tmp_path):
    """A server names broken plugins in its log, refuses their kinds in a sentence, and answers every other question."""
    server = ServerProcess(tmp_path / "server", make_lake(tmp_path / "lake").path)
    server.environment["PYTHONPATH"] = os.pathsep.join([str(plugins), os.environ.get("PYTHONPATH", "")])
    server.start()
    client = Wire(server.port)
    try:
        ours = {"query_kind": "unique_subscriber_counts", "start_date": "2016-01-01", "end_date": "2016-01-05"}
        asked = {**ours, "aggregation_unit": "admin3"}
        assert client.result(asked) == client.result({**asked, "query_kind": "works"})
        for name, (_, told) in FAIL_ALONE.items():
            reply = client.ask("run_query", {**asked, "query_kind": name})
            assert reply["status"] == "error"
            assert told in reply["msg"]
        for name in LEFT_OUT:
            assert f"The plugin {name} " in server.errors
        assert client.ask("get_query_schemas")["status"] == "success"
    finally:
        client.close()
        server.stop()
