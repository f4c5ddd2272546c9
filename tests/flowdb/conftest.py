"""A small lake, and files to load into it."""

import json

import pytest

from flowdb.lake import Lake


@pytest.fixture
def lake(tmp_path):
    """An empty lake in UTC."""
    return Lake.create(tmp_path / "lake", "UTC")


@pytest.fixture
def write(tmp_path):
    """Write a file and give its path."""

    def make(name, content):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return make


@pytest.fixture
def squares(write):
    """Write squares of one degree as GeoJSON: name of file, and (code, west, south) of each."""

    def make(name, *given, size=1.0):
        features = []
        for code, west, south in given:
            ring = [
                (west, south),
                (west + size, south),
                (west + size, south + size),
                (west, south + size),
                (west, south),
            ]
            features.append(
                {
                    "type": "Feature",
                    "properties": {"pcode": code, "label": f"Unit {code}"},
                    "geometry": {"type": "Polygon", "coordinates": [ring]},
                }
            )
        return write(name, {"type": "FeatureCollection", "features": features})

    return make
