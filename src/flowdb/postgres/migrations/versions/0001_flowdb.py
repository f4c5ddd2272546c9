"""FlowDB as FlowKit 1.34 has it, and the settled tables that questions join to.

The SQL beside this file is frozen: what `flowdb.tables` declares later comes as a later migration, and a test
compares the declarations with the newest schema.
"""

from pathlib import Path

import psycopg
from alembic import op

revision = "0001"
down_revision = None

PARTS = ("extensions", "events", "reference", "records", "functions", "roles")


def upgrade() -> None:
    """Make everything."""
    # The driver's own connection: SQLAlchemy would read colons and percent signs in the SQL as parameters.
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("FlowDB's migrations run on a psycopg connection.")
    for part in PARTS:
        connection.execute(Path(__file__).with_name(f"0001_{part}.sql").read_bytes())


def downgrade() -> None:
    """Nothing lies before this: drop the database instead."""
    raise NotImplementedError("There is no FlowDB before 0001: drop the database instead.")
