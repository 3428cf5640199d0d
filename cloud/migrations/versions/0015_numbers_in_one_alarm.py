"""Numbers that mean two cards are one alarm for a school, raised with its next tables, and not one each."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the alarms of single numbers away."""
    op.execute("DELETE FROM alarm WHERE kind = 'number_shared'")


def downgrade() -> None:
    """The next tables raise them again."""
