"""The serial wire from a virtual line to its till: a cable on this computer, over loopback.

Promises: the board calls out and listens to nobody; a cable that is not there is silence, and
is looked for again now and then.  Never waits.
"""

import errno
import socket

_LOOPBACK = "127.0.0.1"
_AGAIN_MS = 500


class LoopbackSerial:
    """A Serial of hal/bus.py at a TCP port of this computer; `ticks`: milliseconds (chumicro_timing)."""

    def __init__(self, port: int, ticks) -> None:
        self._port = port
        self._ticks = ticks
        self._socket = None
        self._tried = None

    def write(self, data) -> None:
        """Into the cable; what does not fit is lost, as on a wire."""
        if self._socket is not None:
            try:
                self._socket.send(data)
            except OSError as error:
                self._check(error)

    def read_into(self, buffer) -> int:
        """Out of the cable."""
        if self._socket is None and not self._connect():
            return 0
        try:
            piece = self._socket.recv(len(buffer))
        except OSError as error:
            self._check(error)
            return 0
        if not piece:
            self._cut()
        buffer[: len(piece)] = piece
        return len(piece)

    def _connect(self) -> bool:
        now = self._ticks.ticks_ms()
        if self._tried is not None and self._ticks.ticks_diff(now, self._tried) < _AGAIN_MS:
            return False
        self._tried = now
        made = socket.socket()
        try:
            made.connect(socket.getaddrinfo(_LOOPBACK, self._port)[0][-1])
        except OSError:
            made.close()
            return False
        made.setblocking(False)
        self._socket = made
        return True

    def _check(self, error: OSError) -> None:
        if error.errno != errno.EAGAIN:
            self._cut()

    def _cut(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
