"""Whose a card is: what this desk did, and for all other cards of the school what the cloud has told.

Promises: what was done here and stands in no list of the cloud yet comes first, else the list decides, also
against what was done here before; without a list the desk's own memory is all there is.  A card that shows
only a part of what the school knows is told as that.  Leaves what is done about it to work.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from protocols.card import credential
from reader_host.desk import store
from reader_host.desk.keys import DeskKeys
from reader_host.desk.roster import Roster
from reader_host.desk.store import BLOCK, GIVING, ISSUE, MAIN, REPLACE, WIPE, Operation, Store
from reader_host.pcsc.kinds import Seen

TOLD = (store.READY, store.ACCEPTED)

OPEN, BLOCKED, OVER, LEFT = "open", "blocked", "over", "left"
"""States of a card: LEFT, its pupil is not at the school any more; OVER, its last day has passed."""

EXACT, BARE, PART = "exact", "bare", "part"
"""How it is known: BARE, it shows the serial number of a card that proves itself, and proves nothing; PART, a
reader that leaves a part out would take it for that card."""

_WHOLE_PART = "w34"
_REFERENCE = 16


class Owned(NamedTuple):
    """A card as somebody's.

    `ref`: 16 hex digits; `student`: the school's own number, empty where the owner is not at the school;
    `op`: how it was given, ISSUE where another desk or the office did; `until`: the last day of a temporary
    card or empty; `at`: UTC seconds of its giving; `waits`: the cloud has not heard of it or of its end.
    """

    ref: str
    student: str
    kind: str
    op: str
    until: str
    at: int
    state: str
    how: str
    waits: bool


class Owners:
    """Looks cards up; `today` is a day as YYYY-MM-DD."""

    def __init__(
        self, keys: DeskKeys, kept: Store, roster: Callable[[], Roster], today: Callable[[], str]
    ) -> None:
        self._keys = keys
        self._store = kept
        self._roster = roster
        self._today = today

    def of(self, seen: Seen) -> Owned | None:
        """Whose the card on the reader is, or None."""
        ref = self._reference(seen.credential)
        found = self._of_reference(ref)
        if found is not None or seen.proved:
            return found
        roster = self._roster()
        found = self._of_reference(roster.bare.get(ref, ""))
        if found is not None:
            return found._replace(how=BARE)
        for alias in credential.aliases(seen.shown):
            # What is left of 26 bits is shared by too many cards to say anything.
            if credential.scheme_of(alias) == _WHOLE_PART:
                found = self._of_reference(roster.parts.get(self._reference(alias), ""))
                if found is not None:
                    return found._replace(how=PART)
        return None

    def of_student(self, student: str) -> list[Owned]:
        """A pupil's cards, closed ones too, the oldest first."""
        refs = {ref: None for ref, card in self._roster().cards.items() if card.student == student}
        refs |= {
            each.card_ref[:_REFERENCE]: None for each in self._store.of_student(student) if each.card_ref
        }
        found = [self._of_reference(ref) for ref in refs]
        return sorted((each for each in found if each and each.student == student), key=lambda each: each.at)

    def _reference(self, canonical: str) -> str:
        return self._keys.reference(canonical)[:_REFERENCE]

    def _of_reference(self, ref: str) -> Owned | None:
        if not ref:
            return None
        done = [each for each in self._fresh(self._store.of_reference(ref)) if each.op in (*GIVING, WIPE)]
        if done:
            last = done[-1]
            if last.op == WIPE:
                return None
            found = Owned(
                ref, last.student, last.kind, last.op, last.until, last.at, OPEN, EXACT,
                last.state == store.READY,
            )  # fmt: skip
            return self._as_it_is(found, last.number)
        card = self._roster().cards.get(ref)
        if card is None:
            return None
        state = BLOCKED if card.is_blocked else OPEN if card.student else LEFT
        found = Owned(ref, card.student, card.kind, ISSUE, card.until, card.at, state, EXACT, False)
        return self._as_it_is(found, 0)

    def _fresh(self, done: list[Operation]) -> list[Operation]:
        """What counts beside the cloud's list: all that it does not tell of."""
        has_list = bool(self._roster().at)
        return [each for each in done if each.state in TOLD and not (has_list and each.settled)]

    def _as_it_is(self, found: Owned, given: int) -> Owned:
        """With what was done here since, behind the operation of that number, and with the day."""
        if found.until and found.until < self._today():
            return found._replace(state=OVER)
        for each in self._fresh(self._store.of_student(found.student)) if found.student else ():
            is_this = each.card_ref[:_REFERENCE] == found.ref
            is_replaced = each.op == REPLACE and found.kind == MAIN and not is_this
            if each.number > given and (is_replaced or (each.op == BLOCK and is_this)):
                return found._replace(state=BLOCKED, waits=each.state == store.READY)
        return found
