"""The serial cable between a virtual line and its till: a pseudo-terminal here, a loopback port there.

Promises: the till opens `path` as it opens any serial line; the board calls `port` and listens to nobody; a
cable that is pulled out loses what is said and ends nothing, as a real one.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import threading
import tty
from typing import Self

_LOOPBACK = "127.0.0.1"
_PIECE = 4096


class Cable:
    """Use as a context, or close() it."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)
        self._listener = socket.create_server((_LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._wake, self._woken = os.pipe()
        self._board: socket.socket | None = None
        self.is_out = False
        """Whether it is pulled out."""
        self._thread = threading.Thread(target=self._carry, name="cable", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Take it away."""
        os.write(self._woken, b"x")
        self._thread.join()
        self._end_board()
        self._listener.close()
        for each in (self._master, self._slave, self._wake, self._woken):
            os.close(each)

    def _carry(self) -> None:
        while True:
            sources: list[int | socket.socket] = [self._wake, self._listener, self._master]
            if self._board is not None:
                sources.append(self._board)
            ready, _writable, _failed = select.select(sources, [], [])
            if self._wake in ready:
                return
            if self._listener in ready:
                # A board that was switched off and on again.
                self._end_board()
                self._board = self._listener.accept()[0]
                continue
            if self._master in ready:
                self._to_board(os.read(self._master, _PIECE))
            if self._board is not None and self._board in ready:
                self._from_board(self._board)

    def _to_board(self, piece: bytes) -> None:
        if self._board is not None and not self.is_out:
            with contextlib.suppress(OSError):
                self._board.sendall(piece)

    def _from_board(self, board: socket.socket) -> None:
        piece = b""
        with contextlib.suppress(OSError):
            piece = board.recv(_PIECE)
        if not piece:
            self._end_board()
        elif not self.is_out:
            os.write(self._master, piece)

    def _end_board(self) -> None:
        if self._board is not None:
            self._board.close()
            self._board = None
