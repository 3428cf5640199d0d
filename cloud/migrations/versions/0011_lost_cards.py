"""Lost cards, purchases that are taken back, who of the staff is signed in, and two more events to tell."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BIG = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
_BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}
_LOST = """CREATE TABLE lost_card (
    school_id {big} NOT NULL, number {big} NOT NULL, account_id {big} NOT NULL, card_ref {bytes} NOT NULL,
    reporter TEXT NOT NULL, who TEXT NOT NULL, reason TEXT DEFAULT '' NOT NULL, lost_at {big} NOT NULL,
    reported_at {big} NOT NULL, table_version {big} NOT NULL, ended_at {big},
    ended_by TEXT DEFAULT '' NOT NULL, end_reason TEXT DEFAULT '' NOT NULL, told_at {big},
    PRIMARY KEY (school_id, number),
    FOREIGN KEY(school_id, account_id) REFERENCES pupil (school_id, account_id),
    CONSTRAINT reporter_known CHECK (reporter IN ('parent', 'office', 'contact_centre')))"""
_SALE = """CREATE TABLE lost_card_sale (
    school_id {big} NOT NULL, device_id {big} NOT NULL, epoch {big} NOT NULL, seq {big} NOT NULL,
    number {big} NOT NULL, amount_minor {big} NOT NULL, payer TEXT NOT NULL, state TEXT NOT NULL,
    request TEXT NOT NULL, asked_by TEXT NOT NULL, reason TEXT NOT NULL, asked_at {big} NOT NULL,
    decided_by TEXT DEFAULT '' NOT NULL, decided_at {big}, posted_at {big},
    PRIMARY KEY (school_id, device_id, epoch, seq),
    FOREIGN KEY(school_id, number) REFERENCES lost_card (school_id, number),
    CONSTRAINT payer_known CHECK (payer IN ('loss', 'caterer')),
    CONSTRAINT state_known CHECK (state IN ('waits', 'agreed', 'declined', 'posted', 'refused')))"""
_INDEXES = (
    "CREATE INDEX lost_card_of_account ON lost_card (school_id, account_id)",
    "CREATE UNIQUE INDEX lost_card_is_open ON lost_card (school_id, card_ref) WHERE ended_at IS NULL",
    "CREATE INDEX lost_card_sale_of_report ON lost_card_sale (school_id, number)",
    "CREATE INDEX lost_card_sale_by_state ON lost_card_sale (state)",
    "ALTER TABLE login_code ADD COLUMN who TEXT DEFAULT '' NOT NULL",
    "ALTER TABLE session ADD COLUMN who TEXT DEFAULT '' NOT NULL",
)
_EVENTS = "'entry', 'exit', 'purchase', 'login_code', 'card_blocked', 'card_used'"
_OUTBOX = f"""CREATE TABLE outbox_new (
    id INTEGER NOT NULL, school_id INTEGER NOT NULL, event TEXT NOT NULL, account_id INTEGER,
    device_id INTEGER, epoch INTEGER, seq INTEGER, happened_at INTEGER NOT NULL, learnt_at INTEGER NOT NULL,
    detail JSON DEFAULT '{{}}' NOT NULL, claimed_until INTEGER, done_at INTEGER,
    attempts INTEGER DEFAULT '0' NOT NULL,
    PRIMARY KEY (id), FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT event_known CHECK (event IN ({_EVENTS})))"""
_COLUMNS = (
    "id, school_id, event, account_id, device_id, epoch, seq, happened_at, learnt_at, detail, claimed_until,"
    " done_at, attempts"
)
_REBUILD = {
    "sqlite": [
        _OUTBOX,
        f"INSERT INTO outbox_new ({_COLUMNS}) SELECT {_COLUMNS} FROM outbox",  # noqa: S608 our own
        "DROP TABLE outbox",
        "ALTER TABLE outbox_new RENAME TO outbox",
        "CREATE INDEX outbox_waiting ON outbox (done_at, claimed_until, id)",
    ],
    "postgresql": [
        "ALTER TABLE outbox DROP CONSTRAINT event_known",
        f"ALTER TABLE outbox ADD CONSTRAINT event_known CHECK (event IN ({_EVENTS}))",
    ],
}


def upgrade() -> None:
    """Add the tables and columns; what waits to be told stays."""
    conn = op.get_bind()
    dialect = conn.dialect.name
    for table in (_LOST, _SALE):
        conn.exec_driver_sql(table.format(big=_BIG[dialect], bytes=_BYTES[dialect]))
    for statement in (*_INDEXES, *_REBUILD[dialect]):
        conn.exec_driver_sql(statement)


def downgrade() -> None:
    """There is no way back: who lost a card and what was returned for it would be forgotten."""
    raise NotImplementedError("restore a backup instead")
