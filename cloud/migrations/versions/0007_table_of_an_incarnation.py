"""The incarnation in which a device applied its newest table: recovery waits for a table of its own."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_BIG = {"sqlite": "INTEGER", "postgresql": "BIGINT"}


def upgrade() -> None:
    """Add the column; a recovery that is on ends as it began."""
    conn = op.get_bind()
    big = _BIG[conn.dialect.name]
    conn.exec_driver_sql(f"ALTER TABLE device_epoch ADD COLUMN table_incarn {big} DEFAULT '0' NOT NULL")
    conn.exec_driver_sql("UPDATE device_epoch SET table_incarn = incarn_seen")


def downgrade() -> None:
    """There is no way back: a recovery would end before the tables of a lost life are out of use."""
    raise NotImplementedError("restore a backup instead")
