"""The journal's word on the readers: when one fails, and when it works again.

Promises: one record for each of the two, also over boots and while the network is away; a reader that fails
and comes back again and again is one failure until it has worked for a minute, so it fills no journal.
Leaves to the drivers what a failure is.
"""

from protocols.ledger import record

_WORKS_MS = 60000
_IDLE_MS = 1000


class Watch:
    """A task; `controller`: for the journal and what it knows of the readers."""

    def __init__(self, controller) -> None:
        self._controller = controller
        self._reader = controller.board.reader
        # Since when each of those that the journal says are at fault has worked, or None.
        self._since: list[int | None] = [None, None]

    def step(self) -> int:
        """Write down what has changed."""
        controller = self._controller
        faults = self._reader.faults
        if (faults or controller.state.readers) and controller.readable and not controller.locked:
            # hal/reader.py: the reader "in" or of a line, and the reader "out".
            for place in (0, 1):
                self._follow(place, faults >> 8 * place & 0xFF, controller.state.readers >> 8 * place & 0xFF)
        return _IDLE_MS

    def _follow(self, place: int, code: int, known: int) -> None:
        since = self._since[place]
        if code or not known:
            self._since[place] = None
            if code and not known:
                self._write(place, code)
            return
        clock = self._controller.clock
        now = clock.uptime()
        if since is None:
            self._since[place] = now
        elif clock.uptime_elapsed(now, since) >= _WORKS_MS:
            self._since[place] = None
            self._write(place, 0)

    def _write(self, place: int, code: int) -> None:
        self._controller.write(record.NOTE, record.NOTE_READER, amount=code, aux=place)
