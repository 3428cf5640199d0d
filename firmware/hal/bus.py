"""The wires between a board and a reader's chip: what a driver is handed instead of pins.

A driver gets whole transactions, never a bus and a pin.  Nothing here waits for the other side.
A wire does not know that it is cut: what comes over it is then rubbish, and the driver has to notice.
"""


class Spi:
    """One chip on an SPI bus, selected for the time of one transaction; mode 0, first bit the highest."""

    def exchange(self, outgoing, incoming) -> None:
        """Clock all bytes of `outgoing` out and as many into `incoming`, which is as long.

        Both may be the same buffer.  A port makes no object here: readers are polled for ever.
        """
        raise NotImplementedError


class Serial:
    """An asynchronous line, 8 bits, no parity, one stop bit; on RS-485 the transceiver turns by itself."""

    def write(self, data) -> None:
        """Hand all bytes over to be sent."""
        raise NotImplementedError

    def read_into(self, buffer) -> int:
        """Take what has come, at most as much as fits; how many bytes that were, 0 for none."""
        raise NotImplementedError


class Switch:
    """One output of the board, such as a chip's reset."""

    def set(self, is_on: bool) -> None:
        """On is the state that the name says, whichever level that is."""
        raise NotImplementedError


class DataLines:
    """The two lines of Wiegand, D0 and D1."""

    def listen(self, on_bit) -> None:
        """Call on_bit(0) or on_bit(1) from the interrupt of a falling edge: it must make no object."""
        raise NotImplementedError

    def pulse(self, bit: int) -> None:
        """Pull the line of a bit low for some 50 us."""
        raise NotImplementedError
