"""The records of queries: their specs, states, and the cost of stored results.

They are FlowMachine's own, in the database that FLOWMACHINE_CATALOGUE names. The table is made when it is missing, and
gets the columns that an older release did not have: the server starts on every deployment, and keeps its results.
"""

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from flowkit_base.databases import DatabaseError, Moment, database_url, open_database
from flowkit_base.errors import first_line

metadata = sa.MetaData()

queries = sa.Table(
    "queries",
    metadata,
    sa.Column("query_id", sa.Text, primary_key=True),
    sa.Column("query_kind", sa.Text, nullable=False),
    sa.Column("params", sa.JSON, nullable=False),
    sa.Column("versions", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("submitted", Moment),
    sa.Column("started", Moment),
    sa.Column("finished", Moment),
    sa.Column("last_accessed", Moment),
    sa.Column("access_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("compute_time", sa.Float),
    sa.Column("cache_score_multiplier", sa.Float, nullable=False, server_default="1"),
    sa.Column("rows", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("error", sa.Text),
    sa.Column("request_id", sa.Text),
    sa.Column("depends_on", sa.JSON),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Index("queries_state", "state"),
)
"""One row a query or stored part: `compute_time` in milliseconds, `versions` the rule that the result was released by,
`deaths` how often a server died while the query ran."""

query_days = sa.Table(
    "query_days",
    metadata,
    sa.Column("query_id", sa.Text, primary_key=True),
    sa.Column("event_type", sa.Text, primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
)
"""The stored days that a query reads, in the versions that it reads."""


def open_records(url: str) -> sa.Engine:
    """The database of the records, with their table as this release declares it.

    `sqlite:///path/catalogue.db` or `postgresql://…`. Raises DatabaseError if it cannot be opened.
    """
    address = database_url("FLOWMACHINE_CATALOGUE", url)
    try:
        engine = open_database(address)
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('flowmachine queries'))"))
            metadata.create_all(connection)
            _add_missing_columns(connection)
    except (SQLAlchemyError, OSError) as error:
        where = address.render_as_string(hide_password=True)
        reason = first_line(getattr(error, "orig", None) or error)
        raise DatabaseError(f"FLOWMACHINE_CATALOGUE: the database {where} cannot be opened: {reason}.") from None
    return engine


def _add_missing_columns(connection: sa.Connection) -> None:
    """Give the table the columns that it lacks; each is nullable or has a default of the database."""
    present = {column["name"] for column in sa.inspect(connection).get_columns(queries.name)}
    for column in queries.columns:
        if column.name not in present:
            definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(sa.DDL(f"ALTER TABLE {queries.name} ADD COLUMN {definition}"))
