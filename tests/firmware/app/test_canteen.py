"""The canteen line's rules: rights that are here, rights that come, and a verdict that tells nothing."""

from firmware.hal.board import CANTEEN
from protocols.errors import (
    CARD_BLOCKED,
    CARD_UNKNOWN,
    DEVICE_LOCKED,
    JOURNAL_FULL,
    NOTHING_ON_SALE,
    OK,
    REPEATED_TAP,
    RIGHTS_SHORT,
    WIRE_EPOCH,
)
from protocols.ledger import record
from protocols.wire import envelope, messages
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE
from protocols.wire.table import BLOCKED
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, VERA, Rig, reference, row, settings
from tests.protocols.nor import PowerCut

PRICE = 8500
BREAKFAST = (1, 8 * 60, 10 * 60 + 59, 8500)
LUNCH = (2, 11 * 60, 15 * 60 + 30, 14000)


def line(rights=0, flags=0, verdict_ms=400, menu=((7, 0, 1439, PRICE),), **options):
    rows = (row(ANNA, 11, rights), row(BORIS, 12, rights), row(VERA, 13, rights, flags=BLOCKED))
    given = settings(flags=flags, verdict_ms=verdict_ms, menu=menu)
    return Rig(CANTEEN, rows=rows, given=given, **options)


def money(rig):
    return [(item.type, item.account, item.amount) for item in rig.of_type(record.GRANT, record.SALE)]


def grant(rig, total, account=11):
    rig.parent.send(envelope.GRANT, messages.pack_rights([messages.Right(account, 0, total)]))


def answer(rig, number, total, account=11):
    rig.parent.send(envelope.ANSWER, messages.pack_answer(messages.Answer(number, account, 0, total)))


def test_placed_rights_sell_without_network():
    rig = line(rights=2 * PRICE)
    kind, refusal, seq = rig.tap(ANNA, "-")
    assert (kind, refusal) == ("served", OK)
    assert money(rig) == [(record.GRANT, 11, 2 * PRICE), (record.SALE, 11, PRICE)]
    item = rig.records()[-1]
    assert (item.seq, item.flags, item.time) == (seq, record.SALE_SINGLE, MORNING)
    assert item.aux == record.good_aux(7, reference(ANNA))


def test_placement_is_absorbed_once():
    rig = line(rights=2 * PRICE)
    for _ in range(3):
        rig.tap(ANNA, "-")
        rig.clock.pass_ms(4000)
        rig.reboot()
    assert money(rig)[0] == (record.GRANT, 11, 2 * PRICE)
    assert [kind for kind, _account, _amount in money(rig)].count(record.GRANT) == 1
    assert rig.controller.holder.rights(11) == 0


def test_record_is_durable_before_the_light():
    rig = line(rights=PRICE)
    seen: list = []
    rig.panel.on_verdict = lambda seq: seen.append(rig.records()[-1].seq == seq)
    rig.tap(ANNA, "-")
    assert seen == [True]


def test_menu_of_the_hour_is_sold():
    rig = line(rights=50000, menu=(BREAKFAST, LUNCH))
    rig.tap(ANNA, "-")
    rig.clock.pass_ms(3 * 3600 * 1000 - 1000)
    assert rig.tap(ANNA, "-")[0] == "served"
    rig.clock.pass_ms(1000)
    rig.tap(BORIS, "-")
    rig.clock.pass_ms(5 * 3600 * 1000)
    assert rig.tap(ANNA, "-")[:2] == ("ask", NOTHING_ON_SALE)
    sales = [(item.amount, item.aux & 0xFFFF) for item in rig.of_type(record.SALE)]
    assert sales == [(8500, 1), (8500, 1), (14000, 2)]


def test_unknown_blocked_and_repeated_cards():
    rig = line(rights=2 * PRICE)
    assert rig.tap("a:04AABBCCDDEE11", "-")[:2] == ("ask", CARD_UNKNOWN)
    assert rig.tap(VERA, "-")[:2] == ("ask", CARD_BLOCKED)
    rig.tap(ANNA, "-")
    rig.clock.pass_ms(3000)
    assert rig.tap(ANNA, "-") == ("repeat", REPEATED_TAP, 0)
    rig.reboot()
    assert rig.tap(ANNA, "-") == ("repeat", REPEATED_TAP, 0)
    rig.clock.pass_ms(1000)
    assert rig.tap(ANNA, "-")[0] == "served"
    assert [item.amount for item in rig.of_type(record.NOTE)] == [CARD_UNKNOWN, CARD_BLOCKED]


def test_missing_rights_are_asked_for():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    assert rig.tap(ANNA, "-") is None
    need = rig.parent.heard(envelope.NEED)[0]
    assert (need.account, need.bucket, need.wanted) == (11, 0, PRICE)
    grant(rig, PRICE + 100)
    assert rig.panel.verdicts[-1][:2] == ("served", OK)
    assert money(rig) == [(record.GRANT, 11, PRICE + 100), (record.SALE, 11, PRICE)]
    # A line that has some asks for the rest only.
    rig.clock.pass_ms(4000)
    rig.tap(ANNA, "-")
    assert rig.parent.heard(envelope.NEED)[-1].wanted == PRICE - 100


def test_answer_without_rights_is_final():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    need = rig.parent.heard(envelope.NEED)[0]
    answer(rig, need.number + 1, 0)
    assert rig.panel.verdicts == []
    answer(rig, need.number, 0)
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)
    assert rig.records()[-1].amount == RIGHTS_SHORT


def test_answer_with_rights_serves():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    answer(rig, rig.parent.heard(envelope.NEED)[0].number, PRICE)
    assert rig.panel.verdicts[-1][0] == "served"


def test_need_is_repeated_until_the_window_ends():
    rig = line(verdict_ms=2000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    rig.run(1990)
    needs = rig.parent.heard(envelope.NEED)
    assert len(needs) == 3
    assert len({need.number for need in needs}) == 1
    rig.run(20)
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)
    rig.run(3000)
    assert len(rig.parent.heard(envelope.NEED)) == 3


def test_need_is_sent_again_after_a_break():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    rig.link.down()
    rig.run(300)
    rig.link.up()
    rig.run(10)
    assert len(rig.parent.heard(envelope.NEED)) == 2
    grant(rig, PRICE)
    assert rig.panel.verdicts[-1][0] == "served"


def test_late_grant_serves_the_next_tap():
    rig = line()
    rig.parent.connect()
    rig.tap(ANNA, "-")
    rig.run(500)
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)
    grant(rig, PRICE)
    assert [kind for kind, _refusal, _seq in rig.panel.verdicts] == ["ask"]
    assert rig.tap(ANNA, "-")[0] == "served"


def test_every_verdict_has_one_moment():
    for credential, rights in ((ANNA, PRICE), (ANNA, 0), (VERA, PRICE), ("a:04AABBCCDDEE11", 0)):
        rig = line(rights=rights, flags=FIXED_MOMENT)
        rig.parent.connect()
        rig.tap(credential, "-")
        needs = rig.parent.heard(envelope.NEED)
        if needs:
            answer(rig, needs[0].number, PRICE)
        rig.run(398)
        assert rig.panel.verdicts == []
        rig.run(5)
        assert len(rig.panel.verdicts) == 1
        if credential == ANNA:
            assert rig.panel.verdicts[0][0] == "served"


def test_line_that_knows_it_is_offline_decides_at_once():
    rig = line(flags=FIXED_MOMENT | OFFLINE_AT_ONCE)
    assert rig.tap(ANNA, "-")[:2] == ("ask", RIGHTS_SHORT)
    rig.parent.connect()
    assert rig.tap(BORIS, "-") is None
    rig.link.down()
    rig.run()
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)


def test_second_card_waits_for_the_first():
    rig = line(verdict_ms=1000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    rig.tap(BORIS, "-")
    grant(rig, PRICE, account=12)
    assert rig.panel.verdicts == []
    rig.run(1010)
    assert [verdict[:2] for verdict in rig.panel.verdicts] == [("ask", RIGHTS_SHORT), ("served", OK)]


def test_card_that_waited_at_a_reboot_never_happened():
    rig = line(verdict_ms=5000)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    grant_total = rig.parent.seal(envelope.GRANT, messages.pack_rights([messages.Right(11, 0, PRICE)]))
    rig.reboot()
    rig.parent.connect()
    rig.link.inbound.append((rig.parent.down, grant_total))
    rig.run()
    assert rig.panel.verdicts == []
    assert rig.tap(ANNA, "-")[0] == "served"
    assert rig.controller.holder.rights(11) == 0


def test_recalled_rights_are_gone_for_the_waiting_card():
    rig = line(rights=PRICE, flags=FIXED_MOMENT)
    rig.parent.connect()
    rig.tap(ANNA, "-")
    rig.parent.send(envelope.RECALL, messages.pack_rights([messages.Right(11, 0, PRICE)]))
    rig.run(410)
    assert rig.panel.verdicts[-1][:2] == ("ask", RIGHTS_SHORT)
    assert rig.of_type(record.RETURN)[-1].amount == PRICE


def test_power_cut_at_every_byte_of_a_sale():
    outcomes = set()
    for cut in range(0, 70, 3):
        rig = line(rights=PRICE)
        rig.flash.cut_after = cut
        try:
            verdict = rig.tap(ANNA, "-")
        except PowerCut:
            verdict = None
        rig.reboot()
        sold = len(rig.of_type(record.SALE))
        assert sold == 1 if verdict else sold <= 1
        outcomes.add((verdict is not None, sold))
        rig.clock.pass_ms(4000)
        rig.tap(ANNA, "-")
        # One meal was placed: one is eaten, whatever was cut.
        assert len(rig.of_type(record.SALE)) == 1
        assert rig.controller.holder.rights(11) == 0
    assert outcomes == {(False, 0), (True, 1)}


def test_full_journal_serves_nobody():
    rig = line(rights=100000, sectors=2)
    for _ in range(300):
        rig.clock.pass_ms(4000)
        rig.tap("a:04AABBCCDDEE11", "-")
    sales = len(rig.of_type(record.SALE))
    assert rig.tap(ANNA, "-") == ("ask", JOURNAL_FULL, 0)
    assert len(rig.of_type(record.SALE)) == sales


def test_full_journal_follows_a_restored_parent():
    """Else the parent could never read it, and the journal never be emptied."""
    rig = line(rights=100000, sectors=2)
    while rig.tap("a:04AABBCCDDEE11", "-")[1] != JOURNAL_FULL:
        rig.clock.pass_ms(4000)
    for incarnation in range(1, 21):
        rig.controller.write(record.INCARN, 0, account=7, aux=incarnation)
    rig.controller.lock_for_good(WIRE_EPOCH)
    assert rig.of_type(record.INCARN)[-1].aux == 20
    assert rig.of_type(record.NOTE)[-1].flags == record.NOTE_LOCKED


def test_locked_line_refuses_every_tap():
    rig = line(rights=PRICE)
    rig.controller.locked = JOURNAL_FULL
    assert rig.tap(ANNA, "-") == ("ask", DEVICE_LOCKED, 0)
    assert rig.of_type(record.SALE) == []


def test_bad_credential_is_not_written_down():
    rig = line(rights=PRICE)
    count = len(rig.records())
    assert rig.tap("x:12", "-")[0] == "ask"
    assert len(rig.records()) == count
