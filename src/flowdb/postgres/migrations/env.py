"""Runs the migrations on the connection that flowdb.postgres hands over, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="flowdb")
context.run_migrations()
