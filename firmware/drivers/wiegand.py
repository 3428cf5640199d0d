"""Wiegand: a reader's two wires in, and the same two wires out to an old panel.

Promises: the interrupt stores one bit and does nothing else; a frame is what came before a silence, and it
counts when its length and both parities are right (protocols/card/wiegand.py); all else is NOISE.  These
wires know nothing of a reader that is dead or of a card that rests: it is said once, or again and again.
Out: one bit at each tick of the port's timer, from an array that was filled before.

Source: HID application note on the Wiegand interface: pulses of 20-100 us, 0.2-20 ms apart.
"""

from firmware.hal.chip import CARD, NOISE, PENDING, const
from protocols.card.credential import aliases
from protocols.card.wiegand import credential_of, frame_of
from protocols.errors import BAD_CREDENTIAL, Fault

_RING = const(128)
_RING_MASK = const(0x7F)
# The largest number that a chip keeps without an object, and so the end of the count of bits.
_COUNT_MASK = const(0x3FFFFFFF)
# A reader's longest gap is 20 ms; two cards follow one another after 100 ms and more.
_SILENCE_MS = const(30)
_POLL_MS = const(10)

TICK_MS = 2
"""Milliseconds between two ticks of WiegandOut: the gap between its bits."""
_PAUSE_TICKS = const(50)
_BITS_MAX = const(37)


class WiegandIn:
    """One reader; keeps hal/chip.py.  `lines`: hal/bus.DataLines; `frames_bad`: those that did not count."""

    def __init__(self, lines, clock) -> None:
        self._clock = clock
        self._bits = bytearray(_RING)
        # The interrupt writes `_head` alone, poll() the others: nobody has to be kept out.
        self._head = self._tail = self._seen = 0
        self._changed = self._since = clock.uptime()
        self.frames_bad = 0
        self.wait_ms = 0
        self.credential = ""
        self.fault = None
        lines.listen(self._on_bit)

    def _on_bit(self, bit: int) -> None:
        """The interrupt of a falling edge: it makes no object."""
        head = self._head
        self._bits[head & _RING_MASK] = bit
        self._head = (head + 1) & _COUNT_MASK

    def poll(self) -> int:
        """Take a frame when the wires have been silent behind it."""
        clock = self._clock
        now = clock.uptime()
        left = _POLL_MS - clock.uptime_elapsed(now, self._since)
        if left > 0:
            self.wait_ms = left
            return PENDING
        self.wait_ms = _POLL_MS
        self._since = now
        head = self._head
        if head != self._seen:
            self._seen = head
            self._changed = now
            return PENDING
        if head == self._tail or clock.uptime_elapsed(now, self._changed) < _SILENCE_MS:
            return PENDING
        return self._take(head)

    def _take(self, head: int) -> int:
        count = (head - self._tail) & _COUNT_MASK
        frame = 0
        if count <= _RING:
            for place in range(count):
                frame = frame << 1 | self._bits[(self._tail + place) & _RING_MASK]
        self._tail = head
        try:
            self.credential = credential_of(frame, count)
        except Fault:
            self.frames_bad += 1
            return NOISE
        return CARD


class WiegandOut:
    """The wires to a panel: `lines`: hal/bus.DataLines; `length`: 26, 34 or 37, as the panel wants it.

    `is_reversed`: the panel knows serial numbers of cards by their last byte first.
    """

    def __init__(self, lines, length: int, is_reversed: bool = False) -> None:
        self._lines = lines
        self._length = length
        self._is_reversed = is_reversed
        self._bits = bytearray(_BITS_MAX)
        # Ticks from the first bit on; from `_length` on it is the pause.
        self._place = length + _PAUSE_TICKS

    def send(self, credential: str) -> bool:
        """Begin a frame; False while the one before is not over.

        Fault(BAD_CREDENTIAL) for a credential that has no spelling in the panel's length.
        """
        if self._place < self._length + _PAUSE_TICKS:
            return False
        frame, length = frame_of(self._spelling(credential))
        for place in range(length):
            self._bits[place] = frame >> (length - 1 - place) & 1
        self._place = 0
        return True

    def _spelling(self, credential: str) -> str:
        """What is left of a credential in the panel's length."""
        wanted = "w%d:" % self._length
        if credential.startswith(wanted):
            return credential
        known = [each for each in aliases(credential) if each.startswith(wanted)]
        if not known:
            raise Fault(BAD_CREDENTIAL, "wiegand", wanted)
        return known[-1 if self._is_reversed else 0]

    def tick(self) -> None:
        """The interrupt of the port's timer, every TICK_MS: it makes no object."""
        place = self._place
        if place < self._length:
            self._lines.pulse(self._bits[place])
        if place < self._length + _PAUSE_TICKS:
            self._place = place + 1
