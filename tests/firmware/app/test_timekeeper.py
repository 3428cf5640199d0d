"""TIME and the calendar: what sets a board's clock, what is refused, and how a wrong day is taken back."""

from firmware.hal.board import CANTEEN, GATE
from protocols import errors
from protocols.ledger import record
from protocols.wire import envelope, messages
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, Rig, row, settings
from tests.protocols.nor import PowerCut

ROWS = (row(ANNA, 11, rights=100000), row(BORIS, 12, rights=100000))
DAY_S = 86400
TODAY = (MORNING + 10800) // DAY_S
CONFIRMED = messages.TIME_CONFIRMED


def rig_of(kind=CANTEEN, first_day=TODAY - 35, last_day=TODAY + 400):
    return Rig(kind, rows=ROWS, given=settings(verdict_ms=0, first_day=first_day, last_day=last_day))


def tell(rig, utc, flags=0, day=None, **other):
    day = (utc + 10800) // DAY_S if day is None else day
    told = messages.Time(utc, day, rig.controller.boot_nonce, flags)
    rig.parent.send(envelope.TIME, messages.pack_time(told), **other)


def poisoned():
    """A till that a cloud in error told a day three weeks ahead at its start, and that sold on it."""
    rig = rig_of()
    rig.tap(ANNA)
    rig.clock.known = False
    rig.reboot()
    rig.parent.connect()
    tell(rig, MORNING + 21 * DAY_S)
    rig.clock.pass_ms(5000)
    rig.tap(BORIS)
    assert rig.of_type(record.SALE)[-1].day == TODAY + 21
    return rig


def test_start_of_1970_is_set_without_a_person():
    rig = rig_of()
    rig.clock.known = False
    rig.clock.now = 0
    rig.parent.connect()
    tell(rig, MORNING)
    assert rig.clock.utc() == MORNING
    assert rig.controller.refusals == {}
    assert [item.flags for item in rig.of_type(record.CLOCK)] == [record.CLOCK_SET]
    rig.tap(ANNA)
    assert rig.records()[-1].day == TODAY


def test_day_of_1970_lies_inside_the_calendar():
    settings_only = settings(verdict_ms=0, first_day=TODAY + 5, last_day=TODAY + 9)
    rig = Rig(CANTEEN, rows=ROWS, given=settings_only)
    assert {item.day for item in rig.records()} == {TODAY + 5}


def test_time_outside_the_calendar_is_refused_and_noted_once():
    for known in (False, True):
        for days in (-36, 401):
            rig = rig_of()
            rig.clock.known = known
            rig.parent.connect()
            for flags in (0, CONFIRMED):
                tell(rig, MORNING + days * DAY_S, flags)
            assert rig.controller.refusals == {errors.WIRE_CALENDAR: 2}
            assert rig.clock.utc() == MORNING
            (item,) = rig.of_type(record.CLOCK)
            assert (item.flags, item.account, item.aux, item.day) == (
                record.CLOCK_REFUSED,
                errors.WIRE_CALENDAR,
                TODAY + days,
                TODAY,
            )
            assert errors.WIRE_CALENDAR in rig.panel.faults


def test_day_that_differs_from_its_seconds_is_refused():
    rig = rig_of()
    rig.parent.connect()
    tell(rig, MORNING, day=TODAY + 500)
    assert rig.controller.refusals == {errors.WIRE_CALENDAR: 1}


def test_step_over_a_day_needs_a_person():
    rig = rig_of()
    rig.parent.connect()
    tell(rig, MORNING + 2 * DAY_S)
    assert rig.controller.refusals == {errors.WIRE_CLOCK_STEP: 1}
    assert rig.clock.utc() == MORNING
    tell(rig, MORNING + 2 * DAY_S, CONFIRMED)
    assert rig.clock.utc() == MORNING + 2 * DAY_S
    assert [item.flags for item in rig.of_type(record.CLOCK)] == [
        record.CLOCK_REFUSED,
        record.CLOCK_CONFIRMED,
    ]


def test_older_time_of_this_boot_is_stale():
    rig = rig_of()
    rig.parent.connect()
    told = messages.pack_time(messages.Time(MORNING + 60, TODAY, rig.controller.boot_nonce, 0))
    old = rig.parent.seal(envelope.TIME, told)
    tell(rig, MORNING + 3600)
    for _ in range(2):
        rig.link.inbound.append((rig.parent.down, old))
        rig.run()
    assert rig.controller.refusals == {errors.WIRE_STALE: 2}
    assert rig.clock.utc() == MORNING + 3600


def test_right_time_after_a_wrong_one_waits_for_a_person():
    rig = poisoned()
    for _ in range(2):
        rig.clock.known = False
        rig.reboot()
        rig.parent.connect()
        tell(rig, MORNING + 3600)
        assert rig.controller.refusals == {errors.WIRE_CLOCK_STEP: 1}
        assert rig.controller.day(rig.clock.utc()) >= TODAY + 21
    assert len([item for item in rig.of_type(record.CLOCK) if item.flags == record.CLOCK_REFUSED]) == 2


def test_wrong_day_is_taken_back_over_boots():
    rig = poisoned()
    tell(rig, MORNING + 3600, CONFIRMED)
    closed = [(item.day, item.amount) for item in rig.of_type(record.CLOSE_DAY)]
    # The true day was closed when the clock went wrong: what follows belongs to the next.
    assert closed == [(TODAY, 1), (TODAY + 21, 1)]
    rig.clock.pass_ms(5000)
    rig.tap(ANNA)
    assert rig.of_type(record.SALE)[-1].day == TODAY + 1
    rig.controller._begin_checkpoint()
    rig.run(5000)
    for _ in range(2):
        rig.reboot()
        assert rig.controller.day(rig.clock.utc()) == TODAY + 1
    rig.clock.pass_ms(2 * DAY_S * 1000)
    rig.run(2000)
    assert rig.controller.day(rig.clock.utc()) == TODAY + 2


def test_boot_without_time_does_not_bring_the_wrong_day_back():
    rig = poisoned()
    tell(rig, MORNING + 3600, CONFIRMED)
    rig.clock.known = False
    rig.clock.now = 0
    rig.reboot()
    # The newest record says what time it may be, not one of the wrong day before it.
    assert MORNING + 3600 <= rig.clock.utc() < MORNING + DAY_S
    rig.tap(ANNA)
    rig.run(2000)
    assert rig.controller.day(rig.clock.utc()) == TODAY + 1
    assert [item.day for item in rig.of_type(record.CLOSE_DAY)] == [TODAY, TODAY + 21]


def test_cut_while_a_day_is_taken_back_can_be_mended():
    cuts = 0
    while True:
        rig = poisoned()
        rig.flash.cut_after = cuts
        try:
            tell(rig, MORNING + 3600, CONFIRMED)
            is_whole = True
        except PowerCut:
            is_whole = False
        rig.reboot()
        rig.parent.connect()
        tell(rig, MORNING + 3600, CONFIRMED)
        assert rig.controller.day(rig.clock.utc()) == TODAY + 1
        closed = [item.day for item in rig.of_type(record.CLOSE_DAY)]
        assert closed == [TODAY, TODAY + 21]
        if is_whole:
            return
        cuts += 7


def test_gate_goes_on_at_the_last_day_of_its_calendar():
    rig = rig_of(GATE, last_day=TODAY)
    rig.clock.pass_ms(5 * DAY_S * 1000)
    rig.tap(ANNA)
    item = rig.of_type(record.PASS)[-1]
    assert (item.day, item.time) == (TODAY, MORNING + 5 * DAY_S)


def test_benefits_of_the_true_day_outlive_a_wrong_one():
    benefit = record.benefit_bucket(TODAY, 1)
    rig = poisoned()
    rig.controller.write(record.GRANT, 0, account=11, amount=1, aux=benefit)
    for _ in range(2):
        rig.controller._begin_checkpoint()
        rig.run(5000)
    assert rig.controller.counters.get(11, benefit).granted == 1
    tell(rig, MORNING + 3600, CONFIRMED)
    for _ in range(3):
        rig.clock.pass_ms(DAY_S * 1000)
        rig.tap(ANNA)
    rig.controller._begin_checkpoint()
    rig.run(5000)
    assert rig.controller.counters.get(11, benefit).granted == 0


def test_benefit_that_was_used_and_forgotten_is_not_granted_once_more():
    # A wrong day that two TIMEs agreed on is over for the board, and a person takes it back all the same.
    benefit = record.benefit_bucket(TODAY, 1)
    rig = poisoned()
    controller = rig.controller
    controller.grant(11, benefit, 1)
    controller.write(record.SALE, record.SALE_SINGLE | record.FROM_BENEFIT | 1 << record.SALE_MEAL_SHIFT,
                     account=11, amount=5500, time=MORNING)  # fmt: skip
    before = controller.counters.get(11, benefit)
    controller.state.day_sure = controller.day_min
    for _ in range(2):
        controller._begin_checkpoint()
        rig.run(5000)
    assert (before.granted, controller.counters.get(11, benefit).granted) == (1, 0)
    tell(rig, MORNING + 3600, CONFIRMED)
    for _ in range(2):
        controller = rig.controller
        controller.grant(11, benefit, 1)
        assert controller.counters.get(11, benefit).granted == 0
        controller.grant(11, record.benefit_bucket(controller.state.benefits_from, 1), 1)
        rig.reboot()


def test_sectors_of_a_wrong_day_do_not_block_the_ring():
    rig = Rig(
        CANTEEN,
        sectors=4,
        rows=ROWS,
        given=settings(verdict_ms=0, first_day=TODAY - 35, last_day=TODAY + 400),
    )
    rig.clock.known = False
    rig.reboot()
    rig.parent.connect()
    tell(rig, MORNING + 90 * DAY_S)
    while rig.controller.journal._ordinal < 2:
        rig.controller.write(record.NOTE, record.NOTE_REFUSED_TAP, amount=21)
    tell(rig, MORNING + 3600, CONFIRMED)
    assert rig.controller.day(rig.clock.utc()) == TODAY
    # Fill the ring with records of the true day.
    while rig.controller.journal._ordinal < 3 or rig.controller.journal._slot < 126:
        rig.controller.write(record.NOTE, record.NOTE_REFUSED_TAP, amount=21)
    rig.clock.pass_ms(36 * DAY_S * 1000)
    while rig.controller.journal._ordinal < 5:
        rig.controller.journal.acknowledge(rig.controller.journal.next_seq)
        rig.controller.write(record.NOTE, record.NOTE_REFUSED_TAP, amount=21)
    assert rig.records()[-1].day == TODAY + 36
