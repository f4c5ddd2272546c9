"""On a real-shaped delivery, every engine gives the published system's rows, for every kind that exists here."""

import json
import math
from pathlib import Path

import pytest
from tests.conftest import SHARED
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowdb import cells, geography
from flowdb.catalogue import Catalogue
from flowdb.lake import Lake
from flowetl import ingest
from flowmachine.query import kinds, parse
from flowmachine.session import connect
from flowmachine.testing import rows

EXPECTED = sorted((SHARED / "expected" / "nepal").glob("*.json"))

DIFFERENT = {"flows_rev_a1": "the published system gives flows and swapped flows one id, and the rows of the first"}


def kinds_in(spec):
    if isinstance(spec, dict):
        yield from [spec["query_kind"]] if "query_kind" in spec else []
        for value in spec.values():
            yield from kinds_in(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from kinds_in(value)


ANSWERED = [f for f in EXPECTED if set(kinds_in(json.loads(f.read_text())["spec"])) <= set(kinds())]


@pytest.fixture(scope="module")
def lake(nepal, tmp_path_factory):
    """The delivery, loaded with its faults: swapped headers, start_time, blanks, moving cells."""
    data = nepal / "data" / "nepal"
    home = tmp_path_factory.mktemp("nepal")
    made = Lake.create(home / "lake", "UTC")
    for level in range(4):
        geography.load(
            made, data / "districts.geojson", unit=f"admin{level}", code=f"admin{level}Pcod", name=f"admin{level}Name"
        )
    cells.load_cells(made, data / "cells.csv", {"longitude": "latitude", "latitude": "longitude"})
    cells.load_sites(made, data / "sites.csv")
    cells.load_tacs(made, data / "tacs.csv")
    catalogue = Catalogue.open(f"sqlite:///{home / 'catalogue.db'}")
    for event_type in ("calls", "sms", "mds", "topups"):
        files = sorted((data / "records" / event_type).glob("*.csv"))
        columns = {"datetime": "start_time"} if event_type == "calls" else {}
        ingest(made, catalogue, event_type, files, key=bytes(32), columns=columns)
    catalogue.close()
    return made


@pytest.fixture(scope="module", params=ENGINES)
def session(request, lake):
    """A session on the delivery, on each engine."""
    if request.param == "spark":
        yield connect(lake.path, engine="spark", session=request.getfixturevalue("spark"))
    elif request.param == "postgres":
        from flowdb.postgres import copy_from_lake, create

        with request.getfixturevalue("postgres").database() as url:
            create(url, lake.timezone)
            copy_from_lake(lake, url)
            yield connect(url)
    else:
        yield connect(lake.path, threads=2)


@pytest.mark.shared
@pytest.mark.parametrize("file", [f for f in ANSWERED if f.stem not in DIFFERENT], ids=lambda file: Path(file).stem)
def test_gives_the_published_rows(session, file):
    """The released rows are those that the published system releases."""
    told = json.loads(file.read_text())

    got = session.run(parse(told["spec"]), release=True)

    assert got.column_names == told["columns"]
    # Floats are told with other digits, so rows are put in order by what goes with them.
    key = [i for i, name in enumerate(told["columns"]) if name != "value" and not name.endswith("_edge")]
    ours, theirs = (sorted(found, key=lambda row: ([row[i] for i in key], row)) for found in (rows(got), told["rows"]))
    assert len(ours) == len(theirs)
    for mine, published in zip(ours, theirs, strict=True):
        for a, b in zip(mine, published, strict=True):
            assert math.isclose(a, b, rel_tol=1e-4) if isinstance(b, float) else a == b


@pytest.mark.shared
def test_flows_back_are_the_flows_there_transposed(session):
    """Where the published system repeats the flows there, the flows back are told."""
    there, back = (
        rows(session.run(json.loads(file.read_text())["spec"], release=True))
        for file in ANSWERED
        if file.stem in ("flows_a1", "flows_rev_a1")
    )

    assert sorted(back) == sorted((b, a, n) for a, b, n in there)
    assert sorted(back) != sorted(there)


@pytest.mark.shared
def test_most_reference_answers_are_of_kinds_that_exist(nepal):
    """The comparison is not empty."""
    assert len(ANSWERED) >= 14
