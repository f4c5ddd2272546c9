"""A FlowDB in PostgreSQL: creating and upgrading it, and which days it has."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import conninfo, sql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from flowdb.lake import LakeError
from flowdb.tables import EVENTS
from flowkit_base.zones import is_zone

OLDEST = 14
"""The oldest PostgreSQL that will do: since then a server notices that its client has died."""
ROLES = ("flowmachine", "flowapi")
"""The roles that FlowDB makes: one reads people's records and keeps results, one reads results."""

SCHEMAS = (
    *("flowdb", "events", "infrastructure", "geography", "dfs", "cache", "etl"),
    *("population", "elevation", "routing", "interactions"),
)
"""The schemas that FlowDB makes."""

EVENT_COLUMN_TYPES: dict[str, LiteralString] = {
    "bool": "BOOLEAN",
    "int32": "NUMERIC",
    "float64": "NUMERIC",
    "string": 'TEXT COLLATE "C"',
    "timestamp": "TIMESTAMPTZ",
}
"""The SQL types of event tables, which are FlowKit's: numbers are NUMERIC and identifiers text."""

Connection = psycopg.Connection[tuple]


class PostgresError(LakeError):
    """What is wrong with a FlowDB in PostgreSQL and the way out."""


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    """One connection and one transaction, committed at the end of the block; raises PostgresError."""
    url = url.replace("postgresql+psycopg://", "postgresql://", 1)
    where = "The database"
    try:
        where = _name(url)
        opened = psycopg.connect(url, connect_timeout=_timeout(url), application_name="flowkit")
    except psycopg.ProgrammingError:
        raise PostgresError(
            "This is not a PostgreSQL URL: write postgresql://user:password@host:port/database."
        ) from None
    except psycopg.OperationalError as error:
        raise PostgresError(_cannot_connect(where, error)) from None
    try:
        # Closed in every case: a pooled or forgotten connection would hold its locks.
        with opened as connection:
            yield connection
    except psycopg.errors.InsufficientPrivilege as error:
        raise PostgresError(
            f"{where} does not let this user do it ({_first_line(error)}): "
            "use the owner of the database, or a superuser."
        ) from None
    except psycopg.errors.LockNotAvailable:
        raise PostgresError(
            f"{where} is busy: other sessions hold the tables for too long. Try again when their queries have ended."
        ) from None
    except psycopg.errors.DiskFull:
        raise PostgresError(f"The disk of {where} is full: make room and run it again; nothing is half done.") from None
    except psycopg.Error as error:
        raise PostgresError(f"{where} refused: {_first_line(error)}.") from None


def create(url: str, timezone: str, passwords: Mapping[str, str] | None = None) -> None:
    """Atomically create a FlowDB in an empty database; an existing FlowDB is upgraded.

    `timezone` is the deployment's: days begin at its midnight. `passwords` are given to the roles flowmachine and
    flowapi, which cannot log in by password otherwise. Raises PostgresError if the database is not empty, is in
    another time zone, lacks PostGIS, or the user lacks the rights.
    """
    if unknown := set(passwords or {}) - set(ROLES):
        raise PostgresError(f"FlowDB has no role {sorted(unknown)[0]}: its roles are {' and '.join(ROLES)}.")
    with _migrating(url) as (connection, alchemy):
        if _revision(connection) is None:
            _check_server(connection, timezone)
            _check_empty(connection)
            _set_timezone(connection, timezone)
            connection.execute("CREATE SCHEMA flowdb")
        elif (zone := timezone_of(connection)) != timezone:
            raise PostgresError(
                f"{_name(url)} is a FlowDB in the time zone {zone}, not {timezone}: its days cannot be moved. "
                "Use its time zone, or another database."
            )
        _migrate(alchemy)
        for role, password in (passwords or {}).items():
            _set_password(connection, role, password)


def upgrade(url: str) -> None:
    """Bring a FlowDB to the newest schema; raises PostgresError if it is not one that FlowKit here made."""
    with _migrating(url) as (connection, alchemy):
        require_flowdb(connection, newest=False)
        _migrate(alchemy)


def timezone(url: str) -> str:
    """The time zone of a FlowDB's days, FlowKit's own included."""
    with connected(url) as connection:
        return timezone_of(connection)


def available_days(url: str) -> dict[str, list[dt.date]]:
    """The published days, by event type and in order, of a FlowDB of ours or of FlowKit 1.18 or newer."""
    with connected(url) as connection:
        if connection.execute("SELECT to_regclass('etl.available_dates')").fetchone() == (None,):
            raise PostgresError(
                f"{_name(url)} is not a FlowDB of FlowKit 1.18 or newer: it has no view etl.available_dates."
            )
        rows = connection.execute("SELECT cdr_type, cdr_date FROM etl.available_dates ORDER BY 1, 2").fetchall()
    days: dict[str, list[dt.date]] = {}
    for event_type, day in rows:
        days.setdefault(event_type, []).append(day)
    return days


def timezone_of(connection: Connection) -> str:
    """The time zone of the database itself, whatever the client's environment asks for."""
    row = connection.execute(
        "SELECT split_part(setting, '=', 2) FROM pg_db_role_setting, unnest(setconfig) AS setting "
        "WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND setrole = 0 "
        "AND lower(split_part(setting, '=', 1)) = 'timezone'"
    ).fetchone()
    row = row or connection.execute("SHOW timezone").fetchone()
    return str(row[0]) if row else "UTC"


def require_flowdb(connection: Connection, *, newest: bool = True) -> None:
    """Raise PostgresError unless the database is a FlowDB of ours, and of the newest schema."""
    revision, name = _revision(connection), connection.info.dbname
    if revision is None:
        raise PostgresError(f"The database {name} is not a FlowDB made by this FlowKit: make one in an empty database.")
    known = _scripts()
    if revision not in {script.revision for script in known.walk_revisions()}:
        raise PostgresError(f"The FlowDB {name} has the schema {revision}, newer than this FlowKit: upgrade FlowKit.")
    if newest and revision != known.get_current_head():
        raise PostgresError(f"The FlowDB {name} has the old schema {revision}: upgrade it first.")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


@contextmanager
def _migrating(url: str) -> Iterator[tuple[Connection, sqlalchemy.Connection]]:
    """One connection and one transaction, as itself and as Alembic wants it."""
    with connected(url) as connection:
        engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
        try:
            with engine.begin() as alchemy:
                yield connection, alchemy
        except DBAPIError as error:
            raise (error.orig or error) from None


def _revision(connection: Connection) -> str | None:
    """The migration that the database is at; None if it was not created by this FlowKit."""
    if connection.execute("SELECT to_regclass('flowdb.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM flowdb.alembic_version").fetchone()
    return row[0] if row else None


def _migrate(alchemy: sqlalchemy.Connection) -> None:
    config = _config()
    config.attributes["connection"] = alchemy
    command.upgrade(config, "head")
    connection = alchemy.connection.driver_connection
    if isinstance(connection, psycopg.Connection):
        add_event_tables(connection)


def add_event_tables(connection: Connection) -> None:
    """Create the tables of event types that were declared later than the migrations, in the form of FlowKit's own."""
    for table in EVENTS.values():
        if _value(connection, "SELECT to_regclass(%s)", f"events.{table.name}") is not None:
            continue
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}{}").format(
                sql.Identifier(column.name),
                sql.SQL(EVENT_COLUMN_TYPES["string" if column.identifies else column.type]),
                sql.SQL(" NOT NULL" if column.required else ""),
            )
            for column in table
        )
        name = sql.Identifier("events", table.name)
        connection.execute(sql.SQL("CREATE TABLE {} ({}) PARTITION BY RANGE (datetime)").format(name, columns))
        connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(table.description)))


def _check_server(connection: Connection, timezone: str) -> None:
    """Raise PostgresError if the server, its PostGIS, the encoding, the zone or the user's rights do not suffice."""
    database = connection.info.dbname
    if connection.info.server_version < OLDEST * 10000:
        raise PostgresError(
            f"The server is PostgreSQL {connection.info.server_version // 10000}: FlowDB needs {OLDEST} or newer."
        )
    if (encoding := _value(connection, "SHOW server_encoding")) != "UTF8":
        raise PostgresError(
            f"The database {database} is encoded in {encoding}: make one with CREATE DATABASE ... ENCODING 'UTF8'."
        )
    named = "SELECT count(*) FROM pg_timezone_names WHERE name = %s"
    if not is_zone(timezone) or not _value(connection, named, timezone):
        raise PostgresError(
            f"{timezone!r} is not a time zone: name one of the tz database, such as Asia/Kathmandu or UTC."
        )
    if not _value(connection, "SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'"):
        major = connection.info.server_version // 10000
        raise PostgresError(
            f"The server has no PostGIS: install it there (on Debian, the package postgresql-{major}-postgis-3)."
        )
    have = "SELECT count(*) = %s FROM pg_roles WHERE rolname = ANY (%s)"
    missing = not _value(connection, have, len(ROLES), list(ROLES))
    user = "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user"
    superuser, makes_roles = connection.execute(user).fetchone() or (False, False)
    if superuser:
        return
    if not _value(connection, "SELECT count(*) FROM pg_extension WHERE extname = 'postgis'"):
        raise PostgresError(
            f"PostGIS is not switched on in {database}, and this user may not: "
            "have a superuser run CREATE EXTENSION postgis in it."
        )
    if missing and not makes_roles:
        raise PostgresError(
            f"The roles {' and '.join(ROLES)} are missing and this user may not make them: "
            "use a superuser, or a user with CREATEROLE."
        )
    owner = "SELECT pg_has_role(current_user, datdba, 'MEMBER') FROM pg_database WHERE datname = current_database()"
    if not _value(connection, owner):
        raise PostgresError(f"This user does not own the database {database}: use its owner, or a superuser.")


def _check_empty(connection: Connection) -> None:
    """Raise PostgresError if the database has anything but extensions."""
    database = connection.info.dbname
    if _value(connection, "SELECT to_regclass('events.calls') IS NOT NULL"):
        raise PostgresError(
            f"The database {database} is a FlowDB of FlowKit's own: it is read as it is. "
            "To make a new FlowDB, name an empty database."
        )
    content = _value(
        connection,
        "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = ANY ('{r,p,v,m,f,S}') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' "
        "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') "
        "UNION ALL SELECT 'the schema ' || nspname FROM pg_namespace WHERE nspname = ANY (%s) ORDER BY 1 LIMIT 1",
        list(SCHEMAS),
    )
    if content:
        raise PostgresError(f"The database {database} is not empty (it has {content}): name an empty one.")


def _set_timezone(connection: Connection, timezone: str) -> None:
    database = sql.Identifier(connection.info.dbname)
    connection.execute(sql.SQL("ALTER DATABASE {} SET timezone TO {}").format(database, sql.Literal(timezone)))


def _set_password(connection: Connection, role: str, password: str) -> None:
    # Hashed here, so that no server log can hold it.
    hashed = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(hashed)))


def _value(connection: Connection, query: LiteralString, *values: object) -> object:
    row = connection.execute(query, values or None).fetchone()
    return row[0] if row else None


def _name(url: str) -> str:
    """The database as a person would name it, without its password."""
    parts = conninfo.conninfo_to_dict(url)
    return f"The database {parts.get('dbname', '(default)')} at {parts.get('host', 'this machine')}"


def _timeout(url: str) -> int:
    return int(conninfo.conninfo_to_dict(url).get("connect_timeout") or 10)


def _cannot_connect(where: str, error: psycopg.OperationalError) -> str:
    said = _first_line(error)
    if "does not exist" in said and "database" in said:
        return f"{where} does not exist: make it first, with createdb."
    if "password" in said or "authentication" in said or "no pg_hba.conf entry" in said or "role" in said:
        return f"{where} does not let this user in: check the user and the password in the URL."
    return f"{where} does not answer: check that the server runs, and its host and port in the URL."


def _first_line(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    return (primary or str(error).strip().splitlines()[0] if str(error).strip() else "no reason given").rstrip(".")
