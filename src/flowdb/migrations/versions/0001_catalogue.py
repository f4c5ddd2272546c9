"""The catalogue's first tables; the table `queries`, which it made once, is FlowMachine's."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "etl_records",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cdr_type", sa.Text, nullable=False),
        sa.Column("cdr_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("timestamp", _INSTANT, nullable=False),
        sa.Column("reason", sa.Text),
    )
    op.create_index("etl_records_day", "etl_records", ["cdr_type", "cdr_date", "id"])
    op.create_table(
        "post_etl_queries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cdr_date", sa.Date, nullable=False),
        sa.Column("cdr_type", sa.Text, nullable=False),
        sa.Column("type_of_query_or_check", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("optional_comment_or_description", sa.Text),
        sa.Column("timestamp", _INSTANT, nullable=False),
    )
    op.create_index(
        "post_etl_queries_day", "post_etl_queries", ["cdr_type", "cdr_date", "type_of_query_or_check", "id"]
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("post_etl_queries", "etl_records"):
        op.drop_table(table)
