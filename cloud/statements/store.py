"""SQL of the statements: every look-up by key or by day.  Leaves every rule to service.py."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db


def by_key(conn: Connection, school_id: int, source: str, keys: Sequence[str]) -> dict[str, Any]:
    """key to row, of those lines that are known."""
    statement = "SELECT * FROM statement_line WHERE school_id = ? AND source = ? AND key IN ?"
    return {row.key: row for row in bulk.select(conn, statement, (school_id, source, list(keys)))}


def of_day(conn: Connection, school_id: int, source: str, day: int) -> Sequence[Any]:
    """The lines of a day in the order of their keys."""
    statement = "SELECT * FROM statement_line WHERE school_id = ? AND day = ? AND source = ? ORDER BY key"
    return bulk.select(conn, statement, (school_id, day, source))


def add(conn: Connection, rows: bulk.Rows) -> None:
    """New lines in the order of the table's columns."""
    bulk.insert_rows(conn, db.statement_line, rows)
