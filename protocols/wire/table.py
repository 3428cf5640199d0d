"""The account table of a device: an open-addressing hash table in a file image.

    header 32 B: magic 'KKT1' | u32 version | u32 slots (a power of two) | u32 rows | u16 base day
                 | u32 credit total | 10 B zero
    row    20 B: card_ref 8 | u32 account | i32 rights | u16 benefit days | u8 flags | u8 class

A row stands at slot (first 4 bytes of card_ref, little endian) mod slots or the
next free one after it; account 0 is an empty slot.  `rights` is the G total
that the parent placed on this device for the account, bucket money.  With the
flag CREDIT the parent placed the header's credit total of meal credit too.  Bit i
of `benefit days` is the day `base day` + i, flags 4..7 are the meals 1..4: each of
these meals on each of these days is one benefit that was placed here.  A row with the flag
COPY names the account of the card that was copied, and serves nobody.  The image
travels in chunks of 960 bytes; its root is the sha256 of the whole.
A device looks a card up in the file itself: no object of the table's size is in RAM.
"""

import hashlib
import struct
from collections import namedtuple

from protocols.errors import TABLE_CHUNK, TABLE_ROOT, TABLE_SHAPE, Fault
from protocols.fields import Layout

MAGIC = b"KKT1"
CHUNK = 960
REFERENCE = 8
DAYS = 16
MEALS = 4
BLOCKED = 0x01
CREDIT = 0x02
# The card's number can be copied: the daily limit of weak cards holds for it.
WEAK = 0x04
# The bare serial number of a card that was issued as protected: whoever shows it has a copy.
COPY = 0x08
_MEAL_SHIFT = 3

Row = namedtuple("Row", ("reference", "account", "rights", "benefit_days", "flags", "class_number"))

_HEADER = Layout(
    "table", "magic bytes4, version u32, slots u32, rows u32, base_day u16, credit_total u32, zero bytes10"
)
_ROW = Layout("row", "reference bytes8, account u32, rights i32, benefit_days u16, flags u8, class_number u8")
_HEADER_SIZE = _HEADER.size
_ROW_SIZE = _ROW.size
_SLOTS_MIN = 16
# Most probes end within three rows, so three are read at a time.
_WINDOW = 3


def meal_flag(meal: int) -> int:
    """The flag of a row that says that its benefits cover meal 1..4."""
    return 1 << (_MEAL_SHIFT + meal)


def has_benefit(row: Row, base_day: int, day: int, meal: int) -> bool:
    """Whether the benefit of a day and a meal (1..7) was placed with this row."""
    ahead = day - base_day
    if not 0 <= ahead < DAYS or not 1 <= meal <= MEALS:
        return False
    return bool(row.benefit_days >> ahead & 1) and bool(row.flags & meal_flag(meal))


def build(rows, version: int, base_day: int = 0, credit_total: int = 0) -> bytes:
    """The image of a table; Fault(TABLE_SHAPE) when two rows carry one card_ref or an account is 0."""
    ordered = sorted(rows, key=lambda row: row.reference)
    slots = _SLOTS_MIN
    while slots * 3 < len(ordered) * 4:
        slots *= 2
    places: list = [None] * slots
    for row in ordered:
        if not row.account:
            raise Fault(TABLE_SHAPE, "row", "account 0")
        slot = _home(row.reference, slots)
        while places[slot] is not None:
            if places[slot].reference == row.reference:
                raise Fault(TABLE_SHAPE, "row", "two accounts for one card")
            slot = (slot + 1) % slots
        places[slot] = row
    empty = bytes(_ROW.size)
    image = [_HEADER.pack(MAGIC, version, slots, len(ordered), base_day, credit_total, bytes(10))]
    for place in places:
        image.append(empty if place is None else _ROW.pack(*place))
    return b"".join(image)


def chunk_count(size: int) -> int:
    """How many chunks an image of `size` bytes makes."""
    return (size + CHUNK - 1) // CHUNK


def chunk(image: bytes, index: int) -> bytes:
    """One chunk of an image; Fault(TABLE_CHUNK) outside of it."""
    if not 0 <= index < chunk_count(len(image)):
        raise Fault(TABLE_CHUNK, "chunk %d" % index)
    return image[index * CHUNK : (index + 1) * CHUNK]


def root(image: bytes) -> bytes:
    """sha256 of the image, 32 bytes."""
    return hashlib.sha256(image).digest()


def file_root(file) -> bytes:
    """sha256 of a file from its start, read in small pieces."""
    digest = hashlib.sha256()
    buffer = bytearray(240)
    view = memoryview(buffer)
    file.seek(0)
    while True:
        count = file.readinto(buffer)
        if not count:
            return digest.digest()
        digest.update(view[:count])


def _home(reference, slots: int) -> int:
    return struct.unpack_from("<I", reference)[0] & (slots - 1)


class Table:
    """A table in an open binary file (seek, readinto).  Fault(TABLE_SHAPE) when the file is none."""

    def __init__(self, file) -> None:
        self._file = file
        header = bytearray(_HEADER.size)
        file.seek(0)
        if file.readinto(header) != _HEADER.size:
            raise Fault(TABLE_SHAPE, "header", "short")
        fields = _HEADER.unpack(header)
        magic, self.version, self._slots, self.rows, self.base_day, self.credit_total, _zero = fields
        slots = self._slots
        if magic != MAGIC or slots < _SLOTS_MIN or slots & (slots - 1) or self.rows >= slots:
            raise Fault(TABLE_SHAPE, "header")
        self._buffer = bytearray(_ROW.size * _WINDOW)
        self._view = memoryview(self._buffer)

    def find(self, reference):
        """The Row of the first 8 bytes of a card_ref, or None."""
        slots = self._slots
        slot = _home(reference, slots)
        pattern, buffer = _ROW.pattern, self._buffer
        probes = 0
        while probes < slots:
            window = min(_WINDOW, slots - slot)
            self._read(slot, window)
            for index in range(window):
                found = struct.unpack_from(pattern, buffer, index * _ROW_SIZE)
                if found[0] == reference:
                    return Row(found[0], found[1], found[2], found[3], found[4], found[5])
                if not found[1]:
                    return None
            probes += window
            slot = (slot + window) % slots
        return None

    def _read(self, slot: int, count: int) -> None:
        self._file.seek(_HEADER_SIZE + slot * _ROW_SIZE)
        wanted = self._view if count == _WINDOW else self._view[: count * _ROW_SIZE]
        if self._file.readinto(wanted) != count * _ROW_SIZE:
            raise Fault(TABLE_SHAPE, "slot %d" % slot, "short")


def check_root(file, expected: bytes) -> None:
    """Fault(TABLE_ROOT) unless the file is exactly the image with that root."""
    if file_root(file) != expected:
        raise Fault(TABLE_ROOT, "table")
