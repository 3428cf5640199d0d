"""What a till and the controller of its line say to each other, whatever lies between them.

Promises: orders are taken in their order and events come in theirs, so a `Verdict` before a `RungUp` is about
the basket before.  No refusal number gets through here: a tap ends in one of `KINDS`, and every refusal that
has to do with money, with a block or with a copy is the one word TEACHER.  Leaves the way there to the
implementation (board_line.py has the pipe of a virtual board).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from protocols import errors

# How a tap ends.
SERVED = "served"
REPEAT = "repeat"  # the card of the sale just made: nothing happened
ANOTHER_CARD = "another_card"  # this one cannot be read or is nobody's
STOP = "stop"  # not for this child: an allergen, by its name
TEACHER = "teacher"  # anything about the person
NOTHING = "nothing"  # nothing was rung up
GOODS = "goods"  # the line does not sell what was rung up
FAILED = "failed"  # the controller could not write it down
KINDS = (SERVED, REPEAT, ANOTHER_CARD, STOP, TEACHER, NOTHING, GOODS, FAILED)

# What the last operation of a controller was.
NONE, SALE, VOID, REFUSED = "none", "sale", "void", "refused"

# How a reader is.
READS, SEVERAL, DEAD = "reads", "several", "dead"

Lines = tuple[tuple[int, int], ...]
"""(good, quantity) of what is rung up, in the order of the fingers."""

_UNREAD = {
    errors.CARD_UNKNOWN,
    errors.BAD_CREDENTIAL,
    errors.CARD_GONE,
    errors.CARD_ANSWER,
    errors.CARD_REFUSES,
    errors.CARD_KIND,
    errors.CARD_SEVERAL,
}
_GOODS = {errors.NOT_IN_MENU, errors.BASKET_ITEMS}
_LAST_OF_DEVICE = errors.READER_UNTRUSTED


class RungUp(NamedTuple):
    """The oldest ring_up that was not answered yet holds from now on."""


class Verdict(NamedTuple):
    """The end of a tap: one of KINDS; `seq` of its record, 0 for none; `time` in UTC seconds."""

    kind: str
    seq: int
    time: int
    allergen: str = ""


class Voided(NamedTuple):
    """What came of taking the sale `of` back: `seq` of the VOID, or 0 where it stays sold."""

    of: int
    seq: int


class Last(NamedTuple):
    """The last operation in the journal: what it was, its number and time; `kind` of a refused tap."""

    what: str
    seq: int
    time: int
    kind: str = ""


class Status(NamedTuple):
    """How the controller is: whether it hears the cloud, the version of its table of cards (0 for none).

    `acked`: the first record that the cloud has not confirmed; `next`: the first that is not
    written.  How many records lie between is nothing for a page: a sale with its grant is two, and
    that would tell of money.
    """

    online: bool
    acked: int
    next: int
    table: int


class ReaderState(NamedTuple):
    """READS, SEVERAL (one card, please) or DEAD."""

    state: str


class Broken(NamedTuple):
    """The controller says that something of it is broken."""


class LineReady(NamedTuple):
    """The controller answers and holds no basket.

    What it said before this was still about the basket before.
    """


class LineLost(NamedTuple):
    """The controller does not answer any more."""


Event = RungUp | Verdict | Voided | Last | Status | ReaderState | Broken | LineReady | LineLost


class Line(Protocol):
    """Orders to a line; none of them waits, their answers are events.  Lost without a word while it is."""

    def ring_up(self, lines: Lines) -> None:
        """What the next tap pays for, in place of what was rung up; nothing takes it back."""

    def take_back(self, seq: int) -> None:
        """Void a sale of today."""

    def ask_last(self) -> None:
        """Ask for the last operation."""

    def ask_status(self) -> None:
        """Ask how the controller is."""


def kind_of(refusal: int) -> str:
    """The word for a refused tap: all that the till may know of it."""
    if refusal in _UNREAD:
        return ANOTHER_CARD
    if refusal == errors.NOTHING_ON_SALE:
        return NOTHING
    if refusal in _GOODS:
        return GOODS
    if errors.OK < refusal <= _LAST_OF_DEVICE:
        return FAILED
    return TEACHER
