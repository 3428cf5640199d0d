"""Small files of a virtual board: littlefs in a flash file under MicroPython, a folder under CPython.

Never formats: `format_littlefs` is called when a board is provisioned, and by
nobody else (LEDGER section 3).
"""

import errno
import os

from firmware.ports.host_flash import Blocks, FileFlash
from protocols.errors import STORAGE_MISSING, Fault

try:
    import vfs
except ImportError:
    vfs = None

MOUNT_POINT = "/storage"
# One read serves three rows of the account table; the caches of littlefs are four times this size.
_READ_SIZE = 64
_PROGRAM_SIZE = 64
_LOOKAHEAD = 32


def format_littlefs(path: str) -> None:
    """Make an empty littlefs in a blank flash file.  Provisioning only."""
    if vfs is None:
        raise Fault(STORAGE_MISSING, "littlefs", "only MicroPython can format one")
    flash = FileFlash(path)
    vfs.VfsLfs2.mkfs(
        # Any object with the three methods is a block device; the stubs ask for a subclass.
        Blocks(flash),  # pyright: ignore[reportArgumentType]
        readsize=_READ_SIZE,
        progsize=_PROGRAM_SIZE,
        lookahead=_LOOKAHEAD,
    )
    flash.close()


def mount_littlefs(path: str) -> tuple:
    """(FileStorage, Blocks) of a provisioned littlefs; Fault(STORAGE_MISSING) when it cannot be mounted."""
    if vfs is None:
        raise Fault(STORAGE_MISSING, "littlefs", "only MicroPython can mount one")
    blocks = Blocks(FileFlash(path))
    try:
        system = vfs.VfsLfs2(
            blocks,  # pyright: ignore[reportArgumentType]
            readsize=_READ_SIZE,
            progsize=_PROGRAM_SIZE,
            lookahead=_LOOKAHEAD,
            mtime=False,
        )
        vfs.mount(system, MOUNT_POINT)
    except OSError as error:
        raise Fault(STORAGE_MISSING, "littlefs", str(error.errno))  # noqa: B904
    return FileStorage(MOUNT_POINT), blocks


class NoStorage:
    """What is left when littlefs cannot be mounted: nothing.  The journal is elsewhere and is still sent."""

    def open(self, name: str, mode: str):
        """There is none."""
        raise OSError(errno.ENODEV)

    def replace(self, temporary: str, name: str) -> None:
        """There is none."""
        raise OSError(errno.ENODEV)

    def remove(self, name: str) -> None:
        """Nothing is there."""

    def exists(self, name: str) -> bool:
        """Nothing is there."""
        return False


class FileStorage:
    """Files under one folder; keeps the contract of hal/storage.py."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def _path(self, name: str) -> str:
        return self._folder + "/" + name

    def open(self, name: str, mode: str):
        """A binary file of that name."""
        return open(self._path(name), mode)

    def replace(self, temporary: str, name: str) -> None:
        """Rename over the old file, which both littlefs and a host do at once or not at all."""
        os.rename(self._path(temporary), self._path(name))

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        if self.exists(name):
            os.remove(self._path(name))

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        try:
            os.stat(self._path(name))
        except OSError:
            return False
        return True
