"""Sites and cells: inside their country, with versions that never overlap."""

import json
from datetime import date

import duckdb
import numpy as np
import shapely

from flowsynth import Summary


def test_every_site_and_cell_lies_in_one_unit(delivery: Summary):
    """All positions of sites and cells lie well inside exactly one unit, and every unit has a site."""
    features = json.loads(delivery.boundaries.read_text(encoding="utf-8"))["features"]
    geometry = np.array([shapely.from_geojson(json.dumps(feature["geometry"])) for feature in features])
    for path in (delivery.sites_file, delivery.cells_file):
        places = duckdb.connect().sql(f"SELECT longitude, latitude FROM '{path}'").fetchall()
        inside = np.array([shapely.contains_xy(geometry, *place) for place in places])
        assert (inside.sum(axis=1) == 1).all()
        assert inside.any(axis=0).all()


def test_versions_of_a_cell_follow_each_other_without_overlap(delivery: Summary):
    """A cell that moves gets a new version from the day after the last of the old one; some cells move."""
    for path in (delivery.sites_file, delivery.cells_file):
        rows = (
            duckdb.connect()
            .sql(
                f"""
            SELECT version, date_of_first_service AS first, date_of_last_service AS last,
                lead(date_of_first_service) OVER versions AS following,
                lag(longitude) OVER versions = longitude AND lag(latitude) OVER versions = latitude AS stayed
            FROM '{path}' WINDOW versions AS (PARTITION BY id ORDER BY version)
            """
            )
            .fetchall()
        )
        moved = [row for row in rows if row[0] == 1]
        assert moved
        assert not any(row[4] for row in moved)
        assert all(delivery.start < row[1] <= delivery.end for row in moved)
        assert all((row[3] - row[2]).days == 1 for row in rows if row[3] is not None)
        assert all(row[2] is None for row in rows if row[3] is None)


def test_a_site_has_two_to_four_cells_and_cells_stand_where_their_site_does(delivery: Summary):
    """At the start each site has 2 to 4 cells, and at any time a cell is where its site is."""
    counts = (
        duckdb.connect()
        .sql(f"SELECT count(*) FROM '{delivery.cells_file}' WHERE version = 0 GROUP BY site_id")
        .fetchall()
    )
    assert len(counts) == delivery.sites
    assert {count for (count,) in counts} == {2, 3, 4}
    apart = (
        duckdb.connect()
        .sql(
            f"""
        SELECT count(*) FILTER (c.longitude <> s.longitude OR c.latitude <> s.latitude), count(*)
        FROM '{delivery.cells_file}' AS c JOIN '{delivery.sites_file}' AS s ON c.site_id = s.id
        AND c.date_of_first_service <= coalesce(s.date_of_last_service, DATE '2100-01-01')
        AND s.date_of_first_service <= coalesce(c.date_of_last_service, DATE '2100-01-01')
        WHERE c.date_of_first_service >= DATE '2016-01-01'
        """
        )
        .fetchall()
    )
    assert apart[0][0] == 0
    assert apart[0][1] > 0


def test_people_live_in_towns_by_rank_and_size(delivery: Summary):
    """The largest town is much larger than the tenth, and the towns hold most of the people."""
    towns = (
        duckdb.connect()
        .sql(
            f"""
        SELECT regexp_replace(name, ' \\d+$', '') AS town, count(DISTINCT msisdn) AS people
        FROM '{delivery.truth}/subscribers.parquet' JOIN '{delivery.sites_file}' ON home_site = id
        WHERE version = 0 AND type = 'urban' GROUP BY town ORDER BY people DESC
        """
        )
        .fetchall()
    )
    sizes = [people for _, people in towns]
    assert len(sizes) == 40
    assert sizes[0] > 5 * sizes[9]
    assert 0.5 < sum(sizes) / delivery.subscribers < 0.7


def test_cells_were_in_service_before_the_period(delivery: Summary):
    """First versions come into service before the first day, so that no event is without a cell."""
    latest = (
        duckdb.connect()
        .sql(f"SELECT max(date_of_first_service) FROM '{delivery.cells_file}' WHERE version = 0")
        .fetchall()[0][0]
    )
    assert latest < date(2016, 1, 1)


def test_every_handset_in_use_is_in_the_tac_table(delivery: Summary):
    """The TAC table names Smart, Feature and Basic models, and every subscriber carries one of them."""
    kinds = duckdb.connect().sql(f"SELECT DISTINCT hnd_type FROM '{delivery.tacs_file}' ORDER BY 1").fetchall()
    assert [kind for (kind,) in kinds] == ["Basic", "Feature", "Smart"]
    unknown = (
        duckdb.connect()
        .sql(
            f"""
        SELECT count(*) FROM '{delivery.truth}/subscribers.parquet'
        WHERE tac NOT IN (SELECT id FROM '{delivery.tacs_file}')
        """
        )
        .fetchall()[0][0]
    )
    assert unknown == 0
    assert delivery.tacs == len(duckdb.connect().sql(f"SELECT DISTINCT id FROM '{delivery.tacs_file}'").fetchall())


def test_every_event_is_at_a_cell_in_service_that_day(located: duckdb.DuckDBPyConnection, delivery: Summary):
    """Joined by service dates, every event finds one position, also on the days when cells move."""
    counted, moved = located.sql(
        """
        SELECT count(*), count(*) FILTER (location_id IN (SELECT id FROM cells WHERE version = 1)) FROM events
        """
    ).fetchall()[0]
    assert counted == sum(delivery.rows.values())
    assert moved > 0
