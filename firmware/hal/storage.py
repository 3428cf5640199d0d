"""Small files that survive a power cut: account table, settings, counters.  The journal is not among them.

On a board this is littlefs.  A provisioned storage is never formatted by the
device: a mount that fails is Fault(STORAGE_MISSING), and the journal stays readable.
"""


class Storage:
    """Flat names, no folders.  A file is open only while its owner says so."""

    def open(self, name: str, mode: str):
        """A binary file with seek, readinto, write and close (modes rb, wb); OSError when there is none."""
        raise NotImplementedError

    def replace(self, temporary: str, name: str) -> None:
        """Give a closed file the name of another: after a power cut it is the old one or the new one."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""
        raise NotImplementedError

    def exists(self, name: str) -> bool:
        """Whether there is a file of that name."""
        raise NotImplementedError
