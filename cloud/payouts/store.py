"""Rows of requests for money back.  Written by payouts/service.py only."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db

_COLUMNS = (
    "school_id", "number", "external_key", "account_id", "wanted_minor", "reason", "asked_by", "asked_at",
    "changed_at",
)  # fmt: skip


def add(conn: Connection, row: tuple[Any, ...]) -> None:
    """Add an open request: school_id, number, external_key .. asked_at, changed_at."""
    bulk.insert_rows(conn, db.payout, [row], _COLUMNS)


def next_number(conn: Connection, school_id: int) -> int:
    """The number of the school's next request, from 1."""
    statement = "SELECT coalesce(max(number), 0) + 1 FROM payout WHERE school_id = ?"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def by_key(conn: Connection, school_id: int, external_key: str) -> Any:
    """The request under a key, or None."""
    statement = "SELECT * FROM payout WHERE school_id = ? AND external_key = ?"
    rows = bulk.select(conn, statement, (school_id, external_key))
    return rows[0] if rows else None


def put_back(conn: Connection, row: tuple[Any, ...], after: tuple[int, int, str]) -> None:
    """Make a request as the archive has it: the row as for `add`; `after`: parts, paid_minor, state."""
    school_id, external_key = row[0], row[2]
    known = by_key(conn, school_id, external_key)
    if known is None:
        add(conn, row)
    statement = (
        "UPDATE payout SET parts = ?, paid_minor = ?, state = ?, changed_at = ?"
        " WHERE school_id = ? AND external_key = ?"
    )
    bulk.run(conn, statement, (*after, row[-1], school_id, external_key))


def rows(conn: Connection, school_id: int, *, only_open: bool) -> Sequence[Any]:
    """Requests of a school in their order."""
    what = " AND state IN ('open', 'refused')" if only_open else ""
    statement = f"SELECT * FROM payout WHERE school_id = ?{what} ORDER BY number"  # noqa: S608 our own
    return bulk.select(conn, statement, (school_id,))


def schools_with_open(conn: Connection) -> list[int]:
    """The schools that have an open request."""
    statement = "SELECT DISTINCT school_id FROM payout WHERE state = 'open' ORDER BY school_id"
    return [row[0] for row in bulk.select(conn, statement)]


def outstanding(conn: Connection, school_id: int, account_ids: Iterable[int] | None) -> dict[int, int]:
    """account_id to what its open requests have not been paid yet; of all accounts without a list."""
    ids = None if account_ids is None else list(account_ids)
    if ids is not None and not ids:
        return {}
    statement = (
        "SELECT account_id, CAST(sum(wanted_minor - paid_minor) AS BIGINT) FROM payout"
        " WHERE school_id = ? AND state = 'open'"
    )
    if ids is None:
        found = bulk.select(conn, statement + " GROUP BY account_id", (school_id,))
    else:
        found = bulk.select(conn, statement + " AND account_id IN ? GROUP BY account_id", (school_id, ids))
    return {row[0]: int(row[1]) for row in found}


def paid(conn: Connection, school_id: int, number: int, amount_minor: int, now: int) -> None:
    """One more part was paid."""
    statement = (
        "UPDATE payout SET paid_minor = paid_minor + ?, parts = parts + 1, changed_at = ?"
        " WHERE school_id = ? AND number = ?"
    )
    bulk.run(conn, statement, (amount_minor, now, school_id, number))


def set_state(conn: Connection, school_id: int, number: int, state: str, now: int) -> None:
    """The request ends."""
    statement = "UPDATE payout SET state = ?, changed_at = ? WHERE school_id = ? AND number = ?"
    bulk.run(conn, statement, (state, now, school_id, number))


def add_hold(conn: Connection, school_id: int, now: int, why: str) -> None:
    """Hold a school's payouts."""
    bulk.insert_rows(conn, db.payout_hold, [(school_id, now, why)], ("school_id", "held_at", "why"))


def hold(conn: Connection, school_id: int) -> Any:
    """The hold that nobody has released, the earliest of several, or None."""
    statement = (
        "SELECT held_at, why FROM payout_hold WHERE school_id = ? AND released_at IS NULL ORDER BY id LIMIT 1"
    )
    rows = bulk.select(conn, statement, (school_id,))
    return rows[0] if rows else None


def release(conn: Connection, school_id: int, who: str, reason: str, now: int) -> None:
    """End every hold of a school."""
    statement = (
        "UPDATE payout_hold SET released_at = ?, released_by = ?, release_reason = ?"
        " WHERE school_id = ? AND released_at IS NULL"
    )
    bulk.run(conn, statement, (now, who, reason, school_id))


def set_recalled(conn: Connection, school_id: int, number: int, now: int) -> None:
    """Rights were called back for it."""
    statement = "UPDATE payout SET recalled_at = ? WHERE school_id = ? AND number = ?"
    bulk.run(conn, statement, (now, school_id, number))
