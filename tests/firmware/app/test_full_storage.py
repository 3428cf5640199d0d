"""A board whose file system is full from each of its writes on: it goes on, says so, and loses nothing."""

from firmware.hal.board import CANTEEN, GATE
from protocols import errors
from protocols.ledger import record
from protocols.wire import envelope, messages, table
from tests.firmware.rig import ANNA, BORIS, Rig, reference, row, settings

PRICE = 8500
OLD, NEW = 3, 7
ROOM_ENOUGH = 1000


def rig_of(kind):
    rows = [row(ANNA, 11, 20 * PRICE), row(BORIS, 12, 20 * PRICE)]
    rig = Rig(kind, rows=rows, given=settings(version=OLD, cap=100 * PRICE))
    rig.parent.connect()
    return rig


def many_cards():
    """A table of several chunks, in which Anna and Boris have more."""
    rows = [table.Row(bytes((index, 0, 0, 0, 9, 9, 9, 9)), 100 + index, 0, 0, 0, 0) for index in range(200)]
    rows.append(row(ANNA, 11, 30 * PRICE))
    rows.append(row(BORIS, 12, 30 * PRICE))
    return rows


def told_everything(rig):
    """The parent sends newer settings and a newer table, piece by piece as it is asked."""
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(settings(version=NEW, cap=100 * PRICE)))
    rows = many_cards()
    image = table.build(rows, NEW)
    manifest = messages.Manifest(NEW, len(rows), len(image), table.chunk_count(len(image)), table.root(image))
    done = len(rig.parent.heard(envelope.WANT))
    rig.parent.send(envelope.TABLE, messages.pack_manifest(manifest))
    while len(rig.parent.heard(envelope.WANT)) > done:
        want = rig.parent.heard(envelope.WANT)[done]
        done += 1
        for index in range(want.first, want.first + want.count):
            chunk = messages.Chunk(NEW, index, table.chunk(image, index))
            rig.parent.send(envelope.CHUNK, messages.pack_chunk(chunk))
    rig.run()


def day(rig):
    """News from the parent, taps, and a checkpoint; every tap is decided as on any other day."""
    for turn in range(3):
        if turn == 1:
            told_everything(rig)
        if turn == 2:
            rig.controller._begin_checkpoint()
        rig.clock.pass_ms(4000)
        taps = [rig.tap(card, "-" if rig.kind == CANTEEN else "in")[:2] for card in (ANNA, BORIS)]
        assert taps == [("served" if rig.kind == CANTEEN else "go", errors.OK)] * 2, taps
        rig.run(6000)


def check_whole(rig, kinds):
    """What is in force is old or new and never half of one; each tap has its record."""
    controller = rig.controller
    assert not controller.locked
    assert controller.settings.current.version in (OLD, NEW)
    assert controller.accounts.version in (1, NEW)
    assert controller.accounts.find(reference(ANNA)).account == 11
    assert (
        controller.accounts.find(reference(ANNA)).rights
        == (30 if controller.accounts.version == NEW else 20) * PRICE
    )
    assert len(rig.of_type(kinds)) == 6 if kinds == record.SALE else len(rig.of_type(kinds)) >= 6


def is_told(rig):
    """Whether the board has counted the refused news, or shows the fault."""
    counted = rig.controller.refusals.get(errors.STORAGE_MISSING, 0)
    return counted > 0 or errors.STORAGE_MISSING in rig.panel.faults


def full_at_each_write(kind):
    sold = record.SALE if kind == CANTEEN else record.PASS
    for room in range(ROOM_ENOUGH):
        rig = rig_of(kind)
        rig.storage.room = room
        day(rig)
        is_enough = not rig.storage.was_full
        check_whole(rig, sold)
        assert is_enough or is_told(rig), room
        rig.reboot()
        check_whole(rig, sold)
        # There is room again: what was refused comes anew, and a checkpoint too.
        rig.storage.room = None
        rig.parent.connect()
        told_everything(rig)
        rig.controller._begin_checkpoint()
        rig.run(6000)
        rig.reboot()
        check_whole(rig, sold)
        assert (rig.controller.settings.current.version, rig.controller.accounts.version) == (NEW, NEW), room
        if kind == CANTEEN:
            spent = [rig.controller.counters.get(account, 0).spent for account in (11, 12)]
            assert spent == [3 * PRICE, 3 * PRICE], room
        if is_enough:
            return room
    return 0


def test_line_is_full_from_each_write_on():
    assert full_at_each_write(CANTEEN) > 15


def test_gate_is_full_from_each_write_on():
    assert full_at_each_write(GATE) > 10
