"""The 32-byte journal record (LEDGER section 3).

    0   u8   type          12  u32  account
    1   u8   flags         16  i32  amount, minor units
    2   u16  day           20  u32  aux
    4   u32  seq           24  4 B  chain tag: first bytes of the full MAC
    8   u32  time, UTC s   28  u32  crc32 of bytes 0..27

The chain: MAC(n) = HMAC-SHA256(K_chain, MAC(n-1) || body(n)); the state before
the first record is genesis().  `day` counts from 1970-01-01 in school time.
"""

import struct
from binascii import crc32
from collections import namedtuple

from protocols.errors import RECORD_CRC, Fault
from protocols.fields import Layout
from protocols.mac import Hmac, hmac_sha256

SIZE = 32
BODY = 24
TAG = 4

BOOT = 1
INCARN = 2
GRANT = 3
RETURN = 4
ITEM = 5
SALE = 6
VOID = 7
PASS = 8
TABLE = 9
CLOCK = 10
CLOSE_DAY = 11
NOTE = 12

TYPES = {
    BOOT: "boot",
    INCARN: "incarnation",
    GRANT: "grant",
    RETURN: "return",
    ITEM: "item",
    SALE: "sale",
    VOID: "void",
    PASS: "passage",
    TABLE: "table",
    CLOCK: "clock",
    CLOSE_DAY: "close_day",
    NOTE: "note",
}
OPERATIONS = (SALE, VOID, PASS, NOTE)

# Flags of PASS: one direction bit, two stage bits.
PASS_OUT = 0x01
PASS_STAGE = 0x06
PASS_OPENED = 0x02
PASS_TURNED = 0x04
PASS_NOT_TURNED = 0x06

# Flags of SALE and VOID: where the rights came from, and for a benefit which meal of the day; that a weak
# card paid with money while weak cards had a daily limit here.
SALE_SINGLE = 0x01
SALE_SOURCE = 0x06
FROM_MONEY = 0x00
FROM_CREDIT = 0x02
FROM_BENEFIT = 0x04
SALE_WEAK = 0x08
SALE_MEAL_SHIFT = 4

# Goods in one basket: its records fit one sector of the journal many times over.
ITEMS_MAX = 16

TABLE_ACCOUNTS = 1
TABLE_SETTINGS = 2
# An account table that was given up: the amount is the refusal number, aux the version.
TABLE_REFUSED = 3

# Flags of CLOCK: set by TIME; a TIME that was refused; set by a TIME that a person has confirmed.
CLOCK_SET = 0
CLOCK_REFUSED = 1
CLOCK_CONFIRMED = 2

NOTE_REFUSED_TAP = 1
NOTE_LOCKED = 2
NOTE_COMMAND = 3
# A reader of the device failed (amount: why, a refusal number) or works again (OK); aux: which, as in PASS.
NOTE_READER = 4
# amount of a command's NOTE: its kind, and its argument above.
COMMAND_ARGUMENT = 256

# Buckets: money, the right to owe for a hot meal, else one benefit: day * 8 + meal (1..7).
MONEY = 0
MEAL_CREDIT = 1
MEALS_A_DAY = 8

Record = namedtuple("Record", ("type", "flags", "day", "seq", "time", "account", "amount", "aux"))

_BODY = Layout("record", "type u8, flags u8, day u16, seq u32, time u32, account u32, amount i32, aux u32")


_PATTERN = _BODY.pattern
_I32 = 0x80000000


def fits(kind: int, flags: int, day: int, seq: int, time: int, account: int, amount: int, aux: int) -> bool:
    """Whether every field has a value that its bytes can hold."""
    # One bit too many, or a sign, in any of them shows in all of them.
    return not (
        (kind | flags) >> 8 or day >> 16 or (seq | time | account | aux) >> 32 or (amount + _I32) >> 32
    )


def pack_body(record: tuple) -> bytes:
    """The 24 bytes of a Record's body, or of a tuple like it; Fault(FIELD_RANGE) names what does not fit."""
    return _BODY.pack(*record)


def unpack(raw, offset: int = 0) -> Record:
    """The record whose bytes stand at `offset`; looks at neither tag nor crc."""
    return Record(*_BODY.unpack(raw, offset))


def genesis(chain_key: bytes, device: int, epoch: int) -> bytes:
    """The chain state of an empty journal: 32 bytes."""
    return hmac_sha256(chain_key, b"KKJ1" + struct.pack("<II", device, epoch))


def next_mac(chain: Hmac, mac: bytes, body) -> bytes:
    """The chain state after a body; `chain` is the Hmac of K_chain."""
    return chain.mac(mac, body)


def seal(body: bytes, mac: bytes) -> bytes:
    """The 32 bytes that lie in flash: body, tag of its own full MAC, crc32."""
    tagged = body + mac[:TAG]
    return tagged + crc32(tagged).to_bytes(4, "little")


class Draft:
    """A record on its way to flash: one buffer that every record uses again.

    `raw`: the 32 bytes that lie in flash, as pack_body() and seal() make them: on a
    chip each object between the card and the light counts.
    """

    def __init__(self) -> None:
        self.raw = bytearray(SIZE)
        self._body = memoryview(self.raw)[:BODY]

    def fill(
        self, kind: int, flags: int, day: int, seq: int, time: int, account: int, amount: int, aux: int
    ) -> None:
        """Put the body of a record into `raw`; Fault(FIELD_RANGE) names what does not fit."""
        if not fits(kind, flags, day, seq, time, account, amount, aux):
            pack_body((kind, flags, day, seq, time, account, amount, aux))
        struct.pack_into(_PATTERN, self.raw, 0, kind, flags, day, seq, time, account, amount, aux)

    def seal(self, chain: Hmac, mac: bytes) -> bytes:
        """Give the body in `raw` its tag and crc behind the chain state `mac`; the state after it."""
        body = self._body
        after = chain.mac(mac, body)
        # struct takes the first four bytes of the state.
        struct.pack_into("<4sI", self.raw, BODY, after, crc32(after[:TAG], crc32(body)))
        return after


def crc_ok(raw, offset: int = 0) -> bool:
    """Whether the crc32 of the record at `offset` is right."""
    tagged = bytes(raw[offset : offset + BODY + TAG])
    return len(tagged) == BODY + TAG and struct.unpack_from("<I", raw, offset + BODY + TAG)[0] == crc32(
        tagged
    )


def follow(chain: Hmac, mac: bytes, raw, offset: int = 0) -> bytes:
    """The chain state after the record at `offset`, or b"" when its tag does not fit.

    Raises Fault(RECORD_CRC) when the bytes are damaged.
    """
    if not crc_ok(raw, offset):
        raise Fault(RECORD_CRC, "record", str(offset))
    after = chain.mac(mac, raw[offset : offset + BODY])
    return after if after[:TAG] == bytes(raw[offset + BODY : offset + BODY + TAG]) else b""


def benefit_bucket(day: int, meal: int) -> int:
    """The bucket of one benefit: the right to meal 1..7 of a day, once.

    Day 0, of a device that does not know the day, has none: bucket 7, which
    nobody is ever granted, and not one of money or credit.
    """
    return day * MEALS_A_DAY + meal if day else MEALS_A_DAY - 1


def weak_bucket(day: int) -> int:
    """Where a device counts what the weak cards of an account spend in a day; no parent knows such a bucket.

    Day 0 has one of its own, that is never over: a device without a clock does not start anew at each boot.
    """
    return day * MEALS_A_DAY or MEALS_A_DAY - 2


def bucket_of(item: Record) -> int:
    """The bucket whose rights a SALE or VOID moves."""
    source = item.flags & SALE_SOURCE
    if source == FROM_BENEFIT:
        return benefit_bucket(item.day, item.flags >> SALE_MEAL_SHIFT)
    return MEAL_CREDIT if source == FROM_CREDIT else MONEY


def units_of(item: Record) -> int:
    """How much of its bucket a SALE or VOID moves: its amount, or 1 where the bucket is a benefit."""
    return 1 if item.flags & SALE_SOURCE == FROM_BENEFIT else item.amount


def is_single_sale(flags: int, meal: int) -> bool:
    """Whether these are flags of a SALE of one good; benefits and credit pay only for its hot meal 1..7."""
    source = flags & SALE_SOURCE
    if source == FROM_BENEFIT:
        return meal > 0 and flags == SALE_SINGLE | FROM_BENEFIT | meal << SALE_MEAL_SHIFT
    if source == FROM_CREDIT:
        return meal > 0 and flags == SALE_SINGLE | FROM_CREDIT
    return flags & ~SALE_WEAK == SALE_SINGLE


def good_aux(good: int, reference: bytes) -> int:
    """aux of a single-good SALE: good id in the low half, two bytes of the card reference above."""
    return good | reference[0] << 16 | reference[1] << 24


def item_aux(good: int, quantity: int) -> int:
    """aux of an ITEM: the good in the low half, how many units of it above."""
    return good | quantity << 16


def tap_aux(reference: bytes) -> int:
    """aux of a tap: the first four bytes of the card reference as a little-endian number."""
    return int.from_bytes(reference[:4], "little")


def boot_nonce(record: Record) -> bytes:
    """The eight random bytes of a BOOT record: account, then aux."""
    return struct.pack("<II", record.account, record.aux)
