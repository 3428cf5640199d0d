"""Lights, sounds and words to the person in front, and answers to the engineer behind.

A panel shows a kind, never why: the refusal number goes to the engineer's side
only.  Nothing that is shown tells a balance (DESIGN, promise 3).
"""

GO = "go"
SERVED = "served"
ASK = "ask"
REPEAT = "repeat"

# What next_question() may return.
LAST = "last"
STATUS = "status"


class Panel:
    """Called only after the record behind it is durable."""

    def ready(self, device: int, next_seq: int) -> None:
        """The board has started and takes cards."""
        raise NotImplementedError

    def verdict(self, kind: str, refusal: int, seq: int, time: int) -> None:
        """GO, SERVED, ASK or REPEAT on a tap; `seq` of its record or 0; `time`: UTC seconds of the tap."""
        raise NotImplementedError

    def passage(self, seq: int, stage: str, of: int) -> None:
        """The end of a passage ("turned", "not_turned") that began with record `of`."""
        raise NotImplementedError

    def last(self, item, refusal: int, waiting: bool) -> None:
        """The last operation (a Record, or None), and whether a passage still waits."""
        raise NotImplementedError

    def status(self, values) -> None:
        """(name, number) pairs about the device's health."""
        raise NotImplementedError

    def voided(self, of: int, refusal: int, seq: int) -> None:
        """What came of taking back the sale with record `of`: `seq` of the VOID, or 0 and the refusal."""
        raise NotImplementedError

    def identify(self, seq: int) -> None:
        """Blink for some seconds: somebody far away asks which board this is.  `seq` of the record."""
        raise NotImplementedError

    def reader(self, side: str, code: int) -> None:
        """What goes on at a reader until this says 0: CARD_SEVERAL (one card, please), or why it fails."""
        raise NotImplementedError

    def fault(self, code: int, thing: str) -> None:
        """Something is broken: number and thing of a Fault."""
        raise NotImplementedError

    def next_question(self):
        """LAST, STATUS or None: what the engineer's side asks.  Never waits."""
        raise NotImplementedError

    def next_basket(self):
        """What the line's staff has rung up for the tap that was just taken: (good, quantity) pairs.

        None where nobody rings up: the line sells the good of the hour.  An empty one sells
        nothing.  The pairs are handed over once, for a tap that is no repeat, and that tap's
        verdict is theirs; what was rung up before a boot is forgotten.  Never waits.
        """
        raise NotImplementedError

    def next_void(self):
        """The seq of the sale that the line's staff takes back, or None.  Never waits."""
        raise NotImplementedError
