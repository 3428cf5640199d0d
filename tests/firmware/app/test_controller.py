"""Boot, health and the parts that every controller has."""

import struct

from firmware.app.state import DeviceState
from firmware.hal.board import CANTEEN, GATE, Provision
from firmware.hal.panel import LAST, STATUS
from protocols import errors
from protocols.card.credential import card_ref
from protocols.errors import Fault
from protocols.ledger import record
from protocols.wire import envelope, messages
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, REFERENCE_KEY, Rig, row, settings

ROWS = (row(ANNA, 11),)


def gate():
    return Rig(GATE, rows=ROWS, given=settings())


def ask(rig, question):
    rig.panel.questions.append(question)
    rig.run()
    return rig.panel.answers[-1]


def test_each_boot_has_a_new_nonce():
    rig = gate()
    first = rig.controller.boot_nonce
    rig.reboot()
    boots = rig.of_type(record.BOOT)
    assert [record.boot_nonce(item) for item in boots] == [first, rig.controller.boot_nonce]
    assert first != rig.controller.boot_nonce


def test_versions_are_journaled_once():
    rig = gate()
    rig.reboot()
    versions = [(item.flags, item.aux) for item in rig.of_type(record.TABLE)]
    assert versions == [(record.TABLE_SETTINGS, 1), (record.TABLE_ACCOUNTS, 1)]


def test_device_reference_is_the_school_one():
    rig = gate()
    who = rig.controller.identify(type("Tap", (), {"credential": "A:04c716d07c564b"}))
    assert who.reference == card_ref(REFERENCE_KEY, ANNA)[:8]


def test_last_operation_is_told():
    rig = gate()
    assert ask(rig, LAST) == ("last", None, 0, False)
    rig.tap("a:04AABBCCDDEE11")
    answer = ask(rig, LAST)
    assert (answer[1].type, answer[2], answer[3]) == (record.NOTE, errors.CARD_UNKNOWN, False)
    seq = rig.tap(ANNA)[2]
    rig.reboot()
    answer = ask(rig, LAST)
    assert (answer[1].seq, answer[1].time, answer[2], answer[3]) == (seq, MORNING, 0, True)
    rig.turn()
    answer = ask(rig, LAST)
    assert (answer[1].flags, answer[3]) == (record.PASS_TURNED, False)


def test_status_tells_the_health():
    rig = gate()
    values = ask(rig, STATUS)[1]
    assert values["next"] == rig.controller.journal.next_seq
    assert (values["table"], values["settings"], values["online"], values["refused"]) == (1, 1, 0, 0)


def test_unknown_clock_goes_on_from_the_journal():
    rig = gate()
    rig.clock.pass_ms(5000)
    rig.tap(ANNA)
    rig.clock.known = False
    rig.clock.now = 0
    rig.reboot()
    assert rig.of_type(record.BOOT)[-1].time == MORNING + 5


def test_day_never_goes_back():
    rig = gate()
    rig.tap(ANNA)
    day = rig.records()[-1].day
    rig.clock.now = 1000
    rig.controller.write(record.NOTE, 0)
    assert rig.records()[-1].day == day


def test_storage_that_cannot_be_read_locks():
    rig = gate()

    def broken(_name, _mode):
        raise OSError(5)

    rig.storage.open = broken
    rig.reboot()
    assert rig.controller.locked == errors.STORAGE_MISSING
    # The journal is elsewhere and still goes to the parent.
    rig.parent.connect(next_wanted=1)
    assert rig.parent.received()


def test_journal_of_another_device_locks():
    rig = gate()
    rig.device += 1
    rig.reboot()
    assert rig.controller.locked == errors.JOURNAL_FOREIGN
    assert rig.tap(ANNA)[:2] == ("ask", errors.DEVICE_LOCKED)


def test_rot_before_the_newest_sector_locks_at_boot():
    rig = gate()
    for _ in range(70):
        rig.clock.pass_ms(6000)
        rig.tap(ANNA)
        rig.turn()
    opened = rig.of_type(record.PASS)[-2].seq
    rig.flash.cells[64 + 32 * 70 + 16] ^= 1
    rig.controller.state.open_passage = opened
    rig.reboot()
    assert rig.controller.locked == errors.JOURNAL_BROKEN
    assert rig.tap(ANNA)[0] == "ask"


def test_board_with_a_rotten_journal_writes_nothing_whatever_it_is_told():
    """A record behind the hole would be the head of the next start, and what was sold before forgotten."""
    rig = Rig(CANTEEN, rows=(row(ANNA, 11, 50000),), given=settings(verdict_ms=0))
    rig.parent.connect()
    for _ in range(3):
        rig.clock.pass_ms(6000)
        assert rig.tap(ANNA, "-")[0] == "served"
    newest = rig.controller.journal.next_seq - 1
    rig.flash.cells[64 + 32 * (newest - 1) + 20] ^= 4
    rig.clock.pass_ms(6000)
    assert rig.tap(ANNA, "-")[0] == "served"
    rig.reboot()
    assert rig.controller.locked == errors.JOURNAL_BROKEN
    before = bytes(rig.flash.cells)
    for incarnation in ((1, 77), (2, 78)):
        rig.parent.incarnation = incarnation
        rig.parent.connect()
        rig.parent.send(envelope.SETTINGS, messages.pack_settings(settings(version=9, verdict_ms=0)))
        rig.parent.send(envelope.LOCK, messages.pack_lock(errors.CHAIN_FORK))
        rig.run(3000)
        assert rig.tap(ANNA, "-")[0] == "ask"
    assert bytes(rig.flash.cells) == before
    rig.reboot()
    assert rig.controller.locked == errors.JOURNAL_BROKEN


def test_provision_needs_whole_keys():
    good: dict = {
        "school": 1,
        "device": 2,
        "epoch": 1,
        "kind": CANTEEN,
        "key": bytes(32),
        "reference_key": bytes(32),
    }
    Provision(**good)
    for field, value in (("kind", "door"), ("key", bytes(31)), ("reference_key", b"")):
        wrong = dict(good)
        wrong[field] = value
        code = 0
        try:
            Provision(**wrong)
        except Fault as fault:
            code = fault.code
        assert code == errors.STORAGE_MISSING, field
    assert "00" not in repr(Provision(**good)).replace("00000002", "")


def test_state_survives_packing():
    state = DeviceState()
    items = (
        record.Record(record.INCARN, 0, 1, 1, 5, 77, 0, 3),
        record.Record(record.TABLE, record.TABLE_ACCOUNTS, 1, 2, 5, 0, 0, 9),
        record.Record(record.TABLE, record.TABLE_SETTINGS, 1, 3, 5, 0, 0, 8),
        record.Record(record.TABLE, record.TABLE_SETTINGS, 1, 4, 5, 0, 0, 6),
        record.Record(record.PASS, record.PASS_OPENED, 1, 5, 5, 11, 0, 1),
    )
    for item in items:
        state.follow(item)
    state.acked = 4
    other = DeviceState()
    other.load(state.pack())
    assert other.pack() == state.pack()
    found = (other.incarnation, other.incarnation_id, other.table_version, other.settings_version)
    assert found == (3, 77, 9, 8)
    assert (other.next_seq, other.last_operation, other.open_passage) == (6, 5, 5)


def test_checkpoint_of_an_older_program_is_read():
    # Until two of them were split, `locked` and `day_before_set` were numbers of 32 bits.
    words = (9, 8, 3, 77, 6, 5, 8, 7, errors.JOURNAL_BROKEN, 20662, 4, 6, 20661, 12, 20660)
    old = struct.pack("<15I", *words) + bytes(range(12))
    state = DeviceState()
    state.load(old)
    assert (state.locked, state.readers) == (errors.JOURNAL_BROKEN, 0)
    assert (state.day_before_set, state.benefits_from) == (20661, 0)
    assert (state.open_passage, state.day, state.command, state.day_sure) == (7, 20662, 12, 20660)
    assert state.books == bytes(range(12))
    # What did not exist then is nothing, and nothing else has changed.
    assert state.pack() == old
