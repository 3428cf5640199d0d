"""Counters that changed since the last checkpoint: a small table in two byte arrays that never grows.

Promises: its RAM is taken once, at boot; a key that does not fit is refused
before anything is written to the journal (has_room), never forgotten.
"""

import struct

from protocols.errors import STORAGE_MISSING, Fault
from protocols.fields import Layout
from protocols.ledger.holder import Counters

ROW = Layout("counters", "account u32, bucket u32, granted u32, returned u32, spent u32, voided u32")
CAPACITY = 80
# A power of two, so that a place is a mask of the hash; less than two thirds are ever used.
_PLACES = 128


def hash_of(account: int, bucket: int) -> int:
    """Spreads keys evenly over 32 bits, also those of accounts that were numbered one by one."""
    mixed = (account * 0x9E3779B1 + bucket * 0x85EBCA6B) & 0xFFFFFFFF
    return ((mixed ^ (mixed >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF


def order_of(account: int, bucket: int) -> tuple:
    """The place of a key among all keys: by hash, ties by the key itself."""
    return (hash_of(account, bucket), account, bucket)


class Overlay:
    """Rows in the order of their first change, at most `capacity`, and a hash index of one byte a place."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._rows = bytearray(capacity * ROW.size)
        self._view = memoryview(self._rows)
        # Row number plus one; 0 is a free place.
        self._index = bytearray(_PLACES)
        self.count = 0

    def clear(self) -> None:
        """Forget all."""
        self.count = 0
        for place in range(_PLACES):
            self._index[place] = 0

    def _place(self, account: int, bucket: int) -> int:
        """Where the key stands in the index, or the free place where it would."""
        key = struct.pack("<II", account, bucket)
        place = hash_of(account, bucket) >> 25
        while self._index[place]:
            offset = (self._index[place] - 1) * ROW.size
            if self._rows[offset : offset + 8] == key:
                break
            place = (place + 1) & (_PLACES - 1)
        return place

    def has(self, account: int, bucket: int) -> bool:
        """Whether the key has changed."""
        return self._index[self._place(account, bucket)] != 0

    def has_room(self, account: int, bucket: int, second: int | None = None) -> bool:
        """Whether put() of the key would fit, and of a second one of the same account."""
        room = self._capacity - self.count
        if room > 1:
            return True
        if second is not None and not self.has(account, second):
            room -= 1
        return room >= 0 and (room > 0 or self.has(account, bucket))

    def get(self, account: int, bucket: int):
        """The Counters of a key, or None."""
        number = self._index[self._place(account, bucket)]
        if not number:
            return None
        return Counters(*ROW.unpack(self._rows, (number - 1) * ROW.size)[2:])

    def put(self, account: int, bucket: int, counters: Counters) -> None:
        """Set the counters of a key; Fault(STORAGE_MISSING) when it does not fit."""
        place = self._place(account, bucket)
        number = self._index[place]
        if not number:
            if self.count >= self._capacity:
                raise Fault(STORAGE_MISSING, "counters", "no checkpoint for too long")
            self.count += 1
            number = self._index[place] = self.count
        offset = (number - 1) * ROW.size
        self._rows[offset : offset + ROW.size] = ROW.pack(account, bucket, *counters)

    def row(self, number: int):
        """The bytes of row 0, 1, 2..., as they stand in a checkpoint."""
        return self._view[number * ROW.size : (number + 1) * ROW.size]

    def sorted_rows(self) -> list:
        """The row numbers in the order of a checkpoint."""
        return sorted(range(self.count), key=self.order)

    def order(self, number: int) -> tuple:
        """order_of the key of a row."""
        account, bucket = struct.unpack_from("<II", self._rows, number * ROW.size)
        return order_of(account, bucket)
