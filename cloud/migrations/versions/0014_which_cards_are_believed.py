"""Cards that prove themselves, cards until a day, other numbers of a card, desks; what an alarm is about."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TYPES = {
    "sqlite": {"big": "INTEGER", "bytes": "BLOB"},
    "postgresql": {"big": "BIGINT", "bytes": "BYTEA"},
}
# Of the cards that are there nobody knows what they can: they count as such that can be copied.
_STATEMENTS = (
    "ALTER TABLE card ADD COLUMN protected {big} DEFAULT '0' NOT NULL",
    "ALTER TABLE card ADD COLUMN weak {big} DEFAULT '1' NOT NULL",
    "ALTER TABLE card ADD COLUMN key_version {big} DEFAULT '0' NOT NULL",
    "ALTER TABLE card ADD COLUMN until_day {big}",
    "ALTER TABLE device ADD COLUMN reader JSON DEFAULT '{{}}' NOT NULL",
    "ALTER TABLE alarm ADD COLUMN subject TEXT DEFAULT '' NOT NULL",
    "CREATE INDEX alarm_by_subject ON alarm (school_id, kind, subject)",
    """CREATE TABLE card_alias (
    school_id {big} NOT NULL, alias_ref {bytes} NOT NULL, card_ref {bytes} NOT NULL,
    is_copy {big} DEFAULT '0' NOT NULL, is_lossy {big} DEFAULT '0' NOT NULL,
    PRIMARY KEY (school_id, alias_ref, card_ref),
    FOREIGN KEY(school_id, card_ref) REFERENCES card (school_id, card_ref))""",
    "CREATE INDEX card_alias_of_card ON card_alias (school_id, card_ref)",
    """CREATE TABLE desk (
    school_id {big} NOT NULL, desk_id {big} NOT NULL, label TEXT NOT NULL, token_mac {bytes} NOT NULL,
    made_at {big} NOT NULL, seen_at {big}, revoked_at {big}, PRIMARY KEY (school_id, desk_id),
    UNIQUE (token_mac), FOREIGN KEY(school_id) REFERENCES school (school_id))""",
    """CREATE TABLE desk_operation (
    school_id {big} NOT NULL, desk_id {big} NOT NULL, op_id TEXT NOT NULL, operation TEXT NOT NULL,
    content_mac {bytes} NOT NULL, refusal {big} NOT NULL, happened_at {big} NOT NULL,
    learnt_at {big} NOT NULL,
    PRIMARY KEY (school_id, desk_id, op_id),
    FOREIGN KEY(school_id, desk_id) REFERENCES desk (school_id, desk_id))""",
)


def upgrade() -> None:
    """Add columns and tables."""
    conn = op.get_bind()
    for statement in _STATEMENTS:
        conn.exec_driver_sql(statement.format(**_TYPES[conn.dialect.name]))


def downgrade() -> None:
    """There is no way back: a protected card would be believed by its bare number."""
    raise NotImplementedError("restore a backup instead")
