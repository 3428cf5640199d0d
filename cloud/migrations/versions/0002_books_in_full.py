"""The books in full: a chain over the entries, and every change of a right written down.

Entries get a hash each, computed over what stands there; the counters of
rights become the sum of opening movements; records, accounts and movements
become append-only too.  The bytes that are hashed are those of cloud.accounting.chain,
whose label would change with them.
"""

# ruff: noqa: S608 - statements are put together from names of our own only.

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from alembic import op
from sqlalchemy import Connection

from cloud.accounting import chain

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KINDS = "'topup', 'sale', 'reversal', 'payout', 'release', 'rerate', 'fund', 'settlement', 'writeoff'"
_NEW_APPEND_ONLY = ("ledger_account", "record", "right_movement")
_CHUNK = 5000
_COUNTERS = ((1, "granted"), (2, "returned"), (3, "spent"), (4, "voided"))
_CLAIM = "CASE WHEN journaled > granted THEN journaled - granted ELSE 0 END"

_TYPES = {
    "sqlite": {"big": "INTEGER", "blob": "BLOB"},
    "postgresql": {"big": "BIGINT", "blob": "BYTEA"},
}

_NEW_TABLES = (
    """CREATE TABLE books_head (
    school_id {big} NOT NULL, entry_count {big} DEFAULT '0' NOT NULL, hash {blob} NOT NULL,
    movement_count {big} DEFAULT '0' NOT NULL,
    PRIMARY KEY (school_id), FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT hash_length CHECK (length(hash) = 32))""",
    """CREATE TABLE books_checked (
    school_id {big} NOT NULL, entry_count {big} DEFAULT '0' NOT NULL, hash {blob} NOT NULL,
    checked_at {big} NOT NULL, difference TEXT DEFAULT '' NOT NULL,
    PRIMARY KEY (school_id), FOREIGN KEY(school_id) REFERENCES school (school_id))""",
    """CREATE TABLE right_movement (
    school_id {big} NOT NULL, movement_id {big} NOT NULL, device_id {big} NOT NULL, epoch {big} NOT NULL,
    account_id {big} NOT NULL, bucket {big} NOT NULL, counter {big} NOT NULL, amount {big} NOT NULL,
    cause TEXT NOT NULL, cause_number {big} NOT NULL, moved_at {big} NOT NULL,
    PRIMARY KEY (school_id, movement_id),
    FOREIGN KEY(school_id, device_id, epoch) REFERENCES device_epoch (school_id, device_id, epoch),
    CONSTRAINT counter_known CHECK (counter BETWEEN 1 AND 5),
    CONSTRAINT amount_grows CHECK (amount <> 0 AND (amount > 0 OR counter = 5))){without_rowid}""",
    """CREATE TABLE pending_balance (
    school_id {big} NOT NULL, device_id {big} NOT NULL, epoch {big} NOT NULL, source {big} NOT NULL,
    amount {big} DEFAULT '0' NOT NULL,
    PRIMARY KEY (school_id, device_id, epoch, source),
    FOREIGN KEY(school_id, device_id, epoch) REFERENCES device_epoch (school_id, device_id, epoch))""",
)

# SQLite cannot change a table's checks: the table is made anew (foreign keys are off while migrations run).
_ENTRY = f"""CREATE TABLE entry_new (
    school_id INTEGER NOT NULL, entry_id INTEGER NOT NULL, external_key TEXT NOT NULL, kind TEXT NOT NULL,
    happened_at INTEGER NOT NULL, posted_at INTEGER NOT NULL, device_id INTEGER, epoch INTEGER, seq INTEGER,
    reason TEXT DEFAULT '' NOT NULL, corrects TEXT DEFAULT '' NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (school_id, entry_id), UNIQUE (school_id, external_key),
    FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT kind_known CHECK (kind IN ({_KINDS})),
    CONSTRAINT hash_length CHECK (length(hash) = 32))"""
_ENTRY_INDEXES = (
    "CREATE INDEX entry_of_record ON entry (school_id, device_id, epoch, seq)",
    "CREATE INDEX entry_by_time ON entry (school_id, happened_at)",
)
_CORRECTED = "CREATE INDEX entry_of_corrected ON entry (school_id, corrects) WHERE corrects <> ''"
_COLUMNS = "entry_id, external_key, kind, happened_at, posted_at, device_id, epoch, seq, reason"


def _append_only(table: str, dialect: str) -> list[str]:
    words = f"'{table} is append-only'"
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}"
            f" BEGIN SELECT RAISE(ABORT, {words}); END"
            for act in ("UPDATE", "DELETE")
        ]
    body = f"RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION {words}; END $$"
    trigger = f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
    return [
        f"CREATE FUNCTION {table}_append_only() {body}",
        f"{trigger} FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    ]


def upgrade() -> None:
    """Add the chain and the movements to books that may already be full."""
    conn = op.get_bind()
    dialect = conn.dialect.name
    without_rowid = " WITHOUT ROWID" if dialect == "sqlite" else ""
    for statement in _NEW_TABLES:
        conn.exec_driver_sql(statement.format(**_TYPES[dialect], without_rowid=without_rowid))
    if dialect == "sqlite":
        _rebuild_entry(conn)
    else:
        _alter_entry(conn)
    _open_movements(conn)
    for table in _NEW_APPEND_ONLY:
        for statement in _append_only(table, dialect):
            conn.exec_driver_sql(statement)


def _rebuild_entry(conn: Connection) -> None:
    conn.exec_driver_sql(_ENTRY)
    places = ", ".join("?" * 12)
    for rows in _hashed(conn):
        conn.exec_driver_sql(f"INSERT INTO entry_new VALUES ({places})", rows)
    conn.exec_driver_sql("DROP TABLE entry")
    conn.exec_driver_sql("ALTER TABLE entry_new RENAME TO entry")
    for statement in (*_ENTRY_INDEXES, _CORRECTED, *_append_only("entry", "sqlite")):
        conn.exec_driver_sql(statement)


def _alter_entry(conn: Connection) -> None:
    for statement in (
        "ALTER TABLE entry DISABLE TRIGGER entry_append_only",
        "ALTER TABLE entry ADD COLUMN corrects TEXT DEFAULT '' NOT NULL, ADD COLUMN hash BYTEA",
        "ALTER TABLE entry DROP CONSTRAINT kind_known",
        f"ALTER TABLE entry ADD CONSTRAINT kind_known CHECK (kind IN ({_KINDS}))",
    ):
        conn.exec_driver_sql(statement)
    for rows in _hashed(conn):
        changes = [(row[-1], row[0], row[1]) for row in rows]
        conn.exec_driver_sql("UPDATE entry SET hash = %s WHERE school_id = %s AND entry_id = %s", changes)
    for statement in (
        "ALTER TABLE entry ALTER COLUMN hash SET NOT NULL",
        "ALTER TABLE entry ADD CONSTRAINT hash_length CHECK (length(hash) = 32)",
        _CORRECTED,
        "ALTER TABLE entry ENABLE TRIGGER entry_append_only",
    ):
        conn.exec_driver_sql(statement)


def _hashed(conn: Connection) -> Iterator[list[tuple[Any, ...]]]:
    """Rows of entry with their hashes, in parts; writes the heads of the chains."""
    place = "?" if conn.dialect.name == "sqlite" else "%s"
    for (school_id,) in conn.exec_driver_sql("SELECT school_id FROM school ORDER BY school_id").all():
        last, count = chain.genesis(school_id), 0
        while True:
            rows = conn.exec_driver_sql(
                f"SELECT {_COLUMNS} FROM entry WHERE school_id = {place}"
                f" AND entry_id > {place} ORDER BY entry_id LIMIT {_CHUNK}",
                (school_id, count),
            ).all()
            if not rows:
                break
            lines = _lines(conn, place, school_id, count, rows[-1].entry_id)
            part = []
            for row in rows:
                content = chain.entry_bytes(
                    row.entry_id, (row.external_key, row.kind, row.reason, ""),
                    (row.happened_at, row.posted_at), (row.device_id, row.epoch, row.seq),
                    lines.get(row.entry_id, ()),
                )  # fmt: skip
                last, count = chain.follow(last, content), row.entry_id
                part.append((school_id, *row, "", last))
            yield part
        conn.exec_driver_sql(
            f"INSERT INTO books_head VALUES ({place}, {place}, {place}, 0)",
            (school_id, count, last),
        )


def _lines(conn: Connection, place: str, school_id: int, after: int, until: int) -> dict[int, Any]:
    """entry_id to its (code, amount) lines."""
    rows = conn.exec_driver_sql(
        "SELECT p.entry_id, a.code, p.amount_minor FROM posting p JOIN ledger_account a"
        " ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
        f" WHERE p.school_id = {place} AND p.entry_id > {place} AND p.entry_id <= {place}"
        " ORDER BY p.entry_id, p.line",
        (school_id, after, until),
    ).all()
    return {entry_id: [row[1:] for row in group] for entry_id, group in groupby(rows, lambda row: row[0])}


def _open_movements(conn: Connection) -> None:
    """What the counters stand at becomes their first movement."""
    parts = [
        f"SELECT *, {number} AS counter, {name} AS moved FROM spending_right" for number, name in _COUNTERS
    ]
    parts.append(f"SELECT *, 5 AS counter, {_CLAIM} AS moved FROM spending_right")
    conn.exec_driver_sql(
        "INSERT INTO right_movement SELECT m.school_id, row_number() OVER (PARTITION BY m.school_id"
        " ORDER BY m.device_id, m.epoch, m.account_id, m.bucket, m.counter), m.device_id, m.epoch,"
        " m.account_id, m.bucket, m.counter, m.moved, 'opening', 0, 0"
        f" FROM ({' UNION ALL '.join(parts)}) m WHERE m.moved <> 0"
    )
    conn.exec_driver_sql(
        "UPDATE books_head SET movement_count = (SELECT count(*) FROM right_movement m"
        " WHERE m.school_id = books_head.school_id)"
    )
    conn.exec_driver_sql(
        "INSERT INTO pending_balance SELECT school_id, device_id, epoch,"
        " CASE WHEN bucket < 2 THEN bucket ELSE 2 END,"
        f" sum(granted - returned - spent + voided + {_CLAIM}) FROM spending_right"
        " GROUP BY 1, 2, 3, 4"
    )


def downgrade() -> None:
    """There is no way back: without the chain the entries could be anything."""
    raise NotImplementedError("restore a backup instead")
