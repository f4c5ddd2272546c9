"""What Alembic runs to bring FlowAuth's database to a revision, on the connection that it is given."""

from alembic import context

from flowauth.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
