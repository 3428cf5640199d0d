"""SQL of reconciliation: by day and by time through indexes, never through the history.

CROSS JOIN keeps SQLite in the order that is written, from the few rows of the day outwards.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk

_LINES = (
    " LEFT JOIN posting p ON p.school_id = e.school_id AND p.entry_id = e.entry_id"
    " LEFT JOIN ledger_account a ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
)
_COLUMNS = "e.entry_id, e.external_key, e.kind, e.device_id, e.epoch, e.seq, e.reason, a.code, p.amount_minor"

# A basket that was accepted holds as many portions as its items say, everything else is one.
MONEY = (
    "SELECT r.device_id, r.epoch, r.seq, r.type, r.flags, r.account_id, r.amount, r.aux, r.refusal,"
    " CASE WHEN r.type = 6 AND (r.flags & 1) = 0 AND r.refusal = 0 THEN"
    "  (SELECT CAST(sum(i.aux >> 16) AS BIGINT) FROM record i WHERE i.school_id = r.school_id"
    "  AND i.device_id = r.device_id AND i.epoch = r.epoch AND i.seq >= r.seq - (r.aux & 65535)"
    "  AND i.seq < r.seq) ELSE 1 END AS portions FROM record r"
    " WHERE r.school_id = ? AND r.day = ? AND r.type IN (6, 7, 11) ORDER BY r.device_id, r.epoch, r.seq"
)
COUNTS = (
    "SELECT device_id, epoch, count(*) AS number, max(seq) AS last FROM record"
    " WHERE school_id = ? AND day = ? AND type IN (6, 7, 8, 12) GROUP BY device_id, epoch"
)
OF_RECORDS = (
    f"SELECT {_COLUMNS} FROM record r CROSS JOIN entry e{_LINES}"  # noqa: S608 our own names
    " WHERE r.school_id = ? AND r.day = ? AND r.type IN (6, 7) AND e.school_id = r.school_id"
    " AND e.device_id = r.device_id AND e.epoch = r.epoch AND e.seq = r.seq"
    " AND substr(e.external_key, 1, 5) <> 'fork:' ORDER BY e.entry_id, p.line"
)
OTHERS = (
    f"SELECT {_COLUMNS} FROM entry e{_LINES}"  # noqa: S608 our own names
    " LEFT JOIN record r ON r.school_id = e.school_id AND r.device_id = e.device_id AND r.epoch = e.epoch"
    "  AND r.seq = e.seq AND r.type IN (6, 7)"
    " WHERE e.school_id = ? AND e.happened_at >= ? AND e.happened_at < ?"
    " AND (r.seq IS NULL OR substr(e.external_key, 1, 5) = 'fork:') ORDER BY e.entry_id, p.line"
)


def money_records(conn: Connection, school_id: int, day: int) -> Sequence[Any]:
    """SALE, VOID and CLOSE_DAY of a day, journal by journal; `portions` of a sale that was accepted."""
    return bulk.select(conn, MONEY, (school_id, day))


def operations(conn: Connection, school_id: int, day: int) -> Sequence[Any]:
    """device_id, epoch, number of operations of a day, seq of the last of them."""
    return bulk.select(conn, COUNTS, (school_id, day))


def operation_numbers(conn: Connection, school_id: int, day: int, device_id: int, epoch: int) -> list[int]:
    """The seq of every record of one holder on a day, but CLOSE_DAY."""
    statement = (
        "SELECT seq FROM record WHERE school_id = ? AND day = ? AND device_id = ? AND epoch = ?"
        " AND type <> 11 ORDER BY seq"
    )
    return [row[0] for row in bulk.select(conn, statement, (school_id, day, device_id, epoch))]


def entries_of_records(conn: Connection, school_id: int, day: int) -> Sequence[Any]:
    """Entries that name a SALE or VOID of a day, a row for each posting."""
    return bulk.select(conn, OF_RECORDS, (school_id, day))


def other_entries(conn: Connection, school_id: int, first: int, after: int) -> Sequence[Any]:
    """Entries that happened in a time and have no SALE or VOID, or are of a losing branch."""
    return bulk.select(conn, OTHERS, (school_id, first, after))


def entries_by_key(conn: Connection, school_id: int, keys: Sequence[str]) -> Sequence[Any]:
    """Entries by external key, a row for each posting."""
    statement = (
        f"SELECT {_COLUMNS} FROM entry e{_LINES}"  # noqa: S608 our own names
        " WHERE e.school_id = ? AND e.external_key IN ? ORDER BY e.entry_id, p.line"
    )
    return bulk.select(conn, statement, (school_id, list(keys)))


def holders(conn: Connection, school_id: int) -> Sequence[Any]:
    """Every epoch of every device with the day of the last record that came of it, None before one."""
    statement = (
        "SELECT e.device_id, e.epoch, e.status, e.next_seq, d.label, d.kind, d.last_seen_at,"
        " r.day AS last_day FROM device_epoch e JOIN device d"
        " ON d.school_id = e.school_id AND d.device_id = e.device_id LEFT JOIN record r"
        " ON r.school_id = e.school_id AND r.device_id = e.device_id AND r.epoch = e.epoch"
        "  AND r.seq = e.next_seq - 1"
        " WHERE e.school_id = ? ORDER BY d.label, e.epoch"
    )
    return bulk.select(conn, statement, (school_id,))


def last_day_before(conn: Connection, school_id: int, day: int) -> int | None:
    """The newest day before `day` of which there are records."""
    statement = "SELECT max(day) FROM record WHERE school_id = ? AND day < ? AND day > 1"
    return bulk.select(conn, statement, (school_id, day))[0][0]


_OUT = (
    "granted - returned - spent + voided + CASE WHEN journaled > granted THEN journaled - granted ELSE 0 END"
)
_EVER = "(CASE WHEN journaled > granted THEN journaled ELSE granted END)"


def exposures(conn: Connection, school_id: int, cap: int, benefit: int, first_bucket: int) -> Sequence[Any]:
    """Holders that are not closed: what each could still spend, and how much an older image of it could.

    `benefit`: what one benefit is worth; those below `first_bucket` are of days that are over.  Columns:
    device_id, epoch, purses, out, out_capped, ever_capped.
    """
    statement = (
        "SELECT device_id, epoch,"  # noqa: S608 our own
        " count(DISTINCT CASE WHEN bucket = 0 THEN account_id END) AS purses,"
        " CAST(coalesce(sum(out), 0) AS BIGINT) AS out,"
        " CAST(sum(CASE WHEN out > ? THEN ? ELSE out END) AS BIGINT) AS out_capped,"
        " CAST(sum(CASE WHEN ever > ? THEN ? ELSE ever END) AS BIGINT) AS ever_capped"
        " FROM (SELECT r.device_id, r.epoch, r.account_id, r.bucket,"
        f" ({_OUT}) * CASE WHEN r.bucket < 8 THEN 1 ELSE ? END AS out,"
        f" {_EVER} * CASE WHEN r.bucket < 8 THEN 1 ELSE ? END AS ever"
        "  FROM spending_right r JOIN device_epoch e ON e.school_id = r.school_id"
        "  AND e.device_id = r.device_id AND e.epoch = r.epoch"
        "  WHERE r.school_id = ? AND (r.bucket < 8 OR r.bucket >= ?) AND e.status <> 'closed') h"
        " GROUP BY device_id, epoch"
    )
    values = (cap, cap, cap, cap, benefit, benefit, school_id, first_bucket)
    return bulk.select(conn, statement, values)


def purses(conn: Connection, school_id: int) -> int:
    """How many pupils may buy."""
    statement = "SELECT count(*) FROM pupil WHERE school_id = ? AND status = 'active'"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def pupils(conn: Connection, school_id: int) -> int:
    """How many pupils have or had a purse, those who left among them."""
    statement = "SELECT count(*) FROM pupil WHERE school_id = ?"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def last_day(conn: Connection, school_id: int) -> int:
    """The newest day that any record of a till has, 0 before the first."""
    statement = "SELECT coalesce(max(day), 0) FROM record WHERE school_id = ?"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def is_recovering(conn: Connection, school_id: int) -> bool:
    """Whether the school waits for the journals of its devices after a restore."""
    statement = "SELECT mode FROM school WHERE school_id = ?"
    rows = bulk.select(conn, statement, (school_id,))
    return bool(rows) and rows[0][0] == "recovery"
