"""The gate's rules, on scripted parts: journal first, light second, each passage ended once."""

from protocols.errors import CARD_BLOCKED, CARD_UNKNOWN, JOURNAL_FULL, OK, REPEATED_TAP
from protocols.ledger import record
from protocols.wire.table import BLOCKED
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, VERA, Rig, reference, row, settings
from tests.protocols.nor import PowerCut

OPENED, TURNED, NOT_TURNED = record.PASS_OPENED, record.PASS_TURNED, record.PASS_NOT_TURNED


def gate(**options):
    rows = (row(ANNA, 11), row(BORIS, 12), row(VERA, 13, flags=BLOCKED))
    return Rig(rows=rows, given=settings(), **options)


def passages(rig):
    return [(item.flags, item.account) for item in rig.of_type(record.PASS)]


def test_known_card_opens_the_gate():
    rig = gate()
    kind, refusal, seq = rig.tap(ANNA)
    item = rig.records()[-1]
    assert (kind, refusal, rig.hands.released) == ("go", OK, "in")
    assert (item.seq, item.type, item.flags, item.account) == (seq, record.PASS, OPENED, 11)
    assert (item.time, item.aux) == (MORNING, record.tap_aux(reference(ANNA)))
    assert item.day == (MORNING + 3 * 3600) // 86400


def test_light_comes_after_the_record():
    rig = gate()
    seen: list = []
    rig.panel.on_verdict = lambda seq: seen.append(rig.records()[-1].seq == seq)
    rig.tap(ANNA)
    rig.tap("a:04AABBCCDDEE11")
    assert seen == [True, True]


def test_rotor_makes_a_passage():
    rig = gate()
    seq = rig.tap(ANNA, side="out")[2]
    rig.turn("out")
    item = rig.records()[-1]
    assert (item.flags, item.account, item.aux) == (TURNED | record.PASS_OUT, 11, seq)
    assert rig.panel.passages == [(item.seq, "turned", seq)]
    assert rig.hands.released == ""


def test_rotor_without_a_tap_is_ignored():
    rig = gate()
    rig.turn()
    seq = rig.tap(ANNA)[2]
    rig.turn("out")
    assert rig.task.unexpected_turns == 2
    assert rig.records()[-1].seq == seq


def test_unused_passage_ends_by_itself():
    rig = gate()
    seq = rig.tap(ANNA)[2]
    rig.run(4990)
    assert rig.panel.passages == []
    rig.run(20)
    assert rig.panel.passages == [(seq + 1, "not_turned", seq)]
    assert (rig.records()[-1].time, rig.hands.released) == (MORNING + 5, "")
    rig.turn()
    assert rig.records()[-1].seq == seq + 1


def test_next_tap_ends_the_passage_before():
    rig = gate()
    rig.tap(ANNA)
    rig.tap(BORIS)
    assert passages(rig) == [(OPENED, 11), (NOT_TURNED, 11), (OPENED, 12)]
    rig.turn()
    assert passages(rig)[-1] == (TURNED, 12)


def test_same_card_within_three_seconds_is_ignored():
    rig = gate()
    rig.tap(ANNA)
    count = len(rig.records())
    rig.run(3000)
    assert rig.tap(ANNA) == ("repeat", REPEATED_TAP, 0)
    assert len(rig.records()) == count
    rig.turn()
    assert passages(rig)[-1] == (TURNED, 11)
    rig.run(1)
    assert rig.tap(ANNA)[0] == "go"


def test_repeat_is_known_between_other_cards():
    rig = gate()
    rig.tap(ANNA)
    rig.run(1000)
    rig.tap(BORIS)
    rig.run(1000)
    assert rig.tap(ANNA)[0] == "repeat"


def test_repeat_is_known_after_a_reboot():
    rig = gate()
    rig.tap(ANNA)
    rig.turn()
    rig.reboot()
    rig.clock.pass_ms(3000)
    assert rig.tap(ANNA)[0] == "repeat"
    rig.clock.pass_ms(1000)
    assert rig.tap(ANNA)[0] == "go"


def test_unknown_and_blocked_cards_are_noted():
    rig = gate()
    assert rig.tap("a:04AABBCCDDEE11")[:2] == ("ask", CARD_UNKNOWN)
    assert rig.tap(VERA)[:2] == ("ask", CARD_BLOCKED)
    notes = [(item.amount, item.account) for item in rig.of_type(record.NOTE)]
    assert notes == [(CARD_UNKNOWN, 0), (CARD_BLOCKED, 13)]
    assert rig.of_type(record.NOTE)[1].aux == record.tap_aux(reference(VERA))
    assert rig.hands.released == ""


def test_rotor_after_a_reboot_ends_the_passage():
    rig = gate()
    seq = rig.tap(ANNA)[2]
    rig.reboot()
    assert rig.hands.released == "in"
    rig.turn()
    item = rig.records()[-1]
    assert (item.flags, item.aux, item.account) == (TURNED, seq, 11)
    rig.reboot()
    rig.turn()
    assert rig.of_type(record.PASS)[-1].seq == item.seq


def test_passage_left_open_over_a_reboot_ends():
    rig = gate()
    seq = rig.tap(ANNA)[2]
    rig.reboot()
    rig.run(6100)
    assert rig.panel.passages == [(rig.records()[-1].seq, "not_turned", seq)]
    assert rig.records()[-1].time == MORNING + 5


def test_power_cut_at_every_byte_of_a_tap():
    seen = set()
    for cut in range(33):
        rig = gate()
        before = len(rig.records())
        rig.flash.cut_after = cut
        try:
            verdict = rig.tap(ANNA)
        except PowerCut:
            verdict = None
        rig.reboot()
        opened = [item for item in rig.of_type(record.PASS) if item.account == 11]
        # Shown means durable; a cut record is torn and never half there.
        assert len(opened) == 1 if verdict else len(opened) <= 1
        assert rig.records()[before].type == (record.PASS if opened else record.BOOT)
        seen.add((verdict is not None, len(opened)))
        rig.clock.pass_ms(4000)
        assert rig.tap(BORIS)[0] == "go"
        rig.turn()
        rig.reboot()
        assert not rig.controller.locked
        assert [item.seq for item in rig.records()] == list(range(1, len(rig.records()) + 1))
    assert seen == {(False, 0), (True, 1)}


def test_power_cut_at_every_byte_of_a_turn():
    for cut in range(33):
        rig = gate()
        seq = rig.tap(ANNA)[2]
        rig.flash.cut_after = cut
        try:
            rig.turn()
        except PowerCut:
            pass
        rig.reboot()
        rig.turn()
        ends = [item for item in rig.of_type(record.PASS) if item.aux == seq and item.flags == TURNED]
        assert len(ends) == 1


def test_full_journal_opens_for_nobody():
    rig = gate(sectors=2)
    verdicts = set()
    for _ in range(260):
        rig.clock.pass_ms(4000)
        verdicts.add(rig.tap(ANNA)[:2])
    assert verdicts == {("go", OK), ("ask", JOURNAL_FULL)}
    assert rig.panel.verdicts[-1] == ("ask", JOURNAL_FULL, 0)
    assert JOURNAL_FULL in rig.panel.faults
    # A boot with a full journal is no broken device: the parent's acknowledgement makes room.
    rig.reboot()
    assert not rig.controller.locked
    rig.parent.connect(next_wanted=rig.controller.journal.next_seq)
    rig.clock.pass_ms(4000)
    assert rig.tap(BORIS)[0] == "go"


def test_bit_rot_locks_the_gate():
    rig = gate()
    for _ in range(3):
        rig.tap(ANNA)
        rig.turn()
        rig.clock.pass_ms(4000)
    # A bit of the second record falls, crc and all: the ones after it do not follow from it.
    rig.flash.cells[64 + 32 : 64 + 64] = rig.flash.cells[64:96]
    rig.reboot()
    assert rig.controller.locked
    assert rig.tap(BORIS)[0] == "ask"
    assert rig.hands.released == ""
    hello = rig.parent
    rig.link.up()
    rig.run()
    assert hello.heard(1)[-1].locked == rig.controller.locked
