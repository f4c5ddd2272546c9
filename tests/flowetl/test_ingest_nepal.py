"""A real-shaped, messy delivery: seven days of four event types."""

import datetime as dt

import duckdb
import pytest

from flowdb.records import available_dates, get_checks
from flowdb.reference import cells, geography

pytestmark = pytest.mark.shared

DAYS = [dt.date(2016, 1, d) for d in range(1, 8)]
ROWS = {
    "calls": [1252, 1176, 1222, 1326, 1232, 1358, 2518],
    "sms": [1246, 1200, 1176, 1268, 1180, 1346, 2504],
    "mds": [547, 783, 620, 953, 880, 881, 990],
    "topups": [719, 577, 798, 960, 765, 955, 740],
}
RENAMED = {"calls": {"datetime": "start_time"}}


@pytest.fixture
def loaded(deployment, nepal):
    """The whole delivery, loaded."""
    folder = nepal / "data" / "nepal"
    exchanged = {"longitude": "latitude", "latitude": "longitude"}
    geography.load(deployment.lake, folder / "districts.geojson", unit="admin3", code="admin3Pcod", name="admin3Name")
    cells.load(deployment.lake, folder / "cells.csv", exchanged)
    reports = {
        event_type: deployment.load(
            *sorted((folder / "records" / event_type).glob("*.csv")),
            event_type=event_type,
            columns=RENAMED.get(event_type),
        )
        for event_type in ROWS
    }
    return deployment, reports


def test_the_whole_delivery_loads_with_its_known_counts(loaded):
    """Every day of every type has the number of rows, subscribers and models that the delivery is known for."""
    deployment, reports = loaded
    for event_type, expected in ROWS.items():
        days = deployment.lake.snapshot().days[event_type]
        assert [days[d].rows for d in DAYS] == expected, event_type
        assert [r.loaded for r in reports[event_type]] == expected
        assert sum(r.quarantined + r.duplicates + r.unknown_cells for r in reports[event_type]) == 0
        (found,) = duckdb.sql(
            "SELECT count(DISTINCT msisdn), count(DISTINCT tac), min(tac) > 9999999, "
            f"bool_and(minute BETWEEN 0 AND 1439) FROM read_parquet({[str(f) for s in days.values() for f in s.files]})"
        ).fetchall()
        assert found == (499, 20, True, True)
    assert available_dates(deployment.catalogue) == dict.fromkeys(sorted(ROWS), DAYS)


def test_subscribers_match_over_event_types(loaded):
    """The same person has the same pseudonym in calls, texts, data sessions and recharges."""
    deployment, _ = loaded
    found = [{m for (m,) in deployment.rows("msisdn", t)} for t in ROWS]
    assert all(people == found[0] for people in found)
    assert {c for (c,) in deployment.rows("msisdn_counterpart")} <= found[0]


def test_every_row_is_at_a_known_place(loaded):
    """The quality checks see that all cells stood somewhere, and are kept day by day."""
    deployment, _ = loaded
    checks = {(c.event_type, c.day, c.name): c.outcome for c in get_checks(deployment.catalogue)}
    for event_type, expected in ROWS.items():
        for day, rows in zip(DAYS, expected, strict=True):
            assert checks[event_type, day, "count_added_rows"] == str(rows)
            assert checks[event_type, day, "count_locatable_events"] == str(rows)


def test_no_delivered_identifier_touches_the_store(loaded):
    """Neither the lake nor the catalogue holds a raw identifier."""
    deployment, _ = loaded
    raw = b"1jwYL3Nl1Y46lNeQ"
    for path in [*deployment.lake.path.rglob("*"), *deployment.lake.path.parent.glob("catalogue.db*")]:
        if path.is_file():
            assert raw not in path.read_bytes(), path
    assert not list((deployment.lake.path / "tmp").iterdir())
