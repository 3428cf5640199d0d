"""hal/bus on a chip: thin coats over `machine` objects that a board's file makes with its pins.

Promises: what a poll or an interrupt calls here makes no object of ours.  Leaves to the board's file which
pin is what, at which speed.  Both ESP32 and RP2: nothing here depends on the chip.  Not yet run on one.
"""

import time

_PULSE_US = 50


class ChipSpi:
    """A machine.SPI (mode 0, highest bit first) and the Pin that selects one chip on it, low."""

    def __init__(self, spi, select) -> None:
        self._spi = spi
        self._select = select
        select(1)

    def exchange(self, outgoing, incoming) -> None:
        """One transaction."""
        self._select(0)
        self._spi.write_readinto(outgoing, incoming)
        self._select(1)


class ChipSerial:
    """A machine.UART made with timeout=0 and buffers of 256 bytes.

    On RS-485 behind a transceiver that turns by itself: to turn one by a pin the board would have to wait.
    """

    def __init__(self, uart) -> None:
        self._uart = uart

    def write(self, data) -> None:
        """Into the UART's buffer."""
        self._uart.write(data)

    def read_into(self, buffer) -> int:
        """Out of the UART's buffer."""
        return self._uart.readinto(buffer) or 0 if self._uart.any() else 0


class ChipSwitch:
    """A Pin; `on`: the level that means on."""

    def __init__(self, pin, on: int = 1) -> None:
        self._pin = pin
        self._on = on

    def set(self, is_on: bool) -> None:
        """On or off."""
        self._pin(self._on if is_on else 1 - self._on)


class ChipDataLines:
    """The Pins of D0 and D1; `falling`: Pin.IRQ_FALLING where they are inputs.

    Out of a board both drive a transistor that pulls the panel's line down: high on the pin, low on the line.
    """

    def __init__(self, zero, one, falling: int = 0) -> None:
        self._pins = (zero, one)
        self._falling = falling
        self._on_bit = None

    def listen(self, on_bit) -> None:
        """From the interrupt of each pin."""
        self._on_bit = on_bit
        self._pins[0].irq(self._zero, self._falling)
        self._pins[1].irq(self._one, self._falling)

    def _zero(self, _pin) -> None:
        self._on_bit(0)

    def _one(self, _pin) -> None:
        self._on_bit(1)

    def pulse(self, bit: int) -> None:
        """50 us on the line of a bit; called from the port's timer."""
        pin = self._pins[bit]
        pin(1)
        time.sleep_us(_PULSE_US)
        pin(0)
