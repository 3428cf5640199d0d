"""The parts of a simulated board: clock, reader, rotor, lights, link.

Each keeps the contract of the file of the same name in firmware/hal.  They know the heap for the time and the
terminal that they belong to for what follows; the application behind them is the real one.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from firmware.hal.clock import Clock
from firmware.hal.portal import OUT, Turn
from firmware.hal.reader import Tap
from protocols.wire import envelope
from scripts.sim.heap import Heap

if TYPE_CHECKING:
    from scripts.sim.network import Network
    from scripts.sim.terminal import Terminal

Goods = tuple[tuple[int, int], ...]
"""What a cashier rings up: (good, quantity)."""

_QUEUE_MAX = 16
_WRAP = 1 << 30


class SimClock(Clock):
    """A chip's clock: unknown after each boot, until TIME; `error_s` is what it is wrong by."""

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._started_ms = heap.wall_ms
        self.known = False
        self._at = 0
        self._set_ms = heap.wall_ms

    def utc(self) -> int:
        """Seconds since 1970 as this board believes."""
        return max(0, min(self._at + (self._heap.wall_ms - self._set_ms) // 1000, 0xFFFFFFFF))

    def set_utc(self, seconds: int) -> None:
        """Believe this from now on."""
        self._at = seconds
        self._set_ms = self._heap.wall_ms
        self.known = True

    def at_least(self, seconds: int) -> None:
        """Before TIME the newest record is the best guess."""
        if not self.known and self.utc() < seconds:
            self._at = seconds
            self._set_ms = self._heap.wall_ms

    def jump(self, seconds: int) -> None:
        """The crystal or a hand moved it."""
        self._at += seconds

    def ticks(self) -> int:
        """Milliseconds since the boot; they wrap as on a chip."""
        return (self._heap.wall_ms - self._started_ms) % _WRAP

    def elapsed(self, later: int, earlier: int) -> int:
        """Half of the circle is the future."""
        return ((later - earlier + _WRAP // 2) % _WRAP) - _WRAP // 2

    def uptime(self) -> int:
        """Milliseconds in which the board had its turns: in a night that is left out nothing is waited for.

        A board that is on asks each second; days between two turns would look like time that runs back.
        """
        return self._heap.run_ms % _WRAP

    uptime_elapsed = elapsed


class SimReader:
    """Taps in the order in which they came."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.waiting: deque[tuple[str, str, Goods | None]] = deque()
        self.dropped = 0
        self.faults = 0

    def touch(self, side: str, credential: str, goods: Goods | None = None) -> None:
        """A card is held to the reader now; `goods`: what was rung up for it."""
        if len(self.waiting) >= _QUEUE_MAX:
            self.dropped += 1
            return
        self.waiting.append((side, credential, goods))

    def next_tap(self) -> Tap | None:
        """The next Tap, or None."""
        if not self.waiting:
            return None
        side, credential, goods = self.waiting.popleft()
        if goods is not None:
            # What was rung up for a repeated tap stays for the next person.
            self._terminal.panel.goods = goods
        clock = self._terminal.clock
        return Tap(side, credential, clock.utc(), clock.ticks())


class SimPortal:
    """A rotor: turns only while it is released."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._turns: deque[str] = deque()
        self.released = ""

    def release(self, direction: str) -> None:
        """Called after the record is durable; the world checks it."""
        self.released = direction
        self._terminal.is_released(direction)

    def lock(self) -> None:
        """Take it back."""
        self.released = ""

    def push(self) -> None:
        """Somebody walks."""
        if self.released:
            self._turns.append(self.released)
            self.released = ""

    def next_turn(self) -> Turn | None:
        """The next Turn, or None."""
        if not self._turns:
            return None
        clock = self._terminal.clock
        return Turn(self._turns.popleft(), clock.utc(), clock.ticks())


class SimPanel:
    """Lights: everything that is shown goes to the terminal's witness."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self.question: str | None = None
        self.voids: deque[int] = deque()
        self.goods: Goods | None = None
        self.taken: Goods | None = None
        """What the tap pays for that waits for its light, None: the good of the hour."""

    def ready(self, device: int, next_seq: int) -> None:
        """The board has started."""

    def verdict(self, kind: str, refusal: int, seq: int, time: int) -> None:
        """A light."""
        self._terminal.is_shown(kind, refusal, seq)

    def passage(self, seq: int, stage: str, of: int) -> None:
        """The end of a passage."""

    def last(self, item: Any, refusal: int, waiting: bool) -> None:
        """The last operation."""

    def status(self, values: Any) -> None:
        """Health."""

    def voided(self, of: int, refusal: int, seq: int) -> None:
        """What came of taking a sale back."""
        self._terminal.is_voided(of, refusal, seq)

    def identify(self, seq: int) -> None:
        """A command asked which board this is."""
        self._terminal.is_identified(seq)

    def fault(self, code: int, thing: str) -> None:
        """A fault that the board shows."""
        self._terminal.faults[code] = self._terminal.faults.get(code, 0) + 1

    def next_question(self) -> str | None:
        """What the engineer's side asks."""
        asked, self.question = self.question, None
        return asked

    def next_basket(self) -> Goods | None:
        """What the cashier has rung up for this tap."""
        self.taken, self.goods = self.goods, None
        return self.taken

    def next_void(self) -> int | None:
        """What the cashier takes back."""
        return self.voids.popleft() if self.voids else None


class SimLink:
    """The way to the broker; connecting takes a moment and may fail.  Keeps firmware/hal/link.py."""

    def __init__(self, terminal: Terminal, network: Network) -> None:
        self._terminal = terminal
        self._network = network
        self.connection = 0
        self.dropped_in = 0
        self.dropped_out = 0
        self.failures = 0
        self.online = False
        self.inbox: deque[tuple[str, bytes, bool]] = deque()
        self._watched: tuple[Any, ...] | None = None
        self.hello_ms = -1
        """When this boot said HELLO first."""
        self.knows_time = False
        """A TIME for this boot came in."""

    def step(self) -> int:
        """Nothing waits here: the network calls."""
        self._watched = None
        return 1000

    def come_up(self) -> None:
        """The broker took the connection."""
        self.online = True
        self.connection += 1

    def go_down(self) -> None:
        """The connection is gone, and what was on its way with it."""
        self.online = False
        self.failures += 1
        self.inbox.clear()

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand one message to the broker."""
        if not self.online:
            self.dropped_out += 1
            return False
        if payload[2] == envelope.HELLO and self.hello_ms < 0:
            self.hello_ms = self._terminal.heap.run_ms
        self._network.to_cloud(self._terminal, topic, payload)
        return True

    def deliver(self, topic: str, payload: bytes, forged: bool) -> None:
        """A message for this board; the queue has a bound."""
        if len(self.inbox) >= _QUEUE_MAX * 2:
            self.dropped_in += 1
            return
        self.inbox.append((topic, payload, forged))

    def receive(self) -> tuple[str, bytes] | None:
        """The next message.  A forged one, or a void command, is watched: it may change nothing (I12)."""
        if self._watched is not None:
            self._terminal.compare_after_forgery(self._watched)
            self._watched = None
        if not self.inbox:
            return None
        topic, payload, forged = self.inbox.popleft()
        if not forged and payload[2] == envelope.TIME:
            self.knows_time |= self._terminal.controller.boot_nonce in payload
        if forged or (payload[2] == envelope.COMMAND and self._terminal.is_void(payload)):
            self._watched = self._terminal.state_before_forgery(payload)
        return topic, payload


class SimWatchdog:
    """Fed, or not: a turn that does not end is seen by the test's own timeout."""

    def feed(self) -> None:
        """The board is alive."""


def other(direction: str) -> str:
    """In for out and out for in."""
    return "in" if direction == OUT else OUT
