"""A virtual board as a child of the supervisor and as the board of a hand: one process, two sides.

It promises that each start is a life with a number, told to the hand before any line of that life, and that
a line meant for an earlier life reaches nobody. What a board is and says: reader_host/virtual.
"""

import queue
from pathlib import Path

from reader_host.virtual.board import BoardError, VirtualBoard

Fields = dict[str, str]


class BoardChild:
    """One board of a play."""

    def __init__(self, name: str, folder: Path):
        self.name = name
        self.life = 0
        self._board = VirtualBoard(folder)

    @property
    def events(self) -> "queue.Queue[tuple[str, Fields]]":
        """What the board says, life after life."""
        return self._board.events

    @property
    def pid(self) -> int | None:
        """The number of the living process, or None."""
        return self._board.pid or None

    def start(self) -> None:
        """Switch the board on; what is left of an earlier life is read to its end first."""
        self._board.kill()
        self.life += 1
        self._board.events.put(("started", {"life": str(self.life)}))
        self._board.start()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self._board.alive

    def send(self, line: str, life: int) -> None:
        """One line to the life of that number; lost when that life is over."""
        if life != self.life:
            return
        try:
            self._board.send(line)
        except BoardError:
            return

    def ask_to_stop(self) -> None:
        """Ask for an orderly end: the end of its input."""
        self._board.stop(timeout_s=0.5)

    def kill(self) -> None:
        """Cut the power."""
        self._board.kill()
