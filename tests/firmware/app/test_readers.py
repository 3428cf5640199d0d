"""The journal's word on the readers: once when one fails, once when it works again, over boots and flaps."""

from firmware.hal.board import CANTEEN, GATE
from protocols.errors import DEVICE_LOCKED, OK, READER_DEAD, READER_UNTRUSTED
from protocols.ledger import record
from tests.firmware.parts import Hands
from tests.firmware.rig import ANNA, Rig, row, settings

IN, OUT = 0, 8
MINUTE = 60000


class Sick(Hands):
    """Readers that fail when a test says so, also over a boot."""

    faults = 0


def rig_of(kind=GATE):
    sick = Sick()

    def reader(rig):
        rig.hands = sick
        return sick

    return Rig(kind, rows=(row(ANNA, 11, 100000),), given=settings(verdict_ms=0), reader_of=reader), sick


def told(rig):
    """(reader, refusal number) of each record."""
    notes = [item for item in rig.of_type(record.NOTE) if item.flags == record.NOTE_READER]
    assert all(item.account == 0 for item in notes)
    return [(item.aux, item.amount) for item in notes]


def test_failure_and_its_end_are_one_record_each():
    rig, sick = rig_of()
    rig.run(5000)
    assert told(rig) == []
    sick.faults = READER_DEAD << OUT
    rig.run(90000)
    assert told(rig) == [(1, READER_DEAD)]
    sick.faults = 0
    rig.run(MINUTE + 5000)
    assert told(rig) == [(1, READER_DEAD), (1, OK)]
    rig.run(MINUTE)
    assert len(told(rig)) == 2


def test_both_readers_are_told_apart():
    rig, sick = rig_of()
    sick.faults = READER_DEAD << IN | READER_UNTRUSTED << OUT
    rig.run(3000)
    assert told(rig) == [(0, READER_DEAD), (1, READER_UNTRUSTED)]
    sick.faults = READER_UNTRUSTED << OUT
    rig.run(MINUTE + 5000)
    assert told(rig)[2:] == [(0, OK)]


def test_flapping_reader_is_one_failure():
    rig, sick = rig_of(CANTEEN)
    for _ in range(200):
        sick.faults = READER_DEAD
        rig.run(1500)
        sick.faults = 0
        rig.run(1500)
    # Another reason is no other failure.
    sick.faults = READER_UNTRUSTED
    rig.run(1500)
    assert told(rig) == [(0, READER_DEAD)]


def test_boot_does_not_tell_it_again():
    rig, sick = rig_of()
    sick.faults = READER_DEAD
    rig.run(3000)
    for _ in range(3):
        rig.reboot()
        rig.run(3000)
    assert told(rig) == [(0, READER_DEAD)]
    # Also out of a checkpoint; and a boot at the end of the failure tells its end.
    rig.controller._begin_checkpoint()
    rig.run(2000)
    sick.faults = 0
    rig.reboot()
    rig.run(MINUTE + 5000)
    assert told(rig) == [(0, READER_DEAD), (0, OK)]


def test_it_reaches_the_parent_behind_an_offline_spell():
    rig, sick = rig_of()
    sick.faults = READER_DEAD
    rig.run(5000)
    rig.parent.connect(1)
    rig.run(5000)
    found = [item for item in rig.parent.received().values() if item.flags == record.NOTE_READER]
    assert [(item.type, item.amount) for item in found if item.type == record.NOTE] == [
        (record.NOTE, READER_DEAD)
    ]


def test_last_operation_is_still_the_tap():
    rig, sick = rig_of(CANTEEN)
    seq = rig.tap(ANNA, "-")[2]
    sick.faults = READER_DEAD
    rig.run(3000)
    assert rig.controller.state.last_operation == seq
    rig.panel.questions.append("status")
    rig.run()
    assert rig.panel.answers[-1][1]["readers"] == READER_DEAD


def test_locked_board_writes_nothing():
    rig, sick = rig_of()
    rig.controller.lock_for_good(DEVICE_LOCKED)
    sick.faults = READER_DEAD
    rig.run(3000)
    assert told(rig) == []
