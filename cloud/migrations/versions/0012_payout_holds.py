"""Payouts are held after a restore that may have forgotten some, until a person has looked."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TYPES = {
    "sqlite": {"big": "INTEGER", "row": "INTEGER NOT NULL"},
    "postgresql": {"big": "BIGINT", "row": "BIGSERIAL NOT NULL"},
}
_HOLD = (
    """CREATE TABLE payout_hold (
    id {row}, school_id {big} NOT NULL, held_at {big} NOT NULL, why TEXT NOT NULL, released_at {big},
    released_by TEXT DEFAULT '' NOT NULL, release_reason TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(school_id) REFERENCES school (school_id))""",
    "CREATE INDEX payout_hold_of_school ON payout_hold (school_id, released_at)",
)


def upgrade() -> None:
    """Add the table."""
    conn = op.get_bind()
    for statement in _HOLD:
        conn.exec_driver_sql(statement.format(**_TYPES[conn.dialect.name]))


def downgrade() -> None:
    """There is no way back: payouts that are held would go on."""
    raise NotImplementedError("restore a backup instead")
