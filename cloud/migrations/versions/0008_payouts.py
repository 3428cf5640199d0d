"""Payouts: requests for money back, and recalls on the work list."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TYPES = {
    "sqlite": {"big": "INTEGER", "number": "INTEGER NOT NULL"},
    "postgresql": {"big": "BIGINT", "number": "BIGSERIAL NOT NULL"},
}
_PAYOUT = (
    """CREATE TABLE payout (
    school_id {big} NOT NULL, number {big} NOT NULL, external_key TEXT NOT NULL, account_id {big} NOT NULL,
    wanted_minor {big} NOT NULL, paid_minor {big} DEFAULT '0' NOT NULL, parts {big} DEFAULT '0' NOT NULL,
    reason TEXT NOT NULL, asked_by TEXT NOT NULL, state TEXT DEFAULT 'open' NOT NULL,
    asked_at {big} NOT NULL, changed_at {big} NOT NULL, recalled_at {big},
    PRIMARY KEY (school_id, number), UNIQUE (school_id, external_key),
    FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT paid_of_wanted CHECK (wanted_minor > 0 AND paid_minor BETWEEN 0 AND wanted_minor),
    CONSTRAINT state_known CHECK (state IN ('open', 'paid', 'partly', 'cancelled', 'refused')))""",
    "CREATE INDEX payout_of_account ON payout (school_id, state, account_id)",
)
_KINDS = "CHECK (kind IN ('table', 'settings', 'grant', 'recall', 'time'))"
# SQLite cannot change the checks of a table: it is made anew (foreign keys are off while migrations run).
_COLUMNS = "id, school_id, device_id, kind, detail, created_at, done_at"
_DOWNLINK = f"""CREATE TABLE downlink_new (
    id INTEGER NOT NULL, school_id INTEGER NOT NULL, device_id INTEGER NOT NULL, kind TEXT NOT NULL,
    detail JSON DEFAULT '{{}}' NOT NULL, created_at INTEGER NOT NULL, done_at INTEGER,
    PRIMARY KEY (id), FOREIGN KEY(school_id, device_id) REFERENCES device (school_id, device_id),
    CONSTRAINT kind_known {_KINDS})"""
_WORK = {
    "sqlite": (
        _DOWNLINK,
        f"INSERT INTO downlink_new ({_COLUMNS}) SELECT {_COLUMNS} FROM downlink",  # noqa: S608
        "DROP TABLE downlink",
        "ALTER TABLE downlink_new RENAME TO downlink",
        "CREATE INDEX downlink_waiting ON downlink (done_at, id)",
    ),
    "postgresql": (
        "ALTER TABLE downlink DROP CONSTRAINT kind_known",
        f"ALTER TABLE downlink ADD CONSTRAINT kind_known {_KINDS}",
    ),
}


def upgrade() -> None:
    """Add the table, let the work list know recalls."""
    conn = op.get_bind()
    for statement in _PAYOUT:
        conn.exec_driver_sql(statement.format(**_TYPES[conn.dialect.name]))
    for statement in _WORK[conn.dialect.name]:
        conn.exec_driver_sql(statement)


def downgrade() -> None:
    """There is no way back: requests would be forgotten."""
    raise NotImplementedError("restore a backup instead")
