"""The way to the parent: messages out and in, over whatever carries them.

Transport, not proof: a message that was taken may be lost, doubled or late.
Nothing here waits; both queues have a bound and a counter of what did not fit.
"""


class Link:
    """`connection` grows by one each time the link comes up, so that a caller sees that it was away.

    `dropped_in`, `dropped_out`: messages that did not fit in a queue.
    `failures`: attempts to connect that did not succeed, and connections that broke.
    """

    connection = 0
    dropped_in = 0
    dropped_out = 0
    failures = 0

    @property
    def online(self) -> bool:
        """Whether messages can be sent now."""
        raise NotImplementedError

    def step(self) -> int:
        """Do what can be done without waiting; the milliseconds until the next step is due at the latest."""
        raise NotImplementedError

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand one message over; False when there is no room or no connection (the caller keeps it)."""
        raise NotImplementedError

    def receive(self):
        """The next (topic, payload) that came in, or None."""
        raise NotImplementedError
