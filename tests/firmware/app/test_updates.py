"""What the parent changes on a device: its clock, its settings, its account table."""

import struct
from binascii import crc32

from firmware.app.settings import DEFAULTS
from firmware.hal.board import CANTEEN, GATE
from protocols import errors
from protocols.ledger import record
from protocols.wire import envelope, messages, table
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, Rig, reference, row, settings

ROWS = (row(ANNA, 11, 20000), row(BORIS, 12))


def rig_of(kind=GATE, given=None, **options):
    return Rig(kind, rows=ROWS, given=given or settings(), **options)


# Time and settings


def tell_time(rig, utc, nonce=None, flags=0):
    told = messages.Time(utc, utc // 86400, nonce or rig.controller.boot_nonce, flags)
    rig.parent.send(envelope.TIME, messages.pack_time(told))


def test_time_of_this_boot_sets_the_clock():
    rig = rig_of()
    rig.parent.connect()
    tell_time(rig, MORNING + 1)
    assert rig.of_type(record.CLOCK) == []
    tell_time(rig, MORNING + 600)
    item = rig.of_type(record.CLOCK)[-1]
    assert (rig.clock.utc(), item.amount, item.time) == (MORNING + 600, 600, MORNING + 600)


def test_time_of_another_boot_is_refused():
    rig = rig_of()
    rig.parent.connect()
    nonce = rig.controller.boot_nonce
    rig.reboot()
    tell_time(rig, MORNING + 600, nonce)
    assert rig.clock.utc() == MORNING
    assert rig.controller.refusals == {errors.WIRE_NONCE: 1}


def test_newer_settings_are_kept():
    rig = rig_of()
    rig.parent.connect()
    newer = settings(version=5, cap=777)
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(newer))
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(newer))
    assert rig.controller.settings.current == newer
    kept = [(item.flags, item.aux) for item in rig.of_type(record.TABLE)]
    assert kept[-1] == (record.TABLE_SETTINGS, 5)
    assert kept.count((record.TABLE_SETTINGS, 5)) == 1
    rig.reboot()
    assert rig.controller.settings.current == newer
    assert rig.controller.holder.cap == 777
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(settings(version=4)))
    assert rig.controller.refusals == {errors.TABLE_OLD: 1}
    assert rig.controller.settings.current == newer


def test_full_storage_keeps_old_settings():
    rig = rig_of()
    rig.parent.connect()
    rig.storage.is_full = True
    rig.parent.send(envelope.SETTINGS, messages.pack_settings(settings(version=5)))
    assert rig.controller.settings.current.version == 1
    assert rig.controller.refusals == {errors.STORAGE_MISSING: 1}


def test_settings_of_another_length_are_taken_whole_or_not_at_all():
    # As a cloud or a stored file had them before weak cards had a limit: four bytes less.
    rig = rig_of()
    rig.parent.connect()
    body = messages.pack_settings(settings(version=5, cap=777))
    shorter = body[:21] + body[25:]
    rig.parent.send(envelope.SETTINGS, shorter)
    assert rig.controller.refusals == {errors.WIRE_BODY: 1}
    assert rig.controller.settings.current.version == 1
    rig.storage.files["settings"] = shorter + struct.pack("<I", crc32(shorter))
    rig.reboot()
    assert rig.controller.settings.current == DEFAULTS
    assert DEFAULTS.weak_day_minor == 0
    assert rig.parent.connect().settings_version == 0
    rig.parent.send(envelope.SETTINGS, body)
    assert rig.controller.holder.cap == 777


# The account table


def offer_table(rig, image, version, rows, root=None):
    manifest = messages.Manifest(
        version, rows, len(image), table.chunk_count(len(image)), root or table.root(image)
    )
    rig.parent.send(envelope.TABLE, messages.pack_manifest(manifest))


def serve_chunks(rig, image, version, lose=(), spoil=()):
    """Answer each Want once; returns how many Wants there were."""
    done = 0
    while len(rig.parent.heard(envelope.WANT)) > done:
        want = rig.parent.heard(envelope.WANT)[done]
        done += 1
        for index in range(want.first, want.first + want.count):
            data = table.chunk(image, index)
            if (done, index) in lose:
                continue
            if (done, index) in spoil:
                data = bytes(len(data))
            rig.parent.send(envelope.CHUNK, messages.pack_chunk(messages.Chunk(version, index, data)))
        if any(number == done for number, _index in lose):
            rig.run(2010)
    return done


def many_rows(count):
    return [
        table.Row(index.to_bytes(4, "little") + b"\x01\x02\x03\x04", index + 1, 0, 0, 0, 0)
        for index in range(count)
    ]


def test_table_is_fetched_and_swapped_in():
    rig = rig_of()
    rig.parent.connect()
    rows = many_rows(500)
    rows.append(row(ANNA, 99))
    image = table.build(rows, 7)
    offer_table(rig, image, 7, 501)
    assert serve_chunks(rig, image, 7) == 3
    assert rig.controller.accounts.version == 7
    assert rig.controller.accounts.find(reference(ANNA)).account == 99
    assert rig.of_type(record.TABLE)[-1].aux == 7
    rig.reboot()
    assert rig.controller.accounts.version == 7
    assert rig.tap(BORIS)[1] == errors.CARD_UNKNOWN


def test_taps_go_on_during_the_fetch():
    rig = rig_of()
    rig.parent.connect()
    image = table.build(many_rows(500), 7)
    offer_table(rig, image, 7, 500)
    assert rig.tap(ANNA)[0] == "go"
    assert rig.controller.accounts.version == 1


def test_lost_chunks_are_asked_for_again():
    rig = rig_of()
    rig.parent.connect()
    image = table.build(many_rows(500), 7)
    offer_table(rig, image, 7, 500)
    serve_chunks(rig, image, 7, lose=((1, 0), (3, 5)))
    assert rig.controller.accounts.version == 7


def test_table_with_a_wrong_root_is_fetched_again():
    rig = rig_of()
    rig.parent.connect()
    image = table.build(many_rows(100), 7)
    offer_table(rig, image, 7, 100)
    serve_chunks(rig, image, 7, spoil=((1, 2),))
    assert rig.controller.accounts.version == 7
    assert rig.controller.refusals == {errors.TABLE_ROOT: 1}


def test_table_that_stays_wrong_is_given_up():
    rig = rig_of()
    rig.parent.connect()
    image = table.build(many_rows(100), 7)
    offer_table(rig, image, 7, 100, root=bytes(32))
    assert serve_chunks(rig, image, 7) == 3
    assert rig.controller.accounts.version == 1
    assert rig.controller.refusals == {errors.TABLE_ROOT: 3}
    told = [(item.flags, item.amount, item.aux) for item in rig.of_type(record.TABLE)]
    assert told[-1] == (record.TABLE_REFUSED, errors.TABLE_ROOT, 7)
    # The same again is told once in a boot, and is no version that was applied.
    offer_table(rig, image, 7, 100, root=bytes(32))
    rig.link.sent = []
    serve_chunks(rig, image, 7)
    assert [item.flags for item in rig.of_type(record.TABLE)].count(record.TABLE_REFUSED) == 1
    assert rig.controller.state.table_version == 1
    assert rig.tap(ANNA)[0] == "go"
    # The next manifest is a new start.
    offer_table(rig, image, 7, 100)
    sent = rig.link.sent
    rig.link.sent = sent[-1:]
    serve_chunks(rig, image, 7)
    assert rig.controller.accounts.version == 7


def test_old_table_revives_no_blocked_card():
    rig = rig_of()
    rig.parent.connect()
    image = table.build(ROWS, 7)
    offer_table(rig, image, 7, 2)
    serve_chunks(rig, image, 7)
    old = table.build(ROWS, 3)
    offer_table(rig, old, 3, 2)
    assert rig.controller.refusals == {errors.TABLE_OLD: 1}
    # Somebody puts the old file back by hand: the journal knows better.
    rig.storage.files["accounts"] = old
    rig.reboot()
    assert rig.controller.accounts.version == 0
    assert rig.tap(ANNA)[1] == errors.CARD_UNKNOWN
    assert rig.parent.connect().table_version == 0


def test_power_cut_between_swap_and_record():
    rig = rig_of()
    rig.storage.files["accounts"] = table.build(ROWS, 8)
    rig.reboot()
    assert rig.of_type(record.TABLE)[-1].aux == 8


def test_impossible_manifest_is_refused():
    rig = rig_of()
    rig.parent.connect()
    for size, chunks in ((10**6, 1042), (5000, 1), (0, 0)):
        manifest = messages.Manifest(7, 1, size, chunks, bytes(32))
        rig.parent.send(envelope.TABLE, messages.pack_manifest(manifest))
    assert rig.controller.refusals == {errors.TABLE_SHAPE: 3}


def test_full_storage_keeps_the_old_table():
    rig = rig_of()
    rig.parent.connect()
    rig.storage.is_full = True
    image = table.build(many_rows(100), 7)
    offer_table(rig, image, 7, 100)
    assert rig.controller.refusals == {errors.STORAGE_MISSING: 1}
    assert rig.tap(ANNA)[0] == "go"


def test_fetch_that_cannot_close_is_forgotten():
    rig = rig_of()
    rig.parent.connect()
    images = [table.build(many_rows(100), version) for version in (7, 8)]
    manifests = [
        messages.Manifest(version, 100, len(image), table.chunk_count(len(image)), table.root(image))
        for version, image in zip((7, 8), images)
    ]
    rig.parent.send(envelope.TABLE, messages.pack_manifest(manifests[0]))
    rig.storage.is_full = True
    rig.parent.send(envelope.TABLE, messages.pack_manifest(manifests[1]))
    rig.storage.is_full = False
    chunk = messages.Chunk(7, 0, table.chunk(images[0], 0))
    rig.parent.send(envelope.CHUNK, messages.pack_chunk(chunk))
    assert rig.controller.refusals == {errors.STORAGE_MISSING: 1, errors.TABLE_CHUNK: 1}


def test_table_on_its_way_ends_with_its_parent():
    rig = rig_of(CANTEEN)
    rig.parent.connect()
    offer_table(rig, table.build(many_rows(100), 9007), 9007, 100)
    rig.link.down()
    rig.parent.incarnation = (2, 72)
    rig.parent.connect()
    rig.link.sent.clear()
    # The one that was set back counts on from its backup: its newest number may be far below.
    image = table.build([row(ANNA, 11, 17000)], 8)
    offer_table(rig, image, 8, 1)
    serve_chunks(rig, image, 8)
    assert rig.controller.accounts.version == 8
    assert errors.TABLE_OLD not in rig.controller.refusals
