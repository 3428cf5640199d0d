"""A driver as a life in steps: a generator that yields milliseconds, and the exchange that it waits for.

Promises: poll() returns at once and makes no object of its own; a step comes when its time has come, also
where a chip's milliseconds begin again from 0 (every 12 days).  A driver begins an exchange by setting
`_is_busy`, and yields; its life goes on when `_look()` says that the exchange is over, or gets its Fault.
"""

from firmware.hal.chip import PENDING
from protocols.errors import Fault


class Steps:
    """Keeps hal/chip.py for the drivers that are made of it; `_LOOK_MS` between two looks at an exchange."""

    _LOOK_MS = 1

    def __init__(self, clock) -> None:
        self._clock = clock
        self._since = clock.uptime()
        self._pause = 0
        self._is_busy = False
        self._status = PENDING
        self._result = PENDING
        self._life = self._live()
        self.wait_ms = 0
        self.credential = ""
        self.fault = None

    def poll(self) -> int:
        """One step of the round."""
        clock = self._clock
        now = clock.uptime()
        left = self._pause - clock.uptime_elapsed(now, self._since)
        if left > 0:
            self.wait_ms = left
            return PENDING
        wait = self._step()
        self.wait_ms = wait
        self._pause = wait
        self._since = now
        result = self._result
        self._result = PENDING
        return result

    def _step(self) -> int:
        """Look whether the exchange has ended, and go on with life when it has; milliseconds to wait."""
        if self._is_busy:
            try:
                self._status = self._look()
            except Fault as fault:
                self._is_busy = False
                return self._life.throw(fault)
            if self._status == PENDING:
                return self._LOOK_MS
            self._is_busy = False
        return next(self._life)

    def _live(self):
        """The whole life: milliseconds to wait, for ever."""
        raise NotImplementedError

    def _look(self) -> int:
        """PENDING, or how the exchange ended."""
        raise NotImplementedError
