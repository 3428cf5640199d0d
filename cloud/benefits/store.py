"""SQL of entitlements, of the rights to benefits, and of hot meals that were sold.

CROSS JOIN keeps SQLite in the order that is written, from the few rows of the day outwards.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db
from cloud.formats import SchoolTime


def has_any(conn: Connection, school_id: int) -> bool:
    """Whether anybody of a school was ever entitled to a meal."""
    return bool(bulk.select(conn, "SELECT 1 FROM entitlement WHERE school_id = ? LIMIT 1", (school_id,)))


def school_time(conn: Connection, school_id: int) -> SchoolTime:
    """The calendar of a school."""
    rows = bulk.select(conn, "SELECT time_zone FROM school WHERE school_id = ?", (school_id,))
    return SchoolTime(rows[0][0], "ru")


def overlapping(conn: Connection, school_id: int, first: int, last: int) -> Sequence[Any]:
    """Entitlements that cover any of these days."""
    statement = (
        "SELECT account_id, meal, from_day, to_day FROM entitlement"
        " WHERE school_id = ? AND from_day <= ? AND to_day >= ? ORDER BY account_id, meal, from_day"
    )
    return bulk.select(conn, statement, (school_id, last, first))


def of_meal(conn: Connection, school_id: int, account_id: int, meal: int) -> Sequence[Any]:
    """from_day, to_day, fund, category of one account and meal, the latest first."""
    statement = (
        "SELECT from_day, to_day, fund, category FROM entitlement"
        " WHERE school_id = ? AND account_id = ? AND meal = ? ORDER BY from_day DESC"
    )
    return bulk.select(conn, statement, (school_id, account_id, meal))


def all_of(conn: Connection, school_id: int) -> Sequence[Any]:
    """Every entitlement of a school."""
    statement = "SELECT * FROM entitlement WHERE school_id = ? ORDER BY account_id, meal, from_day"
    return bulk.select(conn, statement, (school_id,))


def write(conn: Connection, rows: bulk.Rows) -> None:
    """Add or change entitlements; rows in the order of the table's columns."""
    keys = ("school_id", "account_id", "meal", "from_day")
    names = ("to_day", "fund", "category", "basis", "imported_at")
    change = ", ".join(f"{name} = excluded.{name}" for name in names)
    bulk.merge_rows(conn, db.entitlement, rows, keys, change)


def rights(conn: Connection, school_id: int, first: int, last: int) -> Sequence[Any]:
    """Counters of every holder under buckets first..last, with the status and the last day of its journal."""
    statement = (
        "SELECT r.device_id, r.epoch, r.account_id, r.bucket, r.granted, r.returned, r.spent, r.voided,"
        " r.journaled, e.status, j.day AS last_day FROM spending_right r CROSS JOIN device_epoch e"
        " LEFT JOIN record j ON j.school_id = e.school_id AND j.device_id = e.device_id"
        "  AND j.epoch = e.epoch AND j.seq = e.next_seq - 1"
        " WHERE r.school_id = ? AND r.bucket BETWEEN ? AND ? AND e.school_id = r.school_id"
        " AND e.device_id = r.device_id AND e.epoch = r.epoch"
    )
    return bulk.select(conn, statement, (school_id, first, last))


def buckets_out(conn: Connection, school_id: int, before: int) -> list[int]:
    """Buckets of benefits below `before` under which anything is still out."""
    statement = (
        "SELECT DISTINCT r.bucket FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE r.school_id = ? AND r.bucket BETWEEN 8 AND ? AND e.status <> 'closed'"
        " AND r.granted - r.returned - r.spent + r.voided > 0"
    )
    return [row[0] for row in bulk.select(conn, statement, (school_id, before - 1))]


def days_with_records(conn: Connection, school_id: int, first: int, after: int) -> list[int]:
    """Days from `first` to before `after` of which there are records: one step in the index for each."""
    days: list[int] = []
    statement = "SELECT min(day) FROM record WHERE school_id = ? AND day >= ? AND day < ?"
    day = bulk.select(conn, statement, (school_id, first, after))[0][0]
    while day is not None:
        days.append(day)
        day = bulk.select(conn, statement, (school_id, day + 1, after))[0][0]
    return days


def expire(conn: Connection, rows: bulk.Rows) -> None:
    """Raise R: (by how much, school_id, device_id, epoch, account_id, bucket)."""
    statement = (
        "UPDATE spending_right SET returned = returned + ? WHERE school_id = ? AND device_id = ?"
        " AND epoch = ? AND account_id = ? AND bucket = ?"
    )
    bulk.run_many(conn, statement, rows)


def closed_by(conn: Connection, school_id: int, day: int) -> set[tuple[int, int]]:
    """(device_id, epoch) of every journal that closed this day, and that no person took back to it since."""
    # 2 is CLOCK_CONFIRMED: the journal went back to this day or before it, and may still sell there.
    statement = (
        "SELECT c.device_id, c.epoch FROM record c WHERE c.school_id = ? AND c.day = ? AND c.type = 11"
        " AND NOT EXISTS (SELECT 1 FROM record b WHERE b.school_id = c.school_id"
        "  AND b.device_id = c.device_id AND b.epoch = c.epoch AND b.seq > c.seq AND b.type = 10"
        "  AND b.flags = 2 AND b.day <= c.day)"
    )
    return {(row[0], row[1]) for row in bulk.select(conn, statement, (school_id, day))}


def sales(conn: Connection, school_id: int, day: int) -> Sequence[Any]:
    """Goods of accepted sales of a day from money or credit to accounts with an entitlement of that day.

    A row for each single sale and each line of a basket: `amount` of the whole sale, `good`
    and `price` of one unit.  Without those that were voided; with the status and the last
    day of the journal.
    """
    # Flags: 0 is a basket, which counts its items in aux; 1 and 3 a single good from money and from credit;
    # 8, the money of a card that can be copied, may stand beside each of them.
    statement = (
        "SELECT r.device_id, r.epoch, r.seq, r.account_id, r.amount, e.status, j.day AS last_day,"
        " coalesce(i.aux, r.aux) & 65535 AS good, coalesce(i.amount, r.amount) AS price"
        " FROM record r CROSS JOIN device_epoch e LEFT JOIN record j"
        " ON j.school_id = e.school_id AND j.device_id = e.device_id AND j.epoch = e.epoch"
        "  AND j.seq = e.next_seq - 1"
        " LEFT JOIN record i ON i.school_id = r.school_id AND i.device_id = r.device_id"
        "  AND i.epoch = r.epoch AND i.seq < r.seq"
        "  AND i.seq >= r.seq - CASE WHEN (r.flags & 1) = 0 THEN r.aux & 65535 ELSE 0 END"
        " WHERE r.school_id = ? AND r.day = ? AND r.type = 6 AND r.refusal = 0"
        " AND (r.flags & 247) IN (0, 1, 3)"
        " AND e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " AND r.account_id IN (SELECT account_id FROM entitlement"
        "  WHERE school_id = ? AND from_day <= ? AND to_day >= ?)"
        " AND NOT EXISTS (SELECT 1 FROM record v WHERE v.school_id = r.school_id AND v.day = r.day"
        "  AND v.device_id = r.device_id AND v.epoch = r.epoch AND v.type = 7 AND v.aux = r.seq"
        "  AND v.refusal = 0)"
        " ORDER BY r.time, r.device_id, r.epoch, r.seq, i.seq"
    )
    return bulk.select(conn, statement, (school_id, day, school_id, day, day))
