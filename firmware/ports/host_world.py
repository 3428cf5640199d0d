"""The world around a virtual board as lines of text: cards, rotor and clock in, lights and answers out.

    in:  clock UTC_S TICKS_MS | basket [GOOD:QUANTITY ...] | card SIDE CREDENTIAL | rotor SIDE | void SEQ
         staffed | last | status
    out: ready | basket | verdict | passage | voided | last | status | reader | fault,
         each with name=value fields

Lines from the world keep their order: a clock line takes effect when all cards
before it were taken, and a basket is for the card behind it; one without goods takes back
what was rung up.  `basket goods=N` comes when that many are rung up from now on: what is
said before it is about the basket before.  After `staffed` a card without a basket buys
nothing, else the good of the hour.  The end of the input ends the board.  This is a board's
wiring, not a command line: a provisioned controller on a chip has no such thing.
"""

import select
import time

from firmware.hal.panel import LAST, STATUS
from firmware.hal.portal import IN, OUT, Turn
from firmware.hal.reader import Tap
from protocols.errors import FIELD_RANGE
from protocols.ids import hex8

_EVENTS_MAX = 64
_QUESTIONS_MAX = 8
_LINES_PER_READ = 16


class World:
    """The two ends of the pipe, and the queue of what happened."""

    def __init__(self, clock, source, sink) -> None:
        self.clock = clock
        self.source = source
        self._sink = sink
        self._poll = select.poll()
        self._poll.register(source, select.POLLIN)
        self._events = []
        self._questions = []
        self._voids = []
        self._basket = None
        self._is_staffed = False
        self.closed = False
        self.dropped = 0

    def read(self) -> None:
        """Take the whole lines that are there; the other end writes each line at once."""
        for _ in range(_LINES_PER_READ):
            if self.closed or len(self._events) >= _EVENTS_MAX or not self._poll.poll(0):
                return
            line = self.source.readline()
            if not line:
                self.closed = True
                return
            self._take(line.decode().split())

    @property
    def is_full(self) -> bool:
        """Whether reading must wait until the board has caught up."""
        return len(self._events) >= _EVENTS_MAX

    def _take(self, words: list) -> None:
        try:
            self._take_checked(words)
        except (ValueError, IndexError):
            self.dropped += 1
            self.say("fault %d line" % FIELD_RANGE)

    def _take_checked(self, words: list) -> None:
        kind = words[0]
        if kind == "clock":
            self._events.append((kind, int(words[1]), int(words[2])))
        elif kind == "card" and words[1] in (IN, OUT, "-"):
            self._events.append((kind, words[1], words[2]))
        elif kind == "basket":
            pairs = tuple([_pair(word) for word in words[1:]])
            self._events.append((kind, pairs or None, 0))
        elif kind == "rotor" and words[1] in (IN, OUT):
            self._events.append((kind, words[1], ""))
        elif kind == "staffed":
            self._is_staffed = True
        elif kind in (LAST, STATUS):
            if len(self._questions) < _QUESTIONS_MAX:
                self._questions.append(kind)
        elif kind == "void":
            self._take_void(int(words[1]))
        else:
            raise ValueError(kind)

    def _take_void(self, seq: int) -> None:
        if len(self._voids) < _QUESTIONS_MAX:
            self._voids.append(seq)
        else:
            self.dropped += 1

    def next_event(self, kind: str):
        """The oldest event if it is of that kind.  Clock and basket lines in front of it take effect now."""
        events = self._events
        while events and events[0][0] in ("clock", "basket"):
            what, first, second = events.pop(0)
            if what == "clock":
                self.clock.follow(first, second)
            else:
                self._basket = first
                self.say("basket goods=%d" % len(first or ()))
        if events and events[0][0] == kind:
            return events.pop(0)
        return None

    def next_question(self):
        """The oldest question, or None."""
        return self._questions.pop(0) if self._questions else None

    def next_basket(self):
        """What was rung up for the card that was just taken, once, or None; () where a till rings up."""
        pairs, self._basket = self._basket, None
        return () if pairs is None and self._is_staffed else pairs

    def next_void(self):
        """The oldest sale to take back, or None."""
        return self._voids.pop(0) if self._voids else None

    def say(self, line: str) -> None:
        """One line to the world, in one write."""
        try:
            self._sink.write((line + "\n").encode())
        except OSError:
            self.closed = True


def _pair(word: str) -> tuple:
    """(good, quantity) of `12:2`."""
    good, quantity = word.split(":")
    return int(good), int(quantity)


class WorldReader:
    """The readers of a virtual board; keeps the contract of hal/reader.py."""

    def __init__(self, world: World) -> None:
        self._world = world

    faults = 0

    @property
    def dropped(self) -> int:
        """Lines that were no event."""
        return self._world.dropped

    def step(self) -> int:
        """Lines come by themselves."""
        return 1000

    def next_tap(self):
        """The next Tap, or None."""
        event = self._world.next_event("card")
        if event is None:
            return None
        clock = self._world.clock
        return Tap(event[1], event[2], clock.utc(), clock.ticks())


class WorldPortal:
    """The rotor of a virtual gate; keeps the contract of hal/portal.py."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.released = ""

    def release(self, direction: str) -> None:
        """Let one through."""
        self.released = direction

    def lock(self) -> None:
        """Take it back."""
        self.released = ""

    def next_turn(self):
        """The next Turn, or None."""
        event = self._world.next_event("rotor")
        if event is None:
            return None
        clock = self._world.clock
        return Turn(event[1], clock.utc(), clock.ticks())


class WorldPanel:
    """Lights and answers as lines; keeps the contract of hal/panel.py."""

    def __init__(self, world: World) -> None:
        self._world = world

    def ready(self, device: int, next_seq: int) -> None:
        """The board takes cards."""
        self._world.say("ready device=%s next=%d" % (hex8(device), next_seq))

    def verdict(self, kind: str, refusal: int, seq: int, time: int) -> None:
        """The light on a tap."""
        self._world.say("verdict kind=%s refusal=%d seq=%d time=%d" % (kind, refusal, seq, time))

    def passage(self, seq: int, stage: str, of: int) -> None:
        """The end of a passage."""
        self._world.say("passage seq=%d stage=%s of=%d" % (seq, stage, of))

    def last(self, item, refusal: int, waiting: bool) -> None:
        """The last operation."""
        fields = (0, 0, 0, 0) if item is None else (item.seq, item.type, item.flags, item.time)
        self._world.say(
            "last seq=%d type=%d flags=%d time=%d refusal=%d open=%d"
            % (fields + (refusal, 1 if waiting else 0))
        )

    def status(self, values) -> None:
        """How the board is."""
        self._world.say("status " + " ".join("%s=%d" % value for value in values))

    def voided(self, of: int, refusal: int, seq: int) -> None:
        """What came of taking a sale back."""
        self._world.say("voided of=%d refusal=%d seq=%d" % (of, refusal, seq))

    def identify(self, seq: int) -> None:
        """Here it is."""
        self._world.say("identify seq=%d" % seq)

    def reader(self, side: str, code: int) -> None:
        """What goes on at a reader."""
        self._world.say("reader side=%s code=%d" % (side, code))

    def fault(self, code: int, thing: str) -> None:
        """What is broken."""
        self._world.say("fault %d %s" % (code, thing.replace(" ", "_")))

    def next_question(self):
        """What the world asks."""
        return self._world.next_question()

    def next_basket(self):
        """What the world rang up."""
        return self._world.next_basket()

    def next_void(self):
        """What the world takes back."""
        return self._world.next_void()


class WorldClock:
    """A clock that the world sets line by line: a school's day in seconds.  Keeps hal/clock.py."""

    settable = False

    def __init__(self, uptime) -> None:
        self._uptime = uptime
        self._utc = 0
        self._ticks = 0
        self.known = False

    def follow(self, utc: int, ticks: int) -> None:
        """The world's time is now this."""
        self._utc = utc
        self._ticks = ticks
        self.known = True

    def utc(self) -> int:
        """The world's seconds."""
        return self._utc

    def set_utc(self, seconds: int) -> None:
        """The world alone sets this clock."""

    def at_least(self, seconds: int) -> None:
        """Go on from the newest record until the world speaks."""
        if not self.known:
            self._utc = max(self._utc, seconds)

    def ticks(self) -> int:
        """The world's milliseconds."""
        return self._ticks

    def elapsed(self, later: int, earlier: int) -> int:
        """Milliseconds between; the world's do not wrap."""
        return later - earlier

    def uptime(self) -> int:
        """Real milliseconds."""
        return self._uptime.ticks_ms()

    def uptime_elapsed(self, later: int, earlier: int) -> int:
        """Milliseconds between."""
        return self._uptime.ticks_diff(later, earlier)


class HostClock(WorldClock):
    """The host's own clock, with an offset once the parent has told the time."""

    settable = True

    def __init__(self, uptime) -> None:
        super().__init__(uptime)
        self._offset = 0
        self.known = True

    def follow(self, utc: int, ticks: int) -> None:
        """Not this clock: it goes by itself."""

    def utc(self) -> int:
        """Seconds since 1970."""
        return int(time.time()) + self._offset

    def set_utc(self, seconds: int) -> None:
        """Keep the difference to the host's clock."""
        self._offset = seconds - int(time.time())

    def ticks(self) -> int:
        """Real milliseconds."""
        return self._uptime.ticks_ms()

    def elapsed(self, later: int, earlier: int) -> int:
        """Milliseconds between."""
        return self._uptime.ticks_diff(later, earlier)
