"""Every message of the parent in every wrong way: counted, without effect, and the connection goes on."""

from firmware.hal.board import CANTEEN, GATE
from protocols import errors
from protocols.wire import envelope, messages, table
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, DEVICE, SCHOOL, Rig, row, settings

ROWS = (row(ANNA, 11, 20000), row(BORIS, 12))


def rig_of(kind=GATE, given=None, **options):
    return Rig(kind, rows=ROWS, given=given or settings(), **options)


def ack(rig, next_wanted, **other):
    rig.parent.send(envelope.ACK, messages.pack_ack(next_wanted), **other)


def bodies(rig):
    """A body of each type that would change something."""
    image = table.build(ROWS, 9)
    manifest = messages.Manifest(9, 2, len(image), table.chunk_count(len(image)), table.root(image))
    right = [messages.Right(12, 0, 9000)]
    nonce = rig.controller.boot_nonce
    return {
        envelope.ACK: messages.pack_ack(2),
        envelope.GRANT: messages.pack_rights(right),
        envelope.RECALL: messages.pack_rights(right),
        envelope.ANSWER: messages.pack_answer(messages.Answer(5, 12, 0, 9000)),
        envelope.TABLE: messages.pack_manifest(manifest),
        envelope.CHUNK: messages.pack_chunk(messages.Chunk(9, 0, table.chunk(image, 0))),
        envelope.SETTINGS: messages.pack_settings(settings(version=9)),
        envelope.TIME: messages.pack_time(messages.Time(MORNING + 600, 20000, nonce, 0)),
        envelope.COMMAND: messages.pack_command(messages.Command(1, 2, 0, 60000, nonce)),
        envelope.LOCK: messages.pack_lock(errors.CHAIN_FORK),
    }


def picture(rig):
    """All that a message could change."""
    controller = rig.controller
    return (
        controller.journal.next_seq,
        controller.journal.acked,
        bytes(rig.flash.cells) if len(rig.flash.cells) < 20000 else len(rig.flash.cells),
        sorted(rig.storage.files),
        controller.settings.current,
        controller.accounts.version,
        rig.clock.utc(),
        controller.state.pack(),
        rig.sync.synced,
        rig.sync._fetch is None,
    )


def offer(rig, topic, payload, code):
    """Put a wrong message in: it is counted under its number and changes nothing."""
    before = picture(rig)
    count = rig.controller.refusals.get(code, 0)
    rig.link.inbound.append((topic, payload))
    rig.run()
    assert rig.controller.refusals.get(code, 0) == count + 1, (code, rig.controller.refusals)
    assert picture(rig) == before


def test_wrong_messages_change_nothing():
    rig = rig_of(CANTEEN, sectors=4)
    parent = rig.parent
    parent.connect()
    for kind, body in bodies(rig).items():
        topic, other = (parent.tbl, parent.down) if kind == envelope.CHUNK else (parent.down, parent.tbl)
        good = parent.seal(kind, body)
        for cut in (0, 1, 29, 45, len(good) - 1):
            offer(rig, topic, good[:cut], errors.WIRE_LENGTH)
        offer(rig, topic, good + b"\x00", errors.WIRE_LENGTH)
        offer(rig, topic, good + bytes(2000), errors.WIRE_LENGTH)
        for place in (30, len(good) - 17, len(good) - 1):
            garbled = bytearray(good)
            garbled[place] ^= 0x40
            offer(rig, topic, bytes(garbled), errors.WIRE_MAC)
        wrong_version = bytearray(good)
        wrong_version[0] = 2
        offer(rig, topic, bytes(wrong_version), errors.WIRE_VERSION)
        offer(rig, topic, parent.seal(kind, body, device=DEVICE + 1), errors.WIRE_TOPIC)
        offer(rig, topic, parent.seal(kind, body, school=SCHOOL + 1), errors.WIRE_TOPIC)
        offer(rig, topic, parent.seal(kind, body, epoch=2), errors.WIRE_EPOCH)
        offer(rig, topic, parent.seal(kind, body, incarnation=0), errors.WIRE_INCARNATION)
        offer(rig, other, good, errors.WIRE_TOPIC)
        offer(rig, "kk/1/00000001/00000002/down", good, errors.WIRE_TOPIC)
        forged = envelope.seal(bytes(32), parent.head(kind), body)
        offer(rig, topic, forged, errors.WIRE_MAC)
        offer(rig, topic, parent.seal(kind, body + b"\x00"), wrong_length(kind))
        if kind != envelope.CHUNK:
            offer(rig, topic, parent.seal(kind, body[:-1]), errors.WIRE_BODY)
            offer(rig, topic, parent.seal(kind, b""), errors.WIRE_BODY)
    # The connection has gone on all the time.
    rig.clock.pass_ms(4000)
    seq = rig.tap(ANNA, "-")[2]
    ack(rig, seq + 1)
    assert rig.controller.journal.acked == seq + 1


def wrong_length(kind):
    """A chunk nobody asked for is refused before its length is."""
    return errors.TABLE_CHUNK if kind == envelope.CHUNK else errors.WIRE_BODY


def test_own_messages_do_not_come_back():
    rig = rig_of()
    rig.parent.connect()
    offer(rig, rig.parent.down, rig.link.sent[-1][1], errors.WIRE_DIRECTION)


def test_types_of_later_versions_are_counted():
    rig = rig_of()
    rig.parent.connect()
    offer(rig, rig.parent.down, rig.parent.seal(envelope.EPOCH, b""), errors.WIRE_TYPE)
