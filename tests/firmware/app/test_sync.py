"""Talking with the parent: windows, resends, tables, and every way a message can be wrong."""

from firmware.hal.board import CANTEEN, GATE
from protocols import errors
from protocols.ledger import record
from protocols.wire import envelope, messages
from tests.firmware.rig import ANNA, BORIS, Rig, row, settings

ROWS = (row(ANNA, 11, 20000), row(BORIS, 12))


def rig_of(kind=GATE, given=None, **options):
    return Rig(kind, rows=ROWS, given=given or settings(), **options)


def taps(rig, count):
    for _ in range(count):
        rig.clock.pass_ms(4000)
        rig.tap(ANNA)
        rig.turn()


def ack(rig, next_wanted, **other):
    rig.parent.send(envelope.ACK, messages.pack_ack(next_wanted), **other)


def test_hello_tells_where_the_journal_stands():
    rig = rig_of()
    taps(rig, 2)
    hello = rig.parent.connect()
    journal = rig.controller.journal
    assert (hello.acked, hello.oldest_seq, hello.locked) == (1, 1, 0)
    assert (hello.table_version, hello.settings_version) == (1, 1)
    assert hello.boot_nonce == rig.controller.boot_nonce
    boot = [item for item in rig.records() if item.type == record.BOOT][-1]
    assert record.boot_nonce(boot) == hello.boot_nonce
    assert hello.next_seq == journal.next_seq - 1  # the INCARN record came with the answer


def test_hello_is_repeated_until_answered():
    rig = rig_of()
    rig.link.up()
    rig.run(13900)
    assert len(rig.parent.heard(envelope.HELLO)) == 3
    assert rig.parent.heard(envelope.RECS) == []


def test_records_go_out_from_where_the_parent_stands():
    rig = rig_of()
    taps(rig, 3)
    rig.parent.connect(next_wanted=4)
    assert sorted(rig.parent.received()) == list(range(4, rig.controller.journal.next_seq))
    first = rig.parent.heard(envelope.RECS)[0]
    assert len(first.previous_mac) == len(first.head_mac) == 32


def test_two_messages_are_ahead_at_most():
    rig = rig_of()
    taps(rig, 40)
    rig.parent.connect(next_wanted=1)
    assert [(recs.from_seq, recs.count) for recs in rig.parent.heard(envelope.RECS)] == [(1, 20), (21, 20)]
    ack(rig, 21)
    assert [recs.from_seq for recs in rig.parent.heard(envelope.RECS)] == [1, 21, 41]
    ack(rig, 61)
    assert [recs.from_seq for recs in rig.parent.heard(envelope.RECS)][3:] == [61, 81]
    assert rig.controller.journal.acked == 61


def test_unanswered_records_are_sent_again():
    rig = rig_of()
    taps(rig, 2)
    rig.parent.connect(next_wanted=1)
    count = len(rig.parent.heard(envelope.RECS))
    rig.run(1990)
    assert len(rig.parent.heard(envelope.RECS)) == count
    rig.run(20)
    assert rig.parent.heard(envelope.RECS)[-1].from_seq == 1
    ack(rig, rig.controller.journal.next_seq)
    count = len(rig.parent.heard(envelope.RECS))
    rig.run(60000)
    assert len(rig.parent.heard(envelope.RECS)) == count


def test_parent_that_was_restored_gets_all_again():
    rig = rig_of()
    taps(rig, 3)
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    rig.parent.incarnation = (2, 78)
    ack(rig, 2)
    assert rig.controller.journal.acked == 2
    assert sorted(rig.parent.received()) == list(range(2, rig.controller.journal.next_seq))
    assert [item.aux for item in rig.of_type(record.INCARN)] == [1, 2]
    rig.reboot()
    assert rig.controller.journal.acked == 1  # nobody of the new parent has said more yet


def test_new_parent_is_asked_where_it_stands():
    rig = rig_of()
    taps(rig, 3)
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    count = len(rig.parent.heard(envelope.HELLO))
    rig.parent.incarnation = (2, 78)
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(settings(version=2)))
    assert len(rig.parent.heard(envelope.HELLO)) == count + 1
    assert rig.controller.journal.acked == 1
    ack(rig, 3)
    assert rig.controller.journal.acked == 3
    assert rig.parent.heard(envelope.RECS)[-1].from_seq == 3


def test_hello_may_be_answered_from_below():
    rig = rig_of()
    taps(rig, 3)
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    rig.parent.connect(next_wanted=2)
    assert rig.controller.journal.acked == 2
    assert sorted(rig.parent.received()) == list(range(2, rig.controller.journal.next_seq))


def test_late_acknowledgement_sends_nothing_back():
    rig = rig_of()
    taps(rig, 3)
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    count = len(rig.link.sent)
    ack(rig, 2)
    assert len(rig.link.sent) == count
    assert rig.controller.journal.acked == rig.controller.journal.next_seq


def test_silent_parent_is_asked_where_it_stands():
    rig = rig_of()
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    taps(rig, 1)
    count = len(rig.parent.heard(envelope.HELLO))
    rig.run(20000)
    assert len(rig.parent.heard(envelope.HELLO)) == count + 1


def test_new_record_is_sent_at_once():
    rig = rig_of()
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    seq = rig.tap(ANNA)[2]
    assert rig.parent.received()[seq].type == record.PASS


def test_rot_in_an_unsent_record_locks_the_board():
    rig = Rig(rows=(row(ANNA, 11),))
    for _ in range(30):
        rig.tap(ANNA)
        rig.clock.pass_ms(6000)
        rig.run()
    rig.flash.cells[64 + 32 * 25 + 16] ^= 1
    rig.parent.connect(1)
    rig.parent.send(envelope.ACK, messages.pack_ack(21))
    rig.run(3000)
    assert [recs.from_seq + recs.count for recs in rig.parent.heard(envelope.RECS)][-1] <= 26
    assert rig.controller.locked == errors.JOURNAL_BROKEN
    assert rig.tap(ANNA)[0] == "ask"
    assert rig.parent.heard(envelope.HELLO)[-1].locked == errors.JOURNAL_BROKEN


def test_link_without_room_loses_nothing():
    rig = rig_of()
    taps(rig, 2)
    rig.parent.connect(next_wanted=1)
    rig.link.room = 0
    taps(rig, 2)
    rig.link.room = 99
    rig.run(2100)
    ack(rig, 5)
    assert sorted(rig.parent.received()) == list(range(1, rig.controller.journal.next_seq))


def test_acknowledgement_of_the_future_locks():
    rig = rig_of(CANTEEN)
    rig.parent.connect()
    taps(rig, 1)
    ack(rig, rig.controller.journal.next_seq + 1)
    assert rig.controller.refusals == {errors.SEQ_FUTURE: 1}
    assert is_locked(rig, errors.SEQ_FUTURE)
    rig.reboot()
    assert is_locked(rig, errors.SEQ_FUTURE)
    rig.parent.connect(rig.controller.journal.next_seq + 5)
    rig.parent.send(envelope.GRANT, messages.pack_rights([messages.Right(12, 0, 9000)]))
    assert rig.of_type(record.GRANT)[-1].account == 11
    assert len([item for item in rig.records() if item.type == record.NOTE]) == 1


def is_locked(rig, reason):
    """Every tap is refused, and the journal says why."""
    note = [item for item in rig.records() if item.type == record.NOTE][-1]
    return (
        rig.tap(ANNA, "-")[:2] == ("ask", errors.DEVICE_LOCKED)
        and (note.flags, note.amount) == (record.NOTE_LOCKED, reason)
        and rig.controller.locked == reason
    )


def test_locked_board_hands_over_its_journal():
    rig = rig_of()
    taps(rig, 40)
    rig.parent.connect()
    ack(rig, rig.controller.journal.next_seq)
    rig.parent.send(envelope.LOCK, messages.pack_lock(errors.CHAIN_FORK))
    assert is_locked(rig, errors.CHAIN_FORK)
    assert rig.parent.heard(envelope.HELLO)[-1].locked == errors.CHAIN_FORK
    sent = len(rig.parent.heard(envelope.RECS))
    ack(rig, 1)
    # Each answer names the end of one message; one that is lost is sent again.
    ack(rig, 41)
    rig.run(2100)
    for recs in list(rig.parent.heard(envelope.RECS)[sent:]):
        ack(rig, recs.from_seq + recs.count)
    while True:
        last = rig.parent.heard(envelope.RECS)[-1]
        if last.from_seq + last.count == rig.controller.journal.next_seq:
            break
        ack(rig, last.from_seq + last.count)
    seen = set()
    for recs in rig.parent.heard(envelope.RECS)[sent:]:
        seen.update(range(recs.from_seq, recs.from_seq + recs.count))
    assert seen == set(range(1, rig.controller.journal.next_seq))
    assert rig.controller.journal.acked < rig.controller.journal.next_seq


def test_books_of_the_parent_are_told_again():
    rig = rig_of()
    rig.parent.connect()
    books = bytes(range(12))
    rig.parent.send(envelope.ACK, messages.pack_ack(rig.controller.journal.next_seq, books))
    rig.parent.connect()
    assert rig.parent.heard(envelope.HELLO)[-1].books == books
    # Those of a parent before this one say nothing about it.
    rig.parent.incarnation = (2, 78)
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(settings(version=2)))
    assert rig.parent.heard(envelope.HELLO)[-1].books == bytes(12)


def test_recall_returns_what_is_left():
    rig = rig_of(CANTEEN)
    rig.tap(ANNA, "-")
    rig.parent.connect()
    for target in (5000, 4000, 30000, 40000):
        rig.parent.send(envelope.RECALL, messages.pack_rights([messages.Right(11, 0, target)]))
    returns = [(item.account, item.amount, item.aux) for item in rig.of_type(record.RETURN)]
    assert returns == [(11, 5000, 0), (11, 11500, 0), (11, 11500, 0)]
    assert rig.controller.holder.rights(11) == 0
    seq = rig.of_type(record.RETURN)[-1].seq
    ack(rig, seq)
    assert rig.parent.received()[seq].type == record.RETURN


def test_board_that_lost_a_record_gives_nothing_back():
    # It cannot know what it sold behind the record that rotted.
    rig = rig_of(CANTEEN)
    rig.tap(ANNA, "-")
    sold = rig.of_type(record.SALE)[-1].seq
    rig.clock.pass_ms(6000)
    rig.tap(ANNA, "-")
    rig.flash.cells[64 + 32 * (sold - 1) + 16] ^= 1
    rig.reboot()
    assert rig.controller.locked == errors.JOURNAL_BROKEN
    rig.parent.connect()
    head = rig.controller.journal.next_seq
    rig.parent.send(envelope.RECALL, messages.pack_rights([messages.Right(11, 0, 40000)]))
    assert rig.controller.journal.next_seq == head


def test_doubled_and_old_grants_change_nothing():
    rig = rig_of(CANTEEN)
    rig.parent.connect()
    for total in (9000, 9000, 5000, -1, 0):
        rig.parent.send(envelope.GRANT, messages.pack_rights([messages.Right(12, 0, total)]))
    assert [item.amount for item in rig.of_type(record.GRANT)] == [9000]


def test_grant_above_cap_is_not_taken():
    rig = rig_of(CANTEEN, given=settings(cap=10000))
    rig.parent.connect()
    rig.parent.send(envelope.GRANT, messages.pack_rights([messages.Right(12, 0, 90000)]))
    assert rig.controller.holder.rights(12) == 10000


def test_gate_holds_no_rights():
    rig = rig_of(GATE)
    rig.parent.connect()
    rights = messages.pack_rights([messages.Right(12, 0, 9000)])
    rig.parent.send(envelope.GRANT, rights)
    rig.parent.send(envelope.RECALL, rights)
    assert rig.controller.refusals == {errors.NOT_CAPABLE: 2}
    assert rig.of_type(record.GRANT, record.RETURN) == []


# Incarnations


def test_newer_parent_is_written_down():
    rig = rig_of()
    rig.parent.connect()
    rig.parent.incarnation = (3, 99)
    ack(rig, rig.controller.journal.next_seq)
    assert [(item.aux, item.account) for item in rig.of_type(record.INCARN)] == [(1, 77), (3, 99)]
    rig.reboot()
    ack(rig, 1, incarnation=2, incarnation_id=5)
    ack(rig, 1, incarnation=3, incarnation_id=98)
    assert rig.controller.refusals == {errors.WIRE_INCARNATION: 2}
    ack(rig, 1, incarnation=3, incarnation_id=99)
    assert len(rig.of_type(record.INCARN)) == 2


def test_old_parent_grants_nothing():
    rig = rig_of(CANTEEN)
    rig.parent.incarnation = (2, 88)
    rig.parent.connect()
    body = messages.pack_rights([messages.Right(12, 0, 9000)])
    rig.parent.send(envelope.GRANT, body, incarnation=1, incarnation_id=77)
    assert rig.of_type(record.GRANT) == []
