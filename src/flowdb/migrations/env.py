"""Runs the catalogue's migrations on the connection that `flowdb.records` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
