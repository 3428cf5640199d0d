"""Littlefs images in files: made in RAM, mounted on the product's own flash model.

Every way of a bench mounts with the same parameters.  `defaults` are those of MicroPython's VfsLfs2 when a
programmer names none; `port` are those of the product's host port.
"""

import gc

import vfs

from firmware.ports import host_storage
from firmware.ports.host_flash import Blocks, FileFlash

MOUNT_POINT = "/flash"
_SECTOR = 4096


def collect_as_usual() -> None:
    """The collector as it is when nobody says anything: the firmware sets it up for its own start."""
    gc.threshold(-1)


def littlefs(choice: str) -> dict:
    """readsize, progsize and lookahead in bytes."""
    if choice == "port":
        port = host_storage
        return {"readsize": port._READ_SIZE, "progsize": port._PROGRAM_SIZE, "lookahead": port._LOOKAHEAD}
    return {"readsize": 32, "progsize": 32, "lookahead": 32}


def mount(path: str, choice: str) -> FileFlash:
    """Mount an image at MOUNT_POINT; the flash counts what is done to it."""
    flash = FileFlash(path)
    _mount(Blocks(flash), choice)
    return flash


def _mount(blocks, choice: str) -> None:
    vfs.mount(vfs.VfsLfs2(blocks, mtime=False, **littlefs(choice)), MOUNT_POINT)


def _format(blocks, choice: str) -> None:
    vfs.VfsLfs2.mkfs(blocks, **littlefs(choice))


class RamFlash:
    """A NOR chip in RAM, for making an image: 5,000 files are millions of block reads."""

    def __init__(self, sectors: int) -> None:
        self._cells = memoryview(bytearray(b"\xff" * (sectors * _SECTOR)))
        self.size = sectors * _SECTOR

    def read_into(self, offset: int, buffer) -> None:
        """Fill the buffer from `offset`."""
        buffer[:] = self._cells[offset : offset + len(buffer)]

    def program(self, offset: int, data) -> None:
        """Program erased cells."""
        self._cells[offset : offset + len(data)] = data

    def erase(self, sector: int) -> None:
        """Set a sector to 0xFF."""
        self._cells[sector * _SECTOR : (sector + 1) * _SECTOR] = b"\xff" * _SECTOR

    def save(self, path: str) -> None:
        """The cells as a file."""
        with open(path, "wb") as file:
            file.write(self._cells)


def make(sectors: int, choice: str) -> RamFlash:
    """An empty littlefs in RAM, mounted at MOUNT_POINT."""
    flash = RamFlash(sectors)
    blocks = Blocks(flash)
    _format(blocks, choice)
    _mount(blocks, choice)
    return flash
