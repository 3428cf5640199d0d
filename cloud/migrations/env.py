"""Alembic's entry: runs the migrations on the connection that `upgrade` handed over.

Everything happens in the caller's transaction, on SQLite too, so that a
migration that fails half-way leaves nothing behind.
"""

from alembic import context

from cloud.db import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run migrations with: klasskart cloud migrate")
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
