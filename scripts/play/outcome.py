"""The numbers of a played day, counted from what the cloud has posted, and what is still on its way.

It promises to count facts and not intentions: an entry is a passage in attendance, a sale an entry in the
books, a message one that left. Only what leaves no trace anywhere, the repeated taps, is counted by the
hands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, select

from cloud import db
from protocols.errors import CARD_UNKNOWN
from protocols.ledger.record import NOTE, PASS, SALE, VOID

OPERATIONS = (PASS, SALE, VOID, NOTE)
KEYS = (
    "taps", "entries", "exits", "taps_without_passage", "sales", "sales_minor", "declined", "unknown_cards",
    "repeated_taps_ignored", "records_posted", "books_sum_minor", "purses_minor", "messages", "unsettled",
    "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """What the cloud still has to do: messages to make, messages to send, and records it would not post."""

    facts: int
    messages: int
    refused: int

    def __bool__(self) -> bool:
        return bool(self.facts or self.messages or self.refused)


def count(conn: Connection, school_id: int) -> dict[str, int]:
    """The part of the outcome that the cloud's database knows."""
    record, passage, posting = db.record.c, db.passage.c, db.posting.c
    ours = record.school_id == school_id
    refused = and_(ours, record.type == NOTE, record.refusal == 0)
    turned = and_(passage.school_id == school_id, passage.turned == 1)
    return {
        "entries": _number(conn, db.passage, and_(turned, passage.direction == "in")),
        "exits": _number(conn, db.passage, and_(turned, passage.direction == "out")),
        "taps_without_passage": _number(
            conn, db.passage, and_(passage.school_id == school_id, passage.turned == 0)
        ),
        "sales": _number(conn, db.entry, and_(db.entry.c.school_id == school_id, db.entry.c.kind == "sale")),
        "sales_minor": _sales_minor(conn, school_id),
        "declined": _number(conn, db.record, and_(refused, record.amount != CARD_UNKNOWN)),
        "unknown_cards": _number(conn, db.record, and_(refused, record.amount == CARD_UNKNOWN)),
        "records_posted": _number(
            conn, db.record, and_(ours, record.type.in_(OPERATIONS), record.refusal == 0)
        ),
        "books_sum_minor": _sum(
            conn, select(func.sum(posting.amount_minor)).where(posting.school_id == school_id)
        ),
        "purses_minor": _sum(conn, _postings_of(school_id, "purse:%")),
        "messages": _number(conn, db.message, and_(_told(school_id), db.message.c.state == "sent")),
    }


def waiting(conn: Connection, school_id: int) -> Waiting:
    """What is not settled in the cloud."""
    outbox, record = db.outbox.c, db.record.c
    return Waiting(
        facts=_number(conn, db.outbox, and_(outbox.school_id == school_id, outbox.done_at.is_(None))),
        messages=_number(conn, db.message, and_(_told(school_id), db.message.c.state != "sent")),
        refused=_number(conn, db.record, and_(record.school_id == school_id, record.refusal != 0)),
    )


def lines_away(conn: Connection, school_id: int) -> int:
    """How many canteen lines the cloud does not see: their rights could not be moved to another line now."""
    device = db.device.c
    is_away = and_(device.school_id == school_id, device.kind == "canteen", device.online == 0)
    return _number(conn, db.device, is_away)


def report(counted: Mapping[str, int], **others: float) -> dict[str, float]:
    """The JSON object of `klasskart demo --once`, its keys in their order."""
    values = {**counted, **others}
    return {key: values[key] for key in KEYS}


def _told(school_id: int) -> ColumnElement[bool]:
    return db.message.c.school_id == school_id


def _postings_of(school_id: int, pattern: str) -> Select[Any]:
    account, posting = db.ledger_account.c, db.posting.c
    joined = db.posting.join(
        db.ledger_account,
        and_(account.school_id == posting.school_id, account.ledger_account_id == posting.ledger_account_id),
    )
    return (
        select(func.sum(posting.amount_minor))
        .select_from(joined)
        .where(posting.school_id == school_id, account.code.like(pattern))
    )


def _sales_minor(conn: Connection, school_id: int) -> int:
    """What the caterers were given by sales."""
    posting, entry = db.posting.c, db.entry.c
    joined = db.posting.join(
        db.entry, and_(entry.school_id == posting.school_id, entry.entry_id == posting.entry_id)
    )
    statement = (
        select(func.sum(posting.amount_minor))
        .select_from(joined)
        .where(posting.school_id == school_id, entry.kind == "sale", posting.amount_minor > 0)
    )
    return _sum(conn, statement)


def _number(conn: Connection, table: Table, condition: ColumnElement[bool]) -> int:
    return _sum(conn, select(func.count()).select_from(table).where(condition))


def _sum(conn: Connection, statement: Select[Any]) -> int:
    return int(conn.execute(statement).scalar() or 0)
