"""The reader of the desk and what happens on it, in a thread of its own; the page only asks and looks.

Promises: one thing at a time; a card that is laid down is looked at at once, and an operation that waits for
it is finished before anything else; a reader or a pcscd that goes away is told, and comes back by itself.
Leaves the rules to work.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from protocols.errors import CARD_GONE, READER_DEAD, Fault, name
from reader_host.desk import store
from reader_host.desk.store import GIVING, ISSUE, WIPE, Line, Operation, Store
from reader_host.desk.work import OTHER_CARD, UNFINISHED, Look, Refused, Wish, Work
from reader_host.pcsc import station

NO_READER, EMPTY, WORKING, SEEN, DONE, PUT_BACK, REFUSED, TROUBLE = (
    "no_reader", "empty", "working", "seen", "done", "put_back", "refused", "trouble",
)  # fmt: skip
_TURN_S = 0.2
_READER_CHECK_TURNS = 10
_LOOKED_AT_S = 5


class Situation(NamedTuple):
    """What lies on the desk now.

    `laid` counts the cards that were laid down; `step`: one of the list above; `look`: the card; `operation`:
    what was done or waits to be finished; `wish`: what the next card is for; `reason`: of a refusal
    (work.py), or the name of a fault (protocols.errors).
    """

    version: int = 0
    laid: int = 0
    step: str = NO_READER
    look: Look | None = None
    operation: Operation | None = None
    wish: Wish | None = None
    reason: str = ""


class Bench:
    """`ask(wish)` and `situation()` from any thread; `run()` in the reader's own."""

    def __init__(self, work: Work, kept: Store, reader: str = "") -> None:
        self._work = work
        self._store = kept
        self._wanted = reader
        self._lock = threading.Lock()
        self._now = Situation()
        self._reader = ""
        self._stopping = threading.Event()
        self._is_asked = threading.Event()
        self._row_until = 0.0
        self.takes_plain = False
        """Whether the class in a row may be given cards that can be copied."""
        self.told: Callable[[], None] = lambda: None
        """Called when something is ready for the cloud."""

    def situation(self) -> Situation:
        """As it is now."""
        with self._lock:
            return self._now

    def ask(self, wish: Wish | None) -> None:
        """Do this with the card that lies there, else with the next one; None forgets what was asked."""
        with self._lock:
            now = self._now._replace(wish=wish, version=self._now.version + 1)
            if now.step in (DONE, REFUSED) and now.look is None:
                now = now._replace(step=EMPTY, operation=None, reason="")
            self._now = now
        self._is_asked.set()

    def look_at_row(self, is_looked_at: bool) -> None:
        """Somebody has the class in a row before them, or has gone to another page.

        Only then is a card that is laid down given to the next pupil: who looks a card up is not giving it.
        """
        self._row_until = time.monotonic() + _LOOKED_AT_S if is_looked_at else 0.0

    def drop(self) -> None:
        """The card that was begun will not come back."""
        situation = self.situation()
        if situation.operation is not None:
            self._work.drop(situation.operation)
        self.show(EMPTY if situation.look is None else SEEN, situation.look)

    def show_again(self) -> None:
        """Something beside the card has changed: pages look anew."""
        with self._lock:
            self._now = self._now._replace(version=self._now.version + 1)

    def stop(self) -> None:
        """Let run() end."""
        self._stopping.set()

    def show(
        self,
        step: str,
        look: Look | None = None,
        operation: Operation | None = None,
        reason: str = "",
    ) -> None:
        """Tell the page what lies there now; what was asked for stays."""
        with self._lock:
            version = self._now.version + 1
            self._now = Situation(version, self._now.laid, step, look, operation, self._now.wish, reason)

    # The reader's thread.

    def run(self) -> None:
        """Watch the reader until stop()."""
        while not self._stopping.is_set():
            if not self._find_reader():
                self._stopping.wait(1)
                continue
            with station.Watch() as watch:
                self._watch(watch)

    def _find_reader(self) -> bool:
        """Whether a reader is there; the page is told of a change."""
        try:
            names = [each for each in station.reader_names() if self._wanted in each]
        except Fault:
            names = []
        is_there, step = bool(names), self.situation().step
        if is_there and step == NO_READER:
            self.show(EMPTY)
        elif not is_there and step != NO_READER:
            self.show(NO_READER)
        return is_there

    def _watch(self, watch: station.Watch) -> None:
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            laid = watch.next(_TURN_S)
            if laid is not None and self._wanted in laid.reader:
                if laid.is_there:
                    self._reader = laid.reader
                    self._is_asked.clear()
                    self._guard(lambda: self._laid(is_new=True))
                elif laid.reader == self._reader:
                    self._taken()
            elif self._is_asked.is_set():
                self._is_asked.clear()
                if self._reader:
                    self._guard(lambda: self._laid(is_new=False))
            if turn % _READER_CHECK_TURNS == 0 and not (watch.is_sound() and self._find_reader()):
                self._reader = ""
                self.show(NO_READER, None, self._begun(self.situation().operation))
                return

    def _taken(self) -> None:
        self._reader = ""
        situation = self.situation()
        if situation.step in (PUT_BACK, WORKING):
            self.show(PUT_BACK, None, situation.operation)
        elif situation.step in (DONE, REFUSED):
            # What was said stays until the next card: who has just taken the card away is still reading.
            self.show(situation.step, None, situation.operation, situation.reason)
        else:
            self.show(EMPTY)

    def _guard(self, act: Callable[[], None]) -> None:
        """Whatever a card or a reader does becomes a situation."""
        try:
            act()
        except Refused as refused:
            self.show(REFUSED, self.situation().look, self.situation().operation, refused.reason)
        except Fault as fault:
            situation = self.situation()
            begun = self._begun(situation.operation)
            if fault.code == CARD_GONE and situation.step == DONE:
                # Taken away after the last byte was written: it is given all the same.
                self._reader = ""
            elif fault.code == CARD_GONE:
                self._reader = ""
                self.show(PUT_BACK if begun else EMPTY, None, begun)
            elif fault.code == READER_DEAD:
                self._reader = ""
                self.show(NO_READER, None, begun)
            else:
                self.show(TROUBLE, situation.look, begun, name(fault.code))

    def _begun(self, operation: Operation | None) -> Operation | None:
        """The operation when its card is not finished."""
        found = None if operation is None else self._store.numbered(operation.number)
        return found if found is not None and found.state == store.BEGUN else None

    def _laid(self, *, is_new: bool) -> None:
        """Look at the card, finish what waits for it, then do what is asked for."""
        before = self.situation()
        if is_new:
            with self._lock:
                self._now = self._now._replace(laid=self._now.laid + 1)
            self.show(WORKING, None, self._begun(before.operation))
        with station.card_on(self._reader) as card:
            look = self._work.look(card)
            wish = self._wish(look, is_new=is_new)
            if look.unfinished is not None and (wish is None or wish.op != WIPE):
                self._finish(card, look, look.unfinished)
                return
            if wish is None:
                begun = self._begun(before.operation)
                if begun is not None and is_new:
                    self.show(REFUSED, look, begun, UNFINISHED)
                elif is_new or before.step == REFUSED:
                    self.show(SEEN, look)
                return
            self.show(WORKING, look, None)
            self._finish(card, look, self._work.begin(wish, look))

    def _finish(self, card: station.Card, look: Look, operation: Operation) -> None:
        self.show(WORKING, look, operation)
        done = self._work.finish(card, operation)
        wish = self.situation().wish
        if wish is not None and wish.op == done.op and wish.student in ("", done.student):
            self.ask(None)
            self._is_asked.clear()
        if done.op == WIPE:
            self._return_turn(look)
        self.show(DONE, None, done)
        self.told()
        self.show(DONE, self._work.look(card), done)

    def _return_turn(self, look: Look) -> None:
        """Whoever got the wiped card in this queue waits again."""
        given = {each.op_id for each in self._store.of_card(look.uid_ref) if each.op in GIVING}
        for line in self._store.row():
            if line.op_id in given:
                self._store.set_line(line.place, store.WAITING)

    # What the next card is for.

    def _wish(self, look: Look, *, is_new: bool) -> Wish | None:
        wish = self.situation().wish
        if wish is not None:
            if wish.uid_ref and wish.uid_ref != look.uid_ref:
                raise Refused(OTHER_CARD)
            return wish
        return self._turn() if is_new else None

    def _turn(self) -> Wish | None:
        """The wish of the class in a row, if one is under way, looked at, and nothing is unfinished."""
        if time.monotonic() > self._row_until:
            return None
        row = self._store.row()
        if any(self._begun(self._store.operation(line.op_id)) for line in row if line.op_id):
            return None
        line = next_of(row)
        return (
            None
            if line is None
            else Wish(ISSUE, line.student, plain_allowed=self.takes_plain, place=line.place)
        )


def next_of(row: list[Line]) -> Line | None:
    """Whose turn it is."""
    return next((line for line in row if line.state == store.WAITING), None)
