"""A whole gate and a whole line on the pins of an ESP32-S3, with cards that prove themselves at its readers.

The pins and the SPI bus are objects of this file, the chips behind them the register model of the MFRC522,
the cards those that the desk issues.  Both interpreters.
"""

import sys

from firmware.hal.board import CANTEEN, GATE
from firmware.hal.reading import VIRTUAL, Reading, read
from protocols.card import application
from protocols.card.application import CARD, DESK, Masters
from protocols.errors import (
    CARD_COPY,
    CARD_NOT_GENUINE,
    CARD_SEVERAL,
    CARD_UNKNOWN,
    FIELD_RANGE,
    OK,
    READER_DEAD,
    STORAGE_MISSING,
    Fault,
)
from protocols.ledger import record
from protocols.wire.table import COPY
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.drivers.readers.rig import IDENTITY, PROVED, UID4, UID7, desfire, hold
from tests.firmware.parts import RigPanel
from tests.firmware.rig import Rig, row, settings
from tests.protocols.card.virtual_card import randoms
from tests.protocols.card.virtual_desfire import VirtualDesfire

NUMBER = "a:04C767F2066180"
PRICE = 8500
# hardware/boards/esp32-s3.md: the select and reset pins of the readers "in" and "out".
SELECT, RESET = (10, 9), (14, 21)
ROLE = {GATE: application.GATE, CANTEEN: application.CANTEEN}


class Pin:
    """A machine.Pin; `made`: by number; `chips`: the models behind the select pins."""

    IN, OUT, PULL_UP, IRQ_FALLING = 0, 1, 2, 4
    made: dict = {}
    chips: dict = {}

    def __init__(self, number, *_mode, value=None):
        assert number not in Pin.made, (number, "is used twice")
        self.number = number
        self.level = value
        Pin.made[number] = self

    def __call__(self, level):
        self.level = level
        if self.number in RESET:
            Pin.chips[SELECT[RESET.index(self.number)]].set(level == 1)

    def irq(self, handler, trigger):
        assert trigger == Pin.IRQ_FALLING
        self.handler = handler


class SPI:
    """A machine.SPI: the chip whose select pin is low answers."""

    def __init__(self, number, **settings):
        assert (settings["polarity"], settings["phase"]) == (0, 0)
        self.number = number

    def write_readinto(self, outgoing, incoming):
        (chosen,) = [pin for pin in SELECT if pin in Pin.made and Pin.made[pin].level == 0]
        Pin.chips[chosen].exchange(outgoing, incoming)


class UART:
    """A machine.UART that nobody speaks on; `made`: (number, settings)."""

    made: list = []

    def __init__(self, number, **settings):
        UART.made.append((number, settings["baudrate"]))

    def any(self):
        return 0

    def write(self, data):
        """Into the void."""


class Machine:
    """What `machine` of a chip has, as far as the board's file takes it."""

    SPI, UART, Pin = SPI, UART, Pin


def board_file():
    """firmware/boards/esp32_s3.py over the objects of this file."""
    kept = sys.modules.get("machine")
    sys.modules["machine"] = Machine
    try:
        from firmware.boards import esp32_s3
    finally:
        if kept is not None:
            sys.modules["machine"] = kept
        else:
            del sys.modules["machine"]
    return esp32_s3


ESP32_S3 = board_file()


def key_of(role, version):
    """The school's master key of a role in a version."""
    return bytes((role + 1, version & 0xFF)) * 8


def masters(*versions):
    """The desk's keys."""
    roles = (DESK, application.GATE, application.CANTEEN, CARD)
    return Masters({(role, version): key_of(role, version) for role in roles for version in versions})


def keys_for(kind, *versions):
    """`card_keys` of a device's provisioning."""
    return [(ROLE[kind], version, key_of(ROLE[kind], version)) for version in versions]


class Board:
    """A whole controller whose readers are those of the board's file."""

    def __init__(self, kind, versions=(1,), rows=None):
        self.crowds = (Crowd(), Crowd())
        rows = rows or (row(PROVED, 11, 10 * PRICE), row(NUMBER, 11, 10 * PRICE, COPY))
        given = settings(verdict_ms=0)
        self.rig = Rig(
            kind,
            rows=rows,
            given=given,
            reader_of=self.reader,
            reading=Reading(kind, "mfrc522", keys=keys_for(kind, *versions)),
        )
        self.rig.run(500)

    def reader(self, rig):
        Pin.made = {}
        Pin.chips = {pin: Mfrc522Model(crowd, rig.clock) for pin, crowd in zip(SELECT, self.crowds)}
        return ESP32_S3.reader(rig.reading, rig.clock, rig.panel, randoms(5))

    def tap(self, *cards, side=0):
        """Cards laid down for a second; what was shown."""
        before = len(self.rig.panel.verdicts)
        for card in cards:
            self.crowds[side].lay(card)
        self.rig.run(1500)
        for card in cards:
            self.crowds[side].take(card)
        self.rig.run(4000)
        return [verdict[:2] for verdict in self.rig.panel.verdicts[before:]]

    def refused(self):
        """(account, refusal) of each refused tap in the journal."""
        notes = self.rig.of_type(record.NOTE)
        return [(item.account, item.amount) for item in notes if item.flags == record.NOTE_REFUSED_TAP]


def test_protected_card_opens_the_gate_both_ways():
    gate, card = Board(GATE), desfire(known=masters(1))
    assert gate.tap(TypeA(UID7, card)) == [("go", OK)]
    assert gate.tap(TypeA(UID7, card), side=1) == [("go", OK)]
    opened = [item for item in gate.rig.of_type(record.PASS) if item.flags & 6 == record.PASS_OPENED]
    assert [(item.account, item.flags & record.PASS_OUT) for item in opened] == [(11, 0), (11, 1)]


def test_protected_card_buys_at_the_line():
    line = Board(CANTEEN)
    assert line.tap(TypeA(UID7, desfire(known=masters(1)))) == [("served", OK)]
    assert [(item.account, item.amount) for item in line.rig.of_type(record.SALE)] == [(11, PRICE)]
    assert set(Pin.made) == {10, 11, 12, 13, 14}


def test_copy_of_its_number_is_refused_and_journaled():
    for kind in (GATE, CANTEEN):
        board = Board(kind)
        # A card without applications, an empty DESFire, another school's: all show the same number.
        other = VirtualDesfire(UID7, randoms(7))
        for copy in (TypeA(UID7), TypeA(UID7, other), TypeA(UID7, desfire(known=masters(9)))):
            assert board.tap(copy) == [("ask", CARD_COPY)]
        assert board.refused() == [(11, CARD_COPY)] * 3
        assert board.rig.of_type(record.PASS, record.SALE, record.GRANT) == []
        assert board.rig.panel.faults == [CARD_NOT_GENUINE]


def test_key_of_another_role_proves_nothing():
    """What a stolen gate gives away: with the gates' key alone nobody makes a card for the canteen."""
    forged = Masters({(role, 1): key_of(application.GATE, 1) for role in (0, 1, 2, CARD)})
    line = Board(CANTEEN)
    assert line.tap(TypeA(UID7, desfire(known=forged))) == [("ask", CARD_COPY)]
    assert Board(GATE).tap(TypeA(UID7, desfire(known=forged))) == [("go", OK)]


def test_two_versions_live_side_by_side_and_a_retired_one_is_refused():
    old, new = desfire(known=masters(1)), desfire(known=masters(1, 2))
    both = Board(GATE, versions=(1, 2))
    assert both.tap(TypeA(UID7, old)) == [("go", OK)]
    assert both.tap(TypeA(UID7, new)) == [("go", OK)]
    later = Board(GATE, versions=(2,))
    assert later.tap(TypeA(UID7, old)) == [("ask", CARD_COPY)]
    assert later.tap(TypeA(UID7, new)) == [("go", OK)]
    # The desk gives the old card the new key: then it is welcome again.
    hold(old, application.issue(UID7, IDENTITY, masters(1, 2), randoms(4)))
    assert later.tap(TypeA(UID7, old)) == [("go", OK)]


def test_board_without_keys_serves_no_protected_card():
    board = Board(GATE, versions=())
    assert not board.rig.reading.is_proving
    assert board.tap(TypeA(UID7, desfire(known=masters(1)))) == [("ask", CARD_COPY)]
    assert board.tap(TypeA(UID4)) == [("ask", CARD_UNKNOWN)]


def test_two_cards_are_asked_for_one():
    gate = Board(GATE)
    assert gate.tap(TypeA(UID7), TypeA(UID4)) == []
    assert gate.rig.panel.readers == [("in", CARD_SEVERAL), ("in", OK)]
    assert gate.refused() == []


def test_dead_reader_is_journaled_and_comes_back():
    gate = Board(GATE)
    model = Pin.chips[SELECT[1]]
    model.is_dead = True
    gate.rig.run(5000)
    model.is_dead = False
    for _ in range(14):
        gate.rig.run(5000)
    told = [(item.aux, item.amount) for item in gate.rig.of_type(record.NOTE)]
    assert told == [(1, READER_DEAD), (1, OK)]
    assert gate.rig.panel.readers == [("out", READER_DEAD), ("out", OK)]


def fault_of(call):
    try:
        call()
    except Fault as fault:
        return fault.code
    return OK


def test_every_kind_of_reader_has_its_pins():
    used = {"pn532_spi": {10, 9, 14, 21, 11, 12, 13}, "wiegand": {4, 5, 6, 7}}
    used["pn532_serial"] = used["osdp"] = {15, 16, 17, 18}
    bauds = {"pn532_serial": [115200] * 2, "osdp": [9600] * 2}
    clock = Rig().clock
    for kind, pins in used.items():
        Pin.made, UART.made = {}, []
        Pin.chips = {pin: Mfrc522Model(Crowd(), clock) for pin in SELECT}
        reading = Reading(GATE, kind, osdp_key=bytes(range(16)))
        ESP32_S3.reader(reading, clock, RigPanel(), randoms(5))
        assert set(Pin.made) == pins, kind
        assert [baud for _number, baud in UART.made] == bauds.get(kind, [])
    assert fault_of(lambda: ESP32_S3.reader(Reading(GATE), clock, RigPanel(), None)) == FIELD_RANGE


def test_provisioning_takes_only_the_own_role_and_two_versions():
    good = Reading(GATE, keys=keys_for(GATE, 1, 2))
    assert good.master_of(application.GATE, 2) == key_of(application.GATE, 2)
    assert good.master_of(application.CANTEEN, 2) is None
    for wrong in (
        keys_for(CANTEEN, 1),
        keys_for(GATE, 1, 2, 3),
        keys_for(GATE, 1, 1),
        keys_for(GATE, 0),
        keys_for(GATE, 256),
        [(1, 1, bytes(15))],
        [(0, 1, bytes(16))],
    ):
        assert fault_of(lambda: Reading(GATE, keys=wrong)) == STORAGE_MISSING, wrong  # noqa: B023
    assert fault_of(lambda: Reading(GATE, "rc522")) == STORAGE_MISSING


def test_record_of_the_cloud_is_read_whole_or_not_at_all():
    keys = [{"role": 2, "version": 7, "key": "00" * 16}]
    osdp = {"kind": "osdp", "uid_reversed": True, "osdp_key": "11" * 16, "osdp_address": 3}
    got = read({"kind": CANTEEN, "reader": osdp, "card_keys": keys})
    assert (got.kind, got.is_reversed, got.osdp_key, got.osdp_address) == ("osdp", True, b"\x11" * 16, 3)
    assert (got.master_of(2, 7), got.is_proving, got.is_line) == (bytes(16), False, True)
    plain = read({"kind": GATE, "card_keys": []})
    assert (plain.kind, plain.is_reversed, plain.is_proving, plain.is_line) == (VIRTUAL, False, False, False)
    for wrong in (
        {"reader": {"kind": "rc522"}},
        {"reader": "mfrc522"},
        {"reader": {"kind": "osdp", "osdp_key": "xy"}},
        {"card_keys": [{"role": 2, "version": 7, "key": "00"}]},
        {"card_keys": [{"role": 2, "version": 7}]},
        {"card_keys": [{"role": 1, "version": 7, "key": "00" * 16}]},
        {"card_keys": 5},
    ):
        values = {"kind": CANTEEN}
        values.update(wrong)
        assert fault_of(lambda: read(values)) == STORAGE_MISSING, wrong  # noqa: B023


def test_keys_are_in_no_text():
    reading = Reading(GATE, "osdp", keys=keys_for(GATE, 1), osdp_key=bytes(range(16)))
    assert repr(reading) == str(reading) == "Reading(osdp)"
