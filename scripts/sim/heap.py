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


class Ticket:
    """An event that is due, or was called off."""

    __slots__ = ("call", "values")

    def __init__(self, call: Callable[..., None], values: tuple[Any, ...]) -> None:
        self.call: Callable[..., None] | None = call
        self.values = values

    def call_off(self) -> None:
        """It does not happen any more; calling off what has happened changes nothing."""
        self.call = None


class Heap:
    """Events by time; events of the same millisecond keep the order in which they were asked for."""

    def __init__(self) -> None:
        self._events: list[tuple[int, int, Ticket]] = []
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

    def after(self, delay_ms: int, call: Callable[..., None], *values: Any) -> Ticket:
        """Call `call(*values)` so many milliseconds from now."""
        self._order += 1
        ticket = Ticket(call, values)
        heapq.heappush(self._events, (self.run_ms + delay_ms, self._order, ticket))
        return ticket

    def step(self) -> None:
        """Run the next event; those that were called off are passed over."""
        while True:
            at, _order, ticket = heapq.heappop(self._events)
            if ticket.call is not None:
                break
        self.run_ms = at
        ticket.call(*ticket.values)

    def skip(self, seconds: int) -> None:
        """Nobody was there for so long: only the wall clock goes on."""
        self._skipped_ms += seconds * 1000
