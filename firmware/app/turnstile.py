"""The turnstile controller: who may pass, and whether somebody did.

Promises: OPENED is durable before the light and the release; each OPENED is
ended by exactly one TURNED or NOT_TURNED, also over a power cut; a repeated tap
changes nothing.  Needs no network.
"""

from collections import namedtuple

from firmware.hal import panel as show
from firmware.hal.portal import IN, OUT
from protocols.errors import OK, Fault
from protocols.ledger import record

_IDLE_MS = 1000


# A released rotor that has not turned yet.  `ticks` is None after a boot: then seconds must do.
_Passage = namedtuple("_Passage", ("seq", "account", "time", "ticks", "is_out"))


class Turnstile:
    """The task of a gate."""

    def __init__(self, controller) -> None:
        self._controller = controller
        self._reader = controller.board.reader
        self._portal = controller.board.portal
        self._panel = controller.panel
        self._passage: _Passage | None = None
        # What ended it and when, while the record of that is still to be written.
        self._end_stage = 0
        self._end_time = 0
        self.unexpected_turns = 0

    def resume(self) -> None:
        """After a boot: a passage that was open still waits for the rotor."""
        seq = self._controller.state.open_passage
        item = self._controller.record_at(seq) if seq else None
        if item is not None:
            is_out = item.flags & record.PASS_OUT
            self._passage = passage = _Passage(item.seq, item.account, item.time, None, is_out)
            self._portal.release(OUT if passage.is_out else IN)

    def step(self) -> int:
        """One event: a turn of the rotor, a command, a tap, or the end of waiting."""
        turn = self._portal.next_turn()
        if turn is not None:
            self._turned(turn)
            return 0
        direction = self._controller.opening
        if direction is not None:
            self._controller.opening = None
            self._obey(direction)
            return 0
        tap = self._reader.next_tap()
        if tap is not None:
            self._tap(tap)
            return 0
        return self._watch()

    def _obey(self, direction: str) -> None:
        """Open for whoever stands there, by the word of a person: the passage belongs to no account."""
        clock = self._controller.clock
        now, ticks = clock.utc(), clock.ticks()
        if self._passage is not None:
            self._end(self._passage, record.PASS_NOT_TURNED, now)
        self._release(direction, now, ticks, 0, 0)

    def _tap(self, tap) -> None:
        controller = self._controller
        try:
            controller.check_takes_cards()
            who = controller.identify(tap)
            if controller.is_repeat(who, tap):
                controller.show_repeat(tap)
                return
            if self._passage is not None:
                self._end(self._passage, record.PASS_NOT_TURNED, tap.time)
            if who.refusal != OK:
                controller.refuse(tap, who, who.refusal)
            else:
                self._open(tap, who)
        except Fault as fault:
            controller.refuse_broken(tap, fault)

    def _open(self, tap, who) -> None:
        self._release(tap.side, tap.time, tap.ticks, who.account, who.bits)
        self._controller.repeats.accept(who.bits, who.account, tap)

    def _release(self, side: str, time: int, ticks: int, account: int, bits: int) -> None:
        is_out = record.PASS_OUT if side == OUT else 0
        seq = self._controller.write_at(record.PASS, record.PASS_OPENED | is_out, time, account, 0, bits)
        # The record is durable: from here on nothing may fail silently, and nothing may wait.
        self._portal.release(side)
        self._panel.verdict(show.GO, OK, seq, time)
        self._passage = _Passage(seq, account, time, ticks, is_out)

    def _passed_ms(self, passage: _Passage, time: int, ticks: int) -> int:
        """Milliseconds from a passage's tap to a moment."""
        if passage.ticks is None:
            return (time - passage.time) * 1000
        return self._controller.clock.elapsed(ticks, passage.ticks)

    def _turned(self, turn) -> None:
        passage = self._passage
        if passage is None or self._end_stage or (turn.direction == OUT) != bool(passage.is_out):
            self.unexpected_turns += 1
            return
        if self._passed_ms(passage, turn.time, turn.ticks) > self._controller.settings.current.passage_ms:
            self.unexpected_turns += 1
            self._time_out(passage, turn.time)
            return
        self._end(passage, record.PASS_TURNED, turn.time)

    def _watch(self) -> int:
        """End a passage that nobody used; the milliseconds that it may still take."""
        passage = self._passage
        if passage is None:
            return _IDLE_MS
        if self._end_stage:
            self._write_end(passage)
            return 0
        clock = self._controller.clock
        passed = self._passed_ms(passage, clock.utc(), clock.ticks())
        left = self._controller.settings.current.passage_ms - passed
        if left >= 0:
            return left + 1
        self._time_out(passage, clock.utc())
        return 0

    def _time_out(self, passage: _Passage, now: int) -> None:
        limit = passage.time + self._controller.settings.current.passage_ms // 1000
        self._end(passage, record.PASS_NOT_TURNED, min(now, limit))

    def _end(self, passage: _Passage, stage: int, time: int) -> None:
        self._portal.lock()
        if not self._end_stage:
            self._end_stage = stage
            self._end_time = time
        self._write_end(passage)

    def _write_end(self, passage: _Passage) -> None:
        """Write how the passage ended; after a fault it is tried again, and it is never ended twice."""
        stage = self._end_stage
        flags = stage | passage.is_out
        time = self._end_time
        seq = self._controller.write_at(record.PASS, flags, time, passage.account, 0, passage.seq)
        self._passage = None
        self._end_stage = 0
        name = "turned" if stage == record.PASS_TURNED else "not_turned"
        self._panel.passage(seq, name, passage.seq)
