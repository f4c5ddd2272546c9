"""A lake that an older FlowKit made."""

import json
import shutil

import pytest
from tests.flowkit.living_deployment import Place, flowkit

from flowdb.lake import Lake, LakeError
from flowdb.lake.directory import FORMAT, MARKER
from flowdb.reference import cells, geography, settling

SQUARE = {"type": "Polygon", "coordinates": [[[80, 20], [90, 20], [90, 30], [80, 30], [80, 20]]]}
UNIT = {"type": "Feature", "properties": {"code": "W", "name": "West"}, "geometry": SQUARE}


def fill(path, folder):
    """Load a unit and a cell into a lake, and make it one of format 1, which had no edges of units."""
    lake = Lake.open(path)
    (folder / "west.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [UNIT]}))
    (folder / "cells.csv").write_text("id,version,longitude,latitude\na,0,85,25\n")
    geography.load(lake, folder / "west.geojson", unit="admin1", code="code", name="name")
    cells.load(lake, folder / "cells.csv")
    shutil.rmtree(lake.reference_path("unit_edges"))
    (path / MARKER).write_text(json.dumps({"flowdb": 1, "timezone": lake.timezone}))


def test_an_older_lake_is_refused_with_the_way_out_and_then_brought_up_to_date(tmp_path):
    """Opened as it is, its number tells; upgraded, it has the missing table and the number of today."""
    path = tmp_path / "lake"
    Lake.create(path, "UTC")
    fill(path, tmp_path)
    with pytest.raises(LakeError, match=r"of an older FlowKit.*flowkit lake upgrade"):
        Lake.open(path)
    lake = Lake.upgrade(path, settling.settle)
    assert lake.snapshot().reference["unit_edges"].files
    assert json.loads((path / MARKER).read_text())["flowdb"] == FORMAT
    assert Lake.upgrade(path, pytest.fail) == Lake.open(path)


def test_a_newer_lake_is_refused(tmp_path):
    """A lake of a newer FlowKit says so."""
    Lake.create(tmp_path, "UTC")
    (tmp_path / MARKER).write_text(json.dumps({"flowdb": FORMAT + 1, "timezone": "UTC"}))
    with pytest.raises(LakeError, match=r"newer FlowKit.*upgrade FlowKit"):
        Lake.upgrade(tmp_path, pytest.fail)


@pytest.mark.parametrize("command", [("status",), ("doctor",), ("lake", "upgrade")])
def test_commands_work_on_an_older_lake(tmp_path, command):
    """Commands of a deployment bring its lake up to date by themselves."""
    place = Place(tmp_path / "deployment")
    assert flowkit("init", place.path, "--timezone", "UTC").returncode == 0
    fill(place.path / "lake", tmp_path)
    done = place.flowkit(*command)
    assert "half replaced" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert Lake.open(place.path / "lake").snapshot().reference["unit_edges"].files
