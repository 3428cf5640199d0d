"""What is no message of a device changes nothing, is counted by device and number, and stops nobody."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.ingest.service import Incoming
from protocols.errors import (
    WIRE_BODY,
    WIRE_DEVICE_UNKNOWN,
    WIRE_DIRECTION,
    WIRE_EPOCH,
    WIRE_INCARNATION,
    WIRE_LENGTH,
    WIRE_MAC,
    WIRE_TOPIC,
    WIRE_TYPE,
    WIRE_VERSION,
)
from protocols.wire import envelope, messages, topics
from tests.cloud.ingest.peer import Peer, World


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    made = World(store_sqlite, tmp_path)
    yield made
    made.check_books()


def good_recs(world: World) -> Incoming:
    world.line.sell(world.of_line(world.line)[0])
    return world.line.all_recs()[-1]


def everything(world: World) -> dict[str, object]:
    """All that a message could have changed, but for the count of refusals."""
    with db.reading(world.engine) as conn:
        return {
            name: [tuple(row) for row in bulk.select(conn, f"SELECT * FROM {name}")]
            for name in db.metadata.tables
            if name != "device_refusal"
        }


def refused(world: World, *incoming: Incoming) -> dict[tuple[int, int], int]:
    before = everything(world)
    assert world.handle(*incoming) == []
    assert everything(world) == before
    return world.refusals()


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_changes_nothing(world: World, data) -> None:
    good = good_recs(world)
    payload = bytearray(good.payload)
    place = data.draw(st.integers(0, 10_000)) % len(payload)
    kind = data.draw(st.sampled_from(("flip", "cut", "grow", "noise")))
    if kind == "flip":
        payload[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del payload[place:]
    elif kind == "grow":
        payload += data.draw(st.binary(min_size=1, max_size=50))
    else:
        payload = bytearray(data.draw(st.binary(max_size=1100)))
    before = sum(world.refusals().values())
    refused(world, good._replace(payload=bytes(payload)))
    assert sum(world.refusals().values()) == before + 1
    # The same connection goes on: the good message behind it is taken.
    assert world.line.told(world.handle(good), envelope.ACK) == [world.line.next_seq]


def test_unchecked_mac_would_be_seen(world: World, monkeypatch) -> None:
    """The test above can fail: with the MAC switched off a flipped byte gets through."""
    good = good_recs(world)
    monkeypatch.setattr(envelope, "equal", lambda *_: True)
    out = world.handle(good._replace(payload=good.payload[:-1] + bytes([good.payload[-1] ^ 1])))
    assert world.line.told(out, envelope.ACK) == [world.line.next_seq]


def test_each_fault_has_its_number(world: World) -> None:
    line, hello = world.line, envelope.HELLO
    good = line.hello()
    body = messages.pack_need(messages.Need(1, 2, 0, 3))
    down = envelope.seal(
        line.keys.up, envelope.Head(envelope.ACK, line.school, line.device, 1, 0, 0, 1), b"\0\0\0\0"
    )
    bad_type = bytearray(good.payload)
    bad_type[2] = 9
    version = bytearray(good.payload)
    version[0] = 2
    wrong = {
        WIRE_LENGTH: good.payload[:20],
        WIRE_VERSION: bytes(version),
        WIRE_DIRECTION: down,
        WIRE_TYPE: bytes(bad_type),
        WIRE_EPOCH: line.seal(hello, b"", epoch=2),
        WIRE_MAC: good.payload[:-1] + b"\0",
        WIRE_TOPIC: line.seal(envelope.NEED, body),
        WIRE_INCARNATION: line.seal(envelope.NEED, body, incarnation=1, incarnation_id=77),
        WIRE_BODY: line.seal(hello, b"short"),
    }
    for code, payload in wrong.items():
        topic = world.other.topic(topics.UP) if code == WIRE_TOPIC else line.topic(topics.UP)
        world.handle(Incoming(topic, payload))
    found = world.refusals()
    assert found.pop((world.other.device, WIRE_TOPIC)) == 1
    assert found == {(line.device, code): 1 for code in wrong if code != WIRE_TOPIC}


def test_newer_incarnation_than_ours_is_refused(world: World) -> None:
    """A HELLO that knows one is a witness of a restore; a number out of all reach is a stolen key."""
    world.line.incarnation = (2, 5)
    assert refused(world, world.line.need(1, 2)) == {(world.line.device, WIRE_INCARNATION): 1}
    world.line.incarnation = (0xFFFFFFFF, 5)
    assert refused(world, world.line.hello()) == {(world.line.device, WIRE_INCARNATION): 2}
    world.line.incarnation = (1, 0x1234)
    assert world.line.told(world.handle(world.line.hello()), envelope.ACK) == [1]


def test_stranger_is_counted_under_nobody(world: World) -> None:
    stranger = Peer({"school": world.school, "device": 0x51, "epoch": 1, "key": bytes(32).hex()})
    elsewhere = Peer({"school": 0x77, "device": 0x51, "epoch": 1, "key": bytes(32).hex()})
    found = refused(world, stranger.hello(), elsewhere.hello(), Incoming("kk/1/x/y/up", b""))
    assert found == {(0, WIRE_DEVICE_UNKNOWN): 1}
    with db.reading(world.engine) as conn:
        rows = bulk.select(
            conn, "SELECT school_id, code FROM device_refusal WHERE school_id = 0 ORDER BY code"
        )
    assert [tuple(row) for row in rows] == [(0, WIRE_TOPIC), (0, WIRE_DEVICE_UNKNOWN)]


def test_message_of_another_device_is_refused(world: World) -> None:
    """dev1 cannot speak for dev2, neither with its own key nor on the other's topic."""
    need = messages.pack_need(messages.Need(1, 2, 0, 3))
    forged = world.line.seal(envelope.NEED, need, device=world.other.device)
    own = world.line.seal(envelope.NEED, need)
    topic = world.other.topic(topics.UP)
    found = refused(world, Incoming(topic, forged), Incoming(topic, own))
    assert found == {(world.other.device, WIRE_MAC): 1, (world.other.device, WIRE_TOPIC): 1}


def test_bad_message_between_good_ones_costs_only_itself(world: World) -> None:
    good = good_recs(world)
    bad = good._replace(payload=good.payload[:-1])
    out = world.handle(bad, good, bad)
    assert world.line.told(out, envelope.ACK) == [world.line.next_seq]
    assert world.refusals() == {(world.line.device, WIRE_LENGTH): 2}


def test_log_has_device_and_number_only(world: World, capsys) -> None:
    good = good_recs(world)
    world.handle(good._replace(payload=good.payload[:-1]))
    said = capsys.readouterr()
    line = said.out + said.err
    assert f"{world.line.device:08x}" in line
    assert "wire_length" in line
    assert good.payload[60:70].hex() not in line
