"""SQL of the books: few statements for many entries, none whose cost grows with the history.

Leaves every rule to service.py; the caller holds the school's lock while it writes.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from cloud import bulk, db
from cloud.accounting.chain import Head, genesis

_BY_KEY = "SELECT external_key, entry_id FROM entry WHERE school_id = ? AND external_key IN ?"
_HEAD = "SELECT entry_count, hash FROM books_head WHERE school_id = ?"


def entries_by_key(conn: Connection, school_id: int, keys: Sequence[str]) -> dict[str, int]:
    """external_key to entry_id, of those keys that are in the books."""
    return {row[0]: row[1] for row in bulk.select(conn, _BY_KEY, (school_id, keys))}


def take_turn(conn: Connection, school_id: int, keys: Sequence[str]) -> tuple[dict[str, int], Head]:
    """Lock the school; under the lock, which of these keys are there, and where the chain stands."""
    found = bulk.answers(conn, *db.turn(conn, school_id), (_BY_KEY, (school_id, keys)), (_HEAD, (school_id,)))
    return {row[0]: row[1] for row in found[-2]}, _head(school_id, found[-1])


def contents(conn: Connection, school_id: int, entry_ids: Iterable[int]) -> dict[int, tuple[Any, list[Any]]]:
    """entry_id to (row of entry, postings as (code, amount_minor))."""
    value = sorted(entry_ids)
    statement = "SELECT * FROM entry WHERE school_id = ? AND entry_id IN ?"
    found: dict[int, tuple[Any, list[Any]]] = {
        row.entry_id: (row, []) for row in bulk.select(conn, statement, (school_id, value))
    }
    statement = (
        "SELECT p.entry_id, a.code, p.amount_minor FROM posting p JOIN ledger_account a"
        " ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
        " WHERE p.school_id = ? AND p.entry_id IN ? ORDER BY p.entry_id, p.line"
    )
    for row in bulk.select(conn, statement, (school_id, value)):
        found[row.entry_id][1].append((row.code, row.amount_minor))
    return found


def head(conn: Connection, school_id: int) -> Head:
    """Where the chain of entries stands."""
    return _head(school_id, bulk.select(conn, _HEAD, (school_id,)))


def _head(school_id: int, rows: Sequence[Any]) -> Head:
    return Head(rows[0][0], bytes(rows[0][1])) if rows else Head(0, genesis(school_id))


def set_head(conn: Connection, school_id: int, head: Head) -> None:
    """Move the head behind the entries that were written."""
    change = "entry_count = excluded.entry_count, hash = excluded.hash"
    rows = [(school_id, head.entry_count, head.hash, 0)]
    bulk.merge_rows(conn, db.books_head, rows, ("school_id",), change)


def account_ids(conn: Connection, school_id: int, codes: Iterable[str]) -> dict[str, int]:
    """code to ledger_account_id, of those accounts that exist."""
    statement = "SELECT code, ledger_account_id FROM ledger_account WHERE school_id = ? AND code IN ?"
    return {row[0]: row[1] for row in bulk.select(conn, statement, (school_id, list(codes)))}


def open_accounts(conn: Connection, school_id: int, codes: Sequence[str]) -> dict[str, int]:
    """Make accounts that do not exist yet; returns code to ledger_account_id."""
    statement = "SELECT max(ledger_account_id) FROM ledger_account WHERE school_id = ?"
    first = (bulk.select(conn, statement, (school_id,))[0][0] or 0) + 1
    made = {code: first + place for place, code in enumerate(codes)}
    bulk.insert_rows(conn, db.ledger_account, [(school_id, number, code) for code, number in made.items()])
    return made


def write(
    conn: Connection,
    school_id: int,
    *,
    entries: bulk.Rows,
    postings: bulk.Rows,
    changes: Mapping[int, int],
    head: Head,
) -> None:
    """Entries and postings in the order of the tables' columns, what they change, the chain's new head."""
    with bulk.together(conn, len(postings)):
        bulk.insert_rows(conn, db.entry, entries)
        bulk.insert_rows(conn, db.posting, postings)
        add_to_balances(conn, school_id, changes)
        set_head(conn, school_id, head)


def add_to_balances(conn: Connection, school_id: int, changes: Mapping[int, int]) -> None:
    """Add an amount to each account's cached balance."""
    rows = [(school_id, account, changes[account]) for account in sorted(changes)]
    change = "amount_minor = balance.amount_minor + excluded.amount_minor"
    bulk.merge_rows(conn, db.balance, rows, ("school_id", "ledger_account_id"), change)


def balances(conn: Connection, school_id: int, codes: Sequence[str]) -> dict[str, int]:
    """Cached balances of those accounts that have one."""
    statement = (
        "SELECT a.code, b.amount_minor FROM ledger_account a JOIN balance b"
        " ON b.school_id = a.school_id AND b.ledger_account_id = a.ledger_account_id"
        " WHERE a.school_id = ? AND a.code IN ?"
    )
    return {row[0]: row[1] for row in bulk.select(conn, statement, (school_id, codes))}


def balances_of_kind(conn: Connection, school_id: int, prefix: str) -> Sequence[Any]:
    """(code, amount_minor) of every account whose code starts with `prefix`."""
    statement = (
        "SELECT a.code, b.amount_minor FROM ledger_account a JOIN balance b"
        " ON b.school_id = a.school_id AND b.ledger_account_id = a.ledger_account_id"
        " WHERE a.school_id = ? AND substr(a.code, 1, ?) = ? ORDER BY a.code"
    )
    return bulk.select(conn, statement, (school_id, len(prefix), prefix))


def sums(conn: Connection, school_id: int) -> Sequence[Any]:
    """(code, sum of postings, cached balance) of every account; reads all postings."""
    statement = (
        "SELECT a.code, CAST(coalesce((SELECT sum(p.amount_minor) FROM posting p"
        " WHERE p.school_id = a.school_id AND p.ledger_account_id = a.ledger_account_id), 0) AS BIGINT),"
        " coalesce(b.amount_minor, 0)"
        " FROM ledger_account a LEFT JOIN balance b ON b.school_id = a.school_id"
        " AND b.ledger_account_id = a.ledger_account_id WHERE a.school_id = ? ORDER BY a.code"
    )
    return bulk.select(conn, statement, (school_id,))


# CROSS JOIN keeps SQLite from walking all entries of the school and looking each one up in the page.
HISTORY = (
    "SELECT e.entry_id, e.kind, e.happened_at, e.posted_at, e.device_id, e.epoch, e.seq, e.reason,"
    " p.amount AS amount_minor, d.label AS device_label, r.type, r.flags, r.amount, r.aux"
    " FROM (SELECT entry_id, CAST(sum(amount_minor) AS BIGINT) AS amount FROM posting"
    "  WHERE school_id = ? AND ledger_account_id = ? AND entry_id < ?"
    "  GROUP BY entry_id ORDER BY entry_id DESC LIMIT ?) p"
    " CROSS JOIN entry e"
    " LEFT JOIN device d ON d.school_id = e.school_id AND d.device_id = e.device_id"
    " LEFT JOIN record r ON r.school_id = e.school_id AND r.device_id = e.device_id"
    "  AND r.epoch = e.epoch AND r.seq = e.seq"
    " WHERE e.school_id = ? AND e.entry_id = p.entry_id ORDER BY e.entry_id DESC"
)


def history(conn: Connection, school_id: int, account: int, before: int, limit: int) -> Sequence[Any]:
    """Lines of one account below an entry_id, newest first."""
    return bulk.select(conn, HISTORY, (school_id, account, before, limit, school_id))


def record_of(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> Any:
    """The device's record with the label of the device, or None."""
    statement = (
        "SELECT r.*, d.label AS device_label FROM record r JOIN device d"
        " ON d.school_id = r.school_id AND d.device_id = r.device_id"
        " WHERE r.school_id = ? AND r.device_id = ? AND r.epoch = ? AND r.seq = ?"
    )
    rows = bulk.select(conn, statement, (school_id, device_id, epoch, seq))
    return rows[0] if rows else None


def entries_of_record(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> list[int]:
    """entry_id of every entry that names this record."""
    statement = (
        "SELECT entry_id FROM entry WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq = ?"
        " ORDER BY entry_id"
    )
    return [row[0] for row in bulk.select(conn, statement, (school_id, device_id, epoch, seq))]


def sales(conn: Connection, school_id: int, first: int, after: int) -> Any:
    """(number, sum) of postings to caterers by sales that happened from `first` to before `after`."""
    statement = (
        "SELECT count(*), CAST(coalesce(sum(p.amount_minor), 0) AS BIGINT) FROM entry e"
        " JOIN posting p ON p.school_id = e.school_id AND p.entry_id = e.entry_id"
        " JOIN ledger_account a ON a.school_id = p.school_id AND a.ledger_account_id = p.ledger_account_id"
        " WHERE e.school_id = ? AND e.happened_at >= ? AND e.happened_at < ? AND e.kind = 'sale'"
        " AND substr(a.code, 1, 8) = 'caterer:'"
    )
    return bulk.select(conn, statement, (school_id, first, after))[0]


def add_refused(
    conn: Connection, rows: Sequence[tuple[int, str, bytes, int, int, Mapping[str, Any]]]
) -> None:
    """Keep refused entries (school_id, external_key, content_hash, code, now, content) and count repeats."""
    values: dict[tuple[int, str, bytes], tuple[Any, ...]] = {}
    for school_id, key, digest, code, now, content in rows:
        times = values[school_id, key, digest][4] + 1 if (school_id, key, digest) in values else 1
        text = json.dumps(content, sort_keys=True)
        values[school_id, key, digest] = school_id, key, digest, code, times, now, now, text
    change = "count = refused_entry.count + excluded.count, last_at = excluded.last_at"
    keys = ("school_id", "external_key", "content_hash")
    bulk.merge_rows(conn, db.refused_entry, list(values.values()), keys, change)


def refused(conn: Connection, school_id: int, limit: int) -> Sequence[Any]:
    """Refused entries, the latest first."""
    statement = (
        "SELECT external_key, code, count AS times, first_at, last_at, content FROM refused_entry"
        " WHERE school_id = ? ORDER BY last_at DESC, external_key LIMIT ?"
    )
    return bulk.select(conn, statement, (school_id, limit))


def movement_count(conn: Connection, school_id: int) -> int:
    """The number of the last movement of a right."""
    rows = bulk.select(conn, "SELECT movement_count FROM books_head WHERE school_id = ?", (school_id,))
    return int(rows[0][0]) if rows else 0


def set_movement_count(conn: Connection, school_id: int, count: int) -> None:
    """Move the head behind the movements that were written."""
    rows = [(school_id, 0, genesis(school_id), count)]
    bulk.merge_rows(conn, db.books_head, rows, ("school_id",), "movement_count = excluded.movement_count")


def add_movements(conn: Connection, rows: bulk.Rows) -> None:
    """Rows in the order of the table's columns."""
    bulk.insert_rows(conn, db.right_movement, rows)


def add_to_pending(conn: Connection, rows: bulk.Rows) -> None:
    """Add an amount to each holder's pending balance: (school_id, device_id, epoch, source, amount)."""
    keys = ("school_id", "device_id", "epoch", "source")
    bulk.merge_rows(conn, db.pending_balance, rows, keys, "amount = pending_balance.amount + excluded.amount")


def pending(conn: Connection, school_id: int) -> Sequence[Any]:
    """(device_id, epoch, source, amount) of every holder."""
    statement = (
        "SELECT device_id, epoch, source, amount FROM pending_balance WHERE school_id = ?"
        " ORDER BY device_id, epoch, source"
    )
    return bulk.select(conn, statement, (school_id,))


CHAIN = (
    "SELECT e.entry_id, e.external_key, e.kind, e.happened_at, e.posted_at, e.device_id, e.epoch, e.seq,"
    " e.reason, e.corrects, e.hash, r.raw, r.account_id, r.amount FROM entry e LEFT JOIN record r"
    " ON r.school_id = e.school_id AND r.device_id = e.device_id AND r.epoch = e.epoch AND r.seq = e.seq"
    " WHERE e.school_id = ? AND e.entry_id > ? AND e.entry_id <= ? ORDER BY e.entry_id"
)


def chain_entries(conn: Connection, school_id: int, after: int, until: int) -> list[tuple[Any, ...]]:
    """Entries with the records that they name, in the order of the chain."""
    return bulk.tuples(conn, CHAIN, (school_id, after, until))


def chain_postings(conn: Connection, school_id: int, after: int, until: int) -> list[tuple[Any, ...]]:
    """(entry_id, ledger_account_id, amount_minor) in the order of the chain."""
    statement = (
        "SELECT entry_id, ledger_account_id, amount_minor FROM posting"
        " WHERE school_id = ? AND entry_id > ? AND entry_id <= ? ORDER BY entry_id, line"
    )
    return bulk.tuples(conn, statement, (school_id, after, until))


def last_entry(conn: Connection, school_id: int) -> int:
    """The highest entry_id that stands there, whatever the head says."""
    statement = "SELECT coalesce(max(entry_id), 0) FROM entry WHERE school_id = ?"
    return int(bulk.select(conn, statement, (school_id,))[0][0])


def codes(conn: Connection, school_id: int) -> dict[int, str]:
    """ledger_account_id to code, of all accounts."""
    statement = "SELECT ledger_account_id, code FROM ledger_account WHERE school_id = ?"
    return dict(bulk.tuples(conn, statement, (school_id,)))


def cached_balances(conn: Connection, school_id: int) -> dict[int, int]:
    """ledger_account_id to its cached balance."""
    statement = "SELECT ledger_account_id, amount_minor FROM balance WHERE school_id = ?"
    return dict(bulk.tuples(conn, statement, (school_id,)))


_CLAIM = "CASE WHEN journaled > granted THEN journaled - granted ELSE 0 END"


def differing_counters(conn: Connection, school_id: int) -> Sequence[Any]:
    """device_id, epoch, account_id, bucket of counters that are not the sum of their movements."""
    parts = ", ".join(
        f"CASE counter WHEN {number} THEN amount ELSE 0 END AS c{number}" for number in range(1, 6)
    )
    differ = " OR ".join(f"sum(c{number}) <> 0" for number in range(1, 6))
    statement = (
        "SELECT device_id, epoch, account_id, bucket FROM ("  # noqa: S608 our own names
        f"SELECT device_id, epoch, account_id, bucket, {parts} FROM right_movement WHERE school_id = ?"
        " UNION ALL SELECT device_id, epoch, account_id, bucket, -granted, -returned, -spent, -voided,"
        f" -({_CLAIM}) FROM spending_right WHERE school_id = ?) m"
        f" GROUP BY device_id, epoch, account_id, bucket HAVING {differ} ORDER BY 1, 2, 3, 4 LIMIT 20"
    )
    return bulk.select(conn, statement, (school_id, school_id))


def differing_pending(conn: Connection, school_id: int) -> Sequence[Any]:
    """device_id, epoch, source of pending balances that are not the sum of what is out."""
    statement = (
        "SELECT device_id, epoch, source FROM ("  # noqa: S608 our own names
        "SELECT device_id, epoch, CASE WHEN bucket < 2 THEN bucket ELSE 2 END AS source,"
        f" granted - returned - spent + voided + {_CLAIM} AS amount FROM spending_right WHERE school_id = ?"
        " UNION ALL SELECT device_id, epoch, source, -amount FROM pending_balance WHERE school_id = ?) p"
        " GROUP BY device_id, epoch, source HAVING sum(amount) <> 0 ORDER BY 1, 2, 3 LIMIT 20"
    )
    return bulk.select(conn, statement, (school_id, school_id))


def movements_there(conn: Connection, school_id: int) -> tuple[int, int]:
    """How many movements there are, and the highest of their numbers."""
    statement = "SELECT count(*), coalesce(max(movement_id), 0) FROM right_movement WHERE school_id = ?"
    row = bulk.select(conn, statement, (school_id,))[0]
    return row[0], row[1]


def out(conn: Connection, school_id: int, bucket: int) -> Sequence[Any]:
    """(account_id, what is out of it) over all holders that are not closed, as far as it was granted."""
    statement = (
        "SELECT r.account_id, CAST(sum(r.granted - r.returned - r.spent + r.voided) AS BIGINT)"
        " FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE r.school_id = ? AND r.bucket = ? AND e.status <> 'closed' GROUP BY r.account_id"
    )
    return bulk.select(conn, statement, (school_id, bucket))


def reserved(conn: Connection, school_id: int, bucket: int, account_ids: Sequence[int]) -> dict[int, int]:
    """account_id to what is out of it over all holders that are not closed, with what devices claim."""
    statement = (
        "SELECT r.account_id, CAST(sum(CASE WHEN r.journaled > r.granted THEN r.journaled ELSE r.granted END"
        " - r.returned - r.spent + r.voided) AS BIGINT)"
        " FROM spending_right r JOIN device_epoch e"
        " ON e.school_id = r.school_id AND e.device_id = r.device_id AND e.epoch = r.epoch"
        " WHERE r.school_id = ? AND r.account_id IN ? AND r.bucket = ? AND e.status <> 'closed'"
        " GROUP BY r.account_id"
    )
    rows = bulk.select(conn, statement, (school_id, list(account_ids), bucket))
    return {row[0]: row[1] for row in rows}


def is_recovering(conn: Connection, school_id: int) -> bool:
    """Whether the school's books wait for the journals of its devices after a restore."""
    if "mode" not in db.school.columns:
        return False
    rows = bulk.select(conn, "SELECT mode FROM school WHERE school_id = ?", (school_id,))
    return bool(rows) and rows[0][0] == "recovery"


def checked(conn: Connection, school_id: int) -> Any:
    """entry_count, hash, checked_at, difference of the continuous check, or None before its first time."""
    statement = "SELECT entry_count, hash, checked_at, difference FROM books_checked WHERE school_id = ?"
    rows = bulk.select(conn, statement, (school_id,))
    return rows[0] if rows else None


def set_checked(conn: Connection, school_id: int, head: Head, now: int, difference: str) -> None:
    """Keep how far the continuous check has come."""
    change = ", ".join(
        f"{name} = excluded.{name}" for name in ("entry_count", "hash", "checked_at", "difference")
    )
    rows = [(school_id, head.entry_count, head.hash, now, difference)]
    bulk.merge_rows(conn, db.books_checked, rows, ("school_id",), change)


def correcting(conn: Connection, school_id: int, external_keys: list[str]) -> Sequence[Any]:
    """(entry_id, corrects, kind) of every entry that corrects one of these keys."""
    which = "WHERE school_id = ? AND corrects IN ? AND corrects <> '' ORDER BY entry_id"
    statement = f"SELECT entry_id, corrects, kind FROM entry {which}"  # noqa: S608 our own words
    return bulk.select(conn, statement, (school_id, external_keys))


def journal(conn: Connection, school_id: int, device_id: int, epoch: int) -> Any:
    """key_sealed, next_seq, head_mac of one holder, or None."""
    statement = (
        "SELECT key_sealed, next_seq, head_mac FROM device_epoch"
        " WHERE school_id = ? AND device_id = ? AND epoch = ?"
    )
    rows = bulk.select(conn, statement, (school_id, device_id, epoch))
    return rows[0] if rows else None


def journal_records(
    conn: Connection, school_id: int, device_id: int, epoch: int, after: int, limit: int
) -> list[tuple[Any, ...]]:
    """(seq, raw) of a holder's records behind seq `after`."""
    statement = (
        "SELECT seq, raw FROM record WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq > ?"
        " ORDER BY seq LIMIT ?"
    )
    return bulk.tuples(conn, statement, (school_id, device_id, epoch, after, limit))


def school_words(conn: Connection, school_id: int) -> Any:
    """name, time_zone, currency of a school."""
    statement = "SELECT name, time_zone, currency FROM school WHERE school_id = ?"
    return bulk.select(conn, statement, (school_id,))[0]
