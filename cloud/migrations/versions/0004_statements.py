"""Reconciliation: what the bank and the caterer say, never edited, and the records of one day at hand."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BIG = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
_STATEMENTS = (
    """CREATE TABLE statement_line (
    school_id {big} NOT NULL, source TEXT NOT NULL, key TEXT NOT NULL, day {big} NOT NULL,
    amount_minor {big} NOT NULL, portions {big}, file TEXT DEFAULT '' NOT NULL,
    line {big} DEFAULT '0' NOT NULL, imported_at {big} NOT NULL,
    PRIMARY KEY (school_id, source, key), FOREIGN KEY(school_id) REFERENCES school (school_id),
    CONSTRAINT source_known CHECK (source IN ('bank', 'caterer')))""",
    "CREATE INDEX statement_line_of_day ON statement_line (school_id, day, source, key)",
    "CREATE INDEX record_of_day ON record (school_id, day, device_id, epoch, seq)",
)
_WORDS = "'statement_line is append-only'"
_TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER statement_line_no_{act.lower()} BEFORE {act} ON statement_line"
        f" BEGIN SELECT RAISE(ABORT, {_WORDS}); END"
        for act in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        (
            "CREATE FUNCTION statement_line_append_only() RETURNS trigger LANGUAGE plpgsql"
            f" AS $$ BEGIN RAISE EXCEPTION {_WORDS}; END $$"
        ),
        (
            "CREATE TRIGGER statement_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON statement_line"
            " FOR EACH STATEMENT EXECUTE FUNCTION statement_line_append_only()"
        ),
    ],
}


def upgrade() -> None:
    """Add the table and the index."""
    conn = op.get_bind()
    dialect = conn.dialect.name
    for statement in _STATEMENTS:
        conn.exec_driver_sql(statement.format(big=_BIG[dialect]))
    for statement in _TRIGGERS[dialect]:
        conn.exec_driver_sql(statement)


def downgrade() -> None:
    """There is no way back: statements would be forgotten."""
    raise NotImplementedError("restore a backup instead")
