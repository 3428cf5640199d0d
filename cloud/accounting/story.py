"""What the books can tell: the lines of an account, and one entry down to the bytes a device wrote.

Promises: a page of lines costs the same however long the history is.  Leaves
who may see a line to the pages.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.records import service as records

_NEWEST = 2**62


class HistoryLine(NamedTuple):
    """One entry as one account sees it.  `lines`: what was sold, empty when it was no sale."""

    entry_id: int
    kind: str
    happened_at: int
    posted_at: int
    device_id: int | None
    epoch: int | None
    seq: int | None
    reason: str
    amount_minor: int
    device_label: str | None
    lines: records.Lines


class NoSuchEntry(LookupError):
    """The number names no entry of this school."""


class Sales(NamedTuple):
    """Sales that were put on the books for caterers: how many, and for how much."""

    number: int
    sum_minor: int


def history(
    conn: Connection, school_id: int, codes: str | Sequence[str], limit: int = 30, before: int | None = None
) -> list[HistoryLine]:
    """The newest lines of an account, or of several as one, at most `limit`.

    `before`: the entry_id of the last line already seen.  The cost does not
    grow with the history.
    """
    wanted = [codes] if isinstance(codes, str) else codes
    found: dict[int, Any] = {}
    amounts: defaultdict[int, int] = defaultdict(int)
    for account in store.account_ids(conn, school_id, wanted).values():
        for row in store.history(conn, school_id, account, _NEWEST if before is None else before, limit):
            found[row.entry_id] = row
            amounts[row.entry_id] += row.amount_minor
    rows = [found[entry_id] for entry_id in sorted(found, reverse=True)[:limit]]
    sold = records.lines_of_sales(conn, school_id, rows)
    return [
        HistoryLine(
            row.entry_id, row.kind, row.happened_at, row.posted_at, row.device_id, row.epoch, row.seq,
            row.reason, amounts[row.entry_id], row.device_label,
            sold.get((row.device_id, row.epoch, row.seq), ()),
        )
        for row in rows
    ]  # fmt: skip


def explain(conn: Connection, school_id: int, entry_id: int) -> dict[str, Any]:
    """An entry down to the bytes a device wrote, or NoSuchEntry.

    Keys: entry_id, external_key, kind, happened_at, posted_at, reason, hash_hex,
    corrects and corrected_by (entry numbers), postings [{code, amount_minor}],
    record: None or {device_id, device_label, epoch, seq, type, flags, day, time,
    account_id, amount, aux, raw_hex, received_at, refusal, lines}.
    """
    found = store.contents(conn, school_id, [entry_id])
    if entry_id not in found:
        raise NoSuchEntry(entry_id)
    row, postings = found[entry_id]
    told: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("entry_id", "external_key", "kind", "happened_at", "posted_at", "reason")
    }
    told["postings"] = [{"code": code, "amount_minor": amount} for code, amount in postings]
    told["hash_hex"] = bytes(row.hash).hex()
    told["corrects"] = sorted(store.entries_by_key(conn, school_id, [row.corrects]).values())
    told["corrected_by"] = [each.entry_id for each in store.correcting(conn, school_id, [row.external_key])]
    told["record"] = None
    if row.device_id is not None:
        source = store.record_of(conn, school_id, row.device_id, row.epoch, row.seq)
        told["record"] = None if source is None else _record(conn, school_id, source)
    return told


def _record(conn: Connection, school_id: int, row: Any) -> dict[str, Any]:
    names = (
        "device_id",
        "device_label",
        "epoch",
        "seq",
        "type",
        "flags",
        "day",
        "time",
        "account_id",
        "amount",
    )
    told = {name: getattr(row, name) for name in (*names, "aux", "received_at", "refusal")}
    sold = records.lines_of_sales(conn, school_id, [row])
    return told | {
        "raw_hex": bytes(row.raw).hex(),
        "lines": sold.get((row.device_id, row.epoch, row.seq), ()),
    }


def entries_of_record(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> list[int]:
    """The entries that stand in the books because of one record of a device, the oldest first."""
    return store.entries_of_record(conn, school_id, device_id, epoch, seq)


def sales(conn: Connection, school_id: int, first: int, after: int) -> Sales:
    """Sales to caterers that happened at or after `first` and before `after`, UTC seconds."""
    row = store.sales(conn, school_id, first, after)
    return Sales(row[0], row[1])
