"""By which tables of the deployment's own a cell is placed, beside where it stands."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Let a cell be placed in several ways; the ways there are by now are by its own position."""
    op.execute('ALTER TABLE flowdb.cell_units ADD COLUMN mapping TEXT COLLATE "C"')


def downgrade() -> None:
    """What it adds is settled anew from the lake by the next copy: drop the database and copy instead."""
    raise NotImplementedError("FlowDB's schema is not taken back: make a new database and copy the lake into it.")
