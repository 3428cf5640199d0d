"""Commands to devices: who asked for what and why, and whether it was obeyed.  They leave the work list."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KINDS = "'table', 'settings', 'grant', 'recall'"
_COMMAND = """CREATE TABLE device_command (
    id {row}, school_id {big} NOT NULL, device_id {big} NOT NULL,
    epoch {big} NOT NULL, number {big} NOT NULL, kind TEXT NOT NULL, argument {big} NOT NULL,
    who TEXT NOT NULL, reason TEXT NOT NULL, asked_at {big} NOT NULL, expires_at {big},
    due_at {big} NOT NULL, sent_count {big} DEFAULT '0' NOT NULL,
    outcome TEXT DEFAULT 'waiting' NOT NULL, settled_at {big}, seq {big},
    PRIMARY KEY (id), FOREIGN KEY(school_id, device_id) REFERENCES device (school_id, device_id),
    UNIQUE (school_id, device_id, epoch, number),
    CONSTRAINT kind_known CHECK (kind IN ('confirm_day', 'open', 'identify')),
    CONSTRAINT outcome_known CHECK (outcome IN ('waiting', 'obeyed', 'expired')))"""
_DOWNLINK = f"""CREATE TABLE downlink_new (
    id INTEGER NOT NULL, school_id INTEGER NOT NULL, device_id INTEGER NOT NULL, kind TEXT NOT NULL,
    detail JSON DEFAULT '{{}}' NOT NULL, created_at INTEGER NOT NULL, done_at INTEGER,
    PRIMARY KEY (id), FOREIGN KEY(school_id, device_id) REFERENCES device (school_id, device_id),
    CONSTRAINT kind_known CHECK (kind IN ({_KINDS})))"""
_COLUMNS = "id, school_id, device_id, kind, detail, created_at, done_at"
_ROW = {"sqlite": "INTEGER NOT NULL", "postgresql": "BIGSERIAL NOT NULL"}
_BIG = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
# A confirmed day that still waited is asked for again by whoever looked at the device.
_STATEMENTS = {
    "sqlite": [
        "DELETE FROM downlink WHERE kind = 'time'",
        _DOWNLINK,
        f"INSERT INTO downlink_new ({_COLUMNS}) SELECT {_COLUMNS} FROM downlink",  # noqa: S608 our own
        "DROP TABLE downlink",
        "ALTER TABLE downlink_new RENAME TO downlink",
        "CREATE INDEX downlink_waiting ON downlink (done_at, id)",
    ],
    "postgresql": [
        "DELETE FROM downlink WHERE kind = 'time'",
        "ALTER TABLE downlink DROP CONSTRAINT kind_known",
        f"ALTER TABLE downlink ADD CONSTRAINT kind_known CHECK (kind IN ({_KINDS}))",
    ],
}


def upgrade() -> None:
    """Add the table of commands; the work list holds times no more."""
    conn = op.get_bind()
    dialect = conn.dialect.name
    conn.exec_driver_sql(_COMMAND.format(row=_ROW[dialect], big=_BIG[dialect]))
    conn.exec_driver_sql("CREATE INDEX device_command_waiting ON device_command (settled_at, id)")
    for statement in _STATEMENTS[dialect]:
        conn.exec_driver_sql(statement)


def downgrade() -> None:
    """There is no way back: who opened a gate would be forgotten."""
    raise NotImplementedError("restore a backup instead")
