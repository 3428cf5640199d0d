"""Serving one child after the other: what is rung up, what waits for a card, what came of it.

Promises: one order is under way at a time, and what it became is told by the controller's journal, never
guessed: nothing is rung up anew before the controller has said that the basket before it holds no more; what
shows as served has a SALE of its own, and a SALE is shown once; after the line was lost its last operation is
asked for first.  Knows no page, no clock and no wire: milliseconds and events come in, orders go out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from reader_host.till import line
from reader_host.till.line import Event, Lines

SERVED_MS = 1500
QUANTITY_MAX = 20
LINES_MAX = 12
REASONS = ("dish", "child", "other")
# Nothing heard for so long, though it is asked how it is every two seconds: the controller is away.
SILENT_MS = 7000

# What the last change of the page was about, beside the result: a word under the button.
UNSURE = "unsure"  # a result: whether it was sold, only the journal's list can tell
REPEATED, UNDONE, NOT_UNDONE = "repeated", "undone", "not_undone"


class RingUp(NamedTuple):
    """Order: Line.ring_up."""

    lines: Lines


class TakeBack(NamedTuple):
    """Order: Line.take_back; `reason` is one of REASONS, to be written down."""

    seq: int
    reason: str


class AskLast(NamedTuple):
    """Order: Line.ask_last."""


Order = RingUp | TakeBack | AskLast


class Sale(NamedTuple):
    """A sale of this till: its record, what it was, UTC seconds; `lines` is empty where nobody knows."""

    seq: int
    lines: Lines
    time: int
    is_taken_back: bool = False


class Result(NamedTuple):
    """What stands in place of the basket; `until_ms` is 0 where it waits for a touch."""

    kind: str
    lines: Lines
    until_ms: int
    allergen: str = ""


class Serving:
    """One till.  `version` grows with every change; `orders` are taken out and carried out by the caller."""

    def __init__(self, day_of: Callable[[int], object]) -> None:
        """`day_of`: the school's day of a UTC second."""
        self._day_of = day_of
        self.version = 1
        self.revision = 1
        self.basket: dict[int, int] = {}
        self.result: Result | None = None
        self.last: Sale | None = None
        self.repeatable: Lines = ()
        self.sold: dict[int, int] = {}
        self.note = ""
        self.sounds = 0
        self.sound = ""
        self.asks_reason = False
        self.voiding = 0
        self.orders: list[Order] = []
        # What the controller holds by its own word, and what it was told since and has not answered.
        self._in_force: Lines = ()
        self._sent: list[Lines] = []
        self._doubt: Lines = ()
        self.seq_known = 0
        self._seq_before = 0
        self._is_up = False
        self._is_settled = False
        self._heard_ms = 0

    # What a page asks.

    @property
    def waits_for_card(self) -> bool:
        """Whether the next card pays for the basket, as far as the till has ordered."""
        return bool(self._sent[-1] if self._sent else self._in_force)

    @property
    def may_charge(self) -> bool:
        """Whether Charge would do something now."""
        is_free = not (self._sent or self._in_force or self._doubt or self.voiding or self.result)
        return bool(self.basket) and is_free and self._is_settled and not self.asks_reason

    @property
    def may_undo(self) -> bool:
        """Whether the last sale may be taken back now; the controller says whether it is of today."""
        free = self._is_settled and not (self._sent or self._in_force or self.voiding)
        return free and self.last is not None and not self.last.is_taken_back

    def is_away(self, now_ms: int) -> bool:
        """Whether the controller is lost or silent."""
        return not self._is_up or now_ms - self._heard_ms > SILENT_MS

    def lines(self) -> Lines:
        """The basket as it is rung up."""
        return tuple(self.basket.items())

    # What a finger does.

    def press(self, good: int) -> None:
        """One more of a good; a result goes, and what waits for a card waits no more."""
        if self.basket.get(good, 0) >= QUANTITY_MAX:
            return
        if good not in self.basket and len(self.basket) >= LINES_MAX:
            return
        self._touch()
        self._change(good, self.basket.get(good, 0) + 1)

    def less(self, good: int) -> None:
        """One less of a good."""
        if good in self.basket:
            self._touch()
            self._change(good, self.basket[good] - 1)

    def clear(self) -> None:
        """Empty the basket."""
        self._touch()
        self.basket.clear()
        self._count()

    def withdraw(self) -> None:
        """The next card shall not pay; the basket stays."""
        self._touch()

    def repeat(self) -> None:
        """Ring up what was sold last, in place of the basket."""
        if self.repeatable:
            self._touch()
            self.basket = dict(self.repeatable)
            self._count()

    def charge(self, revision: int) -> bool:
        """The next card pays; False for a basket that the finger did not see, or when it waits already."""
        if revision != self.revision or not self.may_charge:
            return False
        self.note = ""
        self._ring_up(self.lines())
        return True

    def again(self, revision: int) -> bool:
        """Another card for the same basket, from the answer that asked for one."""
        if self.result is not None and self.result.kind != line.SERVED:
            self.dismiss()
        return self.charge(revision)

    def dismiss(self) -> None:
        """The result was read."""
        if self.result is not None:
            self.result = None
            self.version += 1

    def ask_reason(self, seq: int, now: int) -> None:
        """Begin to take the last sale back; `now`: UTC seconds.  Of another day it is the office's."""
        if self.last is None or self.last.seq != seq or not self.may_undo:
            return
        if self._day_of(self.last.time) == self._day_of(now):
            self.result, self.asks_reason = None, True
            self.version += 1

    def keep(self) -> None:
        """Do not take it back after all."""
        if self.asks_reason and not self.voiding:
            self.asks_reason = False
            self.version += 1

    def undo(self, seq: int, reason: str) -> None:
        """Take the last sale back, for a reason."""
        if self.asks_reason and self.may_undo and reason in REASONS:
            if self.last is not None and self.last.seq == seq:
                self.voiding = seq
                self.orders.append(TakeBack(seq, reason))
                self.version += 1

    def tick(self, now_ms: int) -> None:
        """Time has passed."""
        if self.result is not None and 0 < self.result.until_ms <= now_ms:
            self.dismiss()

    # What the line says.

    def take(self, event: Event, now_ms: int) -> None:
        """Follow one event of the line."""
        self._heard_ms = now_ms
        if isinstance(event, line.RungUp):
            self._rung_up()
        elif isinstance(event, line.Verdict):
            self._verdict(event, now_ms)
        elif isinstance(event, line.Voided):
            if event.of == self.voiding:
                self._end_undo(event.seq)
        elif isinstance(event, line.Last):
            self._settle(event, now_ms)
        elif isinstance(event, line.LineLost):
            self._lose()
        elif isinstance(event, line.LineReady):
            self._is_up, self._sent = True, []
            self._doubt, self._in_force = self._in_force or self._doubt, ()
            self._seq_before = self.seq_known
            self.orders.append(AskLast())
        self.version += 0 if isinstance(event, line.Status) else 1

    def _rung_up(self) -> None:
        if self._sent:
            self._in_force = self._sent.pop(0)

    def _verdict(self, verdict: line.Verdict, now_ms: int) -> None:
        self._beep(verdict.kind)
        if verdict.kind == line.REPEAT:
            self.note = REPEATED
            return
        paid, self._in_force = self._in_force, ()
        self._know(verdict, paid, now_ms)

    def _know(self, verdict: line.Verdict, paid: Lines, now_ms: int) -> None:
        """What a tap came to, by its verdict or by the journal."""
        self.seq_known = max(self.seq_known, verdict.seq)
        self.note, self.asks_reason = "", False
        if verdict.kind != line.SERVED:
            self.result = Result(verdict.kind, paid, 0, verdict.allergen)
            return
        self.last = Sale(verdict.seq, paid, verdict.time)
        self.repeatable = paid or self.repeatable
        self._count_sold(paid, 1)
        self._take_off(paid)
        self.result = Result(line.SERVED, paid, now_ms + SERVED_MS)

    def _settle(self, last: line.Last, now_ms: int) -> None:
        """The journal's last operation, asked after the line came back."""
        doubt, self._doubt = self._doubt, ()
        is_new = last.seq > self._seq_before
        was_seen = last.seq <= self.seq_known
        self._is_settled = True
        if self.voiding:
            self._end_undo(last.seq if is_new and last.what == line.VOID else 0)
        elif is_new and doubt and was_seen:
            # A card that came first hides what became of the one before it: nobody may be charged on a guess.
            self._take_off(doubt)
            self.result = Result(UNSURE, doubt, 0)
        elif is_new and doubt and last.what in (line.SALE, line.REFUSED):
            kind = line.SERVED if last.what == line.SALE else last.kind
            self._beep(kind)
            self._know(line.Verdict(kind, last.seq, last.time), doubt, now_ms)
        elif is_new and last.what == line.SALE:
            self.last = Sale(last.seq, (), last.time)
        self.seq_known = max(self.seq_known, last.seq)

    def _lose(self) -> None:
        """What was under way is in doubt until the journal tells."""
        self._in_force = self._in_force or next((each for each in self._sent if each), ())
        self._sent = []
        self._is_up = self._is_settled = False

    def _end_undo(self, seq: int) -> None:
        self.seq_known = max(self.seq_known, seq)
        self.voiding, self.asks_reason = 0, False
        self.note = UNDONE if seq else NOT_UNDONE
        if seq and self.last is not None:
            self.last = self.last._replace(is_taken_back=True)
            self._count_sold(self.last.lines, -1)
            if not self.basket:
                self.basket = dict(self.last.lines)
                self._count()

    # Parts.

    def _touch(self) -> None:
        """A finger changes something: the result goes, no card pays for what was there before."""
        self.result, self.note = None, ""
        self.asks_reason = bool(self.voiding)
        if self.waits_for_card:
            self._ring_up(())
        self.version += 1

    def _ring_up(self, lines: Lines) -> None:
        self._sent.append(lines)
        self.orders.append(RingUp(lines))
        self.version += 1

    def _take_off(self, lines: Lines) -> None:
        """What was added after the card was held is not sold yet: it stays."""
        for good, quantity in lines:
            self._change(good, self.basket.get(good, 0) - quantity)

    def _change(self, good: int, quantity: int) -> None:
        if quantity > 0:
            self.basket[good] = quantity
        else:
            self.basket.pop(good, None)
        self._count()

    def _count(self) -> None:
        self.revision += 1
        self.version += 1

    def _count_sold(self, lines: Lines, sign: int) -> None:
        for good, quantity in lines:
            self.sold[good] = self.sold.get(good, 0) + sign * quantity

    def _beep(self, kind: str) -> None:
        self.sounds += 1
        self.sound = line.SERVED if kind == line.SERVED else "other"

    # Over the end of the program.

    def kept(self) -> dict[str, Any]:
        """What must outlive this process: written down before an order is carried out."""
        return {
            "seq_known": self.seq_known,
            "under_way": [list(each) for each in self._doubt or self._pending()],
            "last": None
            if self.last is None
            else [*self.last[:1], [list(x) for x in self.last.lines], *self.last[2:]],
            "sold": [list(each) for each in self.sold.items()],
        }

    def _pending(self) -> Lines:
        return self._in_force or next((each for each in self._sent if each), ())

    def restore(self, kept: dict[str, Any]) -> None:
        """Go on after a process that ended; KeyError, TypeError or ValueError for what was not kept here."""
        self.seq_known = int(kept["seq_known"])
        self._in_force = _lines(kept["under_way"])
        if kept["last"] is not None:
            seq, lines, time, is_taken_back = kept["last"]
            self.last = Sale(int(seq), _lines(lines), int(time), bool(is_taken_back))
            self.repeatable = self.last.lines
        self.sold = dict(_lines(kept["sold"]))
        self.basket = dict(self._in_force)


def _lines(value: Any) -> Lines:
    return tuple((int(good), int(quantity)) for good, quantity in value)
