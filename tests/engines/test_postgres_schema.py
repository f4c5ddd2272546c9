"""The schema of a FlowDB in PostgreSQL."""

from decimal import Decimal

import psycopg
import pytest

from flowdb.lake import LakeError
from flowdb.postgres import PostgresError, available_days, create, timezone, upgrade
from flowdb.reference.settling import SETTLED_FROM
from flowdb.tables import CELLS, EVENTS, REFERENCE, SITES, TACS, EventTable

pytestmark = pytest.mark.postgres

# FlowKit's types, by column; what is not named here is text.
TYPES = {
    "outgoing": "boolean",
    "datetime": "timestamp with time zone",
    "tac": "numeric(8,0)",
    "operator_code": "numeric",
    "country_code": "numeric",
    "is_cow": "boolean",
    "date_of_first_service": "date",
    "date_of_last_service": "date",
    "version": "integer",
    "place": "integer",
    "first_day": "date",
    "last_day": "date",
    "lon": "double precision",
    "lat": "double precision",
    "site": "integer",
    "site_lon": "double precision",
    "site_lat": "double precision",
    "band": "integer",
    **dict.fromkeys(("lon1", "lat1", "lon2", "lat2"), "double precision"),
}


@pytest.fixture(scope="module")
def flowdb(postgres):
    """The URL of a FlowDB that these tests share."""
    with postgres.database() as url:
        create(url, "Asia/Kathmandu", {"flowmachine": "secret", "flowapi": "secret"})
        yield url


def columns(url, table):
    """Name, type, collation and nullability of a table's columns, in order."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod), collname, attnotnull FROM pg_attribute "
            "LEFT JOIN pg_collation ON pg_collation.oid = attcollation "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [table],
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def expected(column, table):
    """The type that a declared column has in PostgreSQL."""
    if table is TACS and column.name == "id":
        return "numeric"
    if column.name in TYPES:
        return TYPES[column.name]
    return "numeric" if column.type == "float64" else "text"


@pytest.mark.parametrize("event_type", EVENTS)
def test_event_tables_are_flowkits(flowdb, event_type):
    """Event tables have the declared columns in FlowKit's order and types; only subscriber and time are required."""
    table = EVENTS[event_type]
    found = columns(flowdb, f"events.{event_type}")
    assert list(found) == list(table.names)
    for column in table:
        kind, collation, required = found[column.name]
        assert kind == expected(column, table), column.name
        assert collation == ("C" if kind == "text" else None), column.name
        assert required == column.required, column.name


@pytest.mark.parametrize("table", [CELLS, SITES, TACS], ids=lambda t: t.name)
def test_reference_tables_hold_what_is_declared(flowdb, table):
    """Cells, sites and handset models have every declared column; places are points."""
    found = columns(flowdb, f"infrastructure.{table.name}")
    for column in table:
        if column.name in ("longitude", "latitude"):
            assert found["geom_point"][0] == "geometry(Point,4326)"
        else:
            assert found[column.name][0] == expected(column, table), column.name


@pytest.mark.parametrize(
    "table",
    [t for t in REFERENCE.values() if t.name not in (*SETTLED_FROM, "tacs")],
    ids=lambda t: t.name,
)
def test_settled_tables_are_as_declared(flowdb, table):
    """The settled tables have exactly the declared columns."""
    found = columns(flowdb, f"flowdb.{table.name}")
    assert list(found) == list(table.names)
    assert {n: found[n][0] for n in found} == {c.name: expected(c, table) for c in table}
    assert {n: found[n][2] for n in found} == {c.name: c.required for c in table}


def test_events_are_partitioned_by_time(flowdb):
    """Every event table is a native range partition over its time."""
    with psycopg.connect(flowdb) as connection:
        keys = dict(
            connection.execute(
                "SELECT relname, pg_get_partkeydef(oid) FROM pg_class WHERE relkind = 'p' "
                "AND relnamespace = 'events'::regnamespace"
            ).fetchall()
        )
    assert keys == dict.fromkeys(EVENTS, "RANGE (datetime)")


@pytest.mark.parametrize(
    "relation",
    [
        *("events.location_ids", "geography.admin0", "geography.admin3", "cache.cached", "cache.dependencies"),
        *("cache.cache_config", "cache.cache_touches", "etl.etl_records", "etl.post_etl_queries"),
        *("etl.ingested_state", "etl.available_dates", "etl.deduped_post_etl_queries", "dfs.transactions"),
        *("dfs.transactions_metadata", "dfs.subscribers", "dfs.transaction_types"),
        *("public.flowdb_version", "public.location_table", "public.available_tables"),
    ],
)
def test_flowkits_other_relations_are_there(flowdb, relation):
    """FlowKit's other tables, views and sequences are there."""
    with psycopg.connect(flowdb) as connection:
        assert connection.execute("SELECT to_regclass(%s) IS NOT NULL", [relation]).fetchone() == (True,)


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("(SELECT version FROM flowdb_version())", "1.34.0"),
        ("location_table()", "infrastructure.cells"),
        ("cache_half_life()", 1000),
        ("cache_protected_period()", 86400),
        ("cache_max_size() > 0", True),
        ("table_size('cached', 'cache') > 0", True),
        ("cache_score(2, 1000, 4)", 0.5),
        ("(SELECT count(DISTINCT id) FROM random_ints(0.3, 10, 20) WHERE id BETWEEN 1 AND 20)", 10),
        ("(SELECT array_agg(a.id = b.id) FROM random_ints(0.3, 2, 1000) a, random_ints(0.3, 2, 1000) b)",
         [True, False, False, True]),
        ("(SELECT median(v) FROM (VALUES (1), (2), (4), (NULL)) AS t (v))", 2),
        ("isnumeric('1.5')", True),
        ("isnumeric('x')", False),
        ("random_pick(ARRAY[NULL, 7])", 7),
        ("random_poisson(1000) BETWEEN 700 AND 1300", True),
    ],
)  # fmt: skip
def test_flowkits_functions_answer(flowdb, call, value):
    """FlowKit's functions are there and give what they should."""
    with psycopg.connect(flowdb) as connection:
        assert connection.execute(f"SELECT {call}".encode()).fetchone() == (value,)


def test_touching_a_stored_result_raises_its_score(flowdb):
    """Each retrieval of a stored result counts and raises its score; an unknown one is an error."""
    with psycopg.connect(flowdb, autocommit=True) as connection:
        connection.execute("CREATE TABLE cache.x1 AS SELECT 1 AS a")
        connection.execute(
            "INSERT INTO cache.cached VALUES "
            "('x1', '', '', now(), now(), 0, 1000, 0, 'DailyLocation', 'cache', 'x1', NULL)"
        )
        first = connection.execute("SELECT touch_cache('x1')").fetchone() or (0,)
        second = connection.execute("SELECT touch_cache('x1')").fetchone() or (0,)
        assert 0 < first[0] < second[0]
        assert connection.execute("SELECT access_count FROM cache.cached").fetchone() == (2,)
        with pytest.raises(psycopg.errors.RaiseException, match="no stored query nosuch"):
            connection.execute("SELECT touch_cache('nosuch')")


def test_sites_cluster_in_the_order_of_their_weight(flowdb):
    """A site joins the first cluster nearer than the threshold and moves its centre; light clusters are dropped."""
    with psycopg.connect(flowdb) as connection:
        # Along the equator 0.01 degrees are 1.11 km.
        for name, lon in (("A", 0.0), ("B", 0.01), ("C", 0.5), ("D", 0.02), ("E", 1.0)):
            connection.execute(
                "INSERT INTO infrastructure.sites (id, version, geom_point) "
                "VALUES (%s, 0, ST_SetSRID(ST_Point(%s, 0), 4326))",
                [name, lon],
            )
        found = connection.execute(
            "SELECT array(SELECT round(ST_X(c::geometry)::numeric, 6) FROM unnest(clusters) AS c), rank, weights, "
            "site_ids, versions FROM (SELECT (hartigan(id, 0, weight, 1.2, 0, 2)).* FROM "
            "(VALUES ('A', 6), ('B', 4), ('C', 3), ('D', 2), ('E', 1)) AS visits (id, weight)) AS t"
        ).fetchone()
        buffered = connection.execute(
            "SELECT ST_Area(clusters[1]) / 1e6 FROM (SELECT (hartigan('A', 0, 1, 1, 2.0, 0)).*) AS t"
        ).fetchone()
        connection.rollback()
    # B joins A, and the centre goes to 0.004; D is then 1.78 km away and stands alone.
    assert found == ([Decimal("0.004"), Decimal("0.5"), Decimal("0.02")], [1, 2, 3], [10, 3, 2], ["A::B", "C", "D"],
                     ["0::0", "0", "0"])  # fmt: skip
    assert buffered is not None
    assert 12 < buffered[0] < 12.6  # a circle of 2 km


def test_the_newest_state_of_a_day_holds(flowdb):
    """A day is available while its newest record says ingested; checks show for available days only."""
    with psycopg.connect(flowdb) as connection:
        for day, state in ((1, "ingested"), (2, "ingested"), (2, "withdrawn"), (3, "withdrawn"), (3, "ingested")):
            connection.execute(
                "INSERT INTO etl.etl_records (cdr_type, cdr_date, state) VALUES ('calls', make_date(2016, 1, %s), %s)",
                [day, state],
            )
            connection.execute(
                "INSERT INTO etl.post_etl_queries (cdr_date, cdr_type, type_of_query_or_check, outcome) "
                "VALUES (make_date(2016, 1, %s), 'calls', 'count_added_rows', %s)",
                [day, state],
            )
        checks = connection.execute("SELECT outcome FROM etl.deduped_post_etl_queries ORDER BY cdr_date").fetchall()
    assert [d.day for d in available_days(flowdb)["calls"]] == [1, 3]
    assert checks == [("ingested",), ("ingested",)]


def test_flowmachine_reads_records_and_writes_only_results(postgres, flowdb):
    """The role flowmachine reads events, keeps results, and can change nothing else."""
    name = flowdb.rsplit("/", 1)[1]
    with psycopg.connect(postgres.url(name, "flowmachine", "secret"), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM events.calls").fetchone() == (0,)
        connection.execute("CREATE TABLE cache.x2 AS SELECT 1 AS a")
        connection.execute("CREATE TEMP TABLE mine (a int)")
        for statement in (
            "CREATE TABLE events.x (a int)",
            "CREATE TABLE public.x (a int)",
            "INSERT INTO events.sms (msisdn, datetime) VALUES ('a', now())",
            "DELETE FROM etl.etl_records",
            "DELETE FROM infrastructure.cells",
            "CREATE SCHEMA mine",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_flowapi_reads_results_and_no_person(postgres, flowdb):
    """The role flowapi reads stored results and boundaries, never events nor the list of stored queries."""
    name = flowdb.rsplit("/", 1)[1]
    with psycopg.connect(postgres.url(name, "flowmachine", "secret")) as connection:
        connection.execute("CREATE TABLE cache.x3 AS SELECT 1 AS a")
    with psycopg.connect(postgres.url(name, "flowapi", "secret"), autocommit=True) as connection:
        assert connection.execute("SELECT a FROM cache.x3").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM geography.admin3").fetchone() == (0,)
        for table in ("events.calls", "cache.cached", "infrastructure.cells", "flowdb.cell_units"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}".encode())


def test_results_of_an_administrator_belong_to_flowmachine(flowdb):
    """A table that a superuser makes in cache belongs to flowmachine, which must be able to drop it."""
    with psycopg.connect(flowdb) as connection:
        connection.execute("CREATE TABLE cache.x4 (a int)")
        owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'x4'").fetchone()
    assert owner == ("flowmachine",)


def test_creating_again_changes_nothing(flowdb):
    """Creating where a FlowDB is already keeps what it holds."""
    with psycopg.connect(flowdb) as connection:
        connection.execute("INSERT INTO infrastructure.tacs (id) VALUES (1)")
    create(flowdb, "Asia/Kathmandu")
    upgrade(flowdb)
    with psycopg.connect(flowdb) as connection:
        assert connection.execute("SELECT count(*) FROM infrastructure.tacs").fetchone() == (1,)


def test_an_event_type_declared_later_gets_its_table(flowdb, monkeypatch):
    """Upgrading creates the table of an event type that no migration knows, readable by flowmachine."""
    later = EventTable("later", "A new type of event.", EVENTS["mds"].columns)
    monkeypatch.setitem(EVENTS, "later", later)
    try:
        upgrade(flowdb)
        assert columns(flowdb, "events.later").keys() == set(later.names)
        with psycopg.connect(flowdb) as connection:
            connection.execute("SET ROLE flowmachine")
            assert connection.execute("SELECT count(*) FROM events.later").fetchone() == (0,)
    finally:
        with psycopg.connect(flowdb) as connection:
            connection.execute("DROP TABLE IF EXISTS events.later")


def test_the_database_lives_in_the_deployments_zone(flowdb, monkeypatch):
    """The zone of a FlowDB is its database's, whatever the client's environment says."""
    with psycopg.connect(flowdb) as connection:
        assert connection.execute("SHOW timezone").fetchone() == ("Asia/Kathmandu",)
    monkeypatch.setenv("PGTZ", "America/Havana")
    assert timezone(flowdb) == "Asia/Kathmandu"


def test_a_failed_creation_leaves_the_database_empty(database, monkeypatch):
    """A creation that fails on the way leaves nothing, so that it can be tried again."""
    monkeypatch.setattr("flowdb.postgres.database._set_password", _fail)
    with pytest.raises(RuntimeError):
        create(database, "UTC", {"flowapi": "x"})
    monkeypatch.undo()
    create(database, "UTC")
    assert timezone(database) == "UTC"


def _fail(*_):
    raise RuntimeError


def sentence(error):
    """What the user is told: one line of one plain paragraph."""
    said = str(error.value)
    assert "\n" not in said
    assert said.endswith(".")
    return said


def test_a_database_with_other_tables_is_refused(database):
    """A database that holds something else is refused by naming what it holds."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE accounts (a int)")
    with pytest.raises(PostgresError) as error:
        create(database, "UTC")
    assert "public.accounts" in sentence(error)


def test_flowkits_own_database_is_not_touched(database):
    """A FlowDB of FlowKit's own is not made over; its days can be read."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA events; CREATE SCHEMA etl; CREATE TABLE events.calls (a int)")
        connection.execute("CREATE VIEW etl.available_dates AS SELECT 'sms' AS cdr_type, DATE '2016-01-01' AS cdr_date")
    with pytest.raises(PostgresError) as error:
        create(database, "UTC")
    assert "FlowKit's own" in sentence(error)
    assert list(available_days(database)) == ["sms"]
    with pytest.raises(PostgresError) as error:
        upgrade(database)
    assert "not a FlowDB made by this FlowKit" in sentence(error)


def test_wrong_settings_are_told(database):
    """An unknown zone, an unknown role, another zone than before: each is told in a sentence."""
    with pytest.raises(PostgresError) as error:
        create(database, "Mars/Base")
    assert "'Mars/Base' is not a time zone" in sentence(error)
    with pytest.raises(PostgresError) as error:
        create(database, "UTC", {"analyst": "x"})
    assert "no role analyst" in sentence(error)
    create(database, "UTC")
    with pytest.raises(PostgresError) as error:
        create(database, "Asia/Kathmandu")
    assert "in the time zone UTC" in sentence(error)


def test_a_database_out_of_reach_is_told_without_its_password(postgres):
    """A wrong password, a missing database, a server that is off, a URL that is none: told, never the password."""
    for url, said in (
        (postgres.url(password="hunter2"), "check the user and the password"),
        (postgres.url("nosuch"), "does not exist"),
        ("postgresql://postgres:hunter2@127.0.0.1:1/flowdb", "does not answer"),
        ("hunter2", "not a PostgreSQL URL"),
    ):
        with pytest.raises(LakeError) as error:
            create(url, "UTC")
        assert said in sentence(error)
        assert "hunter2" not in sentence(error)


def test_a_user_without_rights_is_told_what_is_lacking(postgres, database):
    """A user who may not switch on PostGIS, make roles or own the database is told which it is."""
    name = database.rsplit("/", 1)[1]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'secret'")
        try:
            url = postgres.url(name, "plain", "secret")
            with pytest.raises(PostgresError) as error:
                create(url, "UTC")
            assert "CREATE EXTENSION postgis" in sentence(error)
            connection.execute("CREATE EXTENSION postgis")
            connection.execute("ALTER ROLE plain CREATEROLE")
            with pytest.raises(PostgresError) as error:
                create(url, "UTC")
            assert "does not own the database" in sentence(error)
            connection.execute(f'ALTER DATABASE "{name}" OWNER TO plain'.encode())
            create(url, "Asia/Kathmandu", {"flowapi": "other"})
            assert timezone(url) == "Asia/Kathmandu"
        finally:
            connection.execute(f'ALTER DATABASE "{name}" OWNER TO postgres'.encode())
            connection.execute("DROP OWNED BY plain CASCADE")
            connection.execute("DROP ROLE plain")
