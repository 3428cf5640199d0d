"""What became of one tap: four stations with the milliseconds after which each was reached.

It promises that a trail can be read while others write it, and that only the last few are kept. The words
for people are in words.py; how the stations are reached is in stand.py.
"""

import itertools
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

KEPT = 40
STATIONS = ("light", "record", "books", "message")


@dataclass(frozen=True)
class Choice:
    """What the newcomer chose: card, board and reader, when (UTC seconds), and whether to walk through.

    `goods`: (good, quantity) pairs that the cashier has rung up for it.  `undoes`: seq of
    the sale that the line's staff takes back instead of holding a card, or 0.
    """

    credential: str
    is_known: bool
    device: str
    reader: str
    at: int
    walks: bool
    undoes: int = 0
    goods: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Station:
    """One column. `state`: waiting, done, none (nothing will come) or stuck; `facts` are for words.py."""

    state: str = "waiting"
    ms: int | None = None
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Trail:
    """One tap and its stations; a new one is made at every step."""

    number: int
    choice: Choice
    who: str
    stations: dict[str, Station]
    is_over: bool = False

    @property
    def sale_seq(self) -> int:
        """The seq of the sale that it ended with, once that is known; 0 when it is none."""
        if self.stations["light"].facts.get("verdict") != "served":
            return 0
        seq = self.stations["record"].facts.get("seq")
        return seq if isinstance(seq, int) else 0


class Trails:
    """The last trails, by number; safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._trails: OrderedDict[int, Trail] = OrderedDict()
        self._began: dict[int, float] = {}

    def open(self, choice: Choice, who: str) -> Trail:
        """A new trail whose clock starts now."""
        with self._lock:
            trail = Trail(next(self._numbers), choice, who, {name: Station() for name in STATIONS})
            self._trails[trail.number] = trail
            self._began[trail.number] = time.monotonic()
            while len(self._trails) > KEPT:
                number, _ = self._trails.popitem(last=False)
                self._began.pop(number)
            return trail

    def get(self, number: int) -> Trail | None:
        """The trail as it is now, or None when it is unknown or forgotten."""
        with self._lock:
            return self._trails.get(number)

    def elapsed_ms(self, number: int) -> int:
        """Milliseconds since the card was held."""
        with self._lock:
            return round((time.monotonic() - self._began.get(number, time.monotonic())) * 1000)

    def restart(self, number: int) -> None:
        """Start the clock of a trail again: its tap had to wait for another one."""
        with self._lock:
            self._began[number] = time.monotonic()

    def reach(self, number: int, name: str, state: str, *, timed: bool = True, **facts: object) -> None:
        """A station is reached (or known to stay empty); keeps the time of the first reaching."""
        ms = self.elapsed_ms(number)
        with self._lock:
            trail = self._trails.get(number)
            if trail is None:
                return
            before = trail.stations[name]
            first_ms = before.ms if before.ms is not None else (ms if timed else None)
            station = Station(state, first_ms, {**before.facts, **facts})
            self._trails[number] = replace(trail, stations={**trail.stations, name: station})

    def close(self, number: int) -> None:
        """Nothing more will come."""
        with self._lock:
            trail = self._trails.get(number)
            if trail is not None:
                self._trails[number] = replace(trail, is_over=True)
