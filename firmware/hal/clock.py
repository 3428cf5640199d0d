"""Two kinds of time: the wall clock for records, and milliseconds since some moment for waiting.

Money needs neither.  Milliseconds wrap on a chip, so they are subtracted by
`elapsed` only.
"""


class Clock:
    """`known`: whether the wall clock was ever set; until then it goes on from the last record.

    `settable`: whether the parent's TIME sets it (not so in a world of its own time).
    """

    known = False
    settable = True

    def utc(self) -> int:
        """Seconds since 1970-01-01 UTC."""
        raise NotImplementedError

    def set_utc(self, seconds: int) -> None:
        """Set the wall clock; it is known from then on."""
        raise NotImplementedError

    def at_least(self, seconds: int) -> None:
        """An unknown clock does not stand before the newest record."""
        raise NotImplementedError

    def ticks(self) -> int:
        """Milliseconds for the rules: repeated taps, passage timeout."""
        raise NotImplementedError

    def elapsed(self, later: int, earlier: int) -> int:
        """Milliseconds between two values of ticks(), negative when `earlier` is the later one."""
        raise NotImplementedError

    def uptime(self) -> int:
        """Milliseconds for the network and the verdict window; always real time."""
        raise NotImplementedError

    def uptime_elapsed(self, later: int, earlier: int) -> int:
        """Milliseconds between two values of uptime()."""
        raise NotImplementedError
