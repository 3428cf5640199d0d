"""Frames of a PN532 over SPI: a byte that says what is meant, and every byte with its lowest bit first.

hal/bus sends the highest bit first, as every port can; so the bits are turned here.
Source: UM0701-02, 6.2.5 (status reading, data writing, data reading).
"""

from firmware.hal.chip import const

_STATUS = const(0x02)
_WRITE = const(0x01)
_READ = const(0x03)
_READY = const(0x01)
# The four bits of a number the other way round.
_TURNED = b"\x00\x08\x04\x0c\x02\x0a\x06\x0e\x01\x09\x05\x0d\x03\x0b\x07\x0f"


class SpiFrames:
    """`buffer`: what was received, `size_max` bytes; `is_whole`: a frame comes in one piece or not at all."""

    is_whole = True

    def __init__(self, spi, size_max: int) -> None:
        self._spi = spi
        self._incoming = memoryview(bytearray(size_max + 1))
        self.buffer = self._incoming[1:]
        self._outgoing = memoryview(bytearray(size_max + 1))
        self._outgoing[0] = _turned(_READ)
        self._status = bytes((_turned(_STATUS), 0))
        self._seen = bytearray(2)
        # One pair of views for each size that was asked for: a poll makes no object.
        self._reads = {}

    def prepare(self, frame: bytes):
        """A frame as send() takes it."""
        outgoing = bytes(_turned(value) for value in bytes((_WRITE,)) + frame)
        return outgoing, bytearray(len(outgoing))

    def wake(self) -> None:
        """Select the chip once: it wakes up by that (6.2.5)."""
        self._spi.exchange(self._status, self._seen)

    def clear(self) -> None:
        """Nothing waits on SPI: the chip gives what it has when it is asked."""

    def send(self, prepared) -> None:
        """One frame to the chip."""
        self._spi.exchange(prepared[0], prepared[1])

    def receive(self, want: int) -> int:
        """How many bytes lie in the buffer now: `want`, or 0 while the chip has none."""
        self._spi.exchange(self._status, self._seen)
        if not _turned(self._seen[1]) & _READY:
            return 0
        views = self._reads.get(want)
        if views is None:
            views = self._reads[want] = (self._outgoing[: want + 1], self._incoming[: want + 1])
        self._spi.exchange(views[0], views[1])
        buffer = self.buffer
        for place in range(want):
            value = buffer[place]
            buffer[place] = _TURNED[value & 0x0F] << 4 | _TURNED[value >> 4]
        return want

    def drop(self, count: int) -> int:
        """A frame was taken; nothing is left behind it."""
        return 0


def _turned(value: int) -> int:
    return _TURNED[value & 0x0F] << 4 | _TURNED[value >> 4]
