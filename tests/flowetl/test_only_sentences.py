"""Damaged files of every format: what loading says of them is a sentence, never a library's error."""

import gzip
import random
import warnings
import zipfile

import geopandas
import pyarrow.csv
import pyarrow.parquet
import pytest
import shapely

from flowdb.lake import Lake
from flowdb.reference import cells, geography, mappings, sites, tacs
from flowkit_base.errors import UserError

CALLS = b"id,outgoing,datetime,msisdn,location_id\n" + b"".join(
    b"i%d,true,2016-01-01 10:%02d:00,9841%06d,C1\n" % (n, n, n) for n in range(40)
)
CELLS = b"id,version,longitude,latitude,name,date_of_first_service\na,0,85.1,27.1,x,2016-01-01\nb,0,85.2,27.2,y,\n"
CUTS = (b"", b"\0", b"\xff\xfe", b'"', b"\n", b"\r", b";", b"-1e999", b"\xc3", b"[" * 40, b"nan", b"PK\x03\x04")


def _damaged(content, draw):
    """A file with some of its bytes cut out, doubled or replaced."""
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(content) + 1)
        end = min(len(content), at + draw.choice((0, 1, 7, 300)))
        content = content[:at] + draw.choice((*CUTS, content[at:end] * 2, draw.randbytes(5))) + content[end:]
    return content


@pytest.fixture(scope="module")
def boundaries(tmp_path_factory):
    """The same squares as files of each format."""
    folder = tmp_path_factory.mktemp("boundaries")
    squares = [shapely.box(85 + n, 27, 86 + n, 28) for n in range(3)]
    frame = geopandas.GeoDataFrame({"code": list("ABC")}, geometry=squares, crs=4326)
    for name in ("b.geojson", "b.gpkg", "b.shp"):
        frame.to_file(folder / name)
    with zipfile.ZipFile(folder / "b.zip", "w") as archive:
        for part in folder.glob("b.[sdp]*"):
            archive.write(part, part.name)
    frame.assign(wkt=frame.geometry.to_wkt()).drop(columns="geometry").to_csv(folder / "b.csv", index=False)
    return folder


def _tries(load, path, content, seed, times):
    """Load damaged files; any error but a UserError ends the test, as does a warning."""
    draw = random.Random(seed)
    sentences = []
    for _ in range(times):
        path.write_bytes(_damaged(content, draw))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                load(path)
            except UserError as error:
                sentences.append(str(error))
    assert sentences
    assert all(sentence.endswith((".", "=")) for sentence in sentences), sentences


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("module", [cells, sites, tacs], ids=["cells", "sites", "tacs"])
def test_damaged_reference_tables(tmp_path, module, packed):
    """Of a damaged CSV of cells, sites or handsets, plain or packed, loading says a sentence."""
    lake = Lake.create(tmp_path / "lake", "UTC")
    content = CELLS if module is not tacs else b"id,brand,width\n1,Oppo,5.5\n2,Nokia,\n"
    content = gzip.compress(content) if packed else content
    _tries(lambda path: module.load(lake, path, insist=True), tmp_path / "t.csv", content, 1, 12)


@pytest.mark.parametrize("name", ["b.geojson", "b.gpkg", "b.shp", "b.zip", "b.csv"])
def test_damaged_boundaries(tmp_path, boundaries, name):
    """Of damaged boundaries in any format, loading says a sentence."""
    lake = Lake.create(tmp_path / "lake", "UTC")
    for part in boundaries.glob("b.[dp]*") if name == "b.shp" else ():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    _tries(
        lambda path: geography.load(lake, path, unit="admin3", code="code", insist=True),
        tmp_path / name,
        (boundaries / name).read_bytes(),
        2,
        15,
    )


def test_damaged_mappings_and_points(tmp_path):
    """Of damaged custom tables, loading says a sentence."""
    lake = Lake.create(tmp_path / "lake", "UTC")
    (tmp_path / "cells.csv").write_bytes(CELLS)
    cells.load(lake, tmp_path / "cells.csv")
    points = b"id,longitude,latitude\na,85,27\nb,86,27\n"
    _tries(lambda path: mappings.load_points(lake, path, table="geography.p"), tmp_path / "p.csv", points, 3, 12)
    _tries(
        lambda path: mappings.load_mapping(lake, path, table="geography.m"),
        tmp_path / "m.csv",
        b"id,admin3pcod\na,A\nb,B\n",
        4,
        12,
    )


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_damaged_deliveries(deployment, form):
    """Of a damaged delivery of events, ingest says a sentence."""
    content = gzip.compress(CALLS) if form == "csv.gz" else CALLS
    if form == "parquet":
        plain = deployment.file(CALLS, "plain.csv")
        pyarrow.parquet.write_table(pyarrow.csv.read_csv(plain), deployment.inbox / "c.parquet")
        content = (deployment.inbox / "c.parquet").read_bytes()
    _tries(
        lambda path: deployment.load(path, insist=True, replace=True), deployment.inbox / f"calls.{form}", content, 5, 6
    )
