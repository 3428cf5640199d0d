"""A turnstile's rotor: released for one passage, and the news that somebody went through."""

from collections import namedtuple

IN = "in"
OUT = "out"

# direction: IN or OUT; time: UTC seconds; ticks: Clock.ticks().
Turn = namedtuple("Turn", ("direction", "time", "ticks"))


class Portal:
    """One rotor."""

    def release(self, direction: str) -> None:
        """Let one person through in a direction.  Called after the record is durable, never before."""
        raise NotImplementedError

    def lock(self) -> None:
        """Take the release back."""
        raise NotImplementedError

    def next_turn(self):
        """The next Turn that was sensed, or None.  Never waits."""
        raise NotImplementedError
