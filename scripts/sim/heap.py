"""Time: one heap of events, no threads, no wall clock.

`run_ms` is the time of the events.  Nights and holidays are left out of it: `skip` moves the wall clock of
the world alone, so that a school year costs no idle events.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

# 2026-09-01 04:30 UTC, a Tuesday: half past seven in Moscow.
FIRST_MORNING_S = 1788237000


class Heap:
    """Events by time; events of the same millisecond keep the order in which they were asked for."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = 0
        self._skipped_ms = FIRST_MORNING_S * 1000
        self.run_ms = 0

    def __len__(self) -> int:
        return len(self._events)

    @property
    def wall_ms(self) -> int:
        """The world's true time: milliseconds since 1970-01-01 UTC."""
        return self.run_ms + self._skipped_ms

    @property
    def wall_s(self) -> int:
        """The same in whole seconds."""
        return (self.run_ms + self._skipped_ms) // 1000

    def after(self, delay_ms: int, call: Callable[..., None], *values: Any) -> None:
        """Call `call(*values)` so many milliseconds from now."""
        self._order += 1
        heapq.heappush(self._events, (self.run_ms + delay_ms, self._order, call, values))

    def step(self) -> None:
        """Run the next event."""
        at, _order, call, values = heapq.heappop(self._events)
        self.run_ms = at
        call(*values)

    def skip(self, seconds: int) -> None:
        """Nobody was there for so long: only the wall clock goes on."""
        self._skipped_ms += seconds * 1000
