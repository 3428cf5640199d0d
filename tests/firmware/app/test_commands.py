"""COMMAND: obeyed once, in its boot, in its time, after TIME; journaled before anything moves."""

from firmware.hal.board import CANTEEN, GATE
from protocols import errors
from protocols.ledger import record
from protocols.wire import envelope, messages
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, Rig, row, settings
from tests.protocols.nor import PowerCut

OPEN, IDENTIFY = messages.COMMAND_OPEN, messages.COMMAND_IDENTIFY


def tell_time(rig):
    day = (MORNING + 10800) // 86400
    body = messages.pack_time(messages.Time(rig.clock.utc(), day, rig.controller.boot_nonce, 0))
    rig.parent.send(envelope.TIME, body)


def rig_of(kind=GATE):
    rig = Rig(kind, rows=(row(ANNA, 11, rights=10000),), given=settings(verdict_ms=0))
    rig.parent.connect()
    tell_time(rig)
    return rig


def command(rig, number=1, kind=OPEN, argument=0, expiry_ms=30000, nonce=None):
    nonce = rig.controller.boot_nonce if nonce is None else nonce
    body = messages.pack_command(messages.Command(number, kind, argument, expiry_ms, nonce))
    rig.parent.send(envelope.COMMAND, body)


def refused(rig, code):
    assert rig.controller.refusals == {code: 1}, rig.controller.refusals
    assert rig.hands.released == ""
    assert rig.panel.identified == []
    assert [item for item in rig.of_type(record.NOTE) if item.flags == record.NOTE_COMMAND] == []
    rig.controller.refusals.clear()


def test_command_opens_for_one_passage():
    rig = rig_of()
    command(rig, number=7, argument=messages.DIRECTION_OUT)
    note, opened = rig.records()[-2:]
    assert (note.type, note.flags, note.account) == (record.NOTE, record.NOTE_COMMAND, 0)
    assert (note.amount, note.aux) == (OPEN + record.COMMAND_ARGUMENT, 7)
    assert (opened.type, opened.account, opened.aux) == (record.PASS, 0, 0)
    assert opened.flags == record.PASS_OPENED | record.PASS_OUT
    assert rig.hands.released == "out"
    assert rig.panel.verdicts[-1] == ("go", errors.OK, opened.seq)
    rig.turn("out")
    assert rig.records()[-1].flags == record.PASS_TURNED | record.PASS_OUT
    assert rig.hands.released == ""


def test_command_ends_the_passage_before():
    rig = rig_of()
    rig.tap(ANNA)
    command(rig)
    stages = [(item.flags & record.PASS_STAGE, item.account) for item in rig.of_type(record.PASS)]
    assert stages == [(record.PASS_OPENED, 11), (record.PASS_NOT_TURNED, 11), (record.PASS_OPENED, 0)]


def test_line_shows_itself_and_opens_nothing():
    rig = rig_of(CANTEEN)
    command(rig, kind=IDENTIFY)
    assert rig.panel.identified == [rig.records()[-1].seq]
    command(rig, number=2)
    assert rig.controller.refusals == {errors.NOT_CAPABLE: 1}


def test_command_counts_once():
    rig = rig_of()
    command(rig, number=5)
    rig.turn()
    for number in (5, 4, 1):
        command(rig, number=number)
    assert rig.controller.refusals == {errors.WIRE_OLD_COMMAND: 3}
    assert rig.hands.released == ""
    command(rig, number=6)
    assert rig.hands.released == "in"


def test_number_survives_boots_and_checkpoints():
    rig = rig_of()
    command(rig, number=5)
    for _ in range(2):
        rig.controller._begin_checkpoint()
        rig.run(5000)
        rig.reboot()
        rig.hands.released = ""
        rig.parent.connect()
        tell_time(rig)
        command(rig, number=5)
        assert rig.controller.refusals == {errors.WIRE_OLD_COMMAND: 1}
        assert rig.controller.state.command == 5


def test_command_of_another_boot_is_refused():
    rig = rig_of()
    nonce = rig.controller.boot_nonce
    rig.reboot()
    rig.parent.connect()
    command(rig, nonce=nonce)
    refused(rig, errors.WIRE_NONCE)
    tell_time(rig)
    command(rig, nonce=nonce)
    refused(rig, errors.WIRE_NONCE)


def test_nothing_is_obeyed_before_time():
    rig = rig_of()
    rig.reboot()
    rig.parent.connect()
    command(rig)
    refused(rig, errors.WIRE_BEFORE_TIME)
    tell_time(rig)
    command(rig)
    assert rig.hands.released == "in"


def test_command_lives_from_the_first_hello():
    rig = rig_of()
    rig.run(20000)
    rig.link.down()
    rig.run(5000)
    rig.parent.connect()
    rig.run(5001)
    command(rig, expiry_ms=30000)
    refused(rig, errors.WIRE_EXPIRED)
    command(rig, expiry_ms=30001)
    assert rig.hands.released == "in"


def test_command_of_a_wrong_clock_is_refused():
    rig = rig_of()
    command(rig, expiry_ms=21 * 86400000)
    refused(rig, errors.WIRE_EXPIRED)


def test_locked_gate_obeys_nothing():
    rig = rig_of()
    rig.parent.send(envelope.LOCK, messages.pack_lock(errors.CHAIN_FORK))
    command(rig)
    assert rig.controller.refusals == {errors.DEVICE_LOCKED: 1}
    assert rig.hands.released == ""


def test_cut_leaves_a_command_done_or_lost():
    cuts = 0
    while True:
        rig = rig_of()
        body = messages.pack_command(messages.Command(3, OPEN, 0, 30000, rig.controller.boot_nonce))
        payload = rig.parent.seal(envelope.COMMAND, body)
        rig.flash.cut_after = cuts
        rig.link.inbound.append((rig.parent.down, payload))
        try:
            rig.run()
            is_whole = True
        except PowerCut:
            is_whole = False
        if rig.hands.released:
            assert rig.controller.state.command == 3
        rig.reboot()
        opened = len(rig.of_type(record.PASS))
        rig.parent.connect()
        tell_time(rig)
        rig.link.inbound.append((rig.parent.down, payload))
        rig.run()
        assert len(rig.of_type(record.PASS)) == opened
        if is_whole:
            return
        cuts += 3
