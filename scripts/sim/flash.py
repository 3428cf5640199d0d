"""NOR flash in memory: bits only fall, power may go at any byte, pages get stuck, bits rot.

A page in which a programming was cut is weak: to program it again before an erase disturbs what it holds.
Keeps the contract of firmware/hal/flash.py.  `told` hears of each record that became durable, with its bytes
as they lie in flash: that is how the world knows what truly happened, whatever the firmware believes.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

from protocols.errors import FLASH_ERASE, FLASH_WRITE, Fault
from scripts.sim.power import Power

SECTOR = 4096
PAGE = 256
HEADER = 64
RECORD = 32
# Of one turn of a board; a boot of a whole ring takes a tenth of it.
_READS_MAX = 15_000
_ERASED = b"\xff" * SECTOR


class Hang(BaseException):
    """A turn reads for ever."""


class SimFlash:
    """One chip.  `programmed` bytes and `erases` are counted for the bench."""

    sector_size = SECTOR

    def __init__(self, sectors: int, power: Power) -> None:
        self.size = sectors * SECTOR
        self.bytes = bytearray(b"\xff") * self.size
        self._power = power
        self.told: Callable[[bytes], None] = lambda raw: None
        self.stuck: set[int] = set()
        self.wounded: set[int] = set()
        """Pages in which a programming was cut: the next one disturbs what stands beside it."""
        self.cut_erase_after = -1
        """The next erase is cut behind so many bytes; -1: it is not."""
        self.programmed = 0
        self.erases = 0
        self.changes = 0
        self.reads = 0

    def read_into(self, offset: int, buffer: bytearray | memoryview) -> None:
        """Fill the buffer from `offset`."""
        end = offset + len(buffer)
        self.reads += 1
        if self.reads > _READS_MAX:
            raise Hang
        if offset < 0 or end > self.size:
            raise Fault(FLASH_WRITE, f"offset {offset}", "outside")
        buffer[:] = self.bytes[offset:end]

    def program(self, offset: int, data: bytes | memoryview) -> None:
        """Clear bits; Fault(FLASH_WRITE) when a bit that is 0 should become 1."""
        size = len(data)
        end = offset + size
        if offset < 0 or end > self.size:
            raise Fault(FLASH_WRITE, f"offset {offset}", "outside")
        whole = self._power.bytes_until_cut(size)
        old = self.bytes[offset:end]
        new = bytes(data)
        if old.count(0xFF) != size:
            wanted = int.from_bytes(new, "little")
            if wanted & int.from_bytes(old, "little") != wanted:
                raise Fault(FLASH_WRITE, f"program {offset}", "a bit would rise")
        self.changes += 1
        self.programmed += size
        if self.stuck and offset // PAGE in self.stuck:
            return
        if self.wounded and offset // PAGE in self.wounded and offset % PAGE >= 2 * RECORD:
            self.bytes[offset - 2 * RECORD + 8] = 0
        if whole < 0:
            self.bytes[offset:end] = new
        else:
            self.bytes[offset : offset + whole] = new[:whole]
            if whole:
                self.wounded.add(offset // PAGE)
        # Also of a cut ahead of bytes that are 0xFF: they need no programming.
        if size == RECORD and (whole < 0 or self.bytes[offset:end] == new):
            self._tell(new)
        if whole >= 0:
            self._power.cut()

    def _tell(self, raw: bytes) -> None:
        if int.from_bytes(raw[28:], "little") == crc32(raw[:28]):
            self.told(raw)

    def erase(self, sector: int) -> None:
        """Set a sector to 0xFF; a cut leaves its tail as it was."""
        if not 0 <= sector < self.size // SECTOR:
            raise Fault(FLASH_ERASE, f"sector {sector}")
        whole = self._power.bytes_until_cut(SECTOR)
        if self.cut_erase_after >= 0:
            whole, self.cut_erase_after = self.cut_erase_after, -1
        self.erases += 1
        self.changes += 1
        start = sector * SECTOR
        if whole < 0:
            for pages in (self.stuck, self.wounded):
                pages -= {page for page in pages if page * PAGE // SECTOR == sector}
        self.bytes[start : start + (SECTOR if whole < 0 else whole)] = _ERASED[
            : SECTOR if whole < 0 else whole
        ]
        if whole >= 0:
            self._power.cut()

    # What is done to the chip from outside

    def rot(self, offset: int, bit: int) -> None:
        """One bit turns over by itself."""
        self.bytes[offset] ^= 1 << bit

    def blank(self, offset: int, size: int) -> None:
        """A tail reads as erased."""
        self.bytes[offset : offset + size] = _ERASED[:size]

    def records(self) -> list[tuple[int, bytes]]:
        """(offset, raw) of each slot that holds a record with a right crc, in the order of offsets."""
        found = []
        for start in range(0, self.size, SECTOR):
            for offset in range(start + HEADER, start + SECTOR, RECORD):
                raw = bytes(self.bytes[offset : offset + RECORD])
                if raw[0] != 0xFF and int.from_bytes(raw[28:], "little") == crc32(raw[:28]):
                    found.append((offset, raw))
        return found

    def image(self) -> bytes:
        """All bytes: a dump, or the start of a clone."""
        return bytes(self.bytes)

    def load(self, image: bytes) -> None:
        """Take over an image."""
        self.bytes[:] = image
