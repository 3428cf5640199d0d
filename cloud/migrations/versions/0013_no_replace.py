"""INSERT OR REPLACE is refused on entries, postings and accounts, whatever opens the SQLite file."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KEYS = {
    "entry": (("school_id", "entry_id"), ("school_id", "external_key")),
    "ledger_account": (("school_id", "ledger_account_id"), ("school_id", "code")),
    "posting": (("school_id", "entry_id", "line"),),
}


def _no_replace(table: str) -> str:
    keys = (*_KEYS[table], ("rowid",))
    same = (" AND ".join(f"{column} = NEW.{column}" for column in columns) for columns in keys)
    there = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {each})" for each in same)  # noqa: S608 our own
    return (
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there}"
        f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    )


def upgrade() -> None:
    """Add the triggers; PostgreSQL has no such statement, and its ON CONFLICT is an UPDATE."""
    conn = op.get_bind()
    if conn.dialect.name == "sqlite":
        for table in _KEYS:
            conn.exec_driver_sql(_no_replace(table))


def downgrade() -> None:
    """There is no way back: rows of the books could be replaced."""
    raise NotImplementedError("restore a backup instead")
