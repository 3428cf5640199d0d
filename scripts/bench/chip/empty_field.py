"""`bench reader`, MicroPython's half: looks at an empty field, counted on the bus and in the heap.

The buses are chips with nobody before them.  They make no object and have a time of their own: a byte takes
8 us at 1 MHz, a transaction 40 us more for the select line and the call, as on a small chip; a serial line
works by itself.  So counts and bus times are the same on every machine.

    micropython empty_field.py WAY POLLS      prints one JSON object
"""

import gc
import json
import sys

from firmware.boards import readers
from firmware.hal.chip import NOTHING

_BYTE_US = 8
_TRANSACTION_US = 40
_WARM_UP = 40

_ACK = b"\x00\x00\xff\x00\xff\x00"
_NOBODY = b"\x00\x00\xff\x03\xfd\xd5\x4b\x00\xe0\x00"
# What the chip answers before the first look: SAMConfiguration, GetFirmwareVersion, RFConfiguration.
_STARTS = (
    b"\x00\x00\xff\x02\xfe\xd5\x15\x16\x00",
    b"\x00\x00\xff\x06\xfa\xd5\x03\x32\x01\x06\x07\xe8\x00",
    b"\x00\x00\xff\x02\xfe\xd5\x33\xf8\x00",
)
# A chip asks for a card, and asks again, for some 10 ms.
_ASKING_US = 10000


class Time:
    """Microseconds of the bus; keeps what drivers ask of hal/clock.py."""

    def __init__(self) -> None:
        self.us = 0
        self.transactions = 0
        self.bytes = 0

    def spend(self, count: int, byte_us: int) -> None:
        """One transaction of so many bytes."""
        self.transactions += 1
        self.bytes += count
        self.us += _TRANSACTION_US + count * byte_us

    def uptime(self) -> int:
        """Milliseconds."""
        return self.us // 1000

    def uptime_elapsed(self, later: int, earlier: int) -> int:
        """Milliseconds between."""
        return later - earlier


class Mfrc522Bus:
    """An MFRC522 in an empty field: after a transmission only its timer says something."""

    def __init__(self, clock: Time) -> None:
        self._clock = clock
        self.registers = bytearray(64)
        self.registers[0x37] = 0x92
        self._expires_us = 0

    def exchange(self, outgoing, incoming) -> None:
        """One transaction."""
        self._clock.spend(len(outgoing), _BYTE_US)
        first = outgoing[0]
        if first & 0x80:
            for place in range(len(outgoing) - 1):
                incoming[place + 1] = self._read(outgoing[place] >> 1 & 0x3F)
        else:
            self._write(first >> 1, outgoing[1])

    def _read(self, register: int) -> int:
        if register == 0x04 and self._expires_us and self._clock.us >= self._expires_us:
            self.registers[0x04] |= 0x01
            self._expires_us = 0
        return self.registers[register]

    def _write(self, register: int, value: int) -> None:
        registers = self.registers
        if register == 0x04:
            registers[0x04] = registers[0x04] | value & 0x7F if value & 0x80 else registers[0x04] & ~value
            return
        registers[register] = value
        if register == 0x0D and value & 0x80 and registers[0x01] & 0x0F == 0x0C:
            prescaler = (registers[0x2A] & 0x0F) << 8 | registers[0x2B]
            reload = registers[0x2C] << 8 | registers[0x2D]
            self._expires_us = self._clock.us + (reload + 1) * (2 * prescaler + 1) * 100 // 1356


class Pn532Chip:
    """A PN532 in an empty field: what it says next, and from when on."""

    def __init__(self, clock: Time) -> None:
        self._clock = clock
        self._commands = 0
        self._ready_us = 0
        self.said = _ACK
        self.is_silent = True

    def take(self) -> None:
        """A command has come."""
        self.said = _ACK
        self._ready_us = self._clock.us + 500
        self.is_silent = False

    @property
    def is_ready(self) -> bool:
        """Whether there is something to be read."""
        return not self.is_silent and self._clock.us >= self._ready_us

    def told(self) -> None:
        """What was said has been read."""
        if self.said is _ACK:
            start = self._commands < len(_STARTS)
            self.said = _STARTS[self._commands] if start else _NOBODY
            self._commands = min(self._commands + 1, len(_STARTS))
            self._ready_us = self._clock.us + (500 if start else _ASKING_US)
        else:
            self.is_silent = True


class Pn532Bus:
    """Its SPI, highest bit first on the wire."""

    def __init__(self, clock: Time) -> None:
        self._clock = clock
        self._chip = Pn532Chip(clock)
        self._turned = bytes(sum((value >> bit & 1) << (7 - bit) for bit in range(8)) for value in range(256))

    def exchange(self, outgoing, incoming) -> None:
        """One transaction."""
        self._clock.spend(len(outgoing), _BYTE_US)
        first = outgoing[0]
        if first == 0x40:
            incoming[1] = 0x80 if self._chip.is_ready else 0x00
        elif first == 0x80:
            self._chip.take()
        else:
            said = self._chip.said
            for place in range(min(len(said), len(incoming) - 1)):
                incoming[place + 1] = self._turned[said[place]]
            self._chip.told()


class Pn532Line:
    """Its serial line: bytes cost time when they come, not when they are fetched."""

    def __init__(self, clock: Time) -> None:
        self._clock = clock
        self._chip = Pn532Chip(clock)
        self._place = 0

    def write(self, data) -> None:
        """A frame, or the call to wake up."""
        self._clock.spend(len(data), 0)
        if data[0] != 0x55:
            self._chip.take()
            self._place = 0

    def read_into(self, buffer) -> int:
        """What has come."""
        if not self._chip.is_ready:
            return 0
        said = self._chip.said
        count = min(len(buffer), len(said) - self._place)
        for place in range(count):
            buffer[place] = said[self._place + place]
        self._clock.spend(count, 0)
        self._place += count
        if self._place == len(said):
            self._place = 0
            self._chip.told()
        return count


class Blocking:
    """The usual way to ask an MFRC522 for a card, written anew after the popular drivers.

    One register a transaction, a bit is set by reading and writing, the interrupt
    flags are looked at up to 2,000 times in one call, and every read makes bytes.
    """

    def __init__(self, bus) -> None:
        self._bus = bus
        for register, value in (
            (0x2A, 0x8D),
            (0x2B, 0x3E),
            (0x2D, 30),
            (0x2C, 0),
            (0x15, 0x40),
            (0x11, 0x3D),
        ):
            self._write(register, value)

    def _write(self, register: int, value: int) -> None:
        outgoing = bytes((register << 1 & 0x7E, value))
        self._bus.exchange(outgoing, bytearray(2))

    def _read(self, register: int) -> int:
        incoming = bytearray(2)
        self._bus.exchange(bytes((register << 1 & 0x7E | 0x80, 0)), incoming)
        return incoming[1]

    def request(self) -> bool:
        """Whether a card has answered REQA."""
        self._write(0x0D, 0x07)
        self._write(0x02, 0xF7)
        self._write(0x04, self._read(0x04) & 0x7F)
        self._write(0x0A, self._read(0x0A) | 0x80)
        self._write(0x01, 0x00)
        self._write(0x09, 0x26)
        self._write(0x01, 0x0C)
        self._write(0x0D, self._read(0x0D) | 0x80)
        flags, left = 0, 2000
        while left and not flags & 0x31:
            flags = self._read(0x04)
            left -= 1
        self._write(0x0D, self._read(0x0D) & 0x7F)
        return bool(flags & 0x30)


def make(way: str, clock: Time):
    """(one call of the way -> whether a look has ended, milliseconds to wait before the next)."""
    if way == "blocking":
        blocking = Blocking(Mfrc522Bus(clock))
        return lambda: not blocking.request(), lambda: 50
    bus = {"mfrc522": Mfrc522Bus, "pn532_spi": Pn532Bus, "pn532_serial": Pn532Line}[way](clock)
    chip = readers.make(way, bus, clock)
    return lambda: chip.poll() == NOTHING, lambda: chip.wait_ms


def measure(way: str, polls: int) -> dict:
    """Figures of one look at an empty field: means, and the longest single call in bus time."""
    clock = Time()
    step, wait_ms = make(way, clock)
    looks = 0
    while looks < _WARM_UP:
        looks += step()
        clock.us += wait_ms() * 1000
    gc.collect()
    gc.disable()
    calls = looks = busy_us = longest_us = 0
    transactions, count, began_us = clock.transactions, clock.bytes, clock.us
    heap = gc.mem_alloc()
    while looks < polls:
        before_us = clock.us
        looks += step()
        taken_us = clock.us - before_us
        busy_us += taken_us
        longest_us = max(longest_us, taken_us)
        calls += 1
        clock.us += wait_ms() * 1000
    heap = gc.mem_alloc() - heap
    passed_us = clock.us - began_us
    return {
        "transactions": (clock.transactions - transactions) / looks,
        "bytes": (clock.bytes - count) / looks,
        "heap": heap / looks,
        "calls": calls / looks,
        "longest_us": longest_us,
        "busy": busy_us / passed_us,
        "looks_per_second": looks * 1000000 / passed_us,
    }


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
