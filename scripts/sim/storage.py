"""Small files in memory with littlefs's promises: durable when closed, replaced at once or not at all.

Keeps the contract of firmware/hal/storage.py.  Power may go before or after each operation takes effect; a
full disk refuses what is written.
"""

from __future__ import annotations

import errno
import io

from scripts.sim.power import Power


class _Writing(io.BytesIO):
    """A file that is written: nothing of it exists before close()."""

    def __init__(self, storage: SimStorage, name: str) -> None:
        super().__init__()
        self._storage = storage
        self._name = name

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._storage.check_room()
        return super().write(data)

    def close(self) -> None:
        if not self.closed:
            data = self.getvalue()
            super().close()
            self._storage.keep(self._name, data)


class SimStorage:
    """Flat names.  `is_full`: every write is refused until it is False again."""

    def __init__(self, power: Power) -> None:
        self.files: dict[str, bytes] = {}
        self._power = power
        self.is_full = False

    def open(self, name: str, mode: str) -> io.BytesIO:
        """A binary file for reading or writing; OSError when there is none."""
        if mode == "wb":
            self.check_room()
            return _Writing(self, name)
        if name not in self.files:
            raise OSError(errno.ENOENT, name)
        return io.BytesIO(self.files[name])

    def check_room(self) -> None:
        """OSError(ENOSPC) while the storage is full."""
        if self.is_full:
            raise OSError(errno.ENOSPC, "full")

    def keep(self, name: str, data: bytes) -> None:
        """A written file was closed: from here on it exists."""
        if not self._power.is_on:
            return
        self.check_room()
        self._change(lambda: self.files.__setitem__(name, data))

    def _change(self, effect) -> None:  # type: ignore[no-untyped-def]
        reached = self._power.bytes_until_cut(2)
        if reached != 0:
            effect()
        if reached >= 0:
            self._power.cut()

    def replace(self, temporary: str, name: str) -> None:
        """Rename over the old file."""
        if temporary not in self.files:
            raise OSError(errno.ENOENT, temporary)
        self._change(lambda: self.files.__setitem__(name, self.files.pop(temporary)))

    def remove(self, name: str) -> None:
        """Remove a file if it is there."""
        if name in self.files:
            self._change(lambda: self.files.pop(name))

    def exists(self, name: str) -> bool:
        """Whether the file is there."""
        return name in self.files
