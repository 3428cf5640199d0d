"""Every prefix of every message of the parent: a numbered refusal, nothing changes, the connection goes on.

A prefix of the whole message breaks its length before its MAC; a prefix of a body under a right MAC must be
found by its own length.
"""

from firmware.hal.board import CANTEEN
from protocols import errors
from protocols.wire import envelope, messages, table
from tests.firmware.app.test_hostile_messages import ack, bodies, offer, picture, rig_of
from tests.firmware.rig import ANNA, row


def topic_of(rig, kind):
    return rig.parent.tbl if kind == envelope.CHUNK else rig.parent.down


def test_prefix_of_each_message_changes_nothing():
    rig = rig_of(CANTEEN, sectors=4)
    rig.parent.connect()
    for kind, body in bodies(rig).items():
        whole = rig.parent.seal(kind, body)
        for size in range(len(whole)):
            offer(rig, topic_of(rig, kind), whole[:size], errors.WIRE_LENGTH)


def test_prefix_of_each_body_changes_nothing():
    rig = rig_of(CANTEEN, sectors=4)
    rig.parent.connect()
    for kind, body in bodies(rig).items():
        if kind == envelope.CHUNK:
            continue
        for size in range(len(body)):
            offer(rig, topic_of(rig, kind), rig.parent.seal(kind, body[:size]), errors.WIRE_BODY)
    rig.clock.pass_ms(4000)
    seq = rig.tap(ANNA, "-")[2]
    ack(rig, seq + 1)
    assert rig.controller.journal.acked == seq + 1


def test_prefix_of_a_chunk_is_not_taken():
    rig = rig_of(CANTEEN, sectors=4)
    parent = rig.parent
    parent.connect()
    rows = tuple(row("a:%08X" % (number + 1), number + 1) for number in range(50))
    image = table.build(rows, 9)
    chunks = table.chunk_count(len(image))
    assert chunks > 1
    manifest = messages.Manifest(9, len(rows), len(image), chunks, table.root(image))
    parent.send(envelope.TABLE, messages.pack_manifest(manifest))
    rig.run()
    body = messages.pack_chunk(messages.Chunk(9, 0, table.chunk(image, 0)))
    count = sum(rig.controller.refusals.values())
    before = picture(rig)
    for size in range(len(body)):
        rig.link.inbound.append((parent.tbl, parent.seal(envelope.CHUNK, body[:size])))
        rig.run()
        count += 1
        assert sum(rig.controller.refusals.values()) == count, size
        assert rig.sync._fetch._next == 0, size
    assert picture(rig) == before
    for index in range(chunks):
        chunk = messages.Chunk(9, index, table.chunk(image, index))
        rig.link.inbound.append((parent.tbl, parent.seal(envelope.CHUNK, messages.pack_chunk(chunk))))
        rig.run()
    assert rig.controller.accounts.version == 9
