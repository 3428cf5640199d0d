"""The coats over machine objects: what they do to pins and buses, and drivers that run through them."""

import time

from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.wiegand import WiegandIn, WiegandOut
from firmware.hal.chip import CARD
from firmware.ports import chip_wires
from firmware.ports.chip_wires import ChipDataLines, ChipSerial, ChipSpi, ChipSwitch
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.drivers.readers.rig import UID7, Bench


class Pin:
    """A machine.Pin as far as it is used: a call sets it, falling() is the edge."""

    def __init__(self, log=None, name=""):
        self.log = log if log is not None else []
        self.name = name
        self.handler = None

    def __call__(self, level):
        self.log.append((self.name, level))

    def irq(self, handler, trigger):
        self.handler = handler
        self.trigger = trigger

    def falling(self):
        self.handler(self)


class Spi:
    """A machine.SPI whose chip answers only while it is selected."""

    def __init__(self, select, model):
        self.select = select
        self.model = model

    def write_readinto(self, outgoing, incoming):
        assert self.select.log[-1][1] == 0, "not selected"
        self.model.exchange(outgoing, incoming)


def test_card_is_read_through_spi_and_select():
    select, made = Pin(), []

    def make(clock):
        made.append(Mfrc522Model(Crowd(TypeA(UID7)), clock))
        return Mfrc522(ChipSpi(Spi(select, made[0]), select), clock)

    stand = Bench(make)
    assert stand.until(CARD)[0] == CARD
    # High at first, then a pair for each transaction.
    levels = [level for _name, level in select.log]
    assert levels == [1] + [0, 1] * made[0].transactions


def test_reset_is_turned_the_right_way_round():
    pin = Pin()
    for on in (1, 0):
        switch = ChipSwitch(pin, on)
        switch.set(True)
        switch.set(False)
    assert [level for _name, level in pin.log] == [1, 0, 0, 1]


def test_silent_serial_line_gives_nothing():
    class Uart:
        waiting = b""

        def any(self):
            return len(self.waiting)

        def readinto(self, buffer):
            part, self.waiting = self.waiting[: len(buffer)], self.waiting[len(buffer) :]
            buffer[: len(part)] = part
            return len(part) or None

        def write(self, data):
            self.waiting += bytes(data)

    uart = Uart()
    serial = ChipSerial(uart)
    buffer = bytearray(4)
    assert serial.read_into(buffer) == 0
    serial.write(b"abcdef")
    assert serial.read_into(buffer) == 4
    assert serial.read_into(buffer) == 2
    assert bytes(buffer) == b"efcd"


def test_wiegand_goes_from_pins_to_pins():
    slept = []
    log = []
    zero, one = Pin(log, 0), Pin(log, 1)
    heard_zero, heard_one = Pin(), Pin()
    stand = Bench(lambda clock: WiegandIn(ChipDataLines(heard_zero, heard_one, 2), clock))
    assert heard_zero.trigger == heard_one.trigger == 2
    panel = WiegandOut(ChipDataLines(zero, one), 26)
    panel.send("w26:D41B81")
    real = chip_wires.time
    chip_wires.time = Slept(slept)
    try:
        for _ in range(26):
            panel.tick()
            # A pulse is up and down on one pin: the falling edge of the other side.
            (name, up), (same, down) = log[-2:]
            assert (name, up, down) == (same, 1, 0)
            (heard_zero, heard_one)[name].falling()
            stand.pass_ms(2)
    finally:
        chip_wires.time = real
    assert slept == [50] * 26
    assert stand.until(CARD)[0] == CARD
    assert stand.chip.credential == "w26:D41B81"


class Slept:
    """The time module, which CPython has without sleep_us."""

    def __init__(self, log):
        self.sleep_us = log.append
        self.real = time
