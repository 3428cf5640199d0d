"""The collector's hours: between two rounds of the board's loop, never while a card is decided.

Promises: garbage is collected when the round that left it is over, long before the
bound at which the interpreter would collect by itself in the middle of a tap; so
both the heap in use and the pause are bounded, also when taps come without one.
The bounds are shares of the heap, so that they fit a chip and a host.  CPython
collects as it likes: there is nothing to do.
"""

import gc

# Shares of the heap: the garbage that may lie about after a round, and all that may be
# asked for, also what was given back at once, before the interpreter collects by itself.
_AFTER_ROUND = 32
_ANYWHERE = 8


class Heap:
    """Made once, when the board has booted; `collections` counts those that rest() made."""

    def __init__(self) -> None:
        self.collections = 0
        self._kept = 0
        self._can_ask = hasattr(gc, "mem_alloc")
        if not self._can_ask:
            return
        gc.collect()
        self._kept = gc.mem_alloc()
        size = self._kept + gc.mem_free()
        self._garbage_max = size // _AFTER_ROUND
        gc.threshold(size // _ANYWHERE)

    def rest(self) -> None:
        """A round is over."""
        if not self._can_ask or gc.mem_alloc() - self._kept < self._garbage_max:
            return
        gc.collect()
        self._kept = gc.mem_alloc()
        self.collections += 1
