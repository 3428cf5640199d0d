"""Frames of a PN532 over a serial line (HSU), 115200 bit/s: bytes come when they come.

Source: UM0701-02, 6.2.3; the wake-up of 5.1 is one byte 55 and some time.
"""

_WAKE = b"\x55\x55" + bytes(14)
# A line that never falls silent ends a turn all the same.
_PIECES_MAX = 16


class SerialFrames:
    """`buffer`: what was received, `size_max` bytes; `is_whole`: a frame may still be coming."""

    is_whole = False

    def __init__(self, serial, size_max: int) -> None:
        self._serial = serial
        self._storage = bytearray(size_max)
        self.buffer = memoryview(self._storage)
        self._piece = bytearray(16)
        self._count = 0

    def prepare(self, frame: bytes):
        """A frame as send() takes it."""
        return frame

    def wake(self) -> None:
        """The chip may sleep: it needs a byte and a pause."""
        self._serial.write(_WAKE)

    def clear(self) -> None:
        """Drop what has come."""
        self._count = 0
        for _ in range(_PIECES_MAX):
            if not self._serial.read_into(self._piece):
                return

    def send(self, prepared) -> None:
        """One frame to the chip; what lies here belongs to no command any more."""
        self.clear()
        self._serial.write(prepared)

    def receive(self, want: int) -> int:
        """How many bytes lie in the buffer now; a frame of `want` may not be whole yet."""
        for _ in range(_PIECES_MAX):
            got = self._serial.read_into(self._piece)
            if not got:
                break
            for place in range(got):
                if self._count < len(self._storage):
                    self._storage[self._count] = self._piece[place]
                    self._count += 1
        return self._count

    def drop(self, count: int) -> int:
        """Take a frame from the front; how many bytes are left."""
        left = self._count - count
        for place in range(left):
            self._storage[place] = self._storage[count + place]
        self._count = left
        return left
