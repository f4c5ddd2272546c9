"""The catalogue's first tables."""

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
    op.create_table(
        "queries",
        sa.Column("query_id", sa.Text, primary_key=True),
        sa.Column("query_kind", sa.Text, nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("versions", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
        sa.Column("submitted", _INSTANT),
        sa.Column("started", _INSTANT),
        sa.Column("finished", _INSTANT),
        sa.Column("last_accessed", _INSTANT),
        sa.Column("access_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("compute_time", sa.Float),
        sa.Column("cache_score_multiplier", sa.Float, nullable=False, server_default="1"),
        sa.Column("rows", sa.BigInteger),
        sa.Column("bytes", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("depends_on", sa.JSON),
    )
    op.create_index("queries_state", "queries", ["state"])


def downgrade() -> None:
    """Drop the tables."""
    for table in ("queries", "post_etl_queries", "etl_records"):
        op.drop_table(table)
