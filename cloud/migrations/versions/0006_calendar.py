"""The calendar: TIME that a person has confirmed waits in the work list."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KINDS = "'table', 'settings', 'grant', 'time'"
_DOWNLINK = f"""CREATE TABLE downlink_new (
    id INTEGER NOT NULL, school_id INTEGER NOT NULL, device_id INTEGER NOT NULL, kind TEXT NOT NULL,
    detail JSON DEFAULT '{{}}' NOT NULL, created_at INTEGER NOT NULL, done_at INTEGER,
    PRIMARY KEY (id), FOREIGN KEY(school_id, device_id) REFERENCES device (school_id, device_id),
    CONSTRAINT kind_known CHECK (kind IN ({_KINDS})))"""
_COLUMNS = "id, school_id, device_id, kind, detail, created_at, done_at"
_STATEMENTS = {
    "sqlite": [
        _DOWNLINK,
        f"INSERT INTO downlink_new ({_COLUMNS}) SELECT {_COLUMNS} FROM downlink",  # noqa: S608 our own
        "DROP TABLE downlink",
        "ALTER TABLE downlink_new RENAME TO downlink",
        "CREATE INDEX downlink_waiting ON downlink (done_at, id)",
    ],
    "postgresql": [
        "ALTER TABLE downlink DROP CONSTRAINT kind_known",
        f"ALTER TABLE downlink ADD CONSTRAINT kind_known CHECK (kind IN ({_KINDS}))",
    ],
}


def upgrade() -> None:
    """Let the work list hold one more kind."""
    conn = op.get_bind()
    for statement in _STATEMENTS[conn.dialect.name]:
        conn.exec_driver_sql(statement)


def downgrade() -> None:
    """There is no way back: work that waits would be forgotten."""
    raise NotImplementedError("restore a backup instead")
