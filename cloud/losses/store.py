"""SQL of lost cards: reports, purchases to take back, and what the devices wrote since.

Records are found by day through the index, so that a page costs the days since the report and not the years.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db


def lost_card(conn: Connection, school_id: int, number: int) -> Any:
    """One report, or None."""
    statement = "SELECT * FROM lost_card WHERE school_id = ? AND number = ?"
    rows = bulk.select(conn, statement, (school_id, number))
    return rows[0] if rows else None


def open_of_card(conn: Connection, school_id: int, card_ref: bytes) -> Any:
    """The open report about a card, or None."""
    statement = "SELECT * FROM lost_card WHERE school_id = ? AND card_ref = ? AND ended_at IS NULL"
    rows = bulk.select(conn, statement, (school_id, card_ref))
    return rows[0] if rows else None


def open_reports(conn: Connection, school_id: int) -> Sequence[Any]:
    """Every open report of a school."""
    statement = "SELECT * FROM lost_card WHERE school_id = ? AND ended_at IS NULL ORDER BY number"
    return bulk.select(conn, statement, (school_id,))


def of_accounts(conn: Connection, school_id: int, account_ids: Iterable[int]) -> Sequence[Any]:
    """Every report about cards of these accounts, the newest first."""
    statement = "SELECT * FROM lost_card WHERE school_id = ? AND account_id IN ? ORDER BY number DESC"
    return bulk.select(conn, statement, (school_id, list(account_ids)))


def latest(conn: Connection, school_id: int, limit: int) -> Sequence[Any]:
    """The newest reports."""
    statement = "SELECT * FROM lost_card WHERE school_id = ? ORDER BY number DESC LIMIT ?"
    return bulk.select(conn, statement, (school_id, limit))


def next_number(conn: Connection, school_id: int) -> int:
    """The number of the next report."""
    statement = "SELECT coalesce(max(number), 0) + 1 FROM lost_card WHERE school_id = ?"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def add(conn: Connection, row: tuple[Any, ...]) -> None:
    """school, number, account, card_ref, reporter, who, reason, lost_at, reported_at, table_version."""
    columns = (
        "school_id", "number", "account_id", "card_ref", "reporter", "who", "reason", "lost_at",
        "reported_at", "table_version",
    )  # fmt: skip
    bulk.insert_rows(conn, db.lost_card, [row], columns)


def end(conn: Connection, school_id: int, number: int, by: str, reason: str, now: int) -> None:
    """The card is open again."""
    statement = (
        "UPDATE lost_card SET ended_at = ?, ended_by = ?, end_reason = ?"
        " WHERE school_id = ? AND number = ? AND ended_at IS NULL"
    )
    bulk.run(conn, statement, (now, by, reason, school_id, number))


def told(conn: Connection, school_id: int, number: int, now: int, before: int) -> bool:
    """Note that the family is told of a try now; False when it was told since `before`."""
    statement = (
        "UPDATE lost_card SET told_at = ? WHERE school_id = ? AND number = ?"
        " AND (told_at IS NULL OR told_at <= ?)"
    )
    return bulk.run(conn, statement, (now, school_id, number, before)) > 0


def records(
    conn: Connection, school_id: int, account_id: int, table_version: int, first: int, last: int
) -> Sequence[Any]:
    """What devices wrote on days first..last about an account, and the tables from a version they applied.

    Sales, voids, passages and refused taps, with `received_at`; journal by journal.
    """
    statement = (
        "SELECT device_id, epoch, seq, type, flags, time, amount, aux, received_at, refusal FROM record"
        " WHERE school_id = ? AND day BETWEEN ? AND ?"
        " AND ((type IN (6, 7, 8, 12) AND account_id = ?) OR (type = 9 AND flags = 1 AND aux >= ?))"
        " ORDER BY device_id, epoch, seq"
    )
    return bulk.select(conn, statement, (school_id, first, last, account_id, table_version))


def journals(conn: Connection, school_id: int) -> dict[tuple[int, int], Any]:
    """(device_id, epoch) to its status and the last day of its journal, None before a record."""
    statement = (
        "SELECT e.device_id, e.epoch, e.status, r.day AS last_day FROM device_epoch e LEFT JOIN record r"
        " ON r.school_id = e.school_id AND r.device_id = e.device_id AND r.epoch = e.epoch"
        "  AND r.seq = e.next_seq - 1 WHERE e.school_id = ?"
    )
    return {(row.device_id, row.epoch): row for row in bulk.select(conn, statement, (school_id,))}


def sale_days(conn: Connection, school_id: int, places: Sequence[tuple[int, int, int]]) -> dict[Any, int]:
    """(device_id, epoch, seq) to the day of that record."""
    statement = (
        "SELECT device_id, epoch, seq, day FROM record WHERE school_id = ?"
        " AND device_id IN ? AND epoch IN ? AND seq IN ?"
    )
    rows = bulk.select(conn, statement, (school_id, *_parts(places)))
    return {(row[0], row[1], row[2]): row[3] for row in rows}


def sales_of(conn: Connection, school_id: int, number: int) -> Sequence[Any]:
    """What was decided about the sales of one report."""
    statement = (
        "SELECT * FROM lost_card_sale WHERE school_id = ? AND number = ? ORDER BY device_id, epoch, seq"
    )
    return bulk.select(conn, statement, (school_id, number))


def sales_at(conn: Connection, school_id: int, places: Sequence[tuple[int, int, int]]) -> Sequence[Any]:
    """What was decided about sales of these journals and numbers, under any report."""
    statement = (
        "SELECT * FROM lost_card_sale WHERE school_id = ? AND device_id IN ? AND epoch IN ? AND seq IN ?"
    )
    return bulk.select(conn, statement, (school_id, *_parts(places)))


def sales_in(conn: Connection, school_id: int, state: str) -> Sequence[Any]:
    """Sales of a school in one state."""
    statement = (
        "SELECT * FROM lost_card_sale WHERE school_id = ? AND state = ? ORDER BY device_id, epoch, seq"
    )
    return bulk.select(conn, statement, (school_id, state))


def schools_with(conn: Connection, state: str) -> list[int]:
    """Schools that have sales in one state."""
    statement = "SELECT DISTINCT school_id FROM lost_card_sale WHERE state = ? ORDER BY school_id"
    return [row[0] for row in bulk.select(conn, statement, (state,))]


def ask(conn: Connection, rows: bulk.Rows) -> None:
    """Rows in the order of the table lost_card_sale; what was declined is asked anew."""
    names = (
        "number", "amount_minor", "payer", "state", "request", "asked_by", "reason", "asked_at", "decided_by",
        "decided_at", "posted_at",
    )  # fmt: skip
    change = ", ".join(f"{name} = excluded.{name}" for name in names)
    bulk.merge_rows(conn, db.lost_card_sale, rows, ("school_id", "device_id", "epoch", "seq"), change)


def decide(conn: Connection, school_id: int, request: str, state: str, by: str, now: int) -> int:
    """A second person's word about what waits under one request; returns how many sales it was."""
    statement = (
        "UPDATE lost_card_sale SET state = ?, decided_by = ?, decided_at = ?"
        " WHERE school_id = ? AND request = ? AND state = 'waits'"
    )
    return bulk.run(conn, statement, (state, by, now, school_id, request))


def settle(conn: Connection, rows: bulk.Rows) -> None:
    """(state, posted_at, school_id, device_id, epoch, seq) of sales that were agreed."""
    statement = (
        "UPDATE lost_card_sale SET state = ?, posted_at = ? WHERE school_id = ? AND device_id = ?"
        " AND epoch = ? AND seq = ? AND state = 'agreed'"
    )
    bulk.run_many(conn, statement, rows)


def _parts(places: Sequence[tuple[int, int, int]]) -> list[list[int]]:
    return [sorted({place[part] for place in places}) for part in range(3)]
