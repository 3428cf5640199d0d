"""Finds a port on the loopback that nobody listens on.

The search stays below the range from which the kernel takes the ports of outgoing connections (32768 and up
on Linux): a client that keeps calling a dead server inside that range can be given the server's own port
and then talk to itself. Between the search and the use another program may take the port; the caller's
server then fails to bind and says so.
"""

import random
import socket

LOOPBACK = "127.0.0.1"
_LOWEST = 20000
_HIGHEST = 32000


class NoFreePort(Exception):
    """No port could be had."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def preferred(port: int, taken: set[int]) -> int:
    """The port itself, or when somebody has it the next free one among the hundred above it."""
    for candidate in range(port, port + 100):
        if candidate not in taken and is_free(candidate):
            taken.add(candidate)
            return candidate
    raise NoFreePort(f"no free port from {port} to {port + 99}")


def anywhere(taken: set[int], choice: random.Random | None = None) -> int:
    """Any free port, for a play that must not disturb another."""
    source = choice or random.SystemRandom()
    for _ in range(1000):
        candidate = source.randint(_LOWEST, _HIGHEST)
        if candidate not in taken and is_free(candidate):
            taken.add(candidate)
            return candidate
    raise NoFreePort("no free port found in a thousand tries")
