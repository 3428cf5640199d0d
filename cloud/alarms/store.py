"""SQL of the alarms."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db


def was_raised(conn: Connection, school_id: int, kind: str, detail: str, after: int) -> bool:
    """Whether the same alarm stands there since `after`."""
    statement = "SELECT 1 FROM alarm WHERE school_id = ? AND kind = ? AND detail = ? AND at > ? LIMIT 1"
    return bool(bulk.select(conn, statement, (school_id, kind, detail, after)))


def was_raised_about(conn: Connection, school_id: int, kind: str, subject: str) -> bool:
    """Whether an alarm of this kind about this subject stands there."""
    statement = "SELECT 1 FROM alarm WHERE school_id = ? AND kind = ? AND subject = ? LIMIT 1"
    return bool(bulk.select(conn, statement, (school_id, kind, subject)))


def add(conn: Connection, row: tuple[int, int, str, str, str]) -> None:
    """(school_id, at, kind, detail, subject)"""
    bulk.insert_rows(conn, db.alarm, [row], ("school_id", "at", "kind", "detail", "subject"))


def newest(conn: Connection, school_id: int, kinds: Sequence[str]) -> Any:
    """id and kind of the newest alarm of these kinds, or None."""
    statement = "SELECT id, kind FROM alarm WHERE school_id = ? AND kind IN ? ORDER BY id DESC LIMIT 1"
    rows = bulk.select(conn, statement, (school_id, list(kinds)))
    return rows[0] if rows else None


def set_detail(conn: Connection, number: int, detail: str) -> None:
    """Bring an alarm up to date."""
    bulk.run(conn, "UPDATE alarm SET detail = ? WHERE id = ? AND detail <> ?", (detail, number, detail))


def latest(conn: Connection, school_id: int, limit: int) -> Sequence[Any]:
    """at, kind, detail, subject, the latest first."""
    statement = "SELECT at, kind, detail, subject FROM alarm WHERE school_id = ? ORDER BY id DESC LIMIT ?"
    return bulk.select(conn, statement, (school_id, limit))
