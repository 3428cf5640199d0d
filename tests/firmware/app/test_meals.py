"""Hot meals: benefit, else money, else meal credit, with the same light and the same moment for all."""

from firmware.hal.board import CANTEEN
from protocols.errors import OK, RIGHTS_SHORT
from protocols.ledger import record
from protocols.wire import envelope, messages, table
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE
from protocols.wire.table import CREDIT, meal_flag
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, VERA, Rig, row, settings

LUNCH, PRICE, BUN = 2, 16000, 4000
# MORNING is 2025-09-01 in a school three hours ahead of UTC.
DAY = (MORNING + 3 * 3600) // 86400
HOT = ((7, 0, 1439, PRICE, LUNCH),)
COLD = ((8, 0, 1439, PRICE, 0),)


def line(anna=0, boris=0, menu=HOT, flags=OFFLINE_AT_ONCE, verdict_ms=400, credit_total=PRICE, days=3):
    """Anna is entitled to lunch, Boris and Vera may owe for one, Vera has no money."""
    rows = (
        row(ANNA, 11, anna, flags=meal_flag(LUNCH), benefit_days=days),
        row(BORIS, 12, boris, flags=CREDIT),
        row(VERA, 13, 0, flags=CREDIT),
    )
    given = settings(menu=menu, flags=flags, verdict_ms=verdict_ms)
    return Rig(CANTEEN, rows=rows, given=given, base_day=DAY, credit_total=credit_total)


def moved(rig):
    """(type, account, bucket, amount) of what moved rights."""
    told = []
    for item in rig.of_type(record.GRANT, record.SALE, record.RETURN):
        bucket = record.bucket_of(item) if item.type == record.SALE else item.aux
        told.append((item.type, item.account, bucket, item.amount))
    return told


def today(day=DAY):
    return record.benefit_bucket(day, LUNCH)


def test_benefit_goes_before_money():
    rig = line(anna=PRICE)
    kind, refusal, seq = rig.tap(ANNA, "-")
    assert (kind, refusal) == ("served", OK)
    assert moved(rig) == [
        (record.GRANT, 11, record.MONEY, PRICE),
        (record.GRANT, 11, today(), 1),
        (record.SALE, 11, today(), PRICE),
    ]
    sale = rig.records()[-1]
    assert (sale.seq, sale.flags) == (seq, record.SALE_SINGLE | record.FROM_BENEFIT | LUNCH << 4)
    # The second lunch of the day is paid by the parent.
    rig.clock.pass_ms(4000)
    rig.tap(ANNA, "-")
    assert moved(rig)[-1] == (record.SALE, 11, record.MONEY, PRICE)


def test_benefit_is_for_its_day_and_meal_only():
    rig = line(days=2)
    assert rig.tap(ANNA, "-")[:2] == ("ask", RIGHTS_SHORT)
    rig.clock.pass_ms(24 * 3600 * 1000)
    assert rig.tap(ANNA, "-")[0] == "served"
    assert moved(rig)[-1] == (record.SALE, 11, today(DAY + 1), PRICE)
    rig.clock.pass_ms(24 * 3600 * 1000)
    assert rig.tap(ANNA, "-")[0] == "ask"
    bun = line(menu=((7, 0, 1439, PRICE, 1),))
    assert bun.tap(ANNA, "-")[0] == "ask"


def tell_time(rig, utc):
    told = messages.Time(utc, (utc + 3 * 3600) // 86400, rig.controller.boot_nonce, 0)
    rig.parent.send(envelope.TIME, messages.pack_time(told))


def waits_while_time_comes(card, days, after_days):
    """A line of a board that has just started: a card waits, and TIME says that it is days later."""
    rig = line(anna=PRICE, flags=FIXED_MOMENT, days=days)
    rig.tap(BORIS, "-")
    rig.run(500)
    rig.clock.known = False
    rig.reboot()
    rig.parent.connect()
    assert rig.tap(card, "-") is None
    tell_time(rig, MORNING + after_days * 24 * 3600)
    rig.run(500)
    return rig


def test_card_that_waits_over_a_new_day_eats_on_that_day():
    # The benefit of the day that was closed meanwhile is not sold under another day.
    rig = waits_while_time_comes(ANNA, 3, 5)
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    sale = rig.of_type(record.SALE)[-1]
    assert (sale.day, record.bucket_of(sale)) == (DAY + 5, record.MONEY)
    # A benefit of the new day is there at once.
    rig = waits_while_time_comes(ANNA, 3, 1)
    sale = rig.of_type(record.SALE)[-1]
    assert (sale.day, record.bucket_of(sale)) == (DAY + 1, today(DAY + 1))
    assert rig.controller.holder.rights(11, today(DAY + 1)) == 0
    assert rig.controller.holder.rights(11, today()) == 1


def test_card_that_waits_over_a_new_day_may_still_owe():
    rig = line(flags=FIXED_MOMENT)
    rig.storage.files["accounts"] = table.build(
        (row(ANNA, 11, flags=meal_flag(LUNCH) | CREDIT, benefit_days=1),), 2, DAY, PRICE
    )
    rig.clock.known = False
    rig.reboot()
    rig.parent.connect()
    rig.tap(ANNA, "-")
    tell_time(rig, MORNING + 24 * 3600)
    rig.run(500)
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    assert moved(rig)[-1] == (record.SALE, 11, record.MEAL_CREDIT, PRICE)


def test_short_money_goes_to_meal_credit():
    rig = line(boris=PRICE - 1)
    assert rig.tap(BORIS, "-")[0] == "served"
    assert moved(rig) == [
        (record.GRANT, 12, record.MONEY, PRICE - 1),
        (record.GRANT, 12, record.MEAL_CREDIT, PRICE),
        (record.SALE, 12, record.MEAL_CREDIT, PRICE),
    ]
    assert rig.records()[-1].flags == record.SALE_SINGLE | record.FROM_CREDIT
    # L is one lunch: the second is refused, also after a boot.
    rig.clock.pass_ms(4000)
    rig.reboot()
    assert rig.tap(BORIS, "-")[:2] == ("ask", RIGHTS_SHORT)


def test_money_goes_before_meal_credit():
    rig = line(boris=PRICE)
    rig.tap(BORIS, "-")
    assert moved(rig) == [(record.GRANT, 12, record.MONEY, PRICE), (record.SALE, 12, record.MONEY, PRICE)]


def test_only_hot_meals_are_owed_for():
    rig = line(menu=COLD, boris=PRICE - 1)
    assert rig.tap(BORIS, "-")[:2] == ("ask", RIGHTS_SHORT)
    assert rig.tap(ANNA, "-")[:2] == ("ask", RIGHTS_SHORT)
    assert rig.of_type(record.SALE) == []
    off = line(credit_total=0)
    assert off.tap(BORIS, "-")[:2] == ("ask", RIGHTS_SHORT)


def test_money_is_asked_for_before_credit_is_taken():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    assert rig.tap(BORIS, "-") is None
    need = rig.parent.heard(envelope.NEED)[0]
    assert (need.account, need.bucket, need.wanted) == (12, record.MONEY, PRICE)
    answer(rig, need.number, record.MONEY, 0)
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    assert moved(rig)[-1] == (record.SALE, 12, record.MEAL_CREDIT, PRICE)


def answer(rig, number, bucket, total, account=12):
    rig.parent.send(envelope.ANSWER, messages.pack_answer(messages.Answer(number, account, bucket, total)))


def test_credit_is_asked_for_where_it_is_not_placed():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    rig.clock.pass_ms(4000)
    assert rig.tap(ANNA, "-") is None
    first = rig.parent.heard(envelope.NEED)[-1]
    answer(rig, first.number, record.MONEY, 0, account=11)
    second = rig.parent.heard(envelope.NEED)[-1]
    assert (second.bucket, second.wanted) == (record.MEAL_CREDIT, PRICE)
    assert second.number != first.number
    answer(rig, second.number, record.MEAL_CREDIT, PRICE, account=11)
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    assert moved(rig)[-1] == (record.SALE, 11, record.MEAL_CREDIT, PRICE)


def test_two_noes_end_the_asking():
    rig = line(verdict_ms=5000, credit_total=0)
    rig.parent.connect()
    rig.tap(BORIS, "-")
    for bucket in (record.MONEY, record.MEAL_CREDIT):
        answer(rig, rig.parent.heard(envelope.NEED)[-1].number, bucket, 0)
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)
    assert len({need.number for need in rig.parent.heard(envelope.NEED)}) == 2


def test_moment_and_light_do_not_tell_who_pays():
    shown = []
    for card, money in ((ANNA, 0), (BORIS, PRICE), (VERA, 0)):
        rig = line(boris=money, flags=FIXED_MOMENT)
        rig.parent.connect()
        before = rig.clock.uptime()
        assert rig.tap(card, "-") is None
        rig.run(399)
        assert not rig.panel.verdicts
        rig.run(2)
        shown.append((rig.panel.verdicts[-1][:2], rig.clock.uptime() - before))
    assert len(set(shown)) == 1, shown
    assert shown[0][0] == ("served", OK)


def test_benefits_of_past_days_leave_the_counters():
    rig = line()
    rig.tap(ANNA, "-")
    counters = rig.controller.counters
    rig.clock.pass_ms(24 * 3600 * 1000)
    rig.tap(ANNA, "-")
    rig.controller._begin_checkpoint()
    counters.finish()
    assert counters.get(11, today()).granted == 0
    assert counters.get(11, today(DAY + 1)) == (1, 0, 1, 0)
    rig.reboot()
    assert rig.controller.counters.get(11, today(DAY + 1)).spent == 1
