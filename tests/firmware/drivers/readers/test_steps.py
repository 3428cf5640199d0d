"""Drivers in time: whatever the board does between two polls, and on the day its milliseconds begin again."""

from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.osdp import OsdpPanel
from firmware.drivers.pn532 import FRAME_MAX, Pn532
from firmware.drivers.pn532_serial import SerialFrames
from firmware.drivers.pn532_spi import SpiFrames
from firmware.drivers.wiegand import WiegandIn
from firmware.hal.chip import CARD, DEAD, NOTHING, PENDING
from protocols.card.wiegand import frame_of
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.drivers.readers.pn532_model import SerialModel, SpiModel
from tests.firmware.drivers.readers.rig import UID4, Bench, ChipClock
from tests.firmware.drivers.readers.test_osdp import KEY, Line
from tests.firmware.drivers.readers.test_wiegand import Wires, send
from tests.protocols.card.virtual_card import randoms
from tests.protocols.card.virtual_reader import VirtualReader

PERIOD = ChipClock.period


def mfrc522(crowd, clock):
    return Mfrc522(Mfrc522Model(crowd, clock), clock)


def pn532_spi(crowd, clock):
    return Pn532(SpiFrames(SpiModel(crowd, clock), FRAME_MAX), clock)


def pn532_serial(crowd, clock):
    return Pn532(SerialFrames(SerialModel(crowd, clock), FRAME_MAX), clock)


def osdp(_crowd, clock):
    return OsdpPanel(Line(VirtualReader(KEY), clock), clock, KEY, randoms(2))


ALL = (mfrc522, pn532_spi, pn532_serial, osdp)


def stand_of(make, start):
    crowd = Crowd()
    stand = Bench(lambda clock: make(crowd, clock), start)
    stand.crowd = crowd
    return stand


def test_rounds_go_on_when_milliseconds_begin_again():
    for make in ALL:
        usual = len(stand_of(make, 0).pass_ms(4000))
        for before in (1, 2, 7, 30, 49, 51, 100, 333, 1000, 2500):
            stand = stand_of(make, PERIOD - before)
            found = stand.pass_ms(4000)
            assert len(found) == usual, (make, before)
            assert set(found) == {NOTHING}


def test_card_is_read_on_that_day_too():
    for make in (mfrc522, pn532_spi, pn532_serial):
        for before in range(400, 600, 7):
            stand = stand_of(make, PERIOD - before)
            stand.pass_ms(400)
            stand.crowd.lay(TypeA(UID4))
            assert stand.until(CARD, DEAD)[0] == CARD


def test_wiegand_is_read_on_that_day_too():
    frame, length = frame_of("w26:D41B81")
    for before in range(1, 120, 5):
        wires = Wires()
        stand = Bench(lambda clock, wires=wires: WiegandIn(wires, clock), PERIOD - before)
        stand.wires = wires
        send(stand, frame, length)
        stand.pass_ms(100)
        assert stand.results == [CARD], before


def test_board_that_was_busy_loses_no_round():
    # Between two polls the board wrote its flash for 300 ms: late is not dead.
    for make in ALL:
        stand = stand_of(make, 0)
        stand.until(NOTHING)
        for _ in range(20):
            stand.clock.pass_ms(300)
            stand.results.append(stand.chip.poll())
        assert DEAD not in stand.results[1:]
        if make is not osdp:
            stand.crowd.lay(TypeA(UID4))
            for _ in range(60):
                stand.clock.pass_ms(120)
                if stand.chip.poll() == CARD:
                    break
            else:
                raise AssertionError(make)


def test_poll_that_comes_too_early_does_nothing():
    for make in ALL:
        stand = stand_of(make, 0)
        stand.until(NOTHING)
        wait = stand.chip.wait_ms
        for _ in range(wait):
            assert stand.chip.poll() == PENDING
            assert stand.chip.wait_ms > 0
            stand.clock.pass_ms(1)
        assert stand.chip.poll() in (PENDING, NOTHING)
