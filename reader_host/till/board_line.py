"""The line over the pipe of a virtual board: words in, events out, and the power that comes back.

Promises: a board that ends is told as LineLost and switched on again; each life begins with LineReady, and
from its first line on a card without a basket buys nothing.  What a board says of refusal numbers ends here.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from protocols.errors import CARD_SEVERAL, OK
from protocols.ledger import record
from reader_host.till import line
from reader_host.till.line import Event, Lines
from reader_host.virtual.board import ENDED, BoardError, VirtualBoard

_PAUSE_S = 0.5
_LOOK_S = 0.2


class BoardLine:
    """One virtual board as a line; `tell` hears its events in a thread of their own."""

    def __init__(self, board: VirtualBoard, tell: Callable[[Event], None]) -> None:
        self._board = board
        self._tell = tell
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def start(self) -> None:
        """Switch the board on."""
        self._thread.start()

    def stop(self) -> None:
        """Switch it off."""
        self._stopped.set()
        self._thread.join(15)

    def ring_up(self, lines: Lines) -> None:
        """See Line."""
        self._send(" ".join(["basket", *(f"{good}:{quantity}" for good, quantity in lines)]))

    def take_back(self, seq: int) -> None:
        """See Line."""
        self._send(f"void {seq}")

    def ask_last(self) -> None:
        """See Line."""
        self._send("last")

    def ask_status(self) -> None:
        """See Line."""
        self._send("status")

    def hold(self, credential: str) -> None:
        """Hold a card to the board's reader, as the world does."""
        self._send(f"card - {credential}")

    def _send(self, text: str) -> None:
        with contextlib.suppress(BoardError):
            self._board.send(text)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._live()
            self._tell(line.LineLost())
            self._stopped.wait(_PAUSE_S)

    def _live(self) -> None:
        """One life of the board."""
        self._board.start()
        while not self._stopped.is_set():
            try:
                name, fields = self._board.events.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if name == ENDED:
                break
            if name == "ready":
                self._send("staffed")
            event = event_of(name, fields)
            if event is not None:
                self._tell(event)
        self._board.stop()
        while not self._board.events.empty():
            self._board.events.get()


def event_of(name: str, fields: dict[str, str]) -> Event | None:
    """The event of one line of a board, or None for what no till has to know."""
    if name == "ready":
        return line.LineReady()
    if name == "basket":
        return line.RungUp()
    if name == "verdict":
        return _verdict(fields)
    if name == "voided":
        return line.Voided(int(fields["of"]), int(fields["seq"]))
    if name == "last":
        return _last(fields)
    if name == "status":
        acked, after = int(fields["acked"]), int(fields["next"])
        return line.Status(fields["online"] == "1", acked, after, int(fields["table"]))
    if name == "reader":
        code = int(fields["code"])
        return line.ReaderState(
            line.READS if code == OK else line.SEVERAL if code == CARD_SEVERAL else line.DEAD
        )
    return line.Broken() if name == "fault" else None


def _verdict(fields: dict[str, str]) -> line.Verdict:
    words = {"served": line.SERVED, "repeat": line.REPEAT}
    kind = words.get(fields["kind"]) or line.kind_of(int(fields["refusal"]))
    return line.Verdict(kind, int(fields["seq"]), int(fields["time"]))


def _last(fields: dict[str, str]) -> line.Last:
    seq, time = int(fields["seq"]), int(fields["time"])
    what = {record.SALE: line.SALE, record.VOID: line.VOID, record.NOTE: line.REFUSED}.get(
        int(fields["type"]), line.NONE
    )
    kind = line.kind_of(int(fields["refusal"])) if what == line.REFUSED else ""
    return line.Last(what, seq, time, kind)
