"""The readers of a board behind one queue: from what chips come to, to the taps that the application takes.

Promises: a card is one tap however long it lies there; the queue has a bound and counts what it drops; each
state of a reader goes to the panel once when it begins, and no state of one keeps the others waiting.  Two
cards at once are none, and the panel asks for one.  A card that did not prove itself is a tap by the number
that it shows, so that the person is answered and the journal has it: no table serves a protected card by it.
"""

from firmware.hal.chip import CARD, DEAD, NOISE, PENDING, SEVERAL, UNPROVEN, UNTRUSTED
from firmware.hal.portal import OUT
from firmware.hal.reader import Tap
from protocols.errors import CARD_SEVERAL, OK, READER_DEAD, READER_NOISE, READER_UNTRUSTED

_QUEUE_MAX = 4
_LONGEST_MS = 1000
# A card at the edge of the field is noise for a moment; a reader that hears it so long is at fault.
_NOISE_ROUNDS = 8
_SHOWN = {DEAD: READER_DEAD, UNTRUSTED: READER_UNTRUSTED, NOISE: READER_NOISE, SEVERAL: CARD_SEVERAL}


class Taps:
    """Keeps hal/reader.py.  `chips`: (side, Chip) of each reader; `panel`: for what an engineer has to see.

    `is_reversed`: the readers say serial numbers from their last byte.
    """

    def __init__(self, chips, clock, panel, is_reversed: bool = False) -> None:
        self._chips = tuple(chips)
        self._clock = clock
        self._panel = panel
        self._is_reversed = is_reversed
        self._queue = []
        self._noises = bytearray(len(self._chips))
        self._codes = bytearray(len(self._chips))
        self.dropped = 0

    @property
    def faults(self) -> int:
        """As hal/reader.py has it."""
        found = 0
        for index in range(len(self._chips)):
            code = self._codes[index]
            if code != CARD_SEVERAL:
                found |= code << (8 if self._chips[index][0] == OUT else 0)
        return found

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
        chip = self._chips[index][1]
        if result in (CARD, UNPROVEN):
            self._queue_tap(index)
        if result == NOISE:
            self._noises[index] = min(self._noises[index] + 1, _NOISE_ROUNDS)
            if self._noises[index] < _NOISE_ROUNDS:
                return
        else:
            self._noises[index] = 0
        self._show(index, _SHOWN.get(result, OK))
        if result == UNPROVEN:
            self._panel.fault(chip.fault.code, "reader " + self._chips[index][0])

    def _queue_tap(self, index: int) -> None:
        side, chip = self._chips[index]
        if len(self._queue) < _QUEUE_MAX:
            credential = _backwards(chip.credential) if self._is_reversed else chip.credential
            self._queue.append(Tap(side, credential, self._clock.utc(), self._clock.ticks()))
        else:
            self.dropped += 1

    def _show(self, index: int, code: int) -> None:
        """What goes on at a reader, or OK; said when it changes."""
        if self._codes[index] != code:
            self._codes[index] = code
            self._panel.reader(self._chips[index][0], code)

    def next_tap(self):
        """The oldest Tap, or None."""
        return self._queue.pop(0) if self._queue else None


def _backwards(credential: str) -> str:
    """The credential with its serial number from the other end: of `a` and `w34`, whose bytes are one."""
    scheme, _colon, digits = credential.partition(":")
    if scheme not in ("a", "w34"):
        return credential
    return scheme + ":" + "".join(digits[at : at + 2] for at in range(len(digits) - 2, -1, -2))
