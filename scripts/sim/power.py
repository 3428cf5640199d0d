"""Power that fails at an exact byte: one switch behind the flash and the storage of a board.

Promises: an armed cut falls in the n-th operation from now, after a chosen share of its bytes; nothing of a
board does anything after it until `restore`.
"""

from __future__ import annotations


class PowerCut(BaseException):
    """The board stops here.  No Exception, so that no handler of the product can catch it."""


class Power:
    """`operations`: how many there were; `cuts`: how many were cut in the middle."""

    def __init__(self) -> None:
        self.is_on = True
        self.operations = 0
        self.cuts = 0
        self._left = -1
        self._share = 0

    def arm(self, operations: int, share: int) -> None:
        """Cut in the operation after `operations` others; `share` 0..1000 says how far into its bytes."""
        self._left = operations
        self._share = share

    @property
    def is_armed(self) -> bool:
        """Whether a cut still waits."""
        return self._left >= 0

    def disarm(self) -> None:
        """No cut waits any more."""
        self._left = -1

    def bytes_until_cut(self, size: int) -> int:
        """-1: this operation is whole; else how many of its `size` bytes still happen."""
        if not self.is_on:
            raise PowerCut
        self.operations += 1
        if self._left < 0:
            return -1
        self._left -= 1
        return self._share * size // 1000 if self._left < 0 else -1

    def cut(self) -> None:
        """Stop the board now."""
        self.is_on = False
        self.cuts += 1
        raise PowerCut

    def turn_off(self) -> None:
        """Somebody pulls the plug between two operations."""
        self.is_on = False
        self._left = -1

    def restore(self) -> None:
        """Power is back."""
        self.is_on = True
        self._left = -1
