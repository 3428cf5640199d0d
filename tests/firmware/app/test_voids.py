"""Sales taken back on their own line: whole, once, the same day, and durable before anybody is told."""

from firmware.hal.board import CANTEEN
from protocols.errors import (
    DEVICE_LOCKED,
    JOURNAL_BROKEN,
    JOURNAL_FULL,
    OK,
    VOID_DIFFERS,
    VOID_TWICE,
    VOID_UNKNOWN,
)
from protocols.ledger import record
from protocols.wire import envelope, messages
from protocols.wire.messages import OFFLINE_AT_ONCE
from protocols.wire.table import CREDIT, meal_flag
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, Rig, row, settings
from tests.protocols.nor import PowerCut

PRICE = 8500
LUNCH = 2
DAY_MS = 24 * 3600 * 1000
DAY = (MORNING + 3 * 3600) // 86400


def line(rights=2 * PRICE, menu=((7, 0, 1439, PRICE),), flags=0, cap=100000, **options):
    rows = (row(ANNA, 11, rights, flags=flags, benefit_days=3), row(BORIS, 12, rights))
    given = settings(menu=menu, flags=OFFLINE_AT_ONCE, cap=cap)
    return Rig(CANTEEN, rows=rows, given=given, base_day=DAY, credit_total=PRICE, **options)


def void(rig, seq):
    """Ask as the staff does; returns (refusal, seq of the VOID)."""
    count = len(rig.panel.voided_sales)
    rig.panel.voids.append(seq)
    rig.run()
    assert len(rig.panel.voided_sales) == count + 1
    assert rig.panel.voided_sales[-1][0] == seq
    return rig.panel.voided_sales[-1][1:]


def rights(rig, bucket=record.MONEY, account=11):
    return rig.controller.holder.rights(account, bucket)


def test_void_gives_the_rights_back():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    refusal, voided = void(rig, seq)
    sale, item = rig.records()[-2:]
    assert (refusal, voided, item.seq) == (OK, seq + 1, voided)
    assert (sale.seq, item.type, item.aux) == (seq, record.VOID, seq)
    assert (item.flags, item.day, item.account, item.amount) == (sale.flags, sale.day, 11, PRICE)
    assert rights(rig) == 2 * PRICE
    # They buy the same again, also after a boot.
    rig.reboot()
    assert rights(rig) == 2 * PRICE
    rig.clock.pass_ms(4000)
    assert rig.tap(ANNA, "-")[0] == "served"


def test_void_is_durable_before_it_is_told():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    told: list = []

    def voided(of, refusal, number):
        told.append((of, refusal, number, rig.records()[-1].type))

    rig.panel.voided = voided
    rig.panel.voids.append(seq)
    rig.run()
    assert told == [(seq, OK, seq + 1, record.VOID)]


def test_sale_is_voided_once_only():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    assert void(rig, seq)[0] == OK
    count = len(rig.records())
    assert void(rig, seq) == (VOID_TWICE, 0)
    assert len(rig.records()) == count
    rig.reboot()
    assert void(rig, seq) == (VOID_TWICE, 0)
    for _ in range(200):
        rig.clock.pass_ms(4000)
        rig.tap("a:04AABBCCDDEE11", "-")
    assert void(rig, seq) == (VOID_TWICE, 0)
    assert len(rig.of_type(record.VOID)) == 1
    assert rights(rig) == 2 * PRICE


def test_each_of_two_sales_has_its_own_void():
    rig = line()
    first = rig.tap(ANNA, "-")[2]
    second = rig.tap(BORIS, "-")[2]
    assert void(rig, second)[0] == OK
    assert void(rig, first)[0] == OK
    assert (rights(rig), rights(rig, account=12)) == (2 * PRICE, 2 * PRICE)


def test_only_a_sale_of_this_journal_is_taken_back():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    refused = rig.tap("a:04AABBCCDDEE11", "-")[2]
    for other in (0, 1, refused, refused + 1, 0xFFFFFFFF):
        assert void(rig, other) == (VOID_UNKNOWN, 0)
    voided = void(rig, seq)[1]
    assert void(rig, voided) == (VOID_UNKNOWN, 0)


def test_sale_of_yesterday_stays():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    rig.clock.pass_ms(DAY_MS)
    assert void(rig, seq) == (VOID_DIFFERS, 0)
    assert rig.of_type(record.VOID) == []


def test_closed_day_takes_no_void():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    rig.clock.pass_ms(DAY_MS)
    rig.run()
    assert rig.records()[-1].type == record.CLOSE_DAY
    # The clock goes back, the day does not.
    rig.clock.pass_ms(-DAY_MS)
    assert void(rig, seq) == (VOID_DIFFERS, 0)


def test_void_counts_as_an_operation_of_its_day():
    rig = line()
    void(rig, rig.tap(ANNA, "-")[2])
    rig.clock.pass_ms(DAY_MS)
    rig.run()
    close = rig.of_type(record.CLOSE_DAY)[-1]
    assert (close.amount, close.aux) == (2, rig.of_type(record.VOID)[-1].seq)


def test_benefit_and_credit_come_back_to_their_buckets():
    hot = ((7, 0, 1439, PRICE, LUNCH),)
    rig = line(rights=0, menu=hot, flags=meal_flag(LUNCH) | CREDIT)
    first = rig.tap(ANNA, "-")[2]
    rig.clock.pass_ms(4000)
    second = rig.tap(ANNA, "-")[2]
    today = record.benefit_bucket(DAY, LUNCH)
    assert (rights(rig, today), rights(rig, record.MEAL_CREDIT)) == (0, 0)
    assert void(rig, second)[0] == OK
    assert (rights(rig, today), rights(rig, record.MEAL_CREDIT)) == (0, PRICE)
    assert void(rig, first)[0] == OK
    assert (rights(rig, today), rights(rig, record.MEAL_CREDIT)) == (1, PRICE)


def test_what_would_lie_above_the_cap_is_returned_ahead():
    rig = line(rights=2 * PRICE, cap=2 * PRICE)
    rig.parent.connect()
    seq = rig.tap(ANNA, "-")[2]
    rig.parent.send(envelope.GRANT, messages.pack_rights([messages.Right(11, 0, 3 * PRICE - 100)]))
    assert rights(rig) == 2 * PRICE - 100
    assert void(rig, seq)[0] == OK
    returned, item = rig.records()[-2:]
    assert (returned.type, returned.amount, returned.aux) == (record.RETURN, PRICE - 100, record.MONEY)
    assert item.type == record.VOID
    assert rights(rig) == 2 * PRICE


def test_power_cut_at_every_byte_of_a_void():
    outcomes = set()
    for cut in range(66):
        rig = line(cap=2 * PRICE)
        rig.parent.connect()
        seq = rig.tap(ANNA, "-")[2]
        rig.parent.send(envelope.GRANT, messages.pack_rights([messages.Right(11, 0, 3 * PRICE)]))
        rig.flash.cut_after = cut
        try:
            void(rig, seq)
            told = True
        except PowerCut:
            told = False
        rig.reboot()
        voids = len(rig.of_type(record.VOID))
        assert voids == 1 if told else voids <= 1
        outcomes.add((told, len(rig.of_type(record.RETURN)), voids))
        # Never more than CAP, and the void asked again ends as it should.
        assert 0 <= rights(rig) <= 2 * PRICE
        assert void(rig, seq)[0] == (VOID_TWICE if voids else OK)
        assert (rights(rig), len(rig.of_type(record.VOID))) == (2 * PRICE, 1)
    assert outcomes == {(False, 0, 0), (False, 1, 0), (True, 1, 1)}


def test_locked_line_takes_nothing_back():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    rig.controller.locked = JOURNAL_BROKEN
    assert void(rig, seq) == (DEVICE_LOCKED, 0)


def test_full_journal_takes_nothing_back():
    rig = line(sectors=2)
    seq = 0
    for _ in range(300):
        rig.clock.pass_ms(4000)
        rig.tap("a:04AABBCCDDEE11", "-")
        if rig.controller.journal.next_seq == 150:
            seq = rig.tap(ANNA, "-")[2]
    assert seq
    # What a full line keeps free is for its parent: here it has used it all.
    while not rig.controller.journal.needs_oldest(2):
        rig.controller.applied(record.TABLE_ACCOUNTS, rig.controller.journal.next_seq)
    assert void(rig, seq) == (JOURNAL_FULL, 0)
    assert rig.of_type(record.VOID) == []


def test_damaged_record_behind_a_sale_refuses_its_void():
    rig = line()
    seq = rig.tap(ANNA, "-")[2]
    voided = void(rig, seq)[1]
    for _ in range(130):
        rig.clock.pass_ms(4000)
        rig.tap("a:04AABBCCDDEE11", "-")
    # Bit rot has eaten the VOID itself: it must not be written a second time.
    place = bytes(rig.flash.cells).find(record.pack_body(rig.controller.record_at(voided)))
    rig.flash.cells[place + 8] ^= 1
    assert void(rig, seq) == (JOURNAL_BROKEN, 0)


def test_void_waits_for_the_card_that_waits():
    rig = line(rights=PRICE)
    seq = rig.tap(ANNA, "-")[2]
    rig.parent.connect()
    rig.clock.pass_ms(4000)
    rig.tap(ANNA, "-")
    rig.panel.voids.append(seq)
    rig.run()
    assert rig.panel.voided_sales == []
    rig.run(500)
    assert rig.panel.verdicts[-1][0] == "ask"
    assert rig.panel.voided_sales[-1][:2] == (seq, OK)
