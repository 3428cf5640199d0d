"""Card readers: what came from the air, as a canonical credential id, with the moment of the tap."""

from collections import namedtuple

# side: "in", "out" or "-" on a line; credential: canonical text; time: UTC seconds; ticks: Clock.ticks().
Tap = namedtuple("Tap", ("side", "credential", "time", "ticks"))


class Reader:
    """All readers of a board behind one queue with a bound; `dropped` counts taps that found it full.

    `faults`: why readers are at fault now, a refusal number of one byte each, 0 for one that works: the low
    byte is the reader "in" or that of a line, the high byte the reader "out".
    """

    dropped = 0
    faults = 0

    def step(self) -> int:
        """Give each reader its turn, without waiting; the milliseconds until the next one is due."""
        raise NotImplementedError

    def next_tap(self):
        """The next Tap, or None.  Never waits.  The id is used and forgotten: it is stored nowhere."""
        raise NotImplementedError
