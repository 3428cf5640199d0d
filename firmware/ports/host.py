"""The host port: pieces of a virtual board that are neither flash nor lines of text.

Runs under the unix port of MicroPython and under CPython, without a listener of any kind.
"""

import json
import os
import select
import sys

from firmware.hal.board import Provision
from protocols.errors import STORAGE_MISSING, Fault

# Poll flags of the link's socket, as chumicro-mqtt numbers them.
_LINK_READ = 1
_LINK_WRITE = 2
# MicroPython's socket module does not name them.
_IPPROTO_TCP = 6
_TCP_NODELAY = 1
_TCP_QUICKACK = 12


def read_provision(path: str) -> tuple:
    """(Provision, all values) of a provisioning file; the values name the broker and the clock to use."""
    try:
        with open(path) as file:
            values = json.load(file)
    except (OSError, ValueError):
        raise Fault(STORAGE_MISSING, "provision")  # noqa: B904
    reading = None
    if "reader" in values or "card_keys" in values:
        from firmware.hal import reading as how

        reading = how.read(values)
    provision = Provision(
        school=values["school"],
        device=values["device"],
        epoch=values["epoch"],
        kind=values["kind"],
        key=bytes.fromhex(values["key"]),
        reference_key=bytes.fromhex(values["reference_key"]),
        reading=reading,
    )
    return provision, values


def standard_streams() -> tuple:
    """(input, output) as unbuffered binary files, open as long as the program."""
    return open(0, "rb", buffering=0), open(1, "wb", buffering=0)


def send_at_once(socket) -> None:
    """No small message waits 40 ms for the TCP acknowledgement of the one before it, in neither direction.

    TCP_NODELAY is for ours; TCP_QUICKACK, which Linux forgets after a while, is
    for those of a broker that has no TCP_NODELAY (iotcore).
    """
    socket.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    if sys.platform == "linux":
        socket.setsockopt(_IPPROTO_TCP, _TCP_QUICKACK, 1)


def random_bytes(count: int) -> bytes:
    """Randomness of the host."""
    return os.urandom(count)


class HostWatchdog:
    """Counts its meals; a host has no chip to start again.  Keeps hal/watchdog.py."""

    def __init__(self) -> None:
        self.feeds = 0

    def feed(self) -> None:
        """The board is alive."""
        self.feeds += 1


class Waiter:
    """Sleeps until a line from the world or a byte of the network wakes the board, at once."""

    def __init__(self, world, link) -> None:
        self._world = world
        self._link = link
        self._poll = select.poll()
        self._watched = None

    def wait(self, milliseconds: int) -> None:
        """Sleep at most so long, then read what the world said."""
        socket, interest = self._link.pollable()
        flags = select.POLLIN if interest & _LINK_READ else 0
        if interest & _LINK_WRITE:
            flags |= select.POLLOUT
        watched = (socket, flags, self._world.is_full)
        if watched != self._watched:
            self._follow(watched)
        self._poll.poll(max(0, milliseconds))
        self._world.read()

    def _follow(self, watched: tuple) -> None:
        # A new poll object for a new socket: a closed one cannot be taken out on CPython.
        self._watched = watched
        self._poll = select.poll()
        socket, flags, is_full = watched
        if not is_full:
            self._poll.register(self._world.source, select.POLLIN)
        if socket is not None and flags:
            self._poll.register(socket, flags)
