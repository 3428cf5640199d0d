"""What the worker asks of a way to a parent: an SMS gate, a push service, a folder.

Promises: a closed list of answers, so that a new channel changes no worker.
A channel is any object with `name` and `send`.  The id of a message is ours and
stays the same when it is sent again, because a worker may die between sending
and noting it: a channel that can must make the second sending the same message.
"""

from typing import NamedTuple, Protocol

SENT = "sent"
FAILED = "failed"


class Message(NamedTuple):
    """One message to one adult.

    `id`: ours, the same at each try; `about`: entry, exit, purchase or
    login_code; `happened_at`: UTC seconds; `time_zone`: the school's.
    """

    id: str
    about: str
    to: str
    language: str
    text: str
    happened_at: int
    created_at: int
    time_zone: str

    def __repr__(self) -> str:
        return f"Message({self.id}, {self.about})"


class Delivery(NamedTuple):
    """`state` is SENT or FAILED (for good); parts and cost in minor units are for the bill."""

    provider_id: str
    state: str
    parts: int
    cost_minor: int


class ChannelDown(Exception):
    """Not now: the message waits and is tried again.  Carries no text and no phone."""


class Channel(Protocol):
    """A way to a parent."""

    name: str

    def send(self, message: Message) -> Delivery:
        """Hand a message over, once per id as far as the channel can; ChannelDown when it cannot now."""
        ...
