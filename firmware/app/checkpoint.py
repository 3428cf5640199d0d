"""The file behind the holder's store: counters of all keys, true for the journal up to one seq.

    rows x 24 B, sorted by (hash, account, bucket) | state 72 B | trailer 20 B
    row:     u32 account | u32 bucket | u32 G | u32 R | u32 S | u32 V
    trailer: magic 'KKC1' | u32 device | u32 epoch | u32 rows | u32 crc32 of all before it

Promises: a look-up reads one small page (an index of two bytes a page, at most
1 KiB, says which); a new file is merged from the old one and what changed, a few
rows a turn, and counts only when it is whole and in place.
"""

import struct
from array import array
from binascii import crc32

from firmware.app.overlay import ROW, Overlay, hash_of, order_of
from firmware.app.state import SIZE as STATE_SIZE
from protocols.errors import TABLE_SHAPE, Fault
from protocols.fields import Layout
from protocols.ledger.holder import NONE, Counters
from protocols.ledger.record import MEALS_A_DAY

NAME = "counters"
NEW = "counters.new"
_MAGIC = b"KKC1"
_TRAILER = Layout("counters trailer", "magic bytes4, device u32, epoch u32, rows u32, crc u32")
PAGES_MAX = 512
_PAGE_ROWS = 8
# Rows in one read of the whole file, in one of a look-up, and in one turn of a merge.  The four of a look-up
# lie in one cache of littlefs (128 B when nobody says more), wherever they begin.
_READ_ROWS = 16
_PIECE_ROWS = 4
_TURN_ROWS = 32


class PageIndex:
    """The first 16 bits of the hash that each page begins with."""

    def __init__(self, pages_max: int = PAGES_MAX) -> None:
        self._prefixes = array("H", (0 for _ in range(pages_max)))
        self.page_rows = _PAGE_ROWS
        self.pages = 0

    def start(self, rows_max: int) -> None:
        """Begin anew for a file of at most so many rows."""
        self.pages = 0
        self.page_rows = _PAGE_ROWS
        while self.page_rows * PAGES_MAX < rows_max:
            self.page_rows *= 2

    def add(self, row: int, hashed: int) -> None:
        """Rows are told in order."""
        if row % self.page_rows == 0:
            self._prefixes[self.pages] = hashed >> 16
            self.pages += 1

    def pages_of(self, hashed: int) -> tuple:
        """(first page, page after the last) where a hash may stand; one page but for rare ties."""
        prefix = hashed >> 16
        low, high = 0, self.pages
        while low < high:
            middle = (low + high) // 2
            if self._prefixes[middle] < prefix:
                low = middle + 1
            else:
                high = middle
        after = low
        while after < self.pages and self._prefixes[after] == prefix:
            after += 1
        return max(0, low - 1), after


class Checkpoint:
    """One checkpoint file that is open for look-ups."""

    def __init__(self, file, index: PageIndex, window: bytearray, rows: int) -> None:
        self.file = file
        self.rows = rows
        self.state = b""
        self._index = index
        self._window = window
        self._view = memoryview(window)

    def check(self, device: int, epoch: int) -> None:
        """Read it all once: Fault(TABLE_SHAPE) for a damaged or foreign file.  Fills the index."""
        file = self.file
        size = file.seek(0, 2)
        rows_size = size - _TRAILER.size - STATE_SIZE
        if rows_size < 0 or rows_size % ROW.size:
            raise Fault(TABLE_SHAPE, "counters", "%d B" % size)
        rows = rows_size // ROW.size
        self._index.start(rows)
        crc = self._scan(rows)
        tail = bytearray(STATE_SIZE + _TRAILER.size)
        file.readinto(tail)
        trailer = _TRAILER.unpack(tail, STATE_SIZE)
        if trailer[:3] != (_MAGIC, device, epoch):
            raise Fault(TABLE_SHAPE, "counters", "foreign")
        if trailer[3] != rows or trailer[4] != crc32(bytes(tail[:-4]), crc):
            raise Fault(TABLE_SHAPE, "counters", "crc")
        self.rows = rows
        self.state = bytes(tail[:STATE_SIZE])

    def _scan(self, rows: int) -> int:
        crc = 0
        self.file.seek(0)
        for first in range(0, rows, _READ_ROWS):
            count = min(_READ_ROWS, rows - first)
            crc = crc32(self._fill(count), crc)
            for number in range(count):
                account, bucket = struct.unpack_from("<II", self._window, number * ROW.size)
                self._index.add(first + number, hash_of(account, bucket))
        return crc

    def _fill(self, count: int):
        piece = self._view[: count * ROW.size]
        if self.file.readinto(piece) != len(piece):
            raise Fault(TABLE_SHAPE, "counters", "short")
        return piece

    def find(self, account: int, bucket: int) -> Counters:
        """The counters of a key, all zero when it is not here."""
        key = struct.pack("<II", account, bucket)
        page_rows = self._index.page_rows
        first_page, after = self._index.pages_of(hash_of(account, bucket))
        rows_end = min(self.rows, after * page_rows)
        self.file.seek(first_page * page_rows * ROW.size)
        for first in range(first_page * page_rows, rows_end, _PIECE_ROWS):
            count = min(_PIECE_ROWS, rows_end - first)
            self._fill(count)
            for offset in range(0, count * ROW.size, ROW.size):
                if self._window[offset : offset + 8] == key:
                    return Counters(*ROW.unpack(self._window, offset)[2:])
        return NONE


class Merge:
    """Two sorted runs, an old checkpoint (or None) and what changed, into one new file."""

    def __init__(
        self, storage, old, frozen: Overlay, state: bytes, index: PageIndex, first_benefit: int
    ) -> None:
        self._frozen = frozen
        self._first_benefit = first_benefit
        self._fresh = frozen.sorted_rows()
        self._next_fresh = 0
        self._old = old
        self._old_rows = old.rows if old is not None else 0
        self._done = 0
        self._state = state
        self._index = index
        self._buffer = bytearray(_TURN_ROWS * ROW.size)
        index.start(self._old_rows + frozen.count)
        self._file = storage.open(NEW, "wb")
        self._crc = 0
        self.rows = 0

    def turn(self) -> bool:
        """Copy some rows; False when both runs are used up."""
        count = min(_TURN_ROWS, self._old_rows - self._done)
        if not count:
            self._write_fresh(None)
            return False
        piece = memoryview(self._buffer)[: count * ROW.size]
        self._old.file.seek(self._done * ROW.size)
        if self._old.file.readinto(piece) != len(piece):
            raise Fault(TABLE_SHAPE, "counters", "row %d" % self._done)
        for offset in range(0, len(piece), ROW.size):
            account, bucket = struct.unpack_from("<II", piece, offset)
            order = order_of(account, bucket)
            self._write_fresh(order)
            if not self._frozen.has(account, bucket):
                self._write_row(order[0], piece[offset : offset + ROW.size])
        self._done += count
        return True

    def _write_fresh(self, limit) -> None:
        """Write the changed keys that stand before, or at, the next old one."""
        while self._next_fresh < len(self._fresh):
            number = self._fresh[self._next_fresh]
            order = self._frozen.order(number)
            if limit is not None and order > limit:
                return
            self._write_row(order[0], self._frozen.row(number))
            self._next_fresh += 1

    def _write_row(self, hashed: int, raw) -> None:
        if MEALS_A_DAY <= struct.unpack_from("<I", raw, 4)[0] < self._first_benefit:
            return
        self._index.add(self.rows, hashed)
        self._write(raw)
        self.rows += 1

    def _write(self, data) -> None:
        self._file.write(data)
        self._crc = crc32(data, self._crc)

    def close(self, device: int, epoch: int) -> None:
        """Write the end of the file and make it durable."""
        self._write(self._state)
        trailer = _TRAILER.pack(_MAGIC, device, epoch, self.rows, 0)
        self._write(trailer[:-4])
        self._file.write(struct.pack("<I", self._crc))
        self._file.close()

    def give_up(self) -> None:
        """Close what was written; the next merge writes over it."""
        try:
            self._file.close()
        except OSError:
            # A file on a full storage cannot even be closed well; it is not used either.
            pass


def new_window() -> bytearray:
    """The buffer that a Checkpoint reads into."""
    return bytearray(_READ_ROWS * ROW.size)
