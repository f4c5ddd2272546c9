"""`flowkit demo` and somebody's data: it runs in a folder that it made, and nowhere else."""

import datetime as dt
import json
import shutil

import pytest
from tests.flowkit.living_deployment import Place, flowkit, refused

from flowkit import demo, demo_folder
from flowkit.demo_folder import MARKER, claim
from flowkit.deployment import creation
from flowkit.errors import DeploymentError


def contents(folder):
    """Every file below a folder, with its time of change."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*")}


def test_a_deployment_is_no_demo(copy_of_model):
    """Given a deployment with data, `flowkit demo` names it and the way out, and changes nothing in it."""
    place = copy_of_model()
    before = place.held, contents(place.path)
    sentence = refused(flowkit("demo", place.path, "--subscribers", 20, "--days", 9, "--once"))
    assert str(place.path) in sentence
    assert "name a new folder, such as `flowkit demo demo2`" in sentence
    assert f"rm -r {place.path}" in sentence, "the demo of an older version can be removed"
    assert (place.held, contents(place.path)) == before


def test_other_files_are_no_demo(tmp_path):
    """A folder with anybody's files is refused; a new or an empty one is marked before anything else is written."""
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(DeploymentError, match="name a new folder"):
        claim(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    for name in ("empty", "new"):
        claim(tmp_path / name)
        assert [file.name for file in (tmp_path / name).iterdir()] == [MARKER]


def test_a_copied_demo_is_left_alone(tmp_path):
    """A demo that was copied or moved may have been given real data: it is started by `flowkit up`, not made again."""
    claim(tmp_path / "demo")
    shutil.copytree(tmp_path / "demo", tmp_path / "ministry")
    with pytest.raises(DeploymentError, match=rf"--deployment {tmp_path}/ministry up"):
        claim(tmp_path / "ministry")


@pytest.mark.parametrize(
    "marker", ["", "[]", "null", '{"directory": 1, "other": 2}', "\ud800".encode("utf-8", "surrogatepass")]
)
def test_a_broken_marker_is_none(tmp_path, marker):
    """A marker that cannot be read marks nothing."""
    (tmp_path / MARKER).write_bytes(marker if isinstance(marker, bytes) else marker.encode())
    with pytest.raises(DeploymentError, match="name a new folder"):
        claim(tmp_path)


def test_a_demo_is_loaded_once(tmp_path, monkeypatch):
    """A demo whose country is loaded is not loaded again, nor are its people added, whatever its folder holds."""
    steps = []
    for step in ("_load", "_notebooks", "_people", "_report", "_print_results"):
        monkeypatch.setattr(demo, step, lambda *_, step=step: steps.append(step))
    monkeypatch.setattr(demo, "services", lambda *_, **__: _Nothing())
    place = Place(tmp_path / "demo")
    demo.run(place.path, subscribers=20, days=9, once=True)
    demo.run(place.path, subscribers=20, days=9, once=True)
    assert steps == ["_load", "_notebooks", "_people", "_report", "_print_results", "_report", "_print_results"]
    assert json.loads((place.path / MARKER).read_text())["loaded"] is True
    monkeypatch.setattr(demo_folder, "MARKER", "another")
    with pytest.raises(DeploymentError):
        demo.run(place.path, subscribers=20, days=9, once=True)


class _Nothing:
    """Services that are not started."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def test_a_database_with_days_becomes_no_new_mirror(tmp_path, monkeypatch):
    """A new deployment does not take over a database that holds days: its first load would withdraw them."""
    monkeypatch.setattr("flowdb.postgres.create", lambda *_: None)
    monkeypatch.setattr("flowdb.postgres.available_days", lambda _: {"calls": [dt.date(2016, 1, 1)], "sms": []})
    with pytest.raises(DeploymentError, match="holds days of calls already"):
        creation.create(tmp_path / "new", "UTC", store="postgresql://localhost/flowdb")
    assert not (tmp_path / "new").exists()
