"""Centres of positions on both sides of the meridian of 180 degrees, as in Fiji and Kiribati."""

import math

import pytest
from tests.flowmachine.test_kinds_on_engines import ENGINES, assert_same

from flowmachine.queries.meaningful_locations_aggregate import MeaningfulLocationsAggregate
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

WINDOW = {"start_date": "2016-01-01", "end_date": "2016-01-04"}


@pytest.fixture(params=ENGINES)
def ask(request):
    """What opens a session on a world, on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")


def test_the_radius_of_gyration_is_the_same_on_both_sides_of_the_meridian(ask):
    """Who moves between 179.95 and -179.95 degrees moves as far as who moves between -0.05 and 0.05."""
    cells = [Cell(name, lon=lon, lat=-17.0) for name, lon in zip("abcd", (179.95, -179.95, -0.05, 0.05), strict=True)]
    events = [Event("calls", 1 + n // 2, "2016-01-01T08:00", cell) for n, cell in enumerate("abcd")]
    query = parse({**WINDOW, "query_kind": "radius_of_gyration"})
    session = ask(World(events, cells))

    (_, across), (_, at_greenwich) = rows(session.run(query))
    assert math.isclose(across, at_greenwich, rel_tol=1e-9)
    assert 5.3 < across < 5.4
    assert_same(session, query, World(events, cells))


def test_the_centre_of_a_cluster_lies_between_its_sites(ask):
    """Sites at 179.99 and -179.96 degrees make one cluster, which lies between them and not at Greenwich."""
    cells = [Cell("a", site="a", lon=179.99, lat=-17.0), Cell("b", site="b", lon=-179.96, lat=-17.0)]
    days = [("a", 1), ("b", 2), ("b", 3)]
    events = [Event("calls", 1, f"2016-01-0{day}T12:00", cell) for cell, day in days]
    boundaries = {
        "admin1": {
            "E": "POLYGON ((-180 -18, -179.9 -18, -179.9 -16, -180 -16, -180 -18))",
            "G": "POLYGON ((-90 -18, 90 -18, 90 -16, -90 -16, -90 -18))",
        }
    }
    example = MeaningfulLocationsAggregate.example
    query = parse({**example, **WINDOW, "label": "unknown", "labels": FAR, "tower_cluster_radius": 10.0})
    world = World(events, cells, boundaries=boundaries)

    assert rows(ask(world).run(query)) == [("unknown", "E", 1.0)]
    assert_same(ask(world), query, world)


FAR = {"far": {"type": "Polygon", "coordinates": [[[5, 5], [6, 5], [6, 6], [5, 5]]]}}
