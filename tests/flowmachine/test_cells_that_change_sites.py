"""A cell that moves from one site to another at the same mast: a subscriber's days there count once."""

import datetime as dt

import pytest
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowmachine.queries.meaningful_locations_aggregate import MeaningfulLocationsAggregate
from flowmachine.questions.parsing import parse
from flowmachine.testing import Cell, Event, World, rows

MAST = {"lon": 0.5, "lat": 0.5}
CELLS = [
    Cell("moves", 0, **MAST, site="s1", last_day=dt.date(2016, 1, 2)),
    Cell("moves", 1, **MAST, site="s2", first_day=dt.date(2016, 1, 3)),
    Cell("stays", 0, **MAST, site="s2"),
]
EVENTS = [
    Event("calls", 1, "2016-01-02T12:00", "moves"),
    Event("calls", 1, "2016-01-03T12:00", "moves"),
    Event("calls", 1, "2016-01-03T13:00", "stays"),
]
BOUNDARIES = {"admin1": {"N": "POLYGON ((0 0, 1 0, 1 1, 0 1, 0 0))"}}
WINDOW = {"start_date": "2016-01-01", "end_date": "2016-01-05"}
FAR = {"far": {"type": "Polygon", "coordinates": [[[5, 5], [6, 5], [6, 6], [5, 5]]]}}


@pytest.fixture(params=ENGINES)
def session(request):
    """A session on the mast, on each engine."""
    return request.getfixturevalue(f"ask_{request.param}")(World(EVENTS, CELLS, boundaries=BOUNDARIES))


def test_a_day_at_a_site_counts_once_through_cells_of_different_versions(session):
    """One day at each site makes a cluster of two days, though one of these days was spent at two of a site's cells."""

    def clusters_of(days):
        example = MeaningfulLocationsAggregate.example
        spec = {**example, **WINDOW, "label": "unknown", "labels": FAR, "tower_cluster_call_threshold": days}
        return rows(session.run(parse(spec)))

    assert clusters_of(2) == [("unknown", "N", 1.0)]
    assert clusters_of(3) == []


def test_a_cell_counts_at_the_site_that_it_is_at_on_the_day(session):
    """Events before the move are at the one site, events after it at the other, with the site's other cells."""
    query = {**WINDOW, "query_kind": "location_event_counts", "interval": "day", "aggregation_unit": "site"}

    assert rows(session.run(parse(query))) == [("s1", "2016-01-02", 1), ("s2", "2016-01-03", 2)]
