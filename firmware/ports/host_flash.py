"""NOR flash kept in a file, and littlefs on top of such a file: the flash of a virtual board.

Promises what a chip's flash does: programming clears bits, a bit that should
rise again is a fault, erasing sets a sector to 0xFF.  Each operation is one
write to the host's page cache, so that it outlives a killed interpreter.  A
power cut of the host itself is not modelled (it would need fsync at each record).
"""

from protocols.errors import FLASH_ERASE, FLASH_WRITE, STORAGE_MISSING, Fault

SECTOR = 4096
_PAGE = 256
_ERASED = b"\xff" * _PAGE

# Operations of MicroPython's block device protocol (vfs.AbstractBlockDev.ioctl).
_IOCTL_BLOCK_COUNT = 4
_IOCTL_BLOCK_SIZE = 5
_IOCTL_BLOCK_ERASE = 6


def make_blank(path: str, size: int) -> None:
    """A new erased flash file of `size` bytes, a multiple of SECTOR."""
    if size % SECTOR:
        raise Fault(FLASH_ERASE, "size %d" % size)
    with open(path, "wb") as file:
        for _ in range(size // _PAGE):
            file.write(_ERASED)


class FileFlash:
    """One NOR chip in one file; keeps the contract of hal/flash.py.

    `reads`, `programs`, `erases` count the operations since the start.
    """

    sector_size = SECTOR

    def __init__(self, path: str) -> None:
        try:
            self._file = open(path, "r+b", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise Fault(STORAGE_MISSING, "flash", str(error.errno))  # noqa: B904
        self.size = self._file.seek(0, 2)
        self._page = bytearray(_PAGE)
        self._view = memoryview(self._page)
        self.reads = 0
        self.programs = 0
        self.erases = 0

    def read_into(self, offset: int, buffer) -> None:
        """Fill the buffer from `offset`."""
        self._check(offset, len(buffer))
        self.reads += 1
        self._file.seek(offset)
        if self._file.readinto(buffer) != len(buffer):
            raise Fault(FLASH_WRITE, "read %d" % offset, "short")

    def program(self, offset: int, data) -> None:
        """Clear bits from `offset` on."""
        self._check(offset, len(data))
        self.programs += 1
        if len(data) <= _PAGE:
            self._program_piece(offset, data)
            return
        new = memoryview(data)
        for start in range(0, len(data), _PAGE):
            self._program_piece(offset + start, new[start : start + _PAGE])

    def _program_piece(self, offset: int, new) -> None:
        file, size = self._file, len(new)
        old = self._view[:size]
        file.seek(offset)
        file.readinto(old)
        if old != _ERASED[:size]:
            wanted = int.from_bytes(new, "little")
            if wanted & int.from_bytes(old, "little") != wanted:
                raise Fault(FLASH_WRITE, "program %d" % offset, "a bit would rise")
        file.seek(offset)
        file.write(new)

    def erase(self, sector: int) -> None:
        """Set a sector to 0xFF."""
        if not 0 <= sector < self.size // SECTOR:
            raise Fault(FLASH_ERASE, "sector %d" % sector)
        self.erases += 1
        self._file.seek(sector * SECTOR)
        for _ in range(SECTOR // _PAGE):
            self._file.write(_ERASED)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or offset + size > self.size:
            raise Fault(FLASH_WRITE, "offset %d" % offset, "outside")


class Blocks:
    """A flash as the block device that MicroPython's VfsLfs2 asks for (extended protocol: no hidden erases).

    `reads` counts block reads, the measure of a look-up's price.
    """

    def __init__(self, flash) -> None:
        self._flash = flash
        self.reads = 0

    def readblocks(self, block: int, buffer, offset: int = 0) -> int:
        """Read a part of a block."""
        self.reads += 1
        self._flash.read_into(block * SECTOR + offset, buffer)
        return 0

    def writeblocks(self, block: int, buffer, offset: int = 0) -> int:
        """Program a part of a block that littlefs has erased before."""
        self._flash.program(block * SECTOR + offset, buffer)
        return 0

    def ioctl(self, operation: int, argument: int) -> int:
        """Size questions, and erase; the rest is nothing to do."""
        if operation == _IOCTL_BLOCK_COUNT:
            return self._flash.size // SECTOR
        if operation == _IOCTL_BLOCK_SIZE:
            return SECTOR
        if operation == _IOCTL_BLOCK_ERASE:
            self._flash.erase(argument)
        return 0
