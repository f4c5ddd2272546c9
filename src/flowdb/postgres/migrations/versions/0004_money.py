"""Mobile money as it comes from a lake, by the day."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Find a day's transactions, and keep transactions at cells that are not loaded, or not any more."""
    op.execute("CREATE INDEX ON dfs.transactions (timestamp)")
    op.execute(
        "ALTER TABLE dfs.transactions_metadata DROP CONSTRAINT IF EXISTS "
        "transactions_metadata_cell_id_cell_version_fkey"
    )


def downgrade() -> None:
    """What it adds is copied anew from the lake: drop the database and copy instead."""
    raise NotImplementedError("FlowDB's schema is not taken back: make a new database and copy the lake into it.")
