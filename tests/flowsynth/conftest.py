"""One small delivery of two weeks with a flood, made once for all tests of the folder."""

import duckdb
import pytest

from flowsynth import Summary, synthesise


@pytest.fixture(scope="session")
def delivery(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return synthesise(tmp_path_factory.mktemp("delivery"), subscribers=3000, days=14, seed=7)


@pytest.fixture(scope="session")
def located(delivery: Summary) -> duckdb.DuckDBPyConnection:
    """All events with the units they took place in, joined by FlowKit's rule (service dates inclusive)."""
    import geopandas

    connection = duckdb.connect()
    cells = connection.sql(f"SELECT * FROM '{delivery.cells_file}'").df()
    points = geopandas.GeoDataFrame(
        cells, geometry=geopandas.points_from_xy(cells["longitude"], cells["latitude"]), crs=4326
    )
    units = geopandas.read_file(delivery.boundaries, columns=["admin2pcod", "admin3pcod"])
    placed = geopandas.sjoin(points, units, predicate="within").drop(columns=["geometry", "index_right"])
    connection.register("placed", placed)
    connection.execute("CREATE TABLE cells AS FROM placed")
    for event_type in delivery.events:
        connection.execute(f"CREATE TABLE {event_type} AS FROM '{delivery.directory}/{event_type}/*.csv'")
    connection.execute(
        """
        CREATE TABLE events AS
        SELECT msisdn, datetime, location_id, admin2pcod, admin3pcod
        FROM (
            SELECT msisdn, datetime, location_id FROM calls
            UNION ALL SELECT msisdn, datetime, location_id FROM sms
            UNION ALL SELECT msisdn, datetime, location_id FROM mds
            UNION ALL SELECT msisdn, datetime, location_id FROM topups
        ) AS every
        JOIN cells ON location_id = id
            AND datetime::DATE BETWEEN date_of_first_service AND coalesce(date_of_last_service, DATE '2100-01-01')
        """
    )
    for name in ("subscribers", "ties", "crisis"):
        connection.execute(f"CREATE TABLE true_{name} AS FROM '{delivery.truth / name}.parquet'")
    return connection
