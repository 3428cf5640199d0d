"""The line over a serial wire: a talk that is begun anew after every silence (protocols/wire/till.py).

Promises: a line that does not answer for a while is told as LineLost, and each talk with it begins with
LineReady; what is rung up is said again until the line has it; a verdict that got lost ends the talk, so that
the last operation is asked for.  The pairing key is printed nowhere.
"""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator

import serial

from protocols.errors import Fault
from protocols.wire import till as wire
from reader_host.till import line
from reader_host.till.line import Event, Lines

BAUD = 115_200
_READ_S = 0.01
_AGAIN_S = 0.5
_ASK_S = 1.0
_SILENCE_S = 4.0
_PIECE = 256

_KINDS = {
    wire.SERVED: line.SERVED, wire.CARD: line.ANOTHER_CARD, wire.TEACHER: line.TEACHER,
    wire.REPEAT: line.REPEAT, wire.LINE: line.FAILED, wire.NOTHING: line.GOODS,
}  # fmt: skip


class _Silence(Exception):
    """The line does not answer, or has forgotten what it was told."""


class WireLine:
    """The line at a serial device; `key` of the pairing; `tell` hears its events in a thread of their own."""

    def __init__(self, path: str, key: bytes, tell: Callable[[Event], None]) -> None:
        self._path = path
        self._key = key
        self._tell = tell
        self._orders: queue.Queue[tuple[str, Lines | int]] = queue.Queue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Let go of the wire."""
        self._stopped.set()
        self._thread.join(15)

    def ring_up(self, lines: Lines) -> None:
        """See Line."""
        self._orders.put(("ring", lines))

    def take_back(self, seq: int) -> None:
        """See Line."""
        self._orders.put(("void", seq))

    def ask_last(self) -> None:
        """See Line."""
        self._orders.put(("last", 0))

    def ask_status(self) -> None:
        """See Line."""
        self._orders.put(("status", 0))

    def _run(self) -> None:
        while not self._stopped.is_set():
            # A device that is not there, or was pulled out.
            with contextlib.suppress(serial.SerialException, OSError):
                self._listen()
            self._stopped.wait(_AGAIN_S)

    def _listen(self) -> None:
        """At the open device, one talk after another."""
        with serial.Serial(self._path, BAUD, timeout=_READ_S, write_timeout=1) as port:
            while not self._stopped.is_set():
                self._live(port)

    def _live(self, port: serial.Serial) -> None:
        """One talk, from its beginning until the line is silent."""
        talk = _Talk(port, self._key, self._tell)
        try:
            while not talk.begin():
                if self._stopped.is_set():
                    return
            # What was wanted of the line before is no order to this talk.
            self._orders = queue.Queue()
            self._tell(line.LineReady())
            while not self._stopped.is_set():
                while not self._orders.empty():
                    talk.take(*self._orders.get())
                talk.step()
        except _Silence:
            pass
        finally:
            if talk.has_begun:
                self._tell(line.LineLost())


class _Talk:
    """What stands between a till and its line as long as both answer."""

    def __init__(self, port: serial.Serial, key: bytes, tell: Callable[[Event], None]) -> None:
        self._port = port
        self._talk = wire.Talk(key, False)
        self._frames = wire.Frames()
        self._tell = tell
        self._op = secrets.randbelow(1 << 30)
        self._lines: Lines = ()
        self._is_told = True
        self._open_op = 0
        self._sale = 0
        self._state: wire.State | None = None
        self._wants_last = False
        self._reader = line.READS
        self._asked = self._heard = time.monotonic()
        self.has_begun = False

    def begin(self) -> bool:
        """Knock once; whether the line answered and said how it stands."""
        self._port.write(self._talk.begin(secrets.token_bytes(wire.NONCE_SIZE)))
        until = time.monotonic() + _AGAIN_S
        while time.monotonic() < until and self._state is None:
            was_open = self._talk.is_open
            self._listen()
            if self._talk.is_open and not was_open:
                self._ask()
        self.has_begun = self._state is not None
        return self.has_begun

    def take(self, order: str, what: Lines | int) -> None:
        """One order of the till."""
        if order == "ring" and isinstance(what, tuple):
            self._op += 1
            self._lines, self._is_told = what, False
            self._ring()
        elif order == "void" and isinstance(what, int):
            self._say(wire.VOID, wire.pack_void(what))
        else:
            self._wants_last |= order == "last"
            self._ask()

    def step(self) -> None:
        """Listen for a moment; _Silence when there is nobody."""
        self._listen()
        now = time.monotonic()
        if now - self._heard > _SILENCE_S:
            raise _Silence
        if now - self._asked > _ASK_S:
            self._ask()

    def _say(self, kind: int, body: bytes = b"") -> None:
        self._port.write(self._talk.seal(kind, body))

    def _ask(self) -> None:
        self._asked = time.monotonic()
        self._say(wire.ASK)

    def _ring(self) -> None:
        self._say(wire.RING, wire.pack_ring(self._op, self._lines))
        self._ask()

    def _listen(self) -> None:
        for kind, body in self._messages(self._port.read(_PIECE)):
            self._heard = time.monotonic()
            if kind == wire.STATE:
                self._follow(wire.unpack_state(body))
            elif kind == wire.VERDICT:
                self._end_tap(wire.unpack_verdict(body))
            elif kind == wire.VOIDED:
                self._tell(line.Voided(*wire.unpack_voided(body)))

    def _messages(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        for packet in self._frames.take(piece):
            # Noise, or what a talk that is over had still to say.
            with contextlib.suppress(Fault):
                yield self._talk.open(packet)

    def _end_tap(self, verdict: wire.Verdict) -> None:
        if verdict.op and verdict.op == self._op:
            self._now_holds(self._op)
            self._open_op = 0
        kind = _KINDS[verdict.kind]
        if kind == line.GOODS and not verdict.op:
            kind = line.NOTHING
        if kind == line.SERVED:
            self._sale = verdict.seq
        self._tell(line.Verdict(kind, verdict.seq, verdict.time))

    def _now_holds(self, op: int) -> None:
        """The line has what was rung up last."""
        if not self._is_told and op == self._op:
            self._is_told = True
            self._open_op = op if self._lines else 0
            self._tell(line.RungUp())

    def _follow(self, state: wire.State) -> None:
        self._now_holds(state.op)
        is_gone = self._open_op and state.op != self._open_op
        if is_gone or (not self._is_told and state.sale != self._sale):
            # Its card has come, and the verdict is lost.
            raise _Silence
        if not self._is_told:
            self._ring()
        self._state, self._sale = state, state.sale
        self._tell_reader(state.flags)
        if self._wants_last:
            self._wants_last = False
            self._tell(_last(state))
        is_online = bool(state.flags & wire.ONLINE)
        self._tell(line.Status(is_online, state.acked, state.next, state.table))

    def _tell_reader(self, flags: int) -> None:
        reader = line.SEVERAL if flags & wire.SEVERAL else line.READS
        reader = line.DEAD if flags & wire.READER_DEAD else reader
        if reader != self._reader:
            self._reader = reader
            self._tell(line.ReaderState(reader))


def _last(state: wire.State) -> line.Last:
    """What was sold or taken back last: what was refused since changed nothing."""
    if state.void > state.sale:
        return line.Last(line.VOID, state.void, 0)
    return line.Last(line.SALE if state.sale else line.NONE, state.sale, state.sale_time)
