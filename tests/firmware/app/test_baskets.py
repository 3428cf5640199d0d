"""Baskets at a line: all the goods for one tap as one sale, or nothing at all."""

from firmware.hal.board import CANTEEN
from protocols.errors import (
    AMOUNT_RANGE,
    BASKET_ITEMS,
    CARD_UNKNOWN,
    JOURNAL_FULL,
    NOT_IN_MENU,
    NOTHING_ON_SALE,
    OK,
    REPEATED_TAP,
    RIGHTS_SHORT,
    STORAGE_MISSING,
    Fault,
)
from protocols.ledger import basket, record
from protocols.ledger.journal import SLOTS
from protocols.wire import envelope, messages
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE
from protocols.wire.table import CREDIT, meal_flag
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, VERA, Rig, reference, row, settings
from tests.protocols.nor import PowerCut

LUNCH, BUN, DEAR = 7, 8, 9
LUNCH_PRICE, BUN_PRICE = 14000, 4500
# At this hour the line itself sells the lunch; the bun is for other hours.
MENU = ((LUNCH, 0, 1000, LUNCH_PRICE, 2), (BUN, 1001, 1200, BUN_PRICE, 0), (DEAR, 1201, 1439, 2000000000, 0))
TWO = ((LUNCH, 1), (BUN, 2))
TOTAL = LUNCH_PRICE + 2 * BUN_PRICE
DAY = (MORNING + 3 * 3600) // 86400


def line(rights=50000, flags=OFFLINE_AT_ONCE, **options):
    rows = (
        row(ANNA, 11, rights),
        row(BORIS, 12, rights, flags=CREDIT | meal_flag(2), benefit_days=3),
    )
    given = settings(menu=MENU, flags=flags)
    return Rig(CANTEEN, rows=rows, given=given, base_day=DAY, credit_total=LUNCH_PRICE, **options)


def ring(rig, pairs, credential=ANNA):
    """Ring up and tap; the verdict."""
    rig.panel.basket = pairs
    return rig.tap(credential, "-")


def rights(rig, account=11, bucket=record.MONEY):
    return rig.controller.holder.rights(account, bucket)


def sold(rig):
    """(refusal, lines, amount) of every basket, and amounts of single sales, as the cloud would see them."""
    run, found = (), []
    for item in rig.records():
        if basket.is_basket(item):
            refusal, items = basket.committed(run, item)
            found.append((refusal, tuple(tuple(basket.line_of(each)) for each in items), item.amount))
        elif item.type == record.SALE:
            found.append(item.amount)
        run = basket.follow(run, item)
    return found


LINES = ((LUNCH, 1, LUNCH_PRICE), (BUN, 2, BUN_PRICE))


def test_basket_is_one_sale_behind_its_items():
    rig = line()
    kind, refusal, seq = ring(rig, TWO)
    assert (kind, refusal) == ("served", OK)
    assert sold(rig) == [(OK, LINES, TOTAL)]
    sale = rig.records()[-1]
    assert (sale.seq, sale.flags, sale.account, sale.time) == (seq, 0, 11, MORNING)
    assert sale.aux == record.good_aux(2, reference(ANNA))
    assert rights(rig) == 50000 - TOTAL
    # Nothing is rung up any more: the next card buys the good of the hour.
    rig.tap(BORIS, "-")
    assert sold(rig)[1:] == [LUNCH_PRICE]
    rig.reboot()
    assert rights(rig) == 50000 - TOTAL


def test_one_unit_is_the_good_itself():
    rig = line()
    assert ring(rig, ((BUN, 1),))[:2] == ("served", OK)
    assert [item.type for item in rig.records()[-2:]] == [record.GRANT, record.SALE]
    assert (rig.records()[-1].flags, rig.records()[-1].amount) == (record.SALE_SINGLE, BUN_PRICE)
    # So a hot meal is paid as it always is: by the benefit.
    assert ring(rig, ((LUNCH, 1),), BORIS)[0] == "served"
    assert record.bucket_of(rig.records()[-1]) == record.benefit_bucket(DAY, 2)


def test_basket_takes_money_and_leaves_other_rights():
    rig = line(rights=LUNCH_PRICE)
    for pairs in (TWO, ((BUN, 2), (LUNCH, 1)), ((LUNCH, 2),)):
        assert ring(rig, pairs, BORIS)[:2] == ("ask", RIGHTS_SHORT)
    assert not rig.of_type(record.ITEM, record.SALE)
    # The meal alone is always served: by the benefit, then by money, then by credit.
    for bucket in (record.benefit_bucket(DAY, 2), record.MONEY, record.MEAL_CREDIT):
        rig.clock.pass_ms(4000)
        assert ring(rig, ((LUNCH, 1),), BORIS)[0] == "served"
        assert record.bucket_of(rig.records()[-1]) == bucket
    rig.clock.pass_ms(4000)
    assert ring(rig, ((LUNCH, 1),), BORIS)[:2] == ("ask", RIGHTS_SHORT)


def test_what_cannot_be_sold_is_refused_and_over():
    wrong = (
        ((), NOTHING_ON_SALE),
        (((LUNCH, 1), (77, 1)), NOT_IN_MENU),
        (((LUNCH, 1), (BUN, 0)), BASKET_ITEMS),
        (((LUNCH, 1), (BUN, -1)), BASKET_ITEMS),
        (((BUN, 65536),), BASKET_ITEMS),
        (((BUN, 1),) * (record.ITEMS_MAX + 1), BASKET_ITEMS),
        (((DEAR, 2),), AMOUNT_RANGE),
    )
    rig = line()
    for pairs, refusal in wrong:
        assert ring(rig, pairs)[:2] == ("ask", refusal)
        assert rig.records()[-1].amount == refusal
    assert not rig.of_type(record.ITEM, record.SALE)
    # An unknown card ends what was rung up for it too.
    assert ring(rig, TWO, VERA)[:2] == ("ask", CARD_UNKNOWN)
    rig.tap(ANNA, "-")
    assert sold(rig) == [LUNCH_PRICE]


def test_sixteen_goods_are_a_basket():
    rig = line(rights=100000)
    assert ring(rig, ((BUN, 1),) * record.ITEMS_MAX)[0] == "served"
    assert sold(rig) == [(OK, ((BUN, 1, BUN_PRICE),) * record.ITEMS_MAX, 16 * BUN_PRICE)]


def test_same_tap_again_is_the_same_sale():
    rig = line()
    ring(rig, TWO)
    rig.clock.pass_ms(1000)
    # What was rung up meanwhile is for the next person.
    assert ring(rig, ((BUN, 3),))[:2] == ("repeat", REPEATED_TAP)
    assert rig.tap(BORIS, "-")[0] == "served"
    assert [lines for _refusal, lines, _amount in sold(rig)] == [LINES, ((BUN, 3, BUN_PRICE),)]
    # The journal remembers both behind a boot.
    rig.reboot()
    for credential in (ANNA, BORIS):
        assert ring(rig, TWO, credential)[:2] == ("repeat", REPEATED_TAP)
    assert len(sold(rig)) == 2


def test_eight_large_baskets_are_remembered_behind_a_boot():
    names = ["a:04C716D0%06X" % number for number in range(8)]
    rows = [row(name, 100 + number, 20 * BUN_PRICE) for number, name in enumerate(names)]
    rig = Rig(CANTEEN, rows=rows, given=settings(menu=MENU, flags=OFFLINE_AT_ONCE))
    for name in names:
        assert ring(rig, ((BUN, 1),) * record.ITEMS_MAX, name)[0] == "served"
    rig.reboot()
    assert [rig.tap(name, "-")[0] for name in names] == ["repeat"] * 8


def test_rights_of_the_whole_basket_are_asked_for():
    rig = line(rights=LUNCH_PRICE, flags=0)
    rig.parent.connect()
    assert ring(rig, TWO) is None
    assert not rig.of_type(record.ITEM)
    (need,) = rig.parent.heard(envelope.NEED)
    assert (need.account, need.bucket, need.wanted) == (11, record.MONEY, TOTAL - LUNCH_PRICE)
    rig.parent.send(envelope.ANSWER, messages.pack_answer(messages.Answer(need.number, 11, 0, TOTAL)))
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    assert sold(rig) == [(OK, LINES, TOTAL)]
    # Credit is not asked for: it pays for one hot meal and nothing else.
    rig.clock.pass_ms(4000)
    assert ring(rig, TWO, BORIS) is None
    need = rig.parent.heard(envelope.NEED)[-1]
    told = messages.Answer(need.number, 12, 0, LUNCH_PRICE)
    rig.parent.send(envelope.ANSWER, messages.pack_answer(told))
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)
    assert len(rig.parent.heard(envelope.NEED)) == 2


def test_verdict_of_a_basket_has_its_fixed_moment():
    rig = line(flags=FIXED_MOMENT)
    rig.parent.connect()
    assert ring(rig, TWO) is None
    rig.run(300)
    assert not rig.panel.verdicts
    rig.run(200)
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    assert sold(rig) == [(OK, LINES, TOTAL)]


def test_void_takes_the_whole_basket_back():
    rig = line()
    seq = ring(rig, TWO)[2]
    for of in (seq - 1, seq, seq):
        rig.panel.voids.append(of)
    rig.run()
    assert [refusal == OK for _of, refusal, _seq in rig.panel.voided_sales] == [False, True, False]
    void = rig.of_type(record.VOID)[0]
    assert (void.flags, void.amount, void.aux, rights(rig)) == (0, TOTAL, seq, 50000)


def test_basket_closes_the_day_before_ahead_of_its_items():
    rig = line()
    ring(rig, TWO)
    rig.clock.pass_ms(24 * 3600 * 1000)
    ring(rig, TWO)
    kinds = [item.type for item in rig.records()]
    assert kinds[-4:] == [record.CLOSE_DAY, record.ITEM, record.ITEM, record.SALE]
    assert [refusal for refusal, _lines, _amount in sold(rig)] == [OK, OK]


def test_full_journal_takes_no_part_of_a_basket():
    rig = line(rights=LUNCH_PRICE, flags=0, sectors=2)
    rig.parent.connect()
    assert ring(rig, TWO) is None
    # While the card waits the parent and the board use up what was kept free for them.
    while rig.controller.journal.next_seq < 2 * SLOTS - 2:
        rig.controller.write(record.NOTE, record.NOTE_REFUSED_TAP, amount=RIGHTS_SHORT)
    (need,) = rig.parent.heard(envelope.NEED)
    rig.parent.send(envelope.ANSWER, messages.pack_answer(messages.Answer(need.number, 11, 0, TOTAL)))
    assert rig.panel.verdicts[-1][:2] == ("ask", JOURNAL_FULL)
    assert not rig.of_type(record.ITEM, record.SALE)


def test_counters_without_room_take_no_part_of_a_basket():
    rig = line()
    rig.tap(ANNA, "-")
    rig.clock.pass_ms(4000)

    def check_room(account, bucket):
        raise Fault(STORAGE_MISSING, "counters")

    rig.controller.counters.check_room = check_room
    assert ring(rig, TWO)[:2] == ("ask", STORAGE_MISSING)
    assert not rig.of_type(record.ITEM)


def cut_at(cut):
    """Cut the power `cut` bytes into a basket, boot, tap again; whether all of it was written before."""
    rig = line(sectors=2)
    rig.tap(BORIS, "-")
    rig.clock.pass_ms(1000)
    before = rights(rig) or 50000
    rig.flash.cut_bits = 0x0F
    rig.flash.cut_after = cut
    done = False
    try:
        ring(rig, TWO)
        done = True
    except PowerCut:
        pass
    rig.reboot()
    kept = sold(rig)[1:]
    assert kept in ([], [(OK, LINES, TOTAL)]), cut
    assert kept or not done, cut
    assert rights(rig) in (0, before) if not kept else rights(rig) == before - TOTAL, cut
    # The same card at once: the same sale if it stands, else the sale that was cut.
    kind = ring(rig, TWO)[0]
    assert kind == ("repeat" if kept else "served"), cut
    assert sold(rig)[1:] == [(OK, LINES, TOTAL)], cut
    assert rights(rig) == 50000 - TOTAL, cut
    return done


def test_cut_at_every_byte_sells_it_once_or_not_yet():
    cut = 0
    while not cut_at(cut):
        cut += 1
    # The grant, two items and the sale.
    assert cut == 4 * record.SIZE
