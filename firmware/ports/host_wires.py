"""A virtual board's SPI wires: a machine-like object whose chip is a program on this computer, over loopback.

Promises: the drivers and the coats of chip_wires.py run as on a chip; the board calls out and listens to
nobody.  A bus whose chip has gone is a cut wire and reads zeros, until the program is there again.

    u16 length, so many bytes out; so many bytes back
"""

import socket
import struct

from firmware.hal.portal import IN, OUT
from firmware.hal.reading import MFRC522, PN532_SPI
from firmware.ports.chip_wires import ChipSpi
from protocols.errors import FIELD_RANGE, Fault

_LOOPBACK = "127.0.0.1"


def sides(reading, ports) -> tuple:
    """(side, wires, power) of each reader of a board, at TCP ports of this computer: one, or "in" and "out".

    Fault(FIELD_RANGE) for a kind whose wires are no SPI: those are pins of a real board.
    """
    if reading.kind not in (MFRC522, PN532_SPI):
        raise Fault(FIELD_RANGE, "reader wires", reading.kind)
    names = (IN, OUT) if len(ports) > 1 else ("-" if reading.is_line else IN,)
    return tuple((name, ChipSpi(LoopbackSpi(port), _select), None) for name, port in zip(names, ports))


def _select(_level: int) -> None:
    """The select line: a connection has one chip."""


class LoopbackSpi:
    """As much of machine.SPI as drivers use."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket = None

    def write_readinto(self, outgoing, incoming) -> None:
        """One transaction."""
        count = 0
        try:
            if self._socket is None:
                self._connect()
            self._socket.send(struct.pack("<H", len(outgoing)) + bytes(outgoing))
            while count < len(incoming):
                piece = self._socket.recv(len(incoming) - count)
                if not piece:
                    self._cut()
                    break
                incoming[count : count + len(piece)] = piece
                count += len(piece)
        except OSError:
            self._cut()
        for place in range(count, len(incoming)):
            incoming[place] = 0

    def _connect(self) -> None:
        self._socket = socket.socket()
        self._socket.connect(socket.getaddrinfo(_LOOPBACK, self._port)[0][-1])

    def _cut(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class HandsAndChips:
    """Readers of a virtual board that has chips: the world's cards too.  Keeps hal/reader.py.

    The world's clock goes by its lines, so they are asked first.
    """

    def __init__(self, hands, chips) -> None:
        self._hands = hands
        self._chips = chips

    @property
    def dropped(self) -> int:
        """Of both."""
        return self._hands.dropped + self._chips.dropped

    @property
    def faults(self) -> int:
        """Of the chips."""
        return self._chips.faults

    def step(self) -> int:
        """The chips' turn."""
        return self._chips.step()

    def next_tap(self):
        """The next Tap of either, or None."""
        return self._hands.next_tap() or self._chips.next_tap()
