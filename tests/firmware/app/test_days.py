"""CLOSE_DAY: once for each day with operations, before anything of the next day, over any cut."""

from firmware.hal.board import CANTEEN, GATE
from protocols.ledger import record
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, Rig, row, settings
from tests.protocols.nor import PowerCut

DAY_MS = 86_400_000
ROWS = (row(ANNA, 11, rights=100000), row(BORIS, 12, rights=100000))


def line():
    return Rig(CANTEEN, rows=ROWS, given=settings(verdict_ms=0))


def closed(rig):
    """(day, number of operations, seq of the last of them) of each CLOSE_DAY."""
    return [(item.day, item.amount, item.aux) for item in rig.of_type(record.CLOSE_DAY)]


def counted(rig):
    """The same, counted from the operations themselves, of all days but the newest."""
    days = {}
    for item in rig.of_type(*record.OPERATIONS):
        days[item.day] = (item.day, days.get(item.day, (0, 0, 0))[1] + 1, item.seq)
    return [days[day] for day in sorted(days)[:-1]]


def test_first_record_closes_the_day_before():
    rig = line()
    rig.tap(ANNA)
    rig.tap("a:04AABBCCDDEE11")
    assert closed(rig) == []
    rig.clock.pass_ms(DAY_MS)
    rig.tap(ANNA)
    assert closed(rig) == counted(rig)
    kinds = [item.type for item in rig.records()][-2:]
    assert kinds == [record.CLOSE_DAY, record.SALE]


def test_idle_board_closes_by_its_clock():
    rig = line()
    last = rig.tap(ANNA)[2]
    day = rig.records()[-1].day
    rig.run(3000)
    assert closed(rig) == []
    rig.clock.pass_ms(DAY_MS)
    rig.run(3000)
    assert closed(rig) == [(day, 1, last)]
    rig.run(3000)
    rig.clock.pass_ms(DAY_MS)
    rig.run(3000)
    rig.reboot()
    assert closed(rig) == [(day, 1, last)]


def test_nothing_follows_into_a_closed_day():
    rig = line()
    rig.tap(ANNA)
    day = rig.records()[-1].day
    rig.clock.pass_ms(DAY_MS)
    rig.run(2000)
    rig.clock.now -= 86400
    rig.tap(BORIS)
    assert rig.of_type(record.SALE)[-1].day == day + 1
    rig.reboot()
    assert rig.of_type(record.BOOT)[-1].day == day + 1
    assert len(closed(rig)) == 1


def test_day_without_operations_is_not_closed():
    rig = Rig(GATE, rows=ROWS, given=settings())
    for _ in range(3):
        rig.clock.pass_ms(DAY_MS)
        rig.reboot()
        rig.run(2000)
    assert closed(rig) == []
    assert rig.records()[-1].day == (MORNING + 10800) // 86400 + 3


def test_checkpoint_keeps_the_open_day():
    rig = line()
    rig.tap(ANNA)
    rig.controller._begin_checkpoint()
    rig.run(5000)
    rig.tap(BORIS)
    rig.reboot()
    rig.clock.pass_ms(DAY_MS)
    rig.run(2000)
    (found,) = closed(rig)
    assert found[1:] == (2, rig.of_type(record.SALE)[-1].seq)


def test_locked_board_closes_no_day_alone():
    rig = line()
    rig.tap(ANNA)
    rig.controller.lock_for_good(75)
    rig.clock.pass_ms(DAY_MS)
    rig.run(5000)
    assert closed(rig) == []


def test_cut_at_every_byte_closes_once():
    cuts = 0
    while True:
        rig = line()
        rig.tap(ANNA)
        rig.tap(BORIS)
        rig.clock.pass_ms(DAY_MS)
        rig.flash.cut_after = cuts
        try:
            rig.tap(ANNA)
            is_whole = True
        except PowerCut:
            is_whole = False
        rig.reboot()
        rig.clock.pass_ms(5000)
        rig.tap(BORIS)
        assert closed(rig) == counted(rig)
        assert len(closed(rig)) == 1
        if is_whole:
            return
        cuts += 1
