"""The chain over a school's entries: what bytes are hashed, and how one hash follows from the one before.

Promises: the bytes of an entry say everything that stands in the books about
it, its postings by account code included, and no two entries have the same
bytes.  Pure, and the same in every version of the books (docs/ledger.md): a
change of these bytes is a new label.

    hash(0) = sha256("klasskart/1/books" || u64 school)
    hash(n) = sha256(hash(n - 1) || head || key || kind || reason || corrects || lines)
    head    = u64 entry | i64 happened_at | i64 posted_at | i64 device | i64 epoch | i64 seq
              | u32 bytes of key | of kind | of reason | of corrects | u32 number of lines
    line    = i64 amount in minor units | u32 bytes of code | code

Little-endian; texts in UTF-8; device, epoch and seq are -1 where the entry has no record.
"""

from collections.abc import Iterable
from hashlib import sha256
from struct import Struct
from typing import NamedTuple

LABEL = b"klasskart/1/books"
HEAD = Struct("<QqqqqqIIIII")
LINE = Struct("<qI")
NO_RECORD = -1


class Head(NamedTuple):
    """Where a school's books stand: the number of entries, which is the last entry_id, and its hash."""

    entry_count: int
    hash: bytes


def genesis(school_id: int) -> bytes:
    """The hash before the first entry of a school."""
    return sha256(LABEL + school_id.to_bytes(8, "little")).digest()


def line_bytes(code: str, amount_minor: int) -> bytes:
    """One posting."""
    name = code.encode()
    return LINE.pack(amount_minor, len(name)) + name


def entry_bytes(
    entry_id: int,
    texts: tuple[str, str, str, str],
    times: tuple[int, int],
    source: tuple[int | None, int | None, int | None],
    lines: Iterable[tuple[str, int]],
) -> bytes:
    """Everything about one entry.

    `texts`: external_key, kind, reason, corrects; `times`: happened_at,
    posted_at; `source`: device_id, epoch, seq; `lines`: (code, amount in minor
    units) in their order.
    """
    key, kind, reason, corrects = texts[0].encode(), texts[1].encode(), texts[2].encode(), texts[3].encode()
    numbers = [NO_RECORD if number is None else number for number in source] if None in source else source
    packed = [line_bytes(code, amount_minor) for code, amount_minor in lines]
    lengths = len(key), len(kind), len(reason), len(corrects), len(packed)
    return b"".join((HEAD.pack(entry_id, *times, *numbers, *lengths), key, kind, reason, corrects, *packed))


def follow(previous: bytes, content: bytes) -> bytes:
    """The hash of an entry with these bytes behind an entry with the hash `previous`."""
    return sha256(previous + content).digest()
