"""What meaningful locations need: where sites stand, boundaries as edges, and the clustering of sites."""

from pathlib import Path

import psycopg
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make everything."""
    connection = op.get_bind().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError("FlowDB's migrations run on a psycopg connection.")
    connection.execute(Path(__file__).with_suffix(".sql").read_bytes())


def downgrade() -> None:
    """What it adds is settled anew from the lake by the next copy: drop the database and copy instead."""
    raise NotImplementedError("FlowDB's schema is not taken back: make a new database and copy the lake into it.")
