"""One reader as its driver sees it: a round of looking into the field ends in one of the results below."""


def const(value: int) -> int:
    """MicroPython's compiler puts a private number `_NAME = const(N)` into the code and keeps no name."""
    return value


# What a step came to.  PENDING: the round is not over yet.
PENDING = 0
# Nobody in the field.
NOTHING = 1
# A card was read: `credential` is its id.
CARD = 2
# The card that was read still lies there.
RESTING = 3
# The card that was read has gone.
REMOVED = 4
# More than one card: none of them is taken.
SEVERAL = 5
# A card went away before it was read.
TORN = 6
# Something answers, and it is not what a card says.
NOISE = 7
# A card was read that did not prove itself where it should: `credential` is what it shows, `fault` why.
UNPROVEN = 8
# The reader does not answer; its driver starts it anew again and again.
DEAD = 9
# The reader answers, and has not the key of this board: nothing that it says is taken.
UNTRUSTED = 10


class Chip:
    """One reader.  `wait_ms`: when the next poll() is due; `credential`, `fault`: of the newest card."""

    wait_ms = 0
    credential = ""
    fault = None

    def poll(self) -> int:
        """Do the next step if its time has come; the result of the round that it ended, or PENDING.

        Returns at once, and makes no object while no card is there.
        """
        raise NotImplementedError
