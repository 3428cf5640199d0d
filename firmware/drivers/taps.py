"""The readers of a board behind one queue: from what chips come to, to the taps that the application takes.

Promises: a card is one tap however long it lies there; the queue has a bound and counts what it drops; each
state of a reader that an engineer has to see goes to the panel once when it begins, and no state of one
keeps the others waiting.  A card that did not prove itself is a tap by the number that it shows, so that
the person is answered and the journal has it: the tables do not know a protected card by that number.
"""

from firmware.hal.chip import CARD, DEAD, NOISE, PENDING, SEVERAL, UNPROVEN, UNTRUSTED
from firmware.hal.reader import Tap
from protocols.errors import CARD_SEVERAL, READER_DEAD, READER_NOISE, READER_UNTRUSTED

_QUEUE_MAX = 4
_LONGEST_MS = 1000
# A card at the edge of the field is noise for a moment; a reader that hears it so long is at fault.
_NOISE_ROUNDS = 8
_SHOWN = {DEAD: READER_DEAD, UNTRUSTED: READER_UNTRUSTED, SEVERAL: CARD_SEVERAL, NOISE: READER_NOISE}


class Taps:
    """Keeps hal/reader.py.  `chips`: (side, Chip) of each reader; `panel`: for what is at fault."""

    def __init__(self, chips, clock, panel) -> None:
        self._chips = tuple(chips)
        self._clock = clock
        self._panel = panel
        self._queue = []
        self._shown = bytearray(len(self._chips))
        self._noises = bytearray(len(self._chips))
        self.dropped = 0

    def step(self) -> int:
        """One step of each reader."""
        wait = _LONGEST_MS
        for index in range(len(self._chips)):
            chip = self._chips[index][1]
            result = chip.poll()
            if result != PENDING:
                self._take(index, result)
            if chip.wait_ms < wait:
                wait = chip.wait_ms
        return wait

    def _take(self, index: int, result: int) -> None:
        side, chip = self._chips[index]
        if result in (CARD, UNPROVEN):
            if len(self._queue) < _QUEUE_MAX:
                self._queue.append(Tap(side, chip.credential, self._clock.utc(), self._clock.ticks()))
            else:
                self.dropped += 1
        if result == NOISE:
            self._noises[index] = min(self._noises[index] + 1, _NOISE_ROUNDS)
            if self._noises[index] < _NOISE_ROUNDS:
                return
        else:
            self._noises[index] = 0
        if self._shown[index] != result:
            self._shown[index] = result
            code = chip.fault.code if result == UNPROVEN else _SHOWN.get(result)
            if code:
                self._panel.fault(code, "reader " + side)

    def next_tap(self):
        """The oldest Tap, or None."""
        return self._queue.pop(0) if self._queue else None
