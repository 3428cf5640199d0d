"""Entitlements: whose meals a budget pays; rights by their bucket at hand."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_BIG = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
_STATEMENTS = (
    """CREATE TABLE entitlement (
    school_id {big} NOT NULL, account_id {big} NOT NULL, meal {big} NOT NULL, from_day {big} NOT NULL,
    to_day {big} NOT NULL, fund TEXT NOT NULL, category TEXT NOT NULL, basis TEXT DEFAULT '' NOT NULL,
    imported_at {big} NOT NULL,
    PRIMARY KEY (school_id, account_id, meal, from_day),
    FOREIGN KEY(school_id, account_id) REFERENCES pupil (school_id, account_id),
    CONSTRAINT meal_known CHECK (meal BETWEEN 1 AND 7),
    CONSTRAINT days_in_order CHECK (from_day <= to_day))""",
    "CREATE INDEX spending_right_of_bucket ON spending_right (school_id, bucket)",
)


def upgrade() -> None:
    """Add the table and the index."""
    conn = op.get_bind()
    for statement in _STATEMENTS:
        conn.exec_driver_sql(statement.format(big=_BIG[conn.dialect.name]))


def downgrade() -> None:
    """There is no way back: who was entitled would be forgotten."""
    raise NotImplementedError("restore a backup instead")
