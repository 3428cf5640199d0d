"""How many batches of ingest were committed: so a database that was set back is always known."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BIG = {"sqlite": "INTEGER", "postgresql": "BIGINT"}


def upgrade() -> None:
    """Add the column; the witnesses outside the database count from here on."""
    conn = op.get_bind()
    big = _BIG[conn.dialect.name]
    conn.exec_driver_sql(f"ALTER TABLE school ADD COLUMN batch_count {big} DEFAULT '0' NOT NULL")


def downgrade() -> None:
    """There is no way back: a silent restore would go unnoticed."""
    raise NotImplementedError("restore a backup instead")
