"""What Alembic runs: the migrations, on the connection that `migrate.upgrade` hands over."""

from alembic import context

from safelight.server.stores.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
