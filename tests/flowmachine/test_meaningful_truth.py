"""Meaningful locations find the homes and workplaces of synthetic people, which are known."""

from collections import Counter

import duckdb
import pyarrow.parquet as pq
import pyogrio.raw
import pytest
import shapely

from flowmachine.questions.registry import kinds
from flowmachine.testing import Cell, Event, World, rows
from flowsynth import synthesise

LABELS = "meaningful_locations_between_label_od_matrix"


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """A week of people who work elsewhere than at home: the world, and (home, workplace) of each."""
    made = synthesise(tmp_path_factory.mktemp("synthetic") / "delivery", subscribers=500, days=7, seed=3, crisis=None)
    people = pq.read_table(made.truth / "subscribers.parquet").to_pylist()
    truth = {int(p["msisdn"]): (p["home_admin3"], p["work_admin3"]) for p in people if p["home_site"] != p["work_site"]}
    files = [str(file) for event_type in ("calls", "sms") for file in made.events[event_type]]
    with duckdb.connect() as reader:
        events = reader.execute(
            "SELECT CAST(msisdn AS BIGINT), CAST(CAST(datetime AS VARCHAR)[:19] AS TIMESTAMP), location_id "
            "FROM read_csv(?, union_by_name = true, all_varchar = true)",
            [files],
        ).fetchall()
        cells = reader.execute(
            "SELECT id, version::INT, longitude::DOUBLE, latitude::DOUBLE, site_id "
            "FROM read_csv(?, all_varchar = true) WHERE date_of_last_service IS NULL",
            [str(made.cells_file)],
        ).fetchall()
    meta, _, shapes, values = pyogrio.raw.read(made.boundaries, columns=["admin3pcod"])
    assert list(meta["fields"]) == ["admin3pcod"]
    world = World(
        [Event("calls", who, at, cell) for who, at, cell in events if who in truth],
        [Cell(name, version, lon, lat, site=site) for name, version, lon, lat, site in cells],
        boundaries={"admin3": dict(zip(values[0], shapely.to_wkt(shapely.from_wkb(shapes), -1), strict=True))},
    )
    return world, truth


def test_most_people_are_found_between_home_and_work(country, tmp_path):
    """With evening and day labels, most people's two areas are those where they live and where they work."""
    world, truth = country
    session = world.session(tmp_path / "lake", threads=2)
    asked = {**kinds()[LABELS].example, "aggregation_unit": "admin3"}

    found = {(a, b): value for _, _, a, b, value in rows(session.run(asked))}

    known = Counter(truth.values())
    right = sum(min(value, found.get(pair, 0)) for pair, value in known.items())
    assert sum(found.values()) > 0.8 * len(truth)
    assert right > 0.6 * len(truth)
    wrong_way = sum(min(value, found.get(pair[::-1], 0)) for pair, value in known.items() if pair[0] != pair[1])
    assert wrong_way < 0.2 * right
