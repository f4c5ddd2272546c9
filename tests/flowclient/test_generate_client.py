"""The tool that writes the client's functions from the catalogue of query kinds."""

import functools
import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "generate_client.py"
CATALOGUE = Path(__file__).with_name("catalogue.json")


@pytest.fixture(scope="module")
def tool():
    """The tool, which writes a text of the same catalogue once however often it is asked."""
    module = load(TOOL)
    module._formatted = functools.cache(module._formatted)
    return module


@pytest.fixture
def run_tool(tool, capsys):
    """Run the tool in this process, as its command line does: its exit code, and what it said."""

    def run(*arguments):
        capsys.readouterr()
        code = tool.main([*map(str, arguments)])
        return SimpleNamespace(returncode=code, stderr=capsys.readouterr().err)

    return run


def changed(tmp_path, change):
    """Return the path of the catalogue after a change."""
    catalogue = json.loads(CATALOGUE.read_text())
    change({kind["kind"]: kind for kind in catalogue["kinds"]}, catalogue["kinds"])
    path = tmp_path / "catalogue.json"
    path.write_text(json.dumps(catalogue))
    return path


def load(path):
    """Return a generated module."""
    spec = importlib.util.spec_from_file_location(f"generated_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_stale_modules_are_named_and_then_written(tmp_path, run_tool):
    """--check names each stale module and writes nothing; without it they are written, and are fresh."""
    done = run_tool("--check", "--catalogue", CATALOGUE, "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("is stale") == 4
    assert list(tmp_path.iterdir()) == []
    assert run_tool("--catalogue", CATALOGUE, "--out", tmp_path).returncode == 0
    assert run_tool("--check", "--catalogue", CATALOGUE, "--out", tmp_path).returncode == 0
    (tmp_path / "aggregates.py").write_text("# by hand\n")
    done = run_tool("--check", "--catalogue", CATALOGUE, "--out", tmp_path)
    assert (done.returncode, done.stderr.count("is stale")) == (1, 1)
    assert "aggregates.py" in done.stderr


def test_a_new_kind_becomes_a_function(tmp_path, run_tool):
    """A kind that the tool knows nothing of gets its functions: what is required, then what has a default."""

    def add(_, kinds):
        parameters = [
            {"name": "top", "schema": {"type": "integer"}, "required": False, "default": 3, "description": "How many."},
            {"name": "night", "schema": {"$ref": "#/x/Hours"}, "required": True, "description": 'The "night"\\hours.'},
            {
                "name": "since_date",
                "schema": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
                "required": False,
                "default": None,
                "description": "From when.",
            },
        ]
        kinds.append(
            {
                "kind": "night_counts",
                "component": "NightCounts",
                "role": "Aggregate",
                "top_level": True,
                "has_geometry": True,
                "summary": "Number of subscribers at night.",
                "description": "Counted once each.",
                "parameters": parameters,
                "columns": {"pcod": "string", "value": "int64"},
                "example": {},
            }
        )

    assert run_tool("--catalogue", changed(tmp_path, add), "--out", tmp_path).returncode == 0
    module = load(tmp_path / "aggregates.py")
    assert module.night_counts_spec(night=(22, 5)) == {
        "query_kind": "night_counts",
        "night": {"start_hour": 22, "end_hour": 5},
        "top": 3,
    }
    assert module.night_counts_spec(night=(22, 5), since_date="2016-01-01")["since_date"] == "2016-01-01"
    assert module.night_counts.__doc__.startswith("Number of subscribers at night.")
    assert 'The "night"\\hours.' in module.night_counts.__doc__
    assert "night_counts" in module.__all__


def test_a_new_optional_parameter_comes_last_and_is_sent_if_given(tmp_path, run_tool):
    """A parameter that a known kind gains leaves the specs of today's programs as they are."""

    def add(by_name, _):
        declared = {"name": "seed", "schema": {"anyOf": [{"type": "number"}, {"type": "null"}]}, "required": False}
        by_name["daily_location"]["parameters"].insert(0, {**declared, "default": None, "description": "A seed."})

    assert run_tool("--catalogue", changed(tmp_path, add), "--out", tmp_path).returncode == 0
    make = load(tmp_path / "query_specs.py").daily_location_spec
    assert "seed" not in make(date="2016-01-01", aggregation_unit="admin3", method="last")
    assert make(date="2016-01-01", aggregation_unit="admin3", method="last", seed=0.5)["seed"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda by_name, _: by_name["flows"]["parameters"].pop(), "flows: the catalogue has no join_type"),
        (
            lambda by_name, _: by_name["flows"]["parameters"].append(
                {"name": "extra", "schema": {"type": "string"}, "required": True, "description": "New."}
            ),
            "flows: extra is required and new",
        ),
    ],
)
def test_a_catalogue_that_would_break_programs_is_refused(tmp_path, change, message, run_tool):
    """A kind that loses a parameter, or demands a new one, is refused in a sentence that says what to do."""
    done = run_tool("--catalogue", changed(tmp_path, change), "--out", tmp_path / "out")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_catalogue_that_cannot_be_read_is_named(tmp_path, run_tool):
    """A missing or broken catalogue file is named without a traceback."""
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for path in (broken, tmp_path / "absent.json"):
        done = run_tool("--catalogue", path)
        assert done.returncode == 1
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr
