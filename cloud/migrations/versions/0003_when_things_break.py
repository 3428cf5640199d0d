"""When things break: recovery after a restore, epochs under quarantine, losing branches, releases, alarms.

An epoch that is there already has lived in the present incarnation only.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TYPES = {
    "sqlite": {"big": "INTEGER", "blob": "BLOB", "number": "INTEGER NOT NULL"},
    "postgresql": {"big": "BIGINT", "blob": "BYTEA", "number": "BIGSERIAL NOT NULL"},
}
_STATUSES = "'open', 'closed', 'lost', 'quarantined'"
_EPOCH = "FOREIGN KEY(school_id, device_id, epoch) REFERENCES device_epoch (school_id, device_id, epoch)"

_NEW_TABLES = (
    """CREATE TABLE fork_record (
    school_id {big} NOT NULL, device_id {big} NOT NULL, epoch {big} NOT NULL, seq {big} NOT NULL,
    mac {blob} NOT NULL, raw {blob} NOT NULL, received_at {big} NOT NULL,
    PRIMARY KEY (school_id, device_id, epoch, seq, mac), {epoch})""",
    """CREATE TABLE right_release (
    school_id {big} NOT NULL, device_id {big} NOT NULL, epoch {big} NOT NULL, account_id {big} NOT NULL,
    bucket {big} NOT NULL, released {big} DEFAULT '0' NOT NULL, used {big} DEFAULT '0' NOT NULL,
    released_at {big} NOT NULL,
    PRIMARY KEY (school_id, device_id, epoch, account_id, bucket), {epoch},
    CONSTRAINT used_of_released CHECK (used >= 0 AND used <= released))""",
    """CREATE TABLE alarm (
    id {number}, school_id {big} NOT NULL, at {big} NOT NULL, kind TEXT NOT NULL,
    detail TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(school_id) REFERENCES school (school_id))""",
    "CREATE INDEX alarm_by_time ON alarm (school_id, at)",
)

# SQLite cannot change the checks of a table: both are made anew (foreign keys are off while migrations run).
_SCHOOL = """CREATE TABLE school_new (
    school_id INTEGER NOT NULL, name TEXT NOT NULL, time_zone TEXT NOT NULL,
    currency TEXT DEFAULT 'RUB' NOT NULL, country TEXT DEFAULT 'RU' NOT NULL,
    settings TEXT DEFAULT '{}' NOT NULL, settings_version INTEGER DEFAULT '0' NOT NULL,
    table_version INTEGER DEFAULT '0' NOT NULL, incarnation INTEGER DEFAULT '1' NOT NULL,
    incarnation_id INTEGER DEFAULT '0' NOT NULL, mode TEXT DEFAULT 'normal' NOT NULL,
    recovery_reason TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (school_id),
    CONSTRAINT school_id_range CHECK (school_id BETWEEN 1 AND 4294967295),
    CONSTRAINT mode_known CHECK (mode IN ('normal', 'recovery')))"""
_DEVICE_EPOCH = f"""CREATE TABLE device_epoch_new (
    school_id INTEGER NOT NULL, device_id INTEGER NOT NULL, epoch INTEGER NOT NULL,
    key_sealed BLOB NOT NULL, next_seq INTEGER DEFAULT '0' NOT NULL, head_mac BLOB NOT NULL,
    boot_nonce BLOB, status TEXT DEFAULT 'open' NOT NULL, down_counter INTEGER DEFAULT '0' NOT NULL,
    broker_hash TEXT DEFAULT '' NOT NULL, incarn_seen INTEGER DEFAULT '0' NOT NULL,
    lock_reason INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (school_id, device_id, epoch),
    FOREIGN KEY(school_id, device_id) REFERENCES device (school_id, device_id),
    CONSTRAINT status_known CHECK (status IN ({_STATUSES})),
    CONSTRAINT head_mac_length CHECK (length(head_mac) = 32))"""
_SCHOOL_COLUMNS = (
    "school_id, name, time_zone, currency, country, settings, settings_version, table_version, incarnation,"
    " incarnation_id"
)
_EPOCH_COLUMNS = (
    "school_id, device_id, epoch, key_sealed, next_seq, head_mac, boot_nonce, status, down_counter,"
    " broker_hash"
)


def upgrade() -> None:
    """Add the new columns, states and tables."""
    conn = op.get_bind()
    dialect = conn.dialect.name
    for statement in _rebuilt() if dialect == "sqlite" else _altered():
        conn.exec_driver_sql(statement)
    conn.exec_driver_sql(
        "UPDATE device_epoch SET incarn_seen = (SELECT s.incarnation FROM school s"
        " WHERE s.school_id = device_epoch.school_id)"
    )
    for statement in _NEW_TABLES:
        conn.exec_driver_sql(statement.format(**_TYPES[dialect], epoch=_EPOCH))


def _rebuilt() -> list[str]:
    return [
        _SCHOOL,
        f"INSERT INTO school_new ({_SCHOOL_COLUMNS}) SELECT {_SCHOOL_COLUMNS} FROM school",  # noqa: S608
        "DROP TABLE school",
        "ALTER TABLE school_new RENAME TO school",
        _DEVICE_EPOCH,
        f"INSERT INTO device_epoch_new ({_EPOCH_COLUMNS}) SELECT {_EPOCH_COLUMNS} FROM device_epoch",  # noqa: S608
        "DROP TABLE device_epoch",
        "ALTER TABLE device_epoch_new RENAME TO device_epoch",
    ]


def _altered() -> list[str]:
    return [
        "ALTER TABLE school ADD COLUMN mode TEXT DEFAULT 'normal' NOT NULL",
        "ALTER TABLE school ADD COLUMN recovery_reason TEXT DEFAULT '' NOT NULL",
        "ALTER TABLE school ADD CONSTRAINT mode_known CHECK (mode IN ('normal', 'recovery'))",
        "ALTER TABLE device_epoch ADD COLUMN incarn_seen BIGINT DEFAULT '0' NOT NULL",
        "ALTER TABLE device_epoch ADD COLUMN lock_reason BIGINT DEFAULT '0' NOT NULL",
        "ALTER TABLE device_epoch DROP CONSTRAINT status_known",
        f"ALTER TABLE device_epoch ADD CONSTRAINT status_known CHECK (status IN ({_STATUSES}))",
    ]


def downgrade() -> None:
    """There is no way back: a quarantine would be forgotten."""
    raise NotImplementedError("restore a backup instead")
