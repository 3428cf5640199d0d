"""Every prefix of every message of a device: a numbered refusal, nothing changes, the device is served on.

A prefix of the whole message breaks its length before its MAC; a prefix of a body under a right MAC is what a
broken or hostile device may send.
"""

import pytest
from sqlalchemy import Engine

from cloud.ingest.service import Incoming
from protocols.errors import WIRE_BODY, WIRE_LENGTH
from protocols.ledger import record
from protocols.wire import envelope, messages, topics
from tests.cloud.ingest.peer import Peer, World

TABLES = ("record", "entry", "balance", "spending_right", "right_movement", "passage", "outbox", "downlink")


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    made = World(store_sqlite, tmp_path)
    made.ingest.start({})
    yield made
    made.check_books()


def picture(world: World) -> tuple:
    """All that a message could change, but for the counts of refusals."""
    rows = [world.rows(f"SELECT * FROM {name} WHERE school_id = ?") for name in TABLES]
    epochs = world.rows("SELECT device_id, epoch, next_seq, head_mac, boot_nonce, status FROM device_epoch"
                        " WHERE school_id = ?")  # fmt: skip
    versions = world.rows("SELECT device_id, table_version, settings_version, state FROM device"
                          " WHERE school_id = ?")  # fmt: skip
    return rows, epochs, versions, world.archive.length()


def refusals(world: World, peer: Peer) -> dict[int, int]:
    """Number to how often."""
    rows = world.rows("SELECT device_id, code, count FROM device_refusal WHERE school_id = ?")
    return {code: count for device, code, count in rows if device == peer.device}


def bodies(world: World, peer: Peer) -> dict[int, bytes]:
    """A body of each type that would change something or be answered."""
    account = world.pupils[0]
    peer.sell(account)
    peer.write(record.CLOSE_DAY, 0, 0, 1, 2)
    raw = b"".join(peer.raws)
    recs = messages.Recs(1, len(peer.raws), peer.macs[0], peer.macs[-1], raw)
    hello = messages.Hello(
        peer.next_seq, 1, 1, peer.macs[-1], bytes(range(8)), 7, 7, 99_000, 0, messages.BOOKS_UNKNOWN
    )
    return {
        envelope.HELLO: messages.pack_hello(hello),
        envelope.RECS: messages.pack_recs(recs),
        envelope.NEED: messages.pack_need(messages.Need(5, account, 0, 1000)),
        envelope.WANT: messages.pack_want(messages.Want(1, 0, 1)),
    }


def test_prefix_of_each_message_changes_nothing(world: World) -> None:
    peer = world.line
    topic, before, sent = peer.topic(topics.UP), picture(world), 0
    for kind, body in bodies(world, peer).items():
        whole = peer.seal(kind, body)
        for size in range(len(whole)):
            assert peer.opened(world.handle(Incoming(topic, whole[:size]))) == []
            sent += 1
            assert refusals(world, peer) == {WIRE_LENGTH: sent}, (kind, size)
        assert picture(world) == before, kind
    assert peer.told(world.handle(*peer.all_recs()), envelope.ACK) == [peer.next_seq]


def test_prefix_of_each_body_changes_nothing(world: World) -> None:
    peer = world.line
    topic, before, sent = peer.topic(topics.UP), picture(world), 0
    for kind, body in bodies(world, peer).items():
        for size in range(len(body)):
            answers = peer.opened(world.handle(Incoming(topic, peer.seal(kind, body[:size]))))
            # Where it stands is said to whoever speaks under its key.
            assert answers in ([], [(envelope.ACK, 1)]), (kind, size)
            sent += 1
            assert refusals(world, peer) == {WIRE_BODY: sent}, (kind, size)
            assert picture(world) == before, (kind, size)
    assert peer.told(world.handle(*peer.all_recs()), envelope.ACK) == [peer.next_seq]


def test_every_type_of_a_device_is_cut(world: World) -> None:
    types = {kind for kind, way in envelope._DIRECTIONS.items() if way == envelope.TO_CLOUD}
    assert set(bodies(world, world.line)) == types
