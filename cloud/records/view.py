"""A device record taken apart for people: each field with its bytes and its value.

Promises: the bytes shown, put together, are exactly the record.  Leaves words to
the template `_record.html` and rules about records to protocols.
"""

from typing import NamedTuple

from protocols.ledger import basket
from protocols.ledger.basket import Line
from protocols.ledger.record import (
    BODY,
    ITEM,
    NOTE,
    NOTE_COMMAND,
    NOTE_LOCKED,
    NOTE_READER,
    PASS,
    PASS_OUT,
    PASS_STAGE,
    SALE,
    SALE_SINGLE,
    SIZE,
    TAG,
    TYPES,
    Record,
    crc_ok,
    unpack,
)

_NOTES = {NOTE_COMMAND: "command", NOTE_LOCKED: "locked", NOTE_READER: "reader"}
# Name and bytes of each field, as protocols/ledger/record.py lays them out.
_FIELDS = (
    ("type", 1),
    ("flags", 1),
    ("day", 2),
    ("seq", 4),
    ("time", 4),
    ("account", 4),
    ("amount", 4),
    ("aux", 4),
    ("chain", TAG),
    ("check", SIZE - BODY - TAG),
)


class Part(NamedTuple):
    """One field: its name, its bytes as hex, its number (None for the chain tag and the checksum)."""

    name: str
    hex: str
    value: int | None


class RecordView(NamedTuple):
    """A record for a page.

    `kind`: a name of record.TYPES, or `unknown`, `command`, `locked` or `reader` for these notes;
    `amount_minor`: of a sale, or of one unit in the item of a basket; `lines`: what a single
    sale or an item says; `items`: how many of them a basket counts, else 0; `refusal`: the
    number of a card not accepted.
    """

    kind: str
    raw_hex: str
    is_whole: bool
    seq: int
    day: int
    time: int
    account_id: int
    amount_minor: int
    direction: str
    stage: int
    lines: tuple[Line, ...]
    items: int
    refusal: int
    parts: list[Part]


def view(raw: bytes) -> RecordView:
    """Take a record of 32 bytes apart; a damaged one too, `is_whole` tells."""
    record = unpack(raw)
    is_pass = record.type == PASS
    kind = TYPES.get(record.type, "unknown")
    if record.type == NOTE:
        kind = _NOTES.get(record.flags, kind)
    return RecordView(
        kind=kind,
        raw_hex=_spaced(raw.hex()),
        is_whole=crc_ok(raw),
        seq=record.seq,
        day=record.day,
        time=record.time,
        account_id=record.account,
        amount_minor=record.amount if record.type in (SALE, ITEM) else 0,
        direction=("out" if record.flags & PASS_OUT else "in") if is_pass else "",
        stage=record.flags & PASS_STAGE if is_pass else 0,
        lines=_lines(record),
        items=record.aux & 0xFFFF if basket.is_basket(record) else 0,
        refusal=record.amount if kind in ("note", "locked", "reader") else 0,
        parts=_parts(raw, record),
    )


def _lines(record: Record) -> tuple[Line, ...]:
    if record.type == ITEM:
        return (basket.line_of(record),)
    if record.type == SALE and record.flags & SALE_SINGLE:
        return (Line(record.aux & 0xFFFF, 1, record.amount),)
    return ()


def _parts(raw: bytes, record: tuple) -> list[Part]:
    parts, start = [], 0
    for index, (name, size) in enumerate(_FIELDS):
        value = int(record[index]) if index < len(record) else None
        parts.append(Part(name, raw[start : start + size].hex(" "), value))
        start += size
    return parts


def _spaced(digits: str) -> str:
    return " ".join(digits[index : index + 8] for index in range(0, len(digits), 8))
